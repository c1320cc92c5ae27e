// BlockStore: the rows of the table `blocks`. Writing goes through the engine's
// connection inside its transaction; reading through a read-only connection of
// its own, with a few blocks kept in memory.
//
// A block is a run of frames, packed where that makes it smaller (block_codec.h).
// Its id says which log and where:   id = log << 47 | first position >> 2
// which leaves 2^16 logs of 2^49 bytes each: 17 years at a megabyte a second.
//
// The bytes of a large one lie in a file beside the database: block_extents.h.
//
// A block has two sizes. Its *span* is that of the frames as they lay in the
// intake, and how far its positions reach. Its *bytes* are what is stored: sums of
// them, and with them quota and retention, are about the disk.
//
// The span decides what is found, trimmed and dropped before any checksum is looked
// at, and pages of the database carry none. So the column holds it twice, which a
// changed byte does not survive; a span that is not sure counts as the largest that
// can be, so that nothing which may belong to the block is stepped over.
//
// Invariants
//   B1  Bytes that do not match their checksum, which covers id and span too, are
//       neither unpacked nor handed out.
//   B2  No read transaction outlives a call.
//   B3  A damaged block costs itself only: it is found, empty, with its limits.
//   B4  Before the transaction that wrote blocks commits, Sync has returned OK; after it
//       comes Finish.
// Depends on sql/, block_codec.h, block_extents.h.
#ifndef EDDY_SRC_LOG_BLOCK_STORE_H_
#define EDDY_SRC_LOG_BLOCK_STORE_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "src/log/block_draft.h"
#include "src/log/block_extents.h"
#include "src/log/log.h"
#include "src/sql/database.h"

namespace eddy::log {

inline constexpr int kBlockPositionBits = 47;
inline constexpr uint64_t kPositionMax = (uint64_t{1} << (kBlockPositionBits + 2)) - 4;
inline constexpr LogId kLogIdMax = (1u << 16) - 2;

constexpr int64_t BlockId(LogId log, uint64_t position) {
  return static_cast<int64_t>((uint64_t{log} << kBlockPositionBits) | (position >> 2));
}

inline constexpr uint64_t kBlockSpanMax = uint64_t{kFrameBytesMax} + 1;

// In the column, and in the text of a query.
constexpr int64_t SpanColumn(int64_t span) { return span << 32 | span; }
#define EDDY_BLOCK_SPAN                                                              \
  "(CASE WHEN span >> 32 = span & 4294967295 AND span & 4294967295 BETWEEN 1 AND 67108864 " \
  "THEN span & 4294967295 ELSE 67108864 END)"
static_assert(kBlockSpanMax == 67108864, "the text above knows it");

uint64_t BlockChecksum(std::string_view bytes, int64_t id, int64_t span);

// Sums of some blocks.
struct BlockSum {
  uint64_t blocks = 0;
  uint64_t frames = 0;
  uint64_t bytes = 0;  // as stored
};

// A row without its bytes.
struct BlockRow {
  int64_t id = 0;
  LogId log = 0;
  uint64_t first = 0;
  uint64_t end = 0;
  uint64_t frame_count = 0;
  uint64_t bytes = 0;  // as stored
  int64_t first_time_ms = 0;
  int64_t last_time_ms = 0;
  int64_t kept_ms = 0;
};

struct Block {
  LogId log = 0;
  uint64_t first = 0;
  uint64_t end = 0;  // of a damaged one: what its row says, and not above the next
  uint64_t frame_count = 0;  // as its row says; bounded by its length
  std::string_view frames;   // unpacked; they lie in:
  std::unique_ptr<char[]> memory;
  absl::Status damage;  // OK, or kDataLoss: then there are no frames
  // Of some frame in it, or 0: where a read has stopped, so that the next one, which
  // mostly goes on there, need not walk from the block's begin.
  mutable std::atomic<uint64_t> place{0};
};

// Blocks that were found damaged, each counted once.
struct DamageCounts {
  uint64_t blocks = 0;
  uint64_t frames = 0;
};

// The statements that change blocks. Used under the engine's commit lock.
class BlockWriter {
 public:
  // `path`: of the database, opened with `options`.
  static absl::StatusOr<std::unique_ptr<BlockWriter>> Create(sql::Database& db,
                                                             const std::string& path,
                                                             const sql::OpenOptions& options,
                                                             bool use_extents);
  // Packs the frames, and returns how many bytes are stored. `kept_ms`: see AgeClock.
  absl::StatusOr<uint64_t> Insert(const BlockDraft& draft, int64_t kept_ms);
  // Deletes the blocks of the log that end at or below `before`, and notes the
  // log's end so that deleting the last block does not forget it. Returns
  // what was deleted.
  absl::StatusOr<BlockSum> Trim(LogId log, uint64_t before, uint64_t log_end);
  // Notes how far the log went where no block says so, and up to where it may go
  // before that is noted again (0: as it was). Both only grow.
  absl::Status SetEnd(LogId log, uint64_t end, uint64_t reserved);

  // For the thinner. The log's rows that begin in [from, end), at most `most`, in order.
  absl::Status List(LogId log, uint64_t from, uint64_t end, size_t most,
                    std::vector<BlockRow>* rows);
  // The frames of one, in `*memory`; none if it is damaged.
  absl::StatusOr<std::string_view> Read(int64_t id, std::unique_ptr<char[]>* memory);
  absl::Status Delete(int64_t id);

  // An empty one (there is no database just now) has nothing to do.
  absl::Status Sync() { return extents_ == nullptr ? absl::OkStatus() : extents_->Sync(); }
  void Finish(bool committed) {
    if (extents_ != nullptr) extents_->Finish(committed);
  }
  // See BlockExtents.
  bool in_doubt() const { return extents_ != nullptr && extents_->in_doubt(); }
  void Settle() { extents_->Settle(); }
  void Relearn(sql::Database& db) { extents_->Relearn(db); }
  bool knows_outside() const { return extents_ != nullptr && extents_->known(); }
  // Stored in the database by Insert, ever.
  uint64_t inside_bytes() const { return inside_bytes_; }
  uint64_t outside_bytes() const { return extents_ == nullptr ? 0 : extents_->file_bytes(); }

 private:
  std::string_view Pack(const BlockDraft& draft);

  sql::Statement insert_, find_below_, list_below_, delete_below_, trim_log_, set_end_;
  sql::Statement list_, read_, place_, delete_;
  std::unique_ptr<BlockExtents> extents_;
  std::unique_ptr<ExtentReader> reader_;
  uint64_t inside_bytes_ = 0;
  std::unique_ptr<char[]> packed_;  // used again for each block
  size_t packed_bytes_max_ = 0;
};

// Threads: safe; reads are serialised.
class BlockStore {
 public:
  static absl::StatusOr<std::unique_ptr<BlockStore>> Open(const std::string& path,
                                                          const sql::OpenOptions& options);

  // Without a file every read is kUnavailable until there is one again. A failed
  // OpenFile leaves none.
  void CloseFile() ABSL_LOCKS_EXCLUDED(mu_);
  absl::Status OpenFile(const std::string& path, const sql::OpenOptions& options)
      ABSL_LOCKS_EXCLUDED(mu_);

  // The block that holds `position`, or else the next one of the log above it;
  // null if there is none. It may be damaged (B3).
  //   kDataLoss   the table itself cannot be read there.
  absl::StatusOr<std::shared_ptr<const Block>> Find(LogId log, uint64_t position);

  // The first block of the log in which a frame arrived at or after `time_ms`.
  absl::StatusOr<std::shared_ptr<const Block>> FindTime(LogId log, int64_t time_ms);

  DamageCounts damage() const ABSL_LOCKS_EXCLUDED(mu_);
  // Whether the table itself could not be read somewhere.
  bool table_is_damaged() const { return table_is_damaged_.load(std::memory_order_relaxed); }

 private:
  BlockStore() = default;
  // The row that `find` comes to with its parameters bound; `locate` has the same.
  absl::StatusOr<std::shared_ptr<const Block>> TakeRow(
      sql::Statement& find, sql::Statement& locate,
      const std::function<void(sql::Statement&)>& bind) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Null: its bytes lie outside, and are others.
  absl::StatusOr<std::shared_ptr<const Block>> Take(sql::Statement& row, bool again)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // What `locate` finds, whose bytes cannot be read because of `damage`.
  absl::StatusOr<std::shared_ptr<const Block>> TakeDamaged(sql::Statement& locate,
                                                           const absl::Status& damage)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  std::shared_ptr<const Block> Damaged(int64_t id, int64_t frame_count, int64_t span,
                                       const absl::Status& damage)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  std::shared_ptr<const Block> Cache(std::shared_ptr<const Block> block)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  std::atomic<bool> table_is_damaged_{false};  // never false again; alone
  mutable absl::Mutex mu_;
  std::optional<sql::Database> db_ ABSL_GUARDED_BY(mu_);  // the statements' base
  sql::Statement find_ ABSL_GUARDED_BY(mu_);
  sql::Statement by_time_ ABSL_GUARDED_BY(mu_);
  sql::Statement locate_ ABSL_GUARDED_BY(mu_);
  sql::Statement locate_by_time_ ABSL_GUARDED_BY(mu_);
  sql::Statement next_ ABSL_GUARDED_BY(mu_);
  std::unique_ptr<ExtentReader> extents_ ABSL_GUARDED_BY(mu_);
  absl::flat_hash_set<int64_t> damaged_ ABSL_GUARDED_BY(mu_);  // ids, of the counts
  DamageCounts damage_counts_ ABSL_GUARDED_BY(mu_);
  std::list<std::shared_ptr<const Block>> cache_ ABSL_GUARDED_BY(mu_);  // newest use first
};

}  // namespace eddy::log

#endif  // EDDY_SRC_LOG_BLOCK_STORE_H_
