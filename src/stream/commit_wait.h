// What kPower means for a call of a stream: wait for the commit.
// Depends on log/engine.h.
#ifndef EDDY_SRC_STREAM_COMMIT_WAIT_H_
#define EDDY_SRC_STREAM_COMMIT_WAIT_H_

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "eddy/types.h"
#include "src/log/engine.h"

namespace eddy::stream {

// How long a kPower call waits for its commit. Longer than a disk takes, and
// apart from the timeout of an append, which is for room in the intake.
inline constexpr absl::Duration kCommitWaitMax = absl::Seconds(30);

inline bool IsPower(Durability asked, Durability otherwise) {
  return (asked == Durability::kDefault ? otherwise : asked) ==
         Durability::kPower;
}

//   kUnavailable   accepted, but not committed: the disk refused, or was not
//                  done in time.
inline absl::Status WaitCommitted(log::Engine& engine, log::Log& log, uint64_t end,
                                  absl::Duration timeout = kCommitWaitMax) {
  const absl::Status status = engine.WaitAppended(log, end, timeout);
  if (!absl::IsDeadlineExceeded(status)) return status;
  return absl::UnavailableError(status.message());
}

}  // namespace eddy::stream

#endif  // EDDY_SRC_STREAM_COMMIT_WAIT_H_
