// ArrivalClock: the time that a record carries, for one clock read an append.
//
// Whether the wall clock can be believed takes a system call to find out, so it
// is looked at anew only when the wall clock has moved by a second, forward or
// back. That is right in both cases that matter: a clock that is set (the first
// NTP answer, an operator) jumps, and the very next record knows it; and one
// that only became synchronised, without a jump, was right before as well, and
// is called so a second late.
//
// While the wall clock is not believed the time is made of the time since boot,
// which no step disturbs, and repaired later: see log/boot_clock.h.
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
    Look(NowMs());
  }

  Arrival Now() {
    const int64_t now_ms = NowMs();
    // Relaxed: the word holds all there is to know, and an older one only means
    // that another thread's look is repeated.
    int64_t looked = looked_.load(std::memory_order_relaxed);
    const int64_t moved_ms = now_ms - (looked >> 1);
    if (ABSL_PREDICT_FALSE(moved_ms >= kLookAgainMs ||
                           moved_ms <= -kLookAgainMs)) {
      looked = Look(now_ms);
    }
    if (ABSL_PREDICT_TRUE((looked & 1) != 0)) return {now_ms, true};
    return {InFrame(boot_base_ms_ + absl::ToInt64Milliseconds(clock_->SinceBoot())), false};
  }

 private:
  // A frame has 47 bits for it: until the year 6429.
  static int64_t InFrame(int64_t ms) {
    return std::clamp(ms, int64_t{0}, (int64_t{1} << 47) - 1);
  }
  int64_t NowMs() { return InFrame(clock_->WallCoarseMs()); }
  int64_t Look(int64_t now_ms) {
    const int64_t looked = now_ms * 2 + (clock_->WallIsTrusted() ? 1 : 0);
    looked_.store(looked, std::memory_order_relaxed);
    return looked;
  }

  static_assert(std::atomic<int64_t>::is_always_lock_free);
  Clock* const clock_;
  const int64_t boot_base_ms_;
  std::atomic<int64_t> looked_{0};  // when, in ms, times 2, plus 1 if trusted
};

}  // namespace eddy

#endif  // EDDY_SRC_RUNTIME_ARRIVAL_CLOCK_H_
