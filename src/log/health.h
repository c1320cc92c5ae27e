// Health: whether the disk takes what a store writes, and if not, why and since
// when. A state machine of two inputs, the outcomes of commits and those of WAL
// checkpoints; each heals when the same kind of work succeeds again.
//
//              full / error / read-only / sync / damage
//     kGood  ------------------------------------------->  one of the others
//       ^                                                     |
//       +---------- the same kind of work succeeds -----------+
//
// A commit that fails weighs more than a checkpoint that does: of a checkpoint
// only the WAL grows. No clock, no lock: the caller brings the time.
#ifndef EDDY_SRC_LOG_HEALTH_H_
#define EDDY_SRC_LOG_HEALTH_H_

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "eddy/store.h"

namespace eddy::log {

class Health {
 public:
  enum class Work { kCommit, kCheckpoint };

  // The outcome of work that reached the disk, at the wall time `now`.
  void Note(Work work, const absl::Status& outcome, absl::Time now);

  bool commits() const { return commit_.state == DiskState::kGood; }
  DiskState state() const { return Worst().state; }
  absl::Time since() const { return Worst().since; }   // the state's begin
  const absl::Status& cause() const { return Worst().cause; }

  // What an outcome says of the disk.
  static DiskState Classify(const absl::Status& outcome);

 private:
  struct Condition {
    DiskState state = DiskState::kGood;
    absl::Time since;
    absl::Status cause;
  };
  const Condition& Worst() const {
    return commit_.state != DiskState::kGood || checkpoint_.state == DiskState::kGood
               ? commit_
               : checkpoint_;
  }

  Condition commit_;
  Condition checkpoint_;
};

}  // namespace eddy::log

#endif  // EDDY_SRC_LOG_HEALTH_H_
