// Salvage: brings the blocks of a database that was set aside into the new one, a few at
// a time, while the store is in use. The catalog came at the open: salvage_catalog.h.
//
// Of each log, in order:
//
//     salvage_at                     salvage_end
//   | copied    |  not yet there    |  new records
//
// Readers in the middle are told kUnavailable (SegmentLog::SetSalvage); all else goes on.
// A step copies whole blocks, and moves salvage_at in the same transaction, so that a death
// at any time costs one step. Where something may have been between two blocks and was
// not found, a gap is told; in the same transaction too. A hole that was always there (a
// power cut leaves such in the positions) is told only if a page that may have held a block
// there cannot be read, or if the old store had counted more records than were found.
//
// Until a log is done only what is copied is dropped of it for its retention's or the quota's
// sake, since what comes next is not there yet. What would have to be dropped as soon as it
// is copied is passed over: a gap is told as if it had been dropped (keeper_salvage.cc). What
// is trimmed meanwhile is not copied.
//
// Without the database that was set aside (somebody has removed it) all that is not yet
// copied is a gap.
// Depends on salvage_sources.h, keeper.h, block_writer.h, segment_log.h.
#ifndef EDDY_SRC_LOG_SALVAGE_H_
#define EDDY_SRC_LOG_SALVAGE_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "eddy/platform.h"
#include "eddy/store.h"
#include "src/log/block_writer.h"
#include "src/log/keeper.h"
#include "src/log/salvage_sources.h"
#include "src/log/segment_log.h"
#include "src/sql/database.h"

namespace eddy::log {

// What a step copies, at the least one block.
inline constexpr size_t kSalvageStepBytes = 1 << 20;
inline constexpr size_t kSalvageStepBlocks = 64;
// What it looks at of the old database.
inline constexpr size_t kSalvageStepLooks = 256;

// Threads: Prepare and the rest, each under a lock of its caller's; both for all but Prepare
// and what is const. `db`, `writer` and `keeper` are not used in Prepare, and outlive it.
class Salvage {
 public:
  Salvage(sql::Database* db, BlockWriter* writer, Keeper* keeper, Files* files,
          std::string directory, std::string from, std::string vfs);

  // While opening: what is left to do, which the logs are told. Null: nothing.
  absl::Status Load(const std::vector<SegmentLog*>& logs);
  bool running() const { return running_; }

  // Begins with those that the store may have to drop from, for new records' sake.
  void ChooseLog();
  // Reads what the next Write will copy. Nothing of the new database is needed.
  //   kUnavailable   the disk; try again.
  absl::Status Prepare();
  // What is still to be copied, at the most; after Prepare.
  uint64_t left_bytes() const { return left_bytes_; }
  // What of it is copied, and what passed over; see Keeper::DecideSalvage.
  absl::Status Decide(uint64_t grow_bytes_max, uint64_t disk_bytes);
  // Commits that. An error leaves it prepared.
  absl::Status Write();

  // What has become of it so far, also of those that are done; paused is the caller's.
  SalvageStats stats() const { return stats_; }

 private:
  struct Work {
    SegmentLog* log = nullptr;
    uint64_t at = 0;         // as committed
    uint64_t end = 0;
    uint64_t oldest = 0;     // of the log, when all this began: the old store had none below
    size_t next = 0;         // of the sources' blocks, as prepared; the other numbers too
    uint64_t prepared_to = 0;
    uint64_t failed_frames = 0;  // of damaged blocks since the last whole one
    bool failed = false;
    uint64_t missing = 0;    // frames that the old store had counted, and nobody found
    bool begun = false;
    int unread = 0;          // how often the next block could not be read in a row
  };
  struct Copy {
    OldBlock block;
    DamagedStore::Whole whole;
    std::unique_ptr<char[]> memory;
    BlockDraft draft;
  };
  struct Found {  // one piece of the prepared: a gap if it has one, then a block if any
    std::optional<GapPiece> gap;
    std::optional<Copy> copy;
  };

  // So often a block is tried that the disk does not read, a second apart at the least,
  // before it counts as damaged (it stays where it is); the next ones, until one can be
  // read. The other logs' turns come in between.
  static constexpr int kPatience = 60;
  static constexpr int kNoPatience = 3;

  absl::Status OpenSources();
  void BeginLog(Work* work);
  bool Describe(const SegmentLog& log, Copy* copy) const;
  void PassFirst(GapReason reason);
  void PassRest();
  void Pass(uint64_t first, uint64_t end, uint64_t frames, uint64_t bytes, GapReason reason);
  // What may be missing between prepared_to and `first`.
  std::optional<GapPiece> GapBefore(Work* work, uint64_t first, bool last);
  absl::Status WriteGap(LogId log, const GapPiece& gap);
  absl::StatusOr<uint64_t> FirstStored(LogId log, uint64_t from, uint64_t end);
  absl::Status WriteCounts(const SalvageStats& stats);
  absl::Status FinishAll();

  sql::Database* const db_;
  BlockWriter* const writer_;
  Keeper* const keeper_;
  Files* const files_;
  const std::string directory_;
  const std::string from_;  // not what was set aside in directory_, but this; see engine.h
  const std::string vfs_;

  bool running_ = false;
  std::unique_ptr<SalvageSources> sources_;  // null: not yet read
  std::deque<Work> works_;
  int patience_ = kPatience;
  std::deque<Found> prepared_;    // of works_.front(); views point into it
  bool prepared_all_ = false;     // and nothing is left of it
  uint64_t prepared_bytes_ = 0;
  uint64_t left_bytes_ = 0;
  bool copies_ = false;           // the next Write, all that is prepared
  std::optional<GapPiece> pass_;  // it passes over that, which lies before all prepared
  uint64_t pass_bytes_ = 0;
  SalvageStats stats_;
};

}  // namespace eddy::log

#endif  // EDDY_SRC_LOG_SALVAGE_H_
