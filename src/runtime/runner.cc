#include "src/runtime/runner.h"

#include <utility>

namespace eddy {

Runner::Runner(std::function<absl::Duration()> step, Clock* clock)
    : step_(std::move(step)), signal_(clock), thread_([this] { Loop(); }) {}

Runner::~Runner() {
  stopping_.store(true);
  signal_.Notify();
  thread_.join();
}

void Runner::Loop() {
  while (!stopping_.load()) {
    // Noted before the step, so that a Wake during it is not lost.
    const uint64_t seen = signal_.Epoch();
    if (stopping_.load()) return;
    const absl::Duration pause = step_();
    if (pause > absl::ZeroDuration()) signal_.Wait(seen, pause);
  }
}

}  // namespace eddy
