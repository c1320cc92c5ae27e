// Turns: producers that append to one log as fast as they can do it one after another.
//
// Each claim moves the tail's cache line to the claimer's core, which takes longer than
// the rest of an append: two producers that never pause made 0.6 of what one makes. So a
// producer that sees others at it rests for a while once its frame is published, and
// leaves them the line; then it is another's turn.
//
//   collided   the tail moved between our look at it and our claim: a window of some
//              nanoseconds, so producers with work of their own hardly ever hit it
//   crowded    the last rest has paid: others claimed more meanwhile than two that collide
//              do. Then each producer who finds that another was there between
//              its last two claims rests, unless it has just done so, or one rests already
//
// A rest that has not paid makes its thread rest the less, down to one collision in
// 1024; with one processor, or where a pause of the processor is short (ARMv7), rests
// are as good as off. Measured on two cores 240 ns apart, with no work between the
// appends: 118 -> 84 ns a record, where one producer alone takes 80; with 0.3 us of work
// and more no difference.
//
// A rest makes no system call and waits for nobody: it ends after as many pauses as
// Calibrate() has counted in 20 us. Without it, 800: of 20 to 50 ns each on x86.
// Depends on platform.h.
#ifndef EDDY_SRC_LOG_TURNS_H_
#define EDDY_SRC_LOG_TURNS_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "eddy/platform.h"

namespace eddy::log {

// Threads: safe. Everything is a hint: no order is concluded from it.
class Turns {
 public:
  // So much has to be appended meanwhile, in frames as large as ours, for a rest to pay:
  // what two that do not rest append in that time.
  static constexpr uint64_t kFramesThatPay = 140;
  static constexpr uint32_t kSkipsMax = 1024;

  // At an open; once a process it takes some 100 us. A clock that stands still, as in
  // tests, says nothing.
  static void Calibrate(Clock* clock);

  static int pauses() { return pauses_.load(std::memory_order_relaxed); }

  // `pause`: what a rest does, for tests.
  explicit Turns(void (*pause)() = &PauseCpu) : pause_(pause) {}

  // After a claim. `collided`: it was not at the tail that was seen just before.
  bool MayRest(bool collided) const {
    return collided || crowded_.load(std::memory_order_relaxed);
  }

  // After the publish of what the caller has claimed, `bytes` at `position`. `tail`: see
  // segment_tail.h. Whether it has rested.
  bool Rest(const std::atomic<uint64_t>& tail, uint64_t position, size_t bytes);

 private:
  static void PauseCpu();
  static constexpr int kPausesUncounted = 800;
  static std::atomic<int> pauses_;
  void SetCrowded(bool crowded);

  // Beside the tail, for who claims has that line anyway; moved only when it changes.
  std::atomic<bool> crowded_{false};
  [[maybe_unused]] char apart_[64];  // so that what is below is in another line
  std::atomic<bool> resting_{false};
  void (*const pause_)();
};

}  // namespace eddy::log

#endif  // EDDY_SRC_LOG_TURNS_H_
