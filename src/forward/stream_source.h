// StreamSource: the local side of a stream's route: windows over its shards, filled
// by reading ahead, and the cursor that follows what is settled.
// Depends on shard_window.h and the public headers.
#ifndef EDDY_SRC_FORWARD_STREAM_SOURCE_H_
#define EDDY_SRC_FORWARD_STREAM_SOURCE_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "eddy/stream.h"
#include "src/forward/shard_window.h"

namespace eddy::forward {

// Of all windows of a route together: its memory, and how far it looks for keys that
// fill a request. One record a shard is held even if larger.
inline constexpr size_t kWindowRecordsMax = 4096;
inline constexpr size_t kWindowBytesMax = kPutRecordsBytesMax;

struct RecordId {
  ShardId shard = 0;
  SequenceNumber sequence_number = 0;
  bool operator==(const RecordId& other) const {
    return shard == other.shard && sequence_number == other.sequence_number;
  }
};

// Threads:    none of its own; one caller at a time.
// Durability: cursors move at kProcess: a crash of the process costs nothing, a power
//             cut sends again what the last flush interval had delivered.
// `stream` and `cursor` outlive it.
class StreamSource {
 public:
  StreamSource(Stream* stream, Cursor* cursor, KeyOrder order);

  const std::string& name() const { return stream_->name(); }

  // Reads on, into whatever room the windows have. Shards that hold nothing new are
  // not read. All are tried, so that a bad block stops its own shard only.
  //   as Stream::GetRecords, the first error of any shard.
  absl::Status Fill();

  // Records that were gone when Fill came to them, since the last call.
  uint64_t TakeLost() { return std::exchange(lost_, 0); }

  // Ready and due records, one from each shard in turn for as long as there is room;
  // the shard that begins changes. At least one if there is any.
  std::vector<RecordId> Choose(size_t records_max, size_t bytes_max, absl::Duration now);
  // When the next ready record is due; infinite if none is ready.
  absl::Duration NextDue();

  // Moves the cursors to where Settle has brought the windows.
  //   as Cursor::Advance, the first error of any shard; what is left is moved by the
  //   next call.
  absl::Status MoveCursors();

  // Unsettled records only.
  WindowRecord& At(const RecordId& id) {
    return shards_[id.shard].window.At(id.sequence_number);
  }
  void Settle(const RecordId& id);
  size_t UnsettledCount() const;
  size_t BytesOf(const std::vector<RecordId>& ids);

 private:
  struct Shard {
    ShardWindow window;
    std::string iterator;        // of the next read; empty: at window.end()
    SequenceNumber read_to = 0;  // the same place: nothing new below it
    bool cursor_behind = false;  // the cursor has to move to window.prefix()
  };
  absl::Status FillShard(ShardId id);

  Stream* const stream_;
  Cursor* const cursor_;
  std::vector<Shard> shards_;
  uint64_t lost_ = 0;
  ShardId first_shard_ = 0;  // of the next choice, so that none waits for ever
};

}  // namespace eddy::forward

#endif  // EDDY_SRC_FORWARD_STREAM_SOURCE_H_
