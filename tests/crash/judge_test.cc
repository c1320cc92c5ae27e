// The judge of a mixed run, judged: it accepts what is so, and each of its promises
// can be broken. What is planted is a world that differs from the store in one thing.
#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include "tests/crash/mixed_run.h"

namespace eddy::crash {
namespace {

struct Plant {
  const char* what;
  std::function<void(World*)> plant;
  const char* sentence;  // of the judge
};

KnownShard& First(World* world) { return world->shards[0]; }
KnownRecord& Middle(World* world) {
  return First(world).records[First(world).records.size() - 3];
}
// A message that is still there, in the queue itself.
KnownMessage& Alive(World* world) {
  for (auto& [number, message] : world->messages) {
    if (!message.erase_tried && message.count_tried < kReceivesMax) return message;
  }
  FAIL("every message was deleted");
  return world->messages.begin()->second;
}
uint32_t NumberOfAlive(World* world) {
  const KnownMessage* const alive = &Alive(world);
  for (const auto& [number, message] : world->messages) {
    if (&message == alive) return number;
  }
  return 0;
}
// One that is there, as if Transact had not answered.
KnownTransaction& Open(World* world) {
  const uint32_t number = *world->rows.begin();
  world->rows.erase(number);
  return world->open_transactions[number];
}
// A record of a shard's end whose outcome is not known.
uint32_t AddOpen(World* world) {
  KnownRecord record;
  record.number = world->next_number++;
  First(world).records.push_back(record);
  return record.number;
}
KnownRecord Invented(World* world, bool durable) {
  KnownRecord record;
  record.number = world->next_number++;
  record.outcome = Outcome::kAccepted;
  record.durable = durable;
  record.sequence_number = First(world).highest;
  return record;
}

const std::vector<Plant>& Plants() {
  static const auto& plants = *new std::vector<Plant>{
      {"a durable record that is not there",
       [](World* w) { First(w).records.push_back(Invented(w, true)); },
       "a durable record is lost"},
      {"an accepted record that is not there, before others",
       [](World* w) {
         auto& records = First(w).records;
         records.insert(records.begin() + 1, Invented(w, false));
       },
       "a record is lost before a later one"},
      {"a record that nobody put", [](World* w) { First(w).records.pop_back(); },
       "a record that was never put, or lies in another shard"},
      {"two records in the other order",
       [](World* w) {
         auto& records = First(w).records;
         std::swap(records[records.size() - 2], records[records.size() - 3]);
       },
       "a durable record is lost"},
      {"a record of other bytes", [](World* w) { ++Middle(w).bytes; }, "a record is not whole"},
      {"a record of another number", [](World* w) { ++Middle(w).sequence_number; },
       "a record has another sequence number"},
      {"a record that was refused", [](World* w) { Middle(w).outcome = Outcome::kRefused; },
       "a refused record is there"},
      {"a trim that was durable",
       [](World* w) { First(w).trim.durable = Middle(w).sequence_number; },
       "a trim was forgotten"},
      {"one record more that was dropped", [](World* w) { ++w->shards[2].dropped; },
       "a gap does not count what was dropped"},
      {"a cursor further on", [](World* w) { First(w).cursor.durable = First(w).highest + 1; },
       "a cursor went back"},
      {"a cursor that never moved", [](World* w) { First(w).cursor = {}; },
       "a cursor is where nobody moved it"},
      {"a durable message that is not there",
       [](World* w) { w->messages[w->next_number++].durable = true; },
       "a durable message is lost"},
      {"a message that nobody sent",
       [](World* w) {
         const KnownMessage* const alive = &Alive(w);
         for (auto it = w->messages.begin(); it != w->messages.end(); ++it) {
           if (&it->second != alive) continue;
           w->messages.erase(it);
           return;
         }
       },
       "a message that was never sent is there"},
      {"a message of other bytes", [](World* w) { ++Alive(w).bytes; }, "a message is not whole"},
      {"a message that was refused", [](World* w) { Alive(w).outcome = Outcome::kRefused; },
       "a refused message is there"},
      {"a message whose delete was durable", [](World* w) { Alive(w).erase_durable = true; },
       "a deleted message came back"},
      {"a message that was shown more often", [](World* w) { Alive(w).count_durable = 50; },
       "a receive count was forgotten"},
      {"a message that was shown less often", [](World* w) { Alive(w).count_tried = -1; },
       "a receive that never was is counted"},
      {"a dead letter that was alive before", [](World* w) { Alive(w).dead = true; },
       "a dead letter is alive again"},
      {"dead letters that were never received",
       [](World* w) {
         for (auto& [number, message] : w->messages) {
           message.count_tried = std::min(message.count_tried, kReceivesMax - 1);
         }
       },
       "a dead letter that was not received so often"},
      {"a higher number, given before",
       [](World* w) { First(w).highest = uint64_t{1} << 50; },
       "a sequence number was given twice"},
      {"a transaction that is not there",
       [](World* w) { w->rows.insert(w->next_number++); }, "a transaction is lost"},
      {"a transaction that nobody ran", [](World* w) { w->rows.erase(w->rows.begin()); },
       "a transaction that failed is there"},
      {"a transaction with a record more",
       [](World* w) { Open(w).records.emplace_back(0, AddOpen(w)); },
       "a transaction lacks a record"},
      {"a transaction with a message more",
       [](World* w) {
         Open(w).sent.push_back(w->next_number);
         w->messages[w->next_number++].bytes = 1;
       },
       "a durable message is lost"},
      {"a transaction with a delete more",
       [](World* w) { Open(w).deleted.push_back(NumberOfAlive(w)); },
       "a deleted message came back"},
      {"a transaction with a cursor moved further",
       [](World* w) { Open(w).cursor = First(w).highest + 1; }, "a cursor went back"},
      {"a record whose transaction is not there",
       [](World* w) {
         w->open_transactions[w->next_number++].records.emplace_back(0, Middle(w).number);
       },
       "a refused record is there"},
  };
  return plants;
}

// Worked on, flushed and closed.
struct Closed {
  Closed() : device(3), run(&device, Options()) {
    REQUIRE(run.Open());
    for (int i = 0; i < 400; ++i) run.Step();
    for (int i = 0; i < 5; ++i) run.GoOn();  // at the end of each shard: what no trim takes
    REQUIRE(run.broken() == "");
    run.TakeStore().reset();
  }
  std::string Judged(const std::function<void(World*)>& plant) {
    testing::Device copy(device, 1);
    MixedRun judged(&copy, Options(), run.world());
    plant(judged.mutable_world());
    REQUIRE(judged.Open());
    judged.Judge();
    judged.GoOn();
    const std::string broken = judged.broken();
    sights = judged.sights();
    judged.TakeStore().reset();
    return broken;
  }
  static MixedOptions Options() {
    MixedOptions options;
    options.seed = 3;  // one in which all that is judged happens
    return options;
  }
  testing::Device device;
  MixedRun run;
  Sights sights;
};

TEST_CASE("the judge accepts the world as it is, and no other", "[crash][power][sweep]") {
  Closed closed;
  CHECK(closed.Judged([](World*) {}) == "");
  CHECK(closed.sights.gaps > 0);
  CHECK(closed.sights.dead_letters > 0);
  CHECK(closed.sights.trims > 0);
  for (const Plant& plant : Plants()) {
    INFO(plant.what);
    CHECK(closed.Judged(plant.plant) == plant.sentence);
  }
}

}  // namespace
}  // namespace eddy::crash
