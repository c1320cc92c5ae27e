#include "src/log/turns.h"

#include <algorithm>

#include "absl/time/time.h"
#include "src/log/segment_tail.h"

namespace eddy::log {
namespace {

// What a thread knows of its own last claim, in whichever log it was.
struct OwnTurns {
  uint64_t end = 0;
  bool rested = false;
  uint32_t skips = 0;       // collisions to come that are let pass
  uint32_t skips_next = 1;  // as many after the next rest that does not pay
};

}  // namespace

// Gives what a sibling thread of the core needs away for a moment.
void Turns::PauseCpu() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("isb" ::: "memory");  // its `yield` does nothing on most cores
#endif
}

std::atomic<int> Turns::pauses_{kPausesUncounted};

void Turns::Calibrate(Clock* clock) {
  constexpr int kCounted = 1000;
  constexpr absl::Duration kRest = absl::Microseconds(20);
  if (pauses() != kPausesUncounted) return;
  absl::Duration took = absl::InfiniteDuration();
  for (int tries = 0; tries < 3; ++tries) {  // the processor may be lost in one of them
    const absl::Duration begin = clock->SinceBoot();
    for (int i = 0; i < kCounted; ++i) PauseCpu();
    took = std::min(took, clock->SinceBoot() - begin);
  }
  if (took <= absl::ZeroDuration()) return;
  const double counted = absl::FDivDuration(kRest, took) * kCounted;
  if (counted < 100 || counted > 10000) return;  // where a pause is nothing, or an age
  pauses_.store(static_cast<int>(counted), std::memory_order_relaxed);
}

void Turns::SetCrowded(bool crowded) {
  if (crowded_.load(std::memory_order_relaxed) == crowded) return;
  crowded_.store(crowded, std::memory_order_relaxed);
}

bool Turns::Rest(const std::atomic<uint64_t>& tail, uint64_t position, size_t bytes) {
  static thread_local OwnTurns own;
  const bool alone = own.end == position;
  own.end = position + bytes;
  if (alone) return false;
  if (own.rested) {
    own.rested = false;
    return false;
  }
  if (own.skips > 0) {
    --own.skips;
    return false;
  }
  if (resting_.load(std::memory_order_relaxed) || resting_.exchange(true)) return false;
  const uint64_t before = tail.load(std::memory_order_relaxed);
  for (int i = pauses(); i > 0; --i) pause_();
  const uint64_t after = tail.load(std::memory_order_relaxed);
  resting_.store(false);
  own.rested = true;
  if (Index(after) != Index(before)) return true;  // no count, and so no verdict
  const bool pays = after - before >= kFramesThatPay * bytes;
  SetCrowded(pays);
  own.rested = pays;
  own.skips = pays ? 0 : own.skips_next;
  own.skips_next = pays ? 1 : std::min(2 * own.skips_next, kSkipsMax);
  return true;
}

}  // namespace eddy::log
