// Runner: a thread for one bounded step that says when it wants to run again.
// The only place where eddy creates a thread.
#ifndef EDDY_SRC_RUNTIME_RUNNER_H_
#define EDDY_SRC_RUNTIME_RUNNER_H_

#include <atomic>
#include <functional>
#include <memory>
#include <thread>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "eddy/platform.h"
#include "src/runtime/signal.h"

namespace eddy {

// Threads:  Wake is safe from anywhere. The destructor waits for the step under
//           way and joins.
// Lifetime: `clock` and what `step` uses outlive it.
class Runner {
 public:
  //   kResourceExhausted   the system gives no further thread.
  static absl::StatusOr<std::unique_ptr<Runner>> Start(std::function<absl::Duration()> step,
                                                       Clock* clock);
  ~Runner();
  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;

  // Runs the step again now, or right after the one under way.
  void Wake() { signal_.Notify(); }

 private:
  Runner(std::function<absl::Duration()> step, Clock* clock);
  void Loop();

  const std::function<absl::Duration()> step_;
  Signal signal_;
  std::atomic<bool> stopping_{false};  // written by the destructor before its Notify
  std::thread thread_;                 // none if Start has failed
};

}  // namespace eddy

#endif  // EDDY_SRC_RUNTIME_RUNNER_H_
