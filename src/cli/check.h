// Checker: whether a store is as eddy writes it. Reads only; each question, and
// each block, is a read transaction of its own, so that a living owner can start
// its WAL anew in between, and what it does meanwhile is no damage.
//
//   database   SQLite's own integrity_check. It reads the whole file in one
//              transaction, beside which the owner's WAL only grows: so only if
//              no owner lives, or on demand
//   blocks     checksum; whole frames up to the last byte, each a record or a
//              message; their count and times as the row says; no two overlap
//   streams    shards 0..n-1 whose hash ranges tile 0..2^128-1; every log there
//   cursors    of a stream and shard that exist, within what was written
//   queues     log and dead-letter queue there; every delivery row of a message
#ifndef EDDY_SRC_CLI_CHECK_H_
#define EDDY_SRC_CLI_CHECK_H_

#include <cstdint>
#include <functional>
#include <set>
#include <string>

#include "absl/status/status.h"
#include "src/cli/read_only_store.h"

namespace eddy::cli {

class Checker {
 public:
  // `found` is called with one line for each thing that is damaged. `deep`: with
  // SQLite's integrity_check.
  Checker(ReadOnlyStore& store, bool deep, std::function<void(const std::string&)> found)
      : db_(store.database()), extents_(store.extents()), deep_(deep), found_(std::move(found)) {}

  // Everything. OK: it was all looked at, damaged or not.
  //   kUnavailable   the disk or the owner was in the way; try again.
  absl::Status Run();

  uint64_t block_count() const { return block_count_; }
  uint64_t frame_count() const { return frame_count_; }
  uint64_t damage_count() const { return damage_count_; }

 private:
  absl::Status CheckDatabase();
  absl::Status LoadViews();
  absl::Status CheckBlocks();
  // False: it has to be looked at again, in a new view.
  absl::StatusOr<bool> CheckBlock(sql::Statement& row, bool again);
  absl::Status CheckStreams();
  absl::Status CheckCursors();
  absl::Status CheckQueues();
  absl::Status CheckDeliveries();
  // Every row that `query` returns is a finding; its first column says which.
  absl::Status NoRows(const char* query);
  void Damage(const std::string& what);

  sql::Database& db_;
  log::ExtentReader& extents_;
  const bool deep_;
  const std::function<void(const std::string&)> found_;
  std::set<uint64_t> stream_logs_;  // whose frames are records
  std::set<uint64_t> queue_logs_;   // whose frames are messages
  std::set<uint64_t> strange_logs_;  // of blocks, but in no row
  uint64_t block_count_ = 0;
  uint64_t frame_count_ = 0;
  uint64_t damage_count_ = 0;
  uint64_t block_end_ = 0;     // of the block before, and its log
  uint64_t block_log_ = 0;
};

}  // namespace eddy::cli

#endif  // EDDY_SRC_CLI_CHECK_H_
