// ShardReader: records of a stream's shards, from a position on. What
// GetRecords and Cursor::Read have in common.
//
// Invariants
//   R1  A batch that is empty says nothing about what lies further on; its next
//       position does not go back, and skips only what holds no record.
//   R2  behind_latest is zero only if no record was left to read.
//   R3  What a read passes over without finding it was trimmed by the user or is
//       told as a gap, before the records behind it.
// Depends on log/, record_frame.h, shard_iterator.h.
#ifndef EDDY_SRC_STREAM_SHARD_READER_H_
#define EDDY_SRC_STREAM_SHARD_READER_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "eddy/platform.h"
#include "eddy/stream.h"
#include "src/log/engine.h"
#include "src/log/log.h"
#include "src/stream/shard_iterator.h"

namespace eddy::stream {

// Threads: safe; constant after construction.
class ShardReader {
 public:
  // `logs[i]` is that of shard i. All outlive the reader.
  ShardReader(log::Engine& engine, const ShardIteratorCodec* iterators,
              std::vector<log::Log*> logs);

  // The records at or above `position`, or above the trim horizon if that lies
  // higher.
  //   kInvalidArgument   no such shard; an option out of its range.
  //   kDataLoss          a block is not as it was written.
  absl::StatusOr<RecordBatch> Read(ShardId shard, uint64_t position,
                                   const GetRecordsOptions& options) const;

  //   kInvalidArgument   there is no such shard.
  absl::Status CheckShard(ShardId shard) const;

  uint32_t shard_count() const { return static_cast<uint32_t>(logs_.size()); }
  log::Log& shard_log(ShardId shard) const { return *logs_[shard]; }

 private:
  // One read of the log and what it is told of gaps.
  absl::StatusOr<RecordBatch> ReadPiece(ShardId shard, uint64_t position,
                                        const GetRecordsOptions& options) const;
  bool WaitForCommit(log::Log& log, uint64_t position,
                     absl::Duration timeout) const;
  absl::StatusOr<RecordBatch> ToBatch(ShardId shard, log::ReadResult result,
                                      const std::optional<Gap>& gap) const;

  log::Engine& engine_;  // not owned
  Clock* const clock_;
  const ShardIteratorCodec* const iterators_;
  const std::vector<log::Log*> logs_;
};

}  // namespace eddy::stream

#endif  // EDDY_SRC_STREAM_SHARD_READER_H_
