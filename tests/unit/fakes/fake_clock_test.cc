#include "tests/fakes/fake_clock.h"

#include <catch2/catch_test_macros.hpp>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

namespace eddy::testing {
namespace {

TEST_CASE("both clocks move together and only when told", "[fakes][clock]") {
  FakeClock clock(absl::FromUnixSeconds(1000), absl::Seconds(5));
  CHECK(clock.WallNow() == absl::FromUnixSeconds(1000));
  CHECK(clock.SinceBoot() == absl::Seconds(5));
  clock.Advance(absl::Milliseconds(1500));
  CHECK(clock.WallNow() == absl::FromUnixMillis(1001500));
  CHECK(clock.SinceBoot() == absl::Milliseconds(6500));
}

TEST_CASE("the wall clock jumps alone", "[fakes][clock]") {
  FakeClock clock;
  const absl::Duration since_boot = clock.SinceBoot();
  clock.SetWall(absl::FromUnixSeconds(0));
  CHECK(clock.WallNow() == absl::FromUnixSeconds(0));
  CHECK(clock.SinceBoot() == since_boot);
}

TEST_CASE("trust is what the test says", "[fakes][clock]") {
  FakeClock clock;
  CHECK(clock.WallIsTrusted());
  clock.SetTrusted(false);
  CHECK_FALSE(clock.WallIsTrusted());
}

TEST_CASE("a reboot changes the boot id and starts SinceBoot at 0",
          "[fakes][clock]") {
  FakeClock clock;
  const std::string before = clock.BootId();
  CHECK(clock.BootId() == before);
  clock.Reboot();
  CHECK(clock.BootId() != before);
  CHECK(clock.SinceBoot() == absl::ZeroDuration());
}

TEST_CASE("a wait with auto_advance takes exactly its timeout",
          "[fakes][clock]") {
  FakeClock clock;
  std::mutex mu;
  std::condition_variable condition;
  std::unique_lock<std::mutex> lock(mu);
  const absl::Duration start = clock.SinceBoot();

  SECTION("finite") {
    clock.Wait(lock, condition, absl::Seconds(30));
    CHECK(clock.SinceBoot() - start == absl::Seconds(30));
  }
  SECTION("negative: none at all") {
    clock.Wait(lock, condition, -absl::Seconds(1));
    CHECK(clock.SinceBoot() == start);
  }
  SECTION("infinite: a spurious wake-up") {
    clock.Wait(lock, condition, absl::InfiniteDuration());
    CHECK(clock.SinceBoot() == start);
  }
  CHECK(lock.owns_lock());
}

TEST_CASE("a wait without auto_advance wakes early, and its caller waits on for the clock",
          "[fakes][clock]") {
  FakeClock clock;
  clock.SetAutoAdvance(false);
  std::mutex mu;
  std::condition_variable condition;
  std::atomic<bool> returned{false};
  const absl::Duration deadline = clock.SinceBoot() + absl::Seconds(10);
  std::thread waiter([&] {
    std::unique_lock<std::mutex> lock(mu);
    while (clock.SinceBoot() < deadline) {
      clock.Wait(lock, condition, deadline - clock.SinceBoot());
    }
    returned = true;
  });
  while (clock.WaiterCount() == 0) std::this_thread::yield();
  clock.Advance(absl::Seconds(9));
  CHECK_FALSE(returned);
  clock.Advance(absl::Seconds(1));
  waiter.join();
  CHECK(returned);
  CHECK(clock.WaiterCount() == 0);
}

TEST_CASE("who backs off shortly without auto_advance is not left standing", "[fakes][clock]") {
  FakeClock clock;
  clock.SetAutoAdvance(false);
  std::mutex mu;
  std::condition_variable condition;
  std::unique_lock<std::mutex> lock(mu);
  const absl::Duration start = clock.SinceBoot();
  while (clock.SinceBoot() < start + absl::Milliseconds(5)) {
    clock.Wait(lock, condition, start + absl::Milliseconds(5) - clock.SinceBoot());
  }
  CHECK(clock.SinceBoot() == start + absl::Milliseconds(5));
}

TEST_CASE("the clock after the next boot is another one", "[fakes][time]") {
  FakeClock clock;
  clock.SetTrusted(false);
  clock.Advance(absl::Seconds(7));
  FakeClock after(clock);
  CHECK(after.BootId() != clock.BootId());
  CHECK(after.SinceBoot() == absl::ZeroDuration());
  CHECK(after.WallNow() == clock.WallNow());
  CHECK_FALSE(after.WallIsTrusted());
  after.Advance(absl::Seconds(1));
  CHECK(after.WallNow() == clock.WallNow() + absl::Seconds(1));
}

}  // namespace
}  // namespace eddy::testing
