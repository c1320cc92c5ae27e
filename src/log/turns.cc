#include "src/log/turns.h"

#include <algorithm>

namespace eddy::log {
namespace {

// What a thread knows of its own last claim, in whichever log it was.
struct OwnTurns {
  uint64_t end = 0;
  uint32_t alone = 0;       // claims in a row with nobody between
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

void Turns::SetCrowded(bool crowded) {
  if (crowded_.load(std::memory_order_relaxed) == crowded) return;
  crowded_.store(crowded, std::memory_order_relaxed);
}

bool Turns::Rest(const std::atomic<uint64_t>& tail, uint64_t position, size_t bytes) {
  static thread_local OwnTurns own;
  const bool alone = own.end == position;
  own.end = position + bytes;
  if (alone) {
    // While another rests too; but not so long.
    if (++own.alone == kAloneMax) SetCrowded(false);
    return false;
  }
  own.alone = 0;
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
  for (int i = 0; i < kPauses; ++i) pause_();
  // In the next segment it is another count, and nearly always a larger one.
  const uint64_t appended = tail.load(std::memory_order_relaxed) - before;
  const bool pays = appended >= kFramesThatPay * bytes;
  SetCrowded(pays);
  resting_.store(false);
  own.rested = pays;
  own.skips = pays ? 0 : own.skips_next;
  own.skips_next = pays ? 1 : std::min(2 * own.skips_next, kSkipsMax);
  return true;
}

}  // namespace eddy::log
