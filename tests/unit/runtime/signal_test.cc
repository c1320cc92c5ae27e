#include "src/runtime/signal.h"

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include "tests/fakes/fake_clock.h"

namespace eddy {
namespace {

TEST_CASE("a wait for an epoch that has moved returns at once", "[runtime][signal]") {
  testing::FakeClock clock;
  Signal signal(&clock);
  const uint64_t seen = signal.Epoch();
  signal.Notify();
  const absl::Duration before = clock.SinceBoot();
  CHECK(signal.Wait(seen, absl::Hours(1)));
  CHECK(clock.SinceBoot() == before);
}

TEST_CASE("a wait without a notification ends when its time is over", "[runtime][signal][time]") {
  testing::FakeClock clock;
  Signal signal(&clock);
  const absl::Duration before = clock.SinceBoot();
  CHECK_FALSE(signal.Wait(signal.Epoch(), absl::Seconds(3)));
  CHECK(clock.SinceBoot() - before == absl::Seconds(3));
  CHECK_FALSE(signal.Wait(signal.Epoch(), absl::ZeroDuration()));
  CHECK_FALSE(signal.Wait(signal.Epoch(), -absl::Seconds(1)));
}

TEST_CASE("a sleeping waiter is woken by a notification", "[runtime][signal][threads]") {
  testing::FakeClock clock;
  clock.SetAutoAdvance(false);
  Signal signal(&clock);
  bool woken = false;
  std::thread waiter([&, seen = signal.Epoch()] { woken = signal.Wait(seen, absl::Hours(1)); });
  while (clock.WaiterCount() == 0) std::this_thread::yield();
  signal.Notify();
  waiter.join();
  CHECK(woken);
}

// As a platform has it that cannot sleep on a word by itself.
TEST_CASE("a platform that has only condition variables sleeps on words by them",
          "[runtime][signal][threads]") {
  class Plain final : public testing::FakeClock {};
  Plain clock;
  clock.SetAutoAdvance(false);
  std::atomic<uint32_t> word{1};
  clock.WaitOn(word, 0, absl::InfiniteDuration());
  constexpr int kSleepers = 4;
  std::atomic<int> awake{0};
  std::vector<std::thread> sleepers;
  for (int i = 0; i < kSleepers; ++i) {
    sleepers.emplace_back([&] {
      while (word.load() == 1) clock.WaitOn(word, 1, absl::Hours(1));
      ++awake;
    });
  }
  while (clock.WaiterCount() == 0) std::this_thread::yield();
  CHECK(awake == 0);
  word.store(2);
  clock.WakeAll(word);
  for (std::thread& sleeper : sleepers) sleeper.join();
  CHECK(awake == kSleepers);
}

}  // namespace
}  // namespace eddy
