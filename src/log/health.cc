#include "src/log/health.h"

#include <cerrno>

#include "src/sql/error.h"

namespace eddy::log {

DiskState Health::Classify(const absl::Status& outcome) {
  if (outcome.ok()) return DiskState::kGood;
  // First: an ENOSPC of a sync (delayed allocation) casts the same doubt.
  if (sql::IsSyncFailure(outcome)) return DiskState::kSyncFailed;
  switch (sql::SystemErrno(outcome)) {
    case EROFS:
      return DiskState::kReadOnly;
    case ENOSPC:
    case EDQUOT:
      return DiskState::kFull;
    default:
      break;
  }
  switch (outcome.code()) {
    case absl::StatusCode::kResourceExhausted:
      return DiskState::kFull;
    case absl::StatusCode::kPermissionDenied:
      return DiskState::kReadOnly;
    case absl::StatusCode::kDataLoss:
      return DiskState::kDamaged;
    default:
      return DiskState::kIoError;
  }
}

void Health::Note(Work work, const absl::Status& outcome, absl::Time now) {
  Condition& condition = work == Work::kCommit ? commit_ : checkpoint_;
  const DiskState state = Classify(outcome);
  if (state != condition.state) condition.since = now;
  condition.state = state;
  condition.cause = outcome;
}

}  // namespace eddy::log
