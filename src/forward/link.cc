#include "src/forward/link.h"

#include <algorithm>

#include "src/base/status.h"

namespace eddy::forward {

void Link::Succeeded() {
  state_ = LinkState::kOnline;
  failure_count_ = 0;
  next_attempt_ = absl::ZeroDuration();
}

void Link::Failed(Trouble trouble, absl::Duration now, uint64_t random,
                  std::optional<absl::Duration> retry_after) {
  EDDY_CHECK(trouble != Trouble::kNone);
  if (trouble == Trouble::kSignedAnew) {
    // Not the service's trouble but ours, and mended: nothing is known of the link.
    next_attempt_ = now;
    return;
  }
  state_ = trouble == Trouble::kUnreachable ? LinkState::kOffline : LinkState::kBackingOff;
  next_attempt_ = now + Delay(trouble, random, retry_after);
  failure_count_ = std::min(failure_count_ + 1, kFailureCountMax);
}

absl::Duration Link::Delay(Trouble trouble, uint64_t random,
                           std::optional<absl::Duration> retry_after) const {
  const bool is_slow = trouble == Trouble::kThrottled || trouble == Trouble::kNeedsOperator;
  return aws::RetryDelay(policy_, failure_count_, is_slow, random, retry_after);
}

}  // namespace eddy::forward
