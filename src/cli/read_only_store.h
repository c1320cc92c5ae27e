// ReadOnlyStore: a store's committed content, read beside a living owner or
// after its death.
//
// Invariants
//   R1  Neither the database nor the WAL is written, our own lock is not taken, and
//       no read transaction outlives a call, so that the owner's WAL can start
//       anew. SQLite takes its shared locks, which hold nobody up but a WAL
//       checkpoint that would overwrite what is being read (the owner's leave it for
//       later). It may make eddy.db-wal (empty) and eddy.db-shm
//       and leave them behind, and recover the WAL's index in the latter: where
//       they do not exist it needs the right to write in the directory.
//   R2  Only what is committed is seen. What the owner has accepted since its
//       last commit (at most its flush interval) lies in the intake.
// Depends on sql/ and the formats of log/.
#ifndef EDDY_SRC_CLI_READ_ONLY_STORE_H_
#define EDDY_SRC_CLI_READ_ONLY_STORE_H_

#include <cstdint>
#include <memory>
#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "eddy/retention.h"
#include "src/cli/store_health.h"
#include "src/log/block_store.h"
#include "src/sql/database.h"

namespace eddy::cli {

struct LogSummary {
  log::LogId id = 0;
  uint64_t oldest = 0;         // no frame lies below
  uint64_t end = 0;            // behind the last committed frame
  uint64_t block_count = 0;
  uint64_t frame_count = 0;
  uint64_t bytes = 0;          // of the blocks
  int64_t last_time_ms = 0;    // arrival, 0: no frame
  std::array<Dropped, kGapReasonCount> dropped = {};  // by GapReason, ever
};

struct CursorSummary {
  std::string name;
  uint32_t shard = 0;
  uint64_t position = 0;
  uint64_t records_behind = 0;
};

struct StreamSummary {
  std::string name;
  int64_t created_ms = 0;
  bool power = false;               // the durability of a Put that names none
  Retention retention;
  bool spills = false;              // Persist::kSpill
  std::vector<LogSummary> shards;   // by shard index
  std::vector<CursorSummary> cursors;
};

struct QueueSummary {
  std::string name;
  int64_t created_ms = 0;
  bool power = false;
  LogSummary log;
  uint64_t messages = 0;            // not deleted; visible, delayed or in flight
  int64_t visibility_ms = 0;
  std::string dead_letter_queue;    // empty: none
  int64_t max_receive_count = 0;
};

struct StoreSummary {
  int schema_version = 0;
  int owner_pid = 0;                // 0: no living owner
  bool closed_cleanly = false;
  uint64_t file_bytes = 0;          // of the database, the WAL not counted
  uint64_t free_bytes = 0;          // of these, to be used again
  StoreHealth health;
  std::vector<StreamSummary> streams;
  std::vector<QueueSummary> queues;
};

// Threads: not safe. Movable.
class ReadOnlyStore {
 public:
  //   kNotFound            no store in `directory`.
  //   kFailedPrecondition  not an eddy store, or a newer eddy wrote it.
  //   kPermissionDenied, kUnavailable, kDataLoss   as sql::ToStatus.
  // `vfs`: through which SQLite reads; empty: its default.
  static absl::StatusOr<ReadOnlyStore> Open(const std::string& directory,
                                            const std::string& vfs = "") {
    return Open(directory, /*immutable=*/false, vfs);
  }

  // For one short look: as Open, but of a store that is closed, and has no WAL,
  // it leaves nothing behind and needs no right to write. kUnavailable if an
  // owner came meanwhile, so that what was seen may not be true: look again.
  static absl::StatusOr<StoreSummary> Look(const std::string& directory);

  // Everything, as of one moment.
  absl::StatusOr<StoreSummary> Summary();

  // The shards of one stream, by index.
  //   kNotFound   no such stream.
  absl::StatusOr<std::vector<LogSummary>> Shards(std::string_view stream);

  // See BlockStore.
  absl::StatusOr<std::shared_ptr<const log::Block>> Find(log::LogId log, uint64_t position) {
    return blocks_->Find(log, position);
  }

  sql::Database& database() { return db_; }
  log::ExtentReader& extents() { return *extents_; }

  // The living process that last took the store's lock; 0: none. An owner that
  // was killed leaves its pid behind: once the system has given that to another
  // process, this one is taken for the owner.
  int OwnerPid() const { return OwnerPidOf(directory_); }
  static int OwnerPidOf(const std::string& directory);

 private:
  static absl::StatusOr<ReadOnlyStore> Open(const std::string& directory, bool immutable,
                                            const std::string& vfs);
  ReadOnlyStore(std::string directory, sql::Database db, std::unique_ptr<log::BlockStore> blocks,
                std::unique_ptr<log::ExtentReader> extents)
      : directory_(std::move(directory)),
        db_(std::move(db)),
        blocks_(std::move(blocks)),
        extents_(std::move(extents)) {}

  absl::StatusOr<LogSummary> Log(int64_t id);
  absl::StatusOr<uint64_t> FramesFrom(log::LogId log, uint64_t position);
  absl::StatusOr<std::vector<LogSummary>> ShardsOf(int64_t stream_id);
  absl::StatusOr<std::vector<CursorSummary>> CursorsOf(int64_t stream_id,
                                                       const std::vector<LogSummary>& shards);
  absl::StatusOr<std::vector<StreamSummary>> Streams();
  absl::StatusOr<std::vector<QueueSummary>> Queues();

  std::string directory_;
  sql::Database db_;
  std::unique_ptr<log::BlockStore> blocks_;  // a second connection
  std::unique_ptr<log::ExtentReader> extents_;
};

}  // namespace eddy::cli

#endif  // EDDY_SRC_CLI_READ_ONLY_STORE_H_
