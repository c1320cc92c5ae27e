// A spilling stream against a model, through kills and power cuts at random and at
// every step of the disk.
//
// What must hold after each death, for each reader:
//   - what it had not passed and what a completed Flush (or kPower) covered is there;
//     after a kill all that it had not passed is;
//   - what it reads is in order, and is what was put at that position;
//   - its place is not above where it was, and after a kill exactly there;
//   - a new record gets a position above all that were ever given out.
#include <algorithm>
#include <cstdint>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "tests/fakes/scale.h"
#include "tests/unit/stream/stream_fixture.h"

namespace eddy::stream {
namespace {

constexpr uint64_t kNever = UINT64_MAX;
const std::vector<std::string> kReaders = {"uplink", "local"};

StreamOptions Spilling() {
  StreamOptions options;
  options.persist = Persist::kSpill;
  options.readers = kReaders;
  return options;
}

class Life {
 public:
  // `cut_at`: steps of the disk before the power fails, if it has not done so before.
  Life(uint64_t seed, uint64_t cut_at) : dice_(seed), f_(Spilling(), 256 << 10, seed) {
    f_.options.store.append_timeout = absl::Milliseconds(50);
    if (cut_at != kNever) f_.device.disk.CutAt(cut_at);
  }

  void Work(int steps) {
    for (int step = 0; step < steps && !PowerIsOff(); ++step) Step();
  }
  bool PowerIsOff() { return f_.device.disk.PowerIsOff(); }

  void Kill() {
    f_.KillAndReopen();
    Check(/*killed=*/true);
  }
  void PowerCut() {
    f_.CutAndReopen(dice_());
    Check(/*killed=*/false);
  }
  void Close() {
    f_.CloseAndReopen();
    Check(/*killed=*/true);
  }
  size_t Roll(size_t n) { return static_cast<size_t>(dice_() % n); }

 private:
  struct Known {
    std::string data;
    bool safe = false;  // committed, as somebody was told
  };

  void Step() {
    const uint64_t what = Roll(100);
    // The link is up or down for a while, for each reader.
    if (what < 4) up_[Roll(2)] = Roll(3) != 0;
    if (what < 50) {
      Put(Roll(20) == 0 ? 30'000 : Roll(3000), Durability::kProcess);
    } else if (what < 52) {
      Put(Roll(500), Durability::kPower);
    } else if (what < 53) {
      Flush();
    } else if (what < 80) {
      f_.device.clock.Advance(absl::Milliseconds(Roll(700)));
      f_.engine->RunOnce();
    } else {
      const size_t reader = Roll(2);
      if (up_[reader]) Deliver(reader, Roll(30) == 0 ? Durability::kPower : Durability::kProcess);
    }
  }

  void Put(size_t size, Durability durability) {
    PutOptions options;
    options.durability = durability;
    const std::string data = absl::StrCat(count_++, ":", std::string(size, 'd'));
    const auto put = f_.stream().Put("k", data, options);
    if (!put.ok()) {  // it may be there all the same
      strangers_.insert(data);
      return;
    }
    REQUIRE(put->sequence_number > highest_);
    highest_ = put->sequence_number;
    known_[highest_].data = data;
    if (durability == Durability::kPower) MarkSafe();
  }
  void Flush() {
    if (f_.engine->Flush().ok()) MarkSafe();
  }
  // One shard: what a commit covers, it covers all below.
  void MarkSafe() {
    for (auto& [position, known] : known_) known.safe = true;
  }

  void Deliver(size_t reader, Durability durability) {
    Cursor& cursor = *Ok(f_.stream().OpenCursor(kReaders[reader]));
    GetRecordsOptions get;
    get.limit = 1 + Roll(60);
    const auto batch = cursor.Read(0, get);
    if (!batch.ok()) return;  // the power is off
    REQUIRE_FALSE(batch->gap.has_value());
    // Whoever keeps up sees each record that was accepted, in order.
    auto next = known_.lower_bound(places_[reader]);
    for (const Record& record : batch->records) {
      if (strangers_.count(std::string(record.data)) == 0) {
        REQUIRE(next != known_.end());
        REQUIRE(record.sequence_number == next->first);
        REQUIRE(record.data == next->second.data);
        ++next;
      }
    }
    if (batch->records.empty()) return;
    const uint64_t to = Roll(2) == 0 ? batch->next_sequence_number
                                     : batch->records.back().sequence_number + 1;
    if (!cursor.Advance(0, to, durability).ok()) {
      REQUIRE(PowerIsOff());
    }
    tried_[reader] = std::max(tried_[reader], to);
    places_[reader] = cursor.Position(0);
  }

  void Check(bool killed) {
    std::map<uint64_t, std::string> found;
    for (size_t reader = 0; reader < kReaders.size(); ++reader) {
      INFO("reader " << kReaders[reader] << ", was at " << places_[reader]);
      Cursor& cursor = *Ok(f_.stream().OpenCursor(kReaders[reader]));
      if (killed) REQUIRE(cursor.Position(0) == places_[reader]);
      REQUIRE(cursor.Position(0) <= std::max(tried_[reader], places_[reader]));
      std::map<uint64_t, std::string> read;
      ShardIteratorPosition from;
      from.type = ShardIteratorType::kAtSequenceNumber;
      from.sequence_number = cursor.Position(0);
      std::string iterator = Ok(f_.stream().GetShardIterator(0, from));
      for (;;) {
        const RecordBatch batch = Ok(f_.stream().GetRecords(iterator));
        REQUIRE_FALSE(batch.gap.has_value());
        for (const Record& record : batch.records) {
          REQUIRE((read.empty() || record.sequence_number > read.rbegin()->first));
          read[record.sequence_number] = std::string(record.data);
        }
        if (batch.records.empty()) break;
        iterator = batch.next_shard_iterator;
      }
      for (const auto& [position, known] : known_) {
        if (position < std::max(tried_[reader], places_[reader])) continue;
        if (!killed && !known.safe) continue;
        INFO("position " << position);
        const auto at = read.find(position);
        REQUIRE(at != read.end());
      }
      found.insert(read.begin(), read.end());
      places_[reader] = tried_[reader] = cursor.Position(0);
    }
    for (const auto& [position, data] : found) {
      const auto known = known_.find(position);
      if (known != known_.end()) REQUIRE(known->second.data == data);
      if (known == known_.end()) REQUIRE(strangers_.count(data) == 1);
    }
    // What is there now is what there is.
    known_.clear();
    strangers_.clear();
    for (const auto& [position, data] : found) {
      known_[position] = {data, /*safe=*/true};
      highest_ = std::max(highest_, position);
    }
    REQUIRE(f_.stream().Describe().shards[0].next > highest_);
  }

  std::mt19937_64 dice_;
  StreamFixture f_;
  std::map<uint64_t, Known> known_;  // by position; of what a reader may still need
  std::set<std::string> strangers_;  // puts of unknown outcome
  uint64_t highest_ = 0;
  uint64_t places_[2] = {0, 0};
  uint64_t tried_[2] = {0, 0};
  bool up_[2] = {true, true};
  int count_ = 0;
};

TEST_CASE("a spilling stream keeps its promises through deaths of all kinds",
          "[stream][spill][model][sweep]") {
  const int seeds = testing::Scaled(60);
  for (int seed = 1; seed <= seeds; ++seed) {
    INFO("seed " << seed);
    Life life(static_cast<uint64_t>(seed), kNever);
    for (int death = 0; death < 6; ++death) {
      INFO("death " << death);
      life.Work(static_cast<int>(20 + life.Roll(300)));
      switch (life.Roll(5)) {
        case 0: life.Close(); break;
        case 1: case 2: life.Kill(); break;
        default: life.PowerCut();
      }
    }
  }
}

TEST_CASE("a power cut at any step of a spilling stream keeps what it promised",
          "[stream][spill][crash][sweep]") {
  for (const uint64_t seed : {uint64_t{7}, uint64_t{8}}) {
    bool cut = true;
    uint64_t steps = 0;
    const uint64_t stride = testing::Scaled(100) < 100 ? 11 : 1;
    for (uint64_t step = 0; cut; step += stride) {
      steps = step;
      INFO("seed " << seed << ", step " << step);
      Life life(seed, step);
      life.Work(150);
      cut = life.PowerIsOff();
      life.PowerCut();
      life.Work(60);  // it goes on
      life.Kill();
    }
    CHECK(steps > 50);
  }
}

}  // namespace
}  // namespace eddy::stream
