// A clock that moves when a test says so.
//
// A blocked Wait looks at this clock once in a real millisecond instead of
// being woken by Advance: so no lock of a waiter is ever taken from outside,
// and a test may hold any lock while it moves the time.
//
// Promises to the code above
//   C1  SinceBoot never goes back except across Reboot, which also changes the
//       boot id; wall time goes wherever the test sends it.
//   C2  Wait with auto_advance returns at once with the clock moved by the
//       timeout; without it, Wait sleeps for a moment of real time or until
//       notified: its caller looks at the clock, which other threads advance,
//       and waits on. One of at most kBackOff that nobody ends moves the clock by
//       it: who waits so shortly backs off for another thread, not for the test.
//       An infinite wait with auto_advance returns without moving
//       the clock (a spurious wake-up).
#ifndef EDDY_TESTS_FAKES_FAKE_CLOCK_H_
#define EDDY_TESTS_FAKES_FAKE_CLOCK_H_

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>

#include "absl/time/time.h"
#include "eddy/platform.h"

namespace eddy::testing {

// Threads: safe.
class FakeClock : public Clock {
 public:
  static constexpr int64_t kStartUnixSeconds = 1700000000;
  static constexpr absl::Duration kBackOff = absl::Milliseconds(20);

  explicit FakeClock(absl::Time wall = absl::FromUnixSeconds(kStartUnixSeconds),
                     absl::Duration since_boot = absl::Seconds(100));
  // The clock of the same machine after Reboot; `before` goes on.
  explicit FakeClock(FakeClock& before);

  absl::Time WallNow() override;
  absl::Duration SinceBoot() override;
  bool WallIsTrusted() override;
  std::string BootId() override;
  void Wait(std::unique_lock<std::mutex>& lock,
            std::condition_variable& condition,
            absl::Duration timeout) override;

  // Time passes: both clocks move, and waiters whose deadline came return.
  void Advance(absl::Duration d);

  // The wall clock alone jumps (an operator, the first NTP answer).
  void SetWall(absl::Time wall);
  void SetTrusted(bool trusted);

  // A new boot: a new boot id, SinceBoot from 0. Wall time stays; call SetWall
  // for a board without a battery.
  void Reboot();

  // True at first: right for tests with one thread, where nobody else could
  // move the clock.
  void SetAutoAdvance(bool auto_advance);

  // How many threads block in Wait now, so that a test knows when to Advance.
  int WaiterCount();

 private:
  void MoveLocked(absl::Duration d);

  std::mutex mu_;  // taken after a waiter's own lock, never before it
  absl::Time wall_;
  absl::Duration since_boot_;
  int64_t boot_count_ = 1;
  bool trusted_ = true;
  bool auto_advance_ = true;
  int waiter_count_ = 0;
};

}  // namespace eddy::testing

#endif  // EDDY_TESTS_FAKES_FAKE_CLOCK_H_
