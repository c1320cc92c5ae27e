#include "src/runtime/runner.h"

#include <pthread.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <thread>
#include <utility>

#include <catch2/catch_test_macros.hpp>

#include "tests/fakes/fake_clock.h"

namespace eddy {
namespace {

std::unique_ptr<Runner> Start(std::function<absl::Duration()> step, Clock* clock) {
  absl::StatusOr<std::unique_ptr<Runner>> runner = Runner::Start(std::move(step), clock);
  REQUIRE(runner.ok());
  return *std::move(runner);
}

TEST_CASE("a runner runs its step, and again when woken", "[runtime][runner][threads]") {
  testing::FakeClock clock;
  clock.SetAutoAdvance(false);
  std::atomic<int> steps{0};
  const auto runner = Start(
      [&] {
        ++steps;
        return absl::Hours(1);
      },
      &clock);
  while (steps < 1) std::this_thread::yield();
  runner->Wake();
  while (steps < 2) std::this_thread::yield();
  CHECK(steps == 2);
}

TEST_CASE("a runner runs again when the time that its step named has passed",
          "[runtime][runner][time][threads]") {
  testing::FakeClock clock;
  clock.SetAutoAdvance(false);
  std::atomic<int> steps{0};
  const auto runner = Start(
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
  const auto runner = Start([] { return absl::Hours(1000); }, &clock);
}

#ifdef __GLIBC__
TEST_CASE("a thread that the system does not give is an error, not the process's end",
          "[runtime][runner][threads]") {
  pthread_attr_t usual;
  REQUIRE(pthread_getattr_default_np(&usual) == 0);
  pthread_attr_t huge;
  REQUIRE(pthread_attr_init(&huge) == 0);
  // A stack of nearly all that can be addressed finds no room.
  REQUIRE(pthread_attr_setstacksize(&huge, SIZE_MAX / 16 * 15 & ~size_t{0xffff}) == 0);
  REQUIRE(pthread_setattr_default_np(&huge) == 0);
  testing::FakeClock clock;
  const auto runner = Runner::Start([] { return absl::Hours(1); }, &clock);
  CHECK(pthread_setattr_default_np(&usual) == 0);
  CHECK(absl::IsResourceExhausted(runner.status()));
  pthread_attr_destroy(&huge);
  pthread_attr_destroy(&usual);
}
#endif

}  // namespace
}  // namespace eddy
