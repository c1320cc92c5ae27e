// WriteBudget: how many bytes a store may write to its disk a day - arithmetic.
//
// Flash dies of being written. A budget is a bucket that fills evenly and holds
// an hour's share, so that a burst passes and a day's sum holds. What is written
// is taken out afterwards, and may leave a debt: a commit is never cut short, and
// a call that asks for kPower gets it. While there is a debt, commits that nobody
// waits for are put off: the flush interval stretches. Only when the intake is
// full as well is an append refused.
// No clock, no lock: the caller brings the time and excludes others.
#ifndef EDDY_SRC_LOG_WEAR_H_
#define EDDY_SRC_LOG_WEAR_H_

#include <cstdint>

#include "absl/time/time.h"

namespace eddy::log {

class WriteBudget {
 public:
  // `bytes_per_day` 0: no budget. The bucket starts full. All times are of the
  // clock that counts suspend.
  WriteBudget(uint64_t bytes_per_day, absl::Duration now);

  void Spend(uint64_t bytes, absl::Duration now);

  // How long until there is no debt; zero without one, and without a budget.
  absl::Duration UntilAffordable(absl::Duration now) const;

 private:
  double BytesAt(absl::Duration now) const;

  double bytes_per_second_;
  double bytes_max_;
  double bytes_;  // at updated_; below zero: debt
  absl::Duration updated_;
};

}  // namespace eddy::log

#endif  // EDDY_SRC_LOG_WEAR_H_
