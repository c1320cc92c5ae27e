#include "platform/posix/posix_clock.h"

#include <catch2/catch_test_macros.hpp>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "absl/time/clock.h"

namespace eddy {
namespace {

TEST_CASE("wall time is the system's", "[platform][clock]") {
  PosixClock clock;
  const absl::Time before = absl::Now();
  const absl::Time now = clock.WallNow();
  CHECK(now >= before - absl::Milliseconds(1));  // Abseil interpolates
  CHECK(now <= absl::Now() + absl::Milliseconds(1));
}

TEST_CASE("time since boot never goes back", "[platform][clock]") {
  PosixClock clock;
  absl::Duration last = clock.SinceBoot();
  CHECK(last > absl::ZeroDuration());
  for (int i = 0; i < 10000; ++i) {
    const absl::Duration now = clock.SinceBoot();
    REQUIRE(now >= last);
    last = now;
  }
}

TEST_CASE("the boot id is the same for everyone in one boot",
          "[platform][clock]") {
  const std::string id = PosixClock().BootId();
  CHECK_FALSE(id.empty());
#if defined(__linux__)
  CHECK(id == PosixClock().BootId());
  CHECK(id.size() == 36);
#endif
}

TEST_CASE("a kernel can be asked whether it trusts its clock",
          "[platform][clock]") {
  // Either answer is right; a sandbox that forbids the question must not crash.
  PosixClock clock;
  CHECK(clock.WallIsTrusted() == clock.WallIsTrusted());
}

TEST_CASE("a wait ends after its timeout, not before", "[platform][clock]") {
  PosixClock clock;
  std::mutex mu;
  std::condition_variable condition;
  std::unique_lock<std::mutex> lock(mu);
  constexpr absl::Duration kTimeout = absl::Milliseconds(20);
  const absl::Duration deadline = clock.SinceBoot() + kTimeout;
  int wake_count = 0;
  while (clock.SinceBoot() < deadline) {
    clock.Wait(lock, condition, deadline - clock.SinceBoot());
    ++wake_count;
  }
  // Spurious wake-ups are few; a wait that returns at once would spin.
  CHECK(wake_count < 10);
  CHECK(lock.owns_lock());
}

TEST_CASE("a wait of no time or of negative time returns",
          "[platform][clock]") {
  PosixClock clock;
  std::mutex mu;
  std::condition_variable condition;
  std::unique_lock<std::mutex> lock(mu);
  clock.Wait(lock, condition, absl::ZeroDuration());
  clock.Wait(lock, condition, -absl::InfiniteDuration());
  CHECK(lock.owns_lock());
}

TEST_CASE("a wait without end ends when it is notified", "[platform][clock]") {
  PosixClock clock;
  std::mutex mu;
  std::condition_variable condition;
  bool ready = false;
  std::thread waiter([&] {
    std::unique_lock<std::mutex> lock(mu);
    while (!ready) clock.Wait(lock, condition, absl::InfiniteDuration());
  });
  {
    std::lock_guard<std::mutex> lock(mu);
    ready = true;
  }
  condition.notify_all();
  waiter.join();
  CHECK(ready);
}

}  // namespace
}  // namespace eddy
