#include "src/runtime/runner.h"

#include <atomic>
#include <thread>

#include <catch2/catch_test_macros.hpp>

#include "tests/fakes/fake_clock.h"

namespace eddy {
namespace {

TEST_CASE("a runner runs its step, and again when woken", "[runtime][runner][threads]") {
  testing::FakeClock clock;
  clock.SetAutoAdvance(false);
  std::atomic<int> steps{0};
  Runner runner(
      [&] {
        ++steps;
        return absl::Hours(1);
      },
      &clock);
  while (steps < 1) std::this_thread::yield();
  runner.Wake();
  while (steps < 2) std::this_thread::yield();
  CHECK(steps == 2);
}

TEST_CASE("a runner runs again when the time that its step named has passed",
          "[runtime][runner][time][threads]") {
  testing::FakeClock clock;
  clock.SetAutoAdvance(false);
  std::atomic<int> steps{0};
  Runner runner(
      [&] {
        ++steps;
        return absl::Seconds(10);
      },
      &clock);
  while (steps < 1 || clock.WaiterCount() == 0) std::this_thread::yield();
  clock.Advance(absl::Seconds(10));
  while (steps < 2) std::this_thread::yield();
  CHECK(steps == 2);
}

TEST_CASE("a runner stops at once though its step wanted to sleep", "[runtime][runner][threads]") {
  testing::FakeClock clock;
  clock.SetAutoAdvance(false);
  Runner runner([] { return absl::Hours(1000); }, &clock);
}

}  // namespace
}  // namespace eddy
