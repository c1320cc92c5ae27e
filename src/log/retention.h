// Retention, the deciding: which log loses its oldest block next, and which may
// take no more. Pure arithmetic over totals; the doing is in keeper.h.
//
// Logs stand in *groups* (the shards of a stream, the log of a queue), which bear
// the limits. A group that is over a limit of its own loses its oldest block. A
// store that is over loses the oldest block of all droppable groups, or of those
// with the lowest priority.
//
// Depends on eddy/retention.h.
#ifndef EDDY_SRC_LOG_RETENTION_H_
#define EDDY_SRC_LOG_RETENTION_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "eddy/retention.h"

namespace eddy::log {

struct LogTotals {
  uint64_t blocks = 0;
  uint64_t frames = 0;
  uint64_t bytes = 0;
  int64_t oldest_kept_ms = 0;  // age clock at the commit of the oldest block
  // While older ones are still being salvaged, see salvage.h:
  uint64_t behind_bytes = 0;   // of the blocks that come behind them
  bool blocked = false;        // the oldest block is one of those
};

struct KeepLimits {
  int64_t age_ms = 0;    // 0: none, as for all of them
  uint64_t bytes = 0;
  uint64_t frames = 0;
  bool droppable = false;  // false: rejects at its limits, and at the store's
  int32_t priority = 0;
};

struct KeepGroup {
  KeepLimits limits;
  std::vector<LogTotals> logs;
  uint64_t bytes_coming = 0;   // what the commit at hand will add
  uint64_t frames_coming = 0;
};

struct Drop {
  size_t group = 0;
  size_t log = 0;
  GapReason reason = GapReason::kRetentionAge;
};

// The block to drop next, if any has to go. `over_bytes`: how much the store
// exceeds its own limit; 0 also if nothing may be dropped for it.
std::optional<Drop> NextDrop(const std::vector<KeepGroup>& groups, int64_t now_ms,
                             uint64_t over_bytes, AtLimit at_quota);

// Whether a block that would come into `group`, older than all there is of its log, has to
// go rather than `drop`, which is NextDrop's answer to the same.
std::optional<GapReason> ReasonToPass(const std::vector<KeepGroup>& groups, size_t group,
                                      int64_t kept_ms, int64_t now_ms, uint64_t over_bytes,
                                      AtLimit at_quota, const std::optional<Drop>& drop);

// Whether the group is at a limit of its own and does not drop.
bool RejectsNew(const KeepGroup& group);

// What could be dropped for the store's sake.
uint64_t DroppableBytes(const std::vector<KeepGroup>& groups);

// The store's age clock: milliseconds, never back, kept with each block. It goes
// on where the last block left it; the time between two owners is added once, the
// first time the wall clock is trusted, if that block's own time was.
class AgeClock {
 public:
  // Of the last block of any log: its age, and its wall time (0: not trusted).
  void Resume(int64_t kept_ms, int64_t wall_ms, int64_t steady_ms);
  // `wall_ms` 0: not trusted.
  int64_t Now(int64_t steady_ms, int64_t wall_ms);
  // Whether Now can make use of a wall time, which costs a system call to trust.
  bool WantsWall() const { return last_wall_ms_ != 0; }

 private:
  int64_t base_ms_ = 0;    // at steady_base_ms_
  int64_t steady_base_ms_ = 0;
  int64_t last_wall_ms_ = 0;  // of the last block; 0: nothing to add (any more)
};

}  // namespace eddy::log

#endif  // EDDY_SRC_LOG_RETENTION_H_
