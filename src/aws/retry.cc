#include "src/aws/retry.h"

#include <algorithm>

namespace eddy::aws {

absl::Duration RetryDelay(const RetryPolicy& policy, int attempt, bool throttled,
                          uint64_t random, std::optional<absl::Duration> retry_after) {
  // The 53 bits that a double holds exactly, scaled into [0, 1).
  const double fraction = static_cast<double>(random >> 11) * 0x1p-53;
  const absl::Duration base = throttled ? policy.throttling_base : policy.base;
  // 2^40 of any base is above any cap; a shift by more would not be defined.
  const int64_t doublings = int64_t{1} << std::clamp(attempt, 0, 40);
  const absl::Duration delay =
      fraction * std::max(absl::ZeroDuration(), std::min(base * doublings, policy.cap));
  if (!retry_after) return delay;
  return std::clamp(*retry_after, delay, delay + kRetryAfterExtraMax);
}

}  // namespace eddy::aws
