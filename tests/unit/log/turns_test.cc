// Producers at one tail take turns: who rests, and who soon does not any more.
#include "src/log/turns.h"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <thread>

#include "catch2/catch_test_macros.hpp"

namespace eddy::log {
namespace {

constexpr size_t kTurnFrame = 128;
constexpr uint64_t kFarApart = uint64_t{1} << 20;  // between two claims: others came

// What the others append in each pause of a rest.
constexpr uint64_t kPays = kTurnFrame * Turns::kFramesThatPay / Turns::kPauses + 1;
constexpr uint64_t kPaysNot = kPays / 2;

std::atomic<uint64_t> turns_tail{0};
std::atomic<uint64_t> appended_a_pause{0};

// One producer of a log.
struct Producer {
  Turns turns{[] { turns_tail += appended_a_pause; }};
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
  appended_a_pause = others;
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
    p->Claim(kFarApart);
    for (uint32_t i = 1; i <= Turns::kAloneMax; ++i) p->Claim(kFarApart + i * kTurnFrame);
  });
  CHECK(producer->rests == 1);
  CHECK(producer->crowded == Turns::kAloneMax);  // all but after the last
  CHECK_FALSE(producer->turns.MayRest(/*collided=*/false));
  CHECK(producer->turns.MayRest(/*collided=*/true));
}

}  // namespace eddy::log
