#include "src/runtime/signal.h"

namespace eddy {

uint64_t Signal::Epoch() const {
  const std::lock_guard<std::mutex> lock(mu_);
  return epoch_;
}

void Signal::Notify() {
  {
    const std::lock_guard<std::mutex> lock(mu_);
    ++epoch_;
  }
  // Not under the lock: each of those that wake would find it taken and go back to
  // sleep for it, which costs more than all else that they do.
  moved_.notify_all();
}

bool Signal::Wait(uint64_t seen, absl::Duration timeout) {
  const absl::Duration deadline = clock_->SinceBoot() + timeout;
  std::unique_lock<std::mutex> lock(mu_);
  while (epoch_ == seen) {
    const absl::Duration left = deadline - clock_->SinceBoot();
    if (left <= absl::ZeroDuration()) return false;
    clock_->Wait(lock, moved_, left);
  }
  return true;
}

}  // namespace eddy
