// BlockWriter: the statements that change the table `blocks`, through the engine's
// connection inside its transaction, and what belongs to them outside the database.
//
// A block is a run of frames, packed where that makes it smaller (block_codec.h).
// The bytes of a large one lie in a file beside the database (block_extents.h); where the
// files are bounded, wherever there is room (room_plan.h).
//
// Before the transaction that wrote blocks commits, Sync has returned OK; after it comes
// Finish.
// Depends on sql/, block_codec.h, block_extents.h, block_row.h, meta.h, room_plan.h.
#ifndef EDDY_SRC_LOG_BLOCK_WRITER_H_
#define EDDY_SRC_LOG_BLOCK_WRITER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "src/log/block_codec.h"
#include "src/log/block_draft.h"
#include "src/log/block_extents.h"
#include "src/log/block_row.h"
#include "src/log/log.h"
#include "src/log/room_plan.h"
#include "src/sql/database.h"
#include "src/sql/page_counts.h"

namespace eddy::log {

// Used under the engine's commit lock.
class BlockWriter {
 public:
  // `path`: of the database, opened with `options`.
  static absl::StatusOr<std::unique_ptr<BlockWriter>> Create(sql::Database& db,
                                                             const std::string& path,
                                                             const sql::OpenOptions& options,
                                                             bool use_extents, Files* files);
  // Of what is inserted from now on, and of Plan().
  void Bound(const RoomPlan::Bounds& bounds) { bounds_ = bounds; }
  // Once this round is committed.
  absl::StatusOr<RoomPlan> Plan();

  // Packs the frames, and returns how many bytes are stored. `kept_ms`: see AgeClock.
  absl::StatusOr<uint64_t> Insert(const BlockDraft& draft, int64_t kept_ms);
  // Deletes the blocks of the log that end at or below `*before`, and notes the log's end so
  // that deleting the last block does not forget it. Returns what was deleted. SQLite writes
  // what it frees to the WAL: of more than `bytes_max` in the database (one block at the
  // least) the rest stays, and begins at `*before` then.
  absl::StatusOr<BlockSum> Trim(LogId log, uint64_t log_end, uint64_t* before,
                                uint64_t bytes_max = UINT64_MAX);
  // Notes how far the log went where no block says so, and up to where it may go
  // before that is noted again (0: as it was). Both only grow.
  absl::Status SetEnd(LogId log, uint64_t end, uint64_t reserved);

  // For the thinner. The log's rows that begin in [from, end), at most `most`, in order.
  absl::Status List(LogId log, uint64_t from, uint64_t end, size_t most,
                    std::vector<BlockRow>* rows);
  // The frames of one, in `*memory`; none if it is damaged.
  absl::StatusOr<std::string_view> Read(int64_t id, std::unique_ptr<char[]>* memory);
  // False: there is none any more.
  absl::StatusOr<bool> Delete(int64_t id);

  // Moves some of the blocks that lie last outside to free places before them; returns how
  // many bytes: 0 if there is none for the last.
  absl::StatusOr<uint64_t> MoveLast();

  // See BlockExtents and early_writer.h. False: bytes may not go outside now.
  bool BeginEarly();
  // For the next round, and what its Insert is to know of it. False: it is to lie in the
  // database. By one thread, while nobody calls anything else but Sync.
  absl::StatusOr<bool> PutEarly(BlockDraft* draft);
  // An empty one (there is no database just now) has nothing to do.
  absl::Status Sync() { return extents_ == nullptr ? absl::OkStatus() : extents_->Sync(); }
  void Finish(bool committed);
  // A commit was synced, and was no empty one, before its Finish: nothing of before is in
  // doubt outside.
  void Settled() {
    if (extents_ != nullptr) extents_->Settle();
  }
  // So that bytes may go outside again: if something is in doubt there, by a small commit,
  // which syncs the WAL that a killed process has left, and takes the place of one that
  // failed. Outside a transaction.
  absl::Status Settle(sql::Database& db);
  // See BlockExtents.
  void Relearn(sql::Database& db) { extents_->Relearn(db); }
  bool knows_outside() const { return extents_ != nullptr && extents_->known(); }
  // Stored in the database by Insert, ever.
  uint64_t inside_bytes() const { return inside_bytes_; }
  uint64_t outside_bytes() const { return extents_ == nullptr ? 0 : extents_->file_bytes(); }

 private:
  // What the row is to hold in place of the bytes; 0: themselves.
  absl::StatusOr<int64_t> Place(std::string_view bytes);
  absl::StatusOr<RoomPlan> PlanWith(const ExtentMap& outside);

  std::shared_ptr<sql::PageCounts> pages_;
  RoomPlan::Bounds bounds_;
  sql::Statement move_;
  std::optional<sql::Statement> last_outside_;  // none: its index is damaged
  sql::Statement insert_, find_below_, list_below_, delete_below_, trim_log_, set_end_;
  sql::Statement list_, read_, place_, delete_;
  std::unique_ptr<BlockExtents> extents_;
  std::unique_ptr<ExtentReader> reader_;
  uint64_t inside_bytes_ = 0;
  BlockPacker packer_;
};

}  // namespace eddy::log

#endif  // EDDY_SRC_LOG_BLOCK_WRITER_H_
