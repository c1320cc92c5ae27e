// ArrivalClock: the time that a record carries, for one look at a coarse clock.
//
// Whether the wall clock can be believed takes a system call to find out, so it
// is looked at anew only when the wall clock has moved by a second, forward or
// back. That is right in both cases that matter: a clock that is set (the first
// NTP answer, an operator) jumps, and the very next record knows it; and one
// that only became synchronised, without a jump, was right before as well, and
// is called so a second late.
//
// While the wall clock is not believed the time is made of the time since boot, and
// repaired later: see log/boot_clock.h. That too is read at each look and goes on with
// the wall clock in between: so a step of the wall clock by less than a second is in
// it until the next look, and a larger one, which brings a look, not at all.
// Depends on platform.h.
#ifndef EDDY_SRC_RUNTIME_ARRIVAL_CLOCK_H_
#define EDDY_SRC_RUNTIME_ARRIVAL_CLOCK_H_

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "absl/base/optimization.h"
#include "absl/time/time.h"
#include "eddy/platform.h"

namespace eddy {

struct Arrival {
  int64_t time_ms = 0;  // since 1970; never below it
  bool trusted = false;
};

// Threads: safe, no lock. `clock` outlives it.
class ArrivalClock {
 public:
  static constexpr int64_t kLookAgainMs = 1000;

  // `boot_base_ms`: Engine::boot_base_ms.
  ArrivalClock(Clock* clock, int64_t boot_base_ms)
      : clock_(clock), boot_base_ms_(boot_base_ms) {
    Look(NowMs(), looked_.load(std::memory_order_relaxed));
  }

  Arrival Now() {
    const int64_t now_ms = NowMs();
    // Acquire, here and of the base: pairs with the releases in Look. Who sees a base
    // sees that its look had begun, at the latest in the second load of looked_.
    const int64_t looked = looked_.load(std::memory_order_acquire);
    const int64_t moved_ms = now_ms - (looked >> 1);
    if (ABSL_PREDICT_FALSE(moved_ms >= kLookAgainMs ||
                           moved_ms <= -kLookAgainMs)) {
      return Look(now_ms, looked);
    }
    if (ABSL_PREDICT_TRUE((looked & 1) != 0)) return {now_ms, true};
    const int64_t base_ms = base_ms_.load(std::memory_order_acquire);
    if (ABSL_PREDICT_FALSE(looked_.load(std::memory_order_relaxed) != looked)) {
      return Look(now_ms, kLooking);
    }
    return {InFrame(base_ms + now_ms), false};
  }

 private:
  // Half of it is further from any time than kLookAgainMs.
  static constexpr int64_t kLooking = INT64_MIN;

  // A frame has 47 bits for it: until the year 6429.
  static int64_t InFrame(int64_t ms) {
    return std::clamp(ms, int64_t{0}, (int64_t{1} << 47) - 1);
  }
  int64_t NowMs() { return InFrame(clock_->WallCoarseMs()); }
  // One thread at a time keeps what it has found; the others only use it.
  Arrival Look(int64_t now_ms, int64_t looked) {
    const bool keeps = looked != kLooking &&
                       looked_.compare_exchange_strong(looked, kLooking,
                                                       std::memory_order_relaxed);
    const bool trusted = clock_->WallIsTrusted();
    const int64_t boot_ms = boot_base_ms_ + absl::ToInt64Milliseconds(clock_->SinceBoot());
    if (keeps) {
      base_ms_.store(boot_ms - now_ms, std::memory_order_release);
      looked_.store(now_ms * 2 + (trusted ? 1 : 0), std::memory_order_release);
    }
    return trusted ? Arrival{now_ms, true} : Arrival{InFrame(boot_ms), false};
  }

  static_assert(std::atomic<int64_t>::is_always_lock_free);
  Clock* const clock_;
  const int64_t boot_base_ms_;
  std::atomic<int64_t> looked_{0};   // when, in ms, times 2, plus 1 if trusted; or kLooking
  std::atomic<int64_t> base_ms_{0};  // added to the wall clock while it is not
};

}  // namespace eddy

#endif  // EDDY_SRC_RUNTIME_ARRIVAL_CLOCK_H_
