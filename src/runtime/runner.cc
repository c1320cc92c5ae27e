// The one file that is built with exceptions: only so does std::thread say that there
// is no thread to be had, instead of ending the process.
#include "src/runtime/runner.h"

#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"

namespace eddy {

Runner::Runner(std::function<absl::Duration()> step, Clock* clock)
    : step_(std::move(step)), signal_(clock) {}

absl::StatusOr<std::unique_ptr<Runner>> Runner::Start(std::function<absl::Duration()> step,
                                                      Clock* clock) {
  std::unique_ptr<Runner> runner(new Runner(std::move(step), clock));
  try {
    runner->thread_ = std::thread([loops = runner.get()] { loops->Loop(); });
  } catch (const std::system_error& error) {
    return absl::ResourceExhaustedError(
        absl::StrCat("cannot start a thread: ", error.what(),
                     "; with threads = false the host runs the work itself"));
  }
  return runner;
}

Runner::~Runner() {
  stopping_.store(true);
  signal_.Notify();
  if (thread_.joinable()) thread_.join();
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
