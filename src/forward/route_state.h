// RouteState: what every route keeps beside its records: its link, its counters, and
// what its owner is told.
// Depends on link.h and the ports.
#ifndef EDDY_SRC_FORWARD_ROUTE_STATE_H_
#define EDDY_SRC_FORWARD_ROUTE_STATE_H_

#include <functional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "eddy/forwarder.h"
#include "eddy/platform.h"
#include "src/base/mutex.h"
#include "src/forward/link.h"
#include "src/forward/reply.h"

namespace eddy::forward {

// Called with no lock held.
using LinkChangeCallback =
    std::function<void(const std::string& route, LinkState from, LinkState to)>;

// Threads:  TryNow and Status from anywhere; the rest by the route's Step.
// Lifetime: the ports outlive it.
class RouteState {
 public:
  // How long a step rests after an error of the store itself (a full disk, say).
  static constexpr absl::Duration kLocalPause = absl::Seconds(1);

  RouteState(std::string name, const aws::RetryPolicy& policy, Clock* clock,
             Random* random, LinkChangeCallback on_link_change);

  // Zero: a request may be sent now. Else how long not.
  absl::Duration Pause();

  // A request was answered.
  void Succeeded();
  // It was not, or its answer was an error; sets the back-off.
  void Failed(const Reply& reply);
  // It was answered, and what failed of it is a matter of single entries: the link is
  // as after a success.
  void Refused(absl::Status status);
  // An error of the store, or a record that blocks the way: says so and rests. The
  // link is as it was.
  void Blocked(absl::Status status, absl::Duration pause = kLocalPause);

  // An error that stops nothing: told, unless there is one to be told already.
  void Noted(const absl::Status& status);

  // Before attempt `attempt` + 1 (from 0) of something smaller than a request: full
  // jitter, as for the link. Entries that failed together get one `random`, so that
  // they stay together.
  uint64_t Draw() { return random_->Next(); }
  absl::Duration RetryDelay(int attempt, Trouble trouble, uint64_t random) const;

  LinkState link() const;

  // For counters: `change` gets the RouteStatus and does nothing else.
  template <typename Change>
  void Update(const Change& change) {
    MutexLock lock(&mu_);
    change(status_);
  }

  void TryNow();
  RouteStatus Status() const;

 private:
  // Tells a change of the link.
  void Tell(LinkState from, LinkState to);

  const std::string name_;
  const aws::RetryPolicy policy_;
  Clock* const clock_;
  Random* const random_;
  const LinkChangeCallback on_link_change_;

  mutable Mutex mu_;
  Link link_ ABSL_GUARDED_BY(mu_);
  absl::Duration blocked_until_ ABSL_GUARDED_BY(mu_);
  RouteStatus status_ ABSL_GUARDED_BY(mu_);
};

}  // namespace eddy::forward

#endif  // EDDY_SRC_FORWARD_ROUTE_STATE_H_
