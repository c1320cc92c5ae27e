#include "src/forward/link.h"

#include <algorithm>

#include "src/base/status.h"

namespace eddy::forward {
namespace {

// Doublings beyond this exceed every permitted maximum.
constexpr int kDoublingsMax = 40;

}  // namespace

void Link::Succeeded() {
  state_ = LinkState::kOnline;
  failure_count_ = 0;
  next_attempt_ = absl::ZeroDuration();
}

void Link::Failed(Trouble trouble, absl::Duration now, uint64_t random,
                  absl::Duration at_least) {
  EDDY_CHECK(trouble != Trouble::kNone);
  if (trouble == Trouble::kSignedAnew) {
    // Not the service's trouble but ours, and mended: nothing is known of the link.
    next_attempt_ = now;
    return;
  }
  state_ = trouble == Trouble::kUnreachable ? LinkState::kOffline : LinkState::kBackingOff;
  next_attempt_ = now + std::max(Delay(trouble, random), at_least);
  failure_count_ = std::min(failure_count_ + 1, kDoublingsMax);
}

void Link::SucceededInPart(Trouble trouble, absl::Duration now, uint64_t random) {
  Succeeded();
  next_attempt_ = now + Delay(trouble, random);
}

absl::Duration Link::Delay(Trouble trouble, uint64_t random) const {
  const bool is_slow = trouble == Trouble::kThrottled || trouble == Trouble::kNeedsOperator;
  absl::Duration bound = is_slow ? std::max(delays_.base, kSlowBase) : delays_.base;
  for (int i = 0; i < failure_count_ && bound < delays_.max; ++i) bound *= 2;
  bound = std::min(bound, delays_.max);
  return bound * (static_cast<double>(random >> 11) * 0x1p-53);
}

}  // namespace eddy::forward
