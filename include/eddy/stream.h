// Stream: records in shards by partition key, read by position (Kinesis).
//
// Invariants
//   T1  Of two Puts of one partition key, that which began after the other had
//       returned is read after it; of two at once, either may come first. A reader
//       sees no record before an earlier one of its shard.
//   T2  Reading changes nothing: any number of readers, each at its own place.
// Depends on types.h. The limits are those of Amazon Kinesis Data Streams.
#ifndef EDDY_STREAM_H_
#define EDDY_STREAM_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "eddy/retention.h"
#include "eddy/types.h"

namespace eddy {

inline constexpr size_t kPartitionKeyCharactersMax = 256;    // Unicode characters
inline constexpr size_t kStreamRecordBytesMax = 1 << 20;     // data + key
inline constexpr size_t kPutRecordsMax = 500;                // records a call
inline constexpr size_t kPutRecordsBytesMax = 5 << 20;       // data + keys a call
inline constexpr size_t kGetRecordsMax = 10000;              // records a call
inline constexpr size_t kGetRecordsBytesMax = 10 << 20;      // bytes a call
inline constexpr uint32_t kShardCountMax = 1000;

// What of a stream is written to the disk. Fixed when the stream is made.
enum class Persist : uint8_t {
  kAll,

  // Only what a reader leaves lying. The stream's readers are its cursors (a
  // forwarder's route has one too). A record that all of them have passed before
  // its flush is due is never written, and one that was written is deleted once
  // all have passed it: while the link is up the flash rests. As long as there is
  // no cursor all is written; and for a cursor that nobody moves any more, since a
  // cursor is never removed, all is written and kept.
  //   SIGKILL      loses nothing, as everywhere.
  //   a power cut  takes what a reader had not yet passed and what was accepted
  //                less than twice spill_after and a flush interval before; while
  //                readers stay behind, less than a flush interval. Cursors may be
  //                at an older place, with nothing in between that was not written.
  //   at once      is written what is put at kPower and not yet passed, a record
  //                above a quarter of a segment, and what Store::Flush finds; also
  //                when less than a quarter of the intake is free.
  // Who reads without a cursor (GetRecords) finds what is still there, and is told
  // of no gap; with read_committed, only what was written.
  kSpill,
};

struct StreamOptions {
  uint32_t shard_count = 1;
  Durability durability = Durability::kProcess;  // of a Put that names none
  Retention retention = {};                      // the default keeps all
  Persist persist = Persist::kAll;
  // kSpill: how long records wait for their readers before they are written; zero:
  // StoreOptions::flush_interval. Else 1 ms to 1 h.
  absl::Duration spill_after = {};
  // Cursors that are made with the stream, at its beginning, so that nothing is
  // gone before they are opened for the first time.
  std::vector<std::string> readers = {};
};

struct PutOptions {
  // Decimal, 0..2^128-1: replaces the MD5 of the key for routing; the key stays.
  std::string_view explicit_hash_key;
  Durability durability = Durability::kDefault;
  // How long to wait for room in the intake; absent: StoreOptions::append_timeout.
  std::optional<absl::Duration> timeout;
};

struct PutResult {
  ShardId shard = 0;
  SequenceNumber sequence_number = 0;
  CommitToken token;  // for Store::Wait
};

struct PutRecordsEntry {
  std::string_view partition_key;
  std::string_view data;
  std::string_view explicit_hash_key;
};

// The views live as long as the batch that holds the record.
struct Record {
  SequenceNumber sequence_number = 0;
  std::string_view partition_key;
  std::string_view data;
  std::string_view explicit_hash_key;  // 16 bytes, big-endian; empty if none
  // Wall time, ms; not monotonic. Of a record that came before the clock was set
  // a guess, until it is set within that boot: then all of them are repaired.
  absl::Time arrival;
  bool arrival_is_trusted = false;     // the wall clock was set when it was taken
};

struct RecordBatch {
  // Records that were dropped and that this read would have given out before
  // `records` (which may be empty then). Told to whoever reads from a place in it
  // or before it, after a restart too; who reads on from the next place is not
  // told again.
  std::optional<Gap> gap;
  std::vector<Record> records;  // in order
  // Where the next read goes on. Empty only at the end of a closed shard.
  std::string next_shard_iterator;
  SequenceNumber next_sequence_number = 0;  // the same place, as a position
  // Age of the oldest record not yet read; zero: caught up. With read_committed
  // only committed records count.
  absl::Duration behind_latest;
  std::vector<std::shared_ptr<const void>> pins;  // the bytes the views lie in
};

enum class ShardIteratorType : uint8_t {
  kAtSequenceNumber,     // that record, or the next higher kept
  kAfterSequenceNumber,  // the first one behind it
  kAtTimestamp,          // the first that arrived at or after `timestamp`
  kTrimHorizon,          // the oldest kept
  kLatest,               // behind the newest at the time of the call
};

struct ShardIteratorPosition {
  ShardIteratorType type = ShardIteratorType::kTrimHorizon;
  SequenceNumber sequence_number = 0;
  absl::Time timestamp;
};

struct GetRecordsOptions {
  size_t limit = kGetRecordsMax;           // 1..10000 records
  size_t bytes_max = kGetRecordsBytesMax;  // one record is returned even if larger
  absl::Duration wait_time;                // sleep so long for a first record
  bool read_committed = false;             // only what a power cut cannot take back
};

struct ShardDescription {
  ShardId shard = 0;
  std::string shard_id;             // "shardId-000000000000"
  std::string starting_hash_key;    // decimal, inclusive
  std::string ending_hash_key;      // decimal, inclusive
  SequenceNumber oldest = 0;        // trim horizon
  SequenceNumber next = 0;          // what the next record gets, at least
  SequenceNumber committed = 0;     // all below survives a power cut, or (kSpill)
                                    // was passed by every cursor
};

struct StreamDescription {
  std::string name;
  absl::Time created;
  Durability durability = Durability::kProcess;
  Retention retention;
  Persist persist = Persist::kAll;
  absl::Duration spill_after;  // zero: the store's flush interval
  std::vector<ShardDescription> shards;
};

// A named reader whose place is durable: a checkpoint for each shard.
//
// Threads:    safe.
// Durability: an Advance is accepted (kProcess) or committed (kPower) as asked;
//             after a power cut it is the new place or an older one, so records
//             may be read again and none is skipped.
class Cursor {
 public:
  virtual ~Cursor() = default;
  virtual const std::string& name() const = 0;

  // The first sequence number not yet consumed. Does no I/O.
  virtual SequenceNumber Position(ShardId shard) const = 0;

  // Reads on from the position; does not move it.
  virtual absl::StatusOr<RecordBatch> Read(ShardId shard,
                                           const GetRecordsOptions& options = {}) = 0;

  // Moves to `next`, the first sequence number not yet consumed (that of the
  // last consumed record + 1, or RecordBatch::next_sequence_number).
  //   kInvalidArgument    no such shard; a durability that does not exist.
  //   kOutOfRange         below the present position, or above what has been written.
  //   kResourceExhausted  no room in the intake in StoreOptions::append_timeout:
  //                       not moved.
  //   kUnavailable        kPower only: moved, but not yet committed.
  virtual absl::Status Advance(ShardId shard, SequenceNumber next,
                               Durability durability = Durability::kDefault) = 0;
};

// Threads: safe. At kProcess a Put takes no lock and makes no system call, but:
// where a segment ends (each 64 to 256 KiB of records, which may wake the
// committer or wait for room), when a reader sleeps on the shard, once a second to
// ask whether the wall clock is set, and for a large record (see Put). Threads that put
// into one shard as fast as they can take turns: one in some 300 Puts then spins for
// some 20 us after its record is in, which leaves all of them faster. At kPower one of those
// who wait commits for all, and the others sleep; where they are many (16 a processor) and
// the disk is quick, they give their processor away some times before they do.
class Stream {
 public:
  virtual ~Stream() = default;
  virtual const std::string& name() const = 0;
  virtual StreamDescription Describe() = 0;
  virtual uint32_t shard_count() const = 0;

  // Accepts one record. Data may be empty; a record above a quarter of a
  // segment goes straight into a commit and costs one even at kProcess.
  //   kInvalidArgument    key empty, over-long or not UTF-8; record too large;
  //                       hash key malformed; a durability that does not exist.
  //   kResourceExhausted  no room in the intake in time, the stream or the store is
  //                       at its limit and rejects (retention.h), the disk is full,
  //                       or the commit of a large record failed: not accepted. (If its
  //                       sync failed and the process dies before the next commit,
  //                       a large record may turn up nevertheless.)
  //   kUnavailable        kPower only: accepted, but the disk failed to sync;
  //                       tried again in the background, may yet be lost.
  virtual absl::StatusOr<PutResult> Put(std::string_view partition_key,
                                        std::string_view data,
                                        const PutOptions& options = {}) = 0;

  // Accepts 1..500 records; the results stand in the order of the entries and
  // fail one by one. At kPower all share one commit.
  // PutOptions::timeout bounds the call, not each record. When a record found no
  // room, a later one of the same key may still be accepted (Kinesis's rule): to
  // keep the order of a key, put its rest again from the first that failed.
  //   kInvalidArgument   the call as a whole: no entries, too many, too large; a
  //                      durability that does not exist.
  virtual absl::StatusOr<std::vector<absl::StatusOr<PutResult>>> PutRecords(
      const std::vector<PutRecordsEntry>& entries, const PutOptions& options = {}) = 0;

  // An iterator is a position, not a cursor: it may be used twice, and here it
  // does not expire.
  // A sequence number is a place in its shard and does not say which. One of
  // another shard is not told from one of this (Kinesis refuses it): it stands for
  // the next higher record here, or is refused if this shard has not come so far.
  //   kInvalidArgument   no such shard; a timestamp in the future; a sequence
  //                      number that no record has been given yet.
  virtual absl::StatusOr<std::string> GetShardIterator(
      ShardId shard, const ShardIteratorPosition& position) = 0;

  //   kInvalidArgument   not an iterator of this stream; limit out of range.
  //   kDataLoss          the table of blocks cannot be read there; the next open of the
  //                      store looks at all of it, and mends what it can.
  //   kUnavailable       the disk; or the records there are still being salvaged out of
  //                      a damaged database: the message says how far that is.
  virtual absl::StatusOr<RecordBatch> GetRecords(
      std::string_view shard_iterator, const GetRecordsOptions& options = {}) = 0;

  // Opens the cursor `name` (rules as for stream names); a new one starts at
  // the oldest record kept. Of a stream that spills it is a reader from the return
  // of this call on: nothing at or above its place is dropped before it has passed.
  virtual absl::StatusOr<Cursor*> OpenCursor(std::string_view name) = 0;
  virtual std::vector<std::string> ListCursors() = 0;

  // Deletes what lies wholly below `before` in the shard, a block at a time, with the
  // commits to come: of much, with several. What is not committed at the call stays.
  virtual absl::Status Trim(ShardId shard, SequenceNumber before) = 0;
};

}  // namespace eddy

#endif  // EDDY_STREAM_H_
