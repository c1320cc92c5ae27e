// Signal: an event count. A waiter notes the epoch, looks at whatever it waits
// for, and sleeps only if nobody has notified since: no wake-up is lost.
// Depends on platform.h.
#ifndef EDDY_SRC_RUNTIME_SIGNAL_H_
#define EDDY_SRC_RUNTIME_SIGNAL_H_

#include <condition_variable>
#include <cstdint>
#include <mutex>

#include "absl/time/time.h"
#include "eddy/platform.h"

namespace eddy {

// Threads: safe. `clock` outlives it, and it outlives each call of Notify: one who
// waits may return before the one who notifies does.
class Signal {
 public:
  explicit Signal(Clock* clock) : clock_(clock) {}
  Signal(const Signal&) = delete;
  Signal& operator=(const Signal&) = delete;

  uint64_t Epoch() const;
  void Notify();

  // Sleeps until the epoch is no longer `seen` (true) or `timeout` has passed
  // on the clock that counts suspend (false).
  bool Wait(uint64_t seen, absl::Duration timeout);

 private:
  Clock* const clock_;
  mutable std::mutex mu_;
  std::condition_variable moved_;
  uint64_t epoch_ = 0;  // guarded by mu_
};

}  // namespace eddy

#endif  // EDDY_SRC_RUNTIME_SIGNAL_H_
