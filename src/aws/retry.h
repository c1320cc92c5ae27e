// How long to wait before the next attempt: arithmetic, no clock and no dice.
//
//   delay = random in [0, 1) x min(base x 2^attempt, cap)      ("full jitter")
//
// A server's own hint lies in [delay, delay + 5 s]. The numbers are those of the
// SDKs' standard mode of 2026. Depends on nothing.
#ifndef EDDY_SRC_AWS_RETRY_H_
#define EDDY_SRC_AWS_RETRY_H_

#include <cstdint>
#include <optional>

#include "absl/time/time.h"

namespace eddy::aws {

struct RetryPolicy {
  absl::Duration base = absl::Milliseconds(50);
  absl::Duration throttling_base = absl::Seconds(1);
  absl::Duration cap = absl::Seconds(20);  // an outer loop sets minutes
};

// Above the computed delay a hint may add this much, no more: a broken server
// must not be able to stop a device for a day.
inline constexpr absl::Duration kRetryAfterExtraMax = absl::Seconds(5);

// `attempt` is 0 before the first retry; `random` is uniform over 64 bits.
// Never negative, at most policy.cap + kRetryAfterExtraMax.
absl::Duration RetryDelay(const RetryPolicy& policy, int attempt, bool throttled,
                          uint64_t random,
                          std::optional<absl::Duration> retry_after = std::nullopt);

}  // namespace eddy::aws

#endif  // EDDY_SRC_AWS_RETRY_H_
