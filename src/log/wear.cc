#include "src/log/wear.h"

#include <algorithm>

namespace eddy::log {
namespace {

constexpr double kSecondsPerDay = 24 * 60 * 60;
constexpr double kBurstSeconds = 60 * 60;

}  // namespace

WriteBudget::WriteBudget(uint64_t bytes_per_day, absl::Duration now)
    : bytes_per_second_(static_cast<double>(bytes_per_day) / kSecondsPerDay),
      bytes_max_(bytes_per_second_ * kBurstSeconds),
      bytes_(bytes_max_),
      updated_(now) {}

double WriteBudget::BytesAt(absl::Duration now) const {
  const double seconds = std::max(0.0, absl::ToDoubleSeconds(now - updated_));
  return std::min(bytes_max_, bytes_ + seconds * bytes_per_second_);
}

void WriteBudget::Spend(uint64_t bytes, absl::Duration now) {
  if (bytes_per_second_ == 0) return;
  bytes_ = BytesAt(now) - static_cast<double>(bytes);
  updated_ = std::max(updated_, now);
}

absl::Duration WriteBudget::UntilAffordable(absl::Duration now) const {
  if (bytes_per_second_ == 0) return absl::ZeroDuration();
  const double debt = -BytesAt(now);
  return debt <= 0 ? absl::ZeroDuration() : absl::Seconds(debt / bytes_per_second_);
}

}  // namespace eddy::log
