// Link: whether the service can be reached, and when to try again.
//
//                        answered
//        +----------------------------------------+
//        v                                        |
//     ONLINE --throttled, 5xx, refused--> BACKING OFF <--+
//        |                                        |      | service answers,
//        +-----not reached, no answer----> OFFLINE +------+ but with an error
//
// Each failure in a row doubles the bound of the next delay, up to the maximum; the
// delay is drawn evenly from zero to the bound (full jitter), so that a fleet does
// not come back in step. One answered request ends it. Gives up never.
// Pure: time and random numbers come in. Depends on aws/retry.h.
#ifndef EDDY_SRC_FORWARD_LINK_H_
#define EDDY_SRC_FORWARD_LINK_H_

#include <cstdint>
#include <optional>

#include "absl/time/time.h"
#include "eddy/forwarder.h"
#include "src/aws/retry.h"
#include "src/forward/reply.h"

namespace eddy::forward {

// Threads: none of its own; one caller at a time.
class Link {
 public:
  // Problems that a person must solve are treated as throttling: tried again, slowly.
  explicit Link(const aws::RetryPolicy& policy) : policy_(policy) {}

  LinkState state() const { return state_; }
  // On the clock that counts suspend; a time in the past means at once.
  absl::Duration next_attempt() const { return next_attempt_; }

  void Succeeded();

  // `trouble` is not kNone; kSignedAnew tells nothing of the link and is due at once.
  void Failed(Trouble trouble, absl::Duration now, uint64_t random,
              std::optional<absl::Duration> retry_after = std::nullopt);

  // The application knows better: the next attempt is due now. The count of
  // failures stays, in case it does not.
  void TryNow() { next_attempt_ = absl::ZeroDuration(); }

 private:
  // Doublings beyond it exceed every permitted cap.
  static constexpr int kFailureCountMax = 40;

  absl::Duration Delay(Trouble trouble, uint64_t random,
                       std::optional<absl::Duration> retry_after) const;

  const aws::RetryPolicy policy_;
  LinkState state_ = LinkState::kOnline;
  int failure_count_ = 0;  // in a row
  absl::Duration next_attempt_;
};

}  // namespace eddy::forward

#endif  // EDDY_SRC_FORWARD_LINK_H_
