// BootClock: wall times taken before the clock was set, and their repair.
//
// A board without a battery wakes up in 1970 and learns the time minutes or days
// later. Until then records carry
//
//     base + time since boot,    base = wall clock - time since boot, at the first
//                                open of this boot that did not trust the clock
//
// which no step of the wall clock can disturb, and are marked as not trusted.
// Once the clock is set, all of them are wrong by the same offset: it is stored
// once for the boot, and added whenever such a frame is read or looked for by its time.
// Frames stay as they lie, and so do the rows of blocks, which tell that there are such.
// A boot that ends before its clock was set keeps its guess for ever, and the mark.
//
// Which frames belong to which boot is told by where each log was when it began:
// `clock_starts` holds a row a log for each boot that began without the time.
// Depends on sql/ and platform.h.
#ifndef EDDY_SRC_LOG_BOOT_CLOCK_H_
#define EDDY_SRC_LOG_BOOT_CLOCK_H_

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "eddy/platform.h"
#include "src/log/frame.h"
#include "src/log/log.h"
#include "src/sql/database.h"

namespace eddy::log {

// What one boot's times are wrong by. Written once, by the committer.
struct BootOffset {
  static constexpr int64_t kUnknown = INT64_MIN;
  std::atomic<int64_t> ms{kUnknown};
};

// For one log: from which position on which boot's offset counts for frames
// that are not trusted; null: none. In order of position.
using BootStarts = std::vector<std::pair<uint64_t, const BootOffset*>>;

// Adds the offset, if it is known, and marks the time as trusted.
void RepairTime(const BootStarts& starts, FrameView* frame);

// Threads:  Base() is constant after Load; all else is the committer's. The
//           offsets live as long as this object and may be read by anybody.
class BootClock {
 public:
  explicit BootClock(Clock* clock) : clock_(clock) {}

  // Reads what earlier boots left. `boot` is the hash of this boot's id.
  absl::Status Load(sql::Database& db, uint64_t boot);

  // What to add to the time since boot for a time that is not trusted, in ms.
  int64_t Base() const { return base_ms_; }

  BootStarts StartsOf(LogId log) const;

  // Within the transaction that ends the opening: notes where the logs are, if
  // this boot does not know the time or an earlier one did not.
  absl::Status Begin(sql::Database& db, const std::vector<std::pair<LogId, uint64_t>>& tails);
  // A log that is made in this boot, within its own transaction.
  absl::Status BeginLog(sql::Database& db, LogId log);

  // Whether the clock has been set since, and Repair is due.
  bool RepairIsDue() const;
  // In a transaction of its own: stores the offset.
  absl::Status Repair(sql::Database& db);

 private:
  Clock* const clock_;
  uint64_t boot_ = 0;
  int64_t base_ms_ = 0;
  BootOffset* now_ = nullptr;  // of this boot, if it began without the time
  std::map<uint64_t, std::unique_ptr<BootOffset>> offsets_;  // by boot
  std::map<LogId, std::vector<std::pair<uint64_t, uint64_t>>> starts_;  // position, boot
};

}  // namespace eddy::log

#endif  // EDDY_SRC_LOG_BOOT_CLOCK_H_
