// BlockStore: reads the rows of the table `blocks`, through a read-only connection of its
// own, with a few blocks kept in memory. block_writer.h writes them.
//
// Invariants
//   B1  Bytes that do not match their checksum, which covers id and span too, are
//       neither unpacked nor handed out.
//   B2  No read transaction outlives a call.
//   B3  A damaged block costs itself only: it is found, empty, with its limits.
// Depends on sql/, block_codec.h, block_extents.h, block_row.h.
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

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "src/base/mutex.h"
#include "src/log/block_extents.h"
#include "src/log/block_row.h"
#include "src/log/log.h"
#include "src/sql/database.h"

namespace eddy::log {

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

  // The first block of those that begin in [first, end) in which a frame arrived at or after
  // `time_ms`; or, where it holds frames whose times were not trusted, `guessed_ms`.
  absl::StatusOr<std::shared_ptr<const Block>> FindTime(LogId log, uint64_t first, uint64_t end,
                                                        int64_t time_ms, int64_t guessed_ms);

  DamageCounts damage() const ABSL_LOCKS_EXCLUDED(mu_);
  // Whether the table itself could not be read somewhere, or may hide something.
  bool table_is_damaged() const { return table_is_damaged_.load(std::memory_order_relaxed); }

  // All of the database was looked at, and is whole: the table hides nothing.
  void SetWhole() { is_whole_ = true; }  // while opening
  bool IsLost(LogId log, uint64_t position) ABSL_LOCKS_EXCLUDED(mu_);  // see Log

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
  bool is_whole_ = false;                      // constant once open
  mutable Mutex mu_;
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
