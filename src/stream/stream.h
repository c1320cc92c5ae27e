// Stream over logs: one log a shard, a map of hash ranges, readers by position.
//
//   Put          check, route, log.Append; at kPower wait for the commit
//   GetRecords   decode the iterator, log.Read
//   Cursor       a position a shard, committed with the logs (cursor_set.h)
//
// The Put path allocates nothing, takes no lock of this room and reads one
// clock. Putting is in stream_put.cc, reading in stream_read.cc, creating and
// loading in stream.cc.
//
// Not yet: resharding. Shards never close, so there is always a next iterator.
//
// Depends on log/, sql/, runtime/, base/ and platform/crypto.
#ifndef EDDY_SRC_STREAM_STREAM_H_
#define EDDY_SRC_STREAM_STREAM_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "eddy/stream.h"
#include "src/log/engine.h"
#include "src/log/pending_frame.h"
#include "src/runtime/arrival_clock.h"
#include "src/stream/catalog.h"
#include "src/stream/cursor_set.h"
#include "src/stream/shard_iterator.h"
#include "src/stream/shard_reader.h"
#include "src/stream/shard_router.h"

namespace eddy::stream {

struct PendingPut {
  ShardId shard = 0;
  log::PendingFrame frame;
};

// Threads:    safe; constant after construction but for its cursors.
// Durability: as in eddy/stream.h.
// Lifetime:   outlives the engine's Close(), dies before the engine.
class StreamImpl final : public Stream {
 public:
  // Creates the stream durably, in one transaction, and registers its cursors
  // with the engine. To be called after Engine::FinishOpen.
  //   kInvalidArgument   name or an option out of its range.
  //   kAlreadyExists     the name is taken.
  static absl::StatusOr<std::unique_ptr<StreamImpl>> Create(
      log::Engine& engine, std::string_view name, const StreamOptions& options);

  // The streams of the tables, by age. To be called between Engine::Open and
  // Engine::FinishOpen, which replays the journal into their cursors.
  //   kDataLoss   the tables do not fit together; the message names the stream.
  static absl::StatusOr<std::vector<std::unique_ptr<StreamImpl>>> LoadAll(
      log::Engine& engine);

  const std::string& name() const override { return row_.name; }
  StreamDescription Describe() override;
  uint32_t shard_count() const override { return reader_.shard_count(); }

  absl::StatusOr<PutResult> Put(std::string_view partition_key,
                                std::string_view data,
                                const PutOptions& options) override;
  // options.explicit_hash_key is for the entries that name none.
  absl::StatusOr<std::vector<absl::StatusOr<PutResult>>> PutRecords(
      const std::vector<PutRecordsEntry>& entries,
      const PutOptions& options) override;

  absl::StatusOr<std::string> GetShardIterator(
      ShardId shard, const ShardIteratorPosition& position) override;
  absl::StatusOr<RecordBatch> GetRecords(
      std::string_view shard_iterator,
      const GetRecordsOptions& options) override;

  absl::StatusOr<Cursor*> OpenCursor(std::string_view name) override;
  std::vector<std::string> ListCursors() override;

  absl::Status Trim(ShardId shard, SequenceNumber before) override;

  // For a transaction. A record that is to be put when it commits; errors as Put,
  // but for room, which is not looked at.
  absl::StatusOr<PendingPut> Prepare(const PutRecordsEntry& entry);
  CursorSet& cursors() { return cursors_; }

 private:
  StreamImpl(log::Engine& engine, StreamRow row, std::vector<log::Log*> logs);

  // From now on the engine calls: last, so that an error before leaves none.
  void Join();
  // Checks the record, finds its shard, and makes all of a frame but its time, with
  // views of it and into `hash_key` (kHashKeyBytes).
  absl::Status Frame(std::string_view partition_key, std::string_view data,
                     std::string_view explicit_hash_key, char* hash_key, ShardId* shard,
                     log::FrameParts* parts) const;
  absl::StatusOr<PutResult> Accept(std::string_view partition_key, std::string_view data,
                                   std::string_view explicit_hash_key,
                                   absl::Duration timeout);
  absl::StatusOr<PutResult> PutDurably(std::string_view partition_key, std::string_view data,
                                       std::string_view explicit_hash_key,
                                       absl::Duration timeout);
  void WaitForAll(std::vector<absl::StatusOr<PutResult>>* results);
  absl::StatusOr<uint64_t> Locate(log::Log& log,
                                  const ShardIteratorPosition& position) const;

  log::Engine& engine_;  // not owned
  Clock* const clock_;
  const absl::Duration append_timeout_;  // the store's
  const StreamRow row_;
  const ShardRouter router_;
  const ShardIteratorCodec iterators_;
  const ShardReader reader_;
  ArrivalClock arrival_;
  CursorSet cursors_;
};

}  // namespace eddy::stream

#endif  // EDDY_SRC_STREAM_STREAM_H_
