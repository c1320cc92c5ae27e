#include "platform/posix/posix_clock.h"

#if defined(__linux__)
#include <sys/timex.h>
#endif

#include <catch2/catch_test_macros.hpp>
#include <atomic>
#include <condition_variable>
#include <cstdint>
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

#if defined(__linux__)
TEST_CASE("the wall clock is trusted unless the kernel doubts it or it shows a time before eddy",
          "[platform][clock]") {
  timex state = {};  // modes 0: only asks
  const int answer = adjtimex(&state);
  const bool kernel_doubts =
      answer >= 0 && (answer == TIME_ERROR || (state.status & STA_UNSYNC) != 0);
  PosixClock clock;
  const bool before_eddy = clock.WallNow() < absl::FromUnixSeconds(1767225600);  // 2026-01-01
  INFO("adjtimex says " << answer << ", status " << state.status);
  CHECK(clock.WallIsTrusted() == (!kernel_doubts && !before_eddy));
}
#endif

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

TEST_CASE("who sleeps on a word is woken when it has changed, and does not sleep before that",
          "[platform][clock]") {
  PosixClock clock;
  std::atomic<uint32_t> word{1};
  clock.WaitOn(word, 0, absl::InfiniteDuration());  // it is not what was seen
  const absl::Duration start = clock.SinceBoot();
  while (clock.SinceBoot() - start < absl::Milliseconds(20)) {
    clock.WaitOn(word, 1, absl::Milliseconds(20));  // nobody comes
  }
  clock.WaitOn(word, 1, -absl::InfiniteDuration());
  for (const bool all : {true, false}) {
    std::thread waiter([&, seen = word.load()] {
      while (word.load() == seen) clock.WaitOn(word, seen, absl::InfiniteDuration());
    });
    word.fetch_add(1);
    all ? clock.WakeAll(word) : clock.WakeOne(word);
    waiter.join();
  }
  CHECK(word == 3);
}

}  // namespace
}  // namespace eddy
