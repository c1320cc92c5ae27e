// Producers at one tail take turns: who rests, and who soon does not any more.
#include "src/log/turns.h"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <thread>

#include "catch2/catch_test_macros.hpp"
#include "src/log/segment_tail.h"
#include "tests/fakes/fake_clock.h"

namespace eddy::log {
namespace {

constexpr size_t kTurnFrame = 128;
constexpr uint64_t kFarApart = uint64_t{1} << 20;  // between two claims: others came

// What the others append in a rest.
constexpr uint64_t kPays = kTurnFrame * Turns::kFramesThatPay;
constexpr uint64_t kPaysNot = kPays - 1;

std::atomic<uint64_t> turns_tail{0};
std::atomic<uint64_t> appended_a_rest{0};
std::atomic<int> pauses{0};

// One producer of a log.
struct Producer {
  Turns turns{[] {
    if (++pauses % Turns::pauses() == 0) turns_tail += appended_a_rest;
  }};
  int claims = 0;
  int rests = 0;
  int crowded = 0;  // claims after which the next is looked at, collided or not

  void Claim(uint64_t position) {
    ++claims;
    rests += turns.Rest(turns_tail, position, kTurnFrame) ? 1 : 0;
    crowded += turns.MayRest(/*collided=*/false) ? 1 : 0;
  }
};

// On a thread of its own, since what a thread has learned stays with it.
std::unique_ptr<Producer> RunTurns(uint64_t others, const std::function<void(Producer*)>& work) {
  appended_a_rest = others;
  pauses = 0;
  auto producer = std::make_unique<Producer>();
  std::thread([&] { work(producer.get()); }).join();
  return producer;
}

}  // namespace

TEST_CASE("who is alone at the tail never rests", "[turns]") {
  const auto producer = RunTurns(kPays, [](Producer* p) {
    for (uint64_t i = 0; i < 1000; ++i) p->Claim(i * kTurnFrame);
  });
  CHECK(producer->rests == 0);
  CHECK(producer->crowded == 0);
}

TEST_CASE("a rest while others append much is repeated, every other time", "[turns]") {
  const auto producer = RunTurns(kPays, [](Producer* p) {
    for (uint64_t i = 1; i <= 100; ++i) p->Claim(i * kFarApart);
  });
  CHECK(producer->rests == 50);
  CHECK(producer->crowded == 100);
}

TEST_CASE("a rest that nobody uses is hardly repeated", "[turns]") {
  const auto producer = RunTurns(kPaysNot, [](Producer* p) {
    for (uint64_t i = 1; i <= 100 * 1000; ++i) p->Claim(i * kFarApart);
  });
  // 1 + 2 + 4 ... 512 are let pass, then 1024 each time.
  CHECK(producer->rests >= 100);
  CHECK(producer->rests <= 110);
  CHECK(producer->crowded == 0);
}

TEST_CASE("when the others have gone each claim is as cheap as before", "[turns]") {
  const auto producer = RunTurns(kPays, [](Producer* p) {
    p->Claim(kFarApart);  // rests: crowded
    appended_a_rest = 0;
    p->Claim(2 * kFarApart);  // has just rested
    p->Claim(3 * kFarApart);  // in vain
  });
  CHECK(producer->rests == 2);
  CHECK(producer->crowded == 2);
  CHECK_FALSE(producer->turns.MayRest(/*collided=*/false));
  CHECK(producer->turns.MayRest(/*collided=*/true));
}

TEST_CASE("a rest in which the segment changes says nothing", "[turns]") {
  constexpr uint64_t kNextSegment = uint64_t{1} << kIndexShift;
  const auto producer = RunTurns(kNextSegment, [](Producer* p) {
    p->Claim(kFarApart);
    p->Claim(2 * kFarApart);
    p->Claim(3 * kFarApart);
  });
  CHECK(producer->rests == 2);  // nothing learned: neither more nor less
  CHECK(producer->crowded == 0);
}

TEST_CASE("a clock that stands still does not calibrate the rests", "[turns]") {
  testing::FakeClock clock;
  const int before = Turns::pauses();
  Turns::Calibrate(&clock);
  CHECK(Turns::pauses() == before);
}

}  // namespace eddy::log
