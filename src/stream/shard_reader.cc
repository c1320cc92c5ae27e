#include "src/stream/shard_reader.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/runtime/signal.h"
#include "src/stream/record_frame.h"
#include "src/stream/record_rules.h"

namespace eddy::stream {
namespace {

// How often a reader that waits for a commit looks whether there was one.
constexpr absl::Duration kCommitLookInterval = absl::Milliseconds(20);

// A large batch is read in pieces of so many, so that what stands between the log
// and the batch stays small: in one piece it would be as large as the batch, and
// the memory for it would come new from the kernel for each call.
constexpr size_t kPieceRecordsMax = 1000;

// Of the log, from the first record to behind the last: at least what they hold.
size_t SpanBytes(const RecordBatch& batch) {
  return batch.records.empty()
             ? 0
             : static_cast<size_t>(batch.next_sequence_number -
                                   batch.records.front().sequence_number);
}

// Cuts the result where the next gap begins, which the next read is to tell.
void CutBefore(uint64_t position, log::ReadResult* result) {
  const auto behind =
      std::find_if(result->frames.begin(), result->frames.end(),
                   [position](const log::FrameView& frame) {
                     return frame.position >= position;
                   });
  if (behind != result->frames.end()) {
    result->more = true;
    result->next_time_ms = behind->time_ms;
    result->frames.erase(behind, result->frames.end());
  }
  result->next = std::min(result->next, position);
}

}  // namespace

ShardReader::ShardReader(log::Engine& engine,
                         const ShardIteratorCodec* iterators,
                         std::vector<log::Log*> logs)
    : engine_(engine),
      clock_(engine.platform().clock),
      iterators_(iterators),
      logs_(std::move(logs)) {}

absl::Status ShardReader::CheckShard(ShardId shard) const {
  if (shard < logs_.size()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "shard ", shard, ": the stream has shards 0 to ", logs_.size() - 1));
}

absl::StatusOr<RecordBatch> ShardReader::Read(
    ShardId shard, uint64_t position, const GetRecordsOptions& options) const {
  EDDY_RETURN_IF_ERROR(CheckShard(shard));
  EDDY_RETURN_IF_ERROR(CheckGetRecordsOptions(options));
  GetRecordsOptions piece_options = options;
  piece_options.limit = std::min(options.limit, kPieceRecordsMax);
  EDDY_ASSIGN_OR_RETURN(RecordBatch batch, ReadPiece(shard, position, piece_options));
  piece_options.wait_time = absl::ZeroDuration();
  size_t piece_size = batch.records.size();
  // A piece that is not full was cut short: by its bytes, by a gap, or by the end.
  while (piece_size == piece_options.limit && batch.records.size() < options.limit &&
         batch.behind_latest > absl::ZeroDuration() && SpanBytes(batch) < options.bytes_max) {
    piece_options.limit = std::min(options.limit - batch.records.size(), kPieceRecordsMax);
    piece_options.bytes_max = options.bytes_max - SpanBytes(batch);
    absl::StatusOr<RecordBatch> piece =
        ReadPiece(shard, batch.next_sequence_number, piece_options);
    // What fails, or begins with a gap, is for the read that begins there. So is one
    // record above bytes_max, which a read gives out by itself.
    if (!piece.ok() || piece->gap || SpanBytes(*piece) > piece_options.bytes_max) break;
    piece_size = piece->records.size();
    batch.records.reserve(options.limit);
    batch.records.insert(batch.records.end(), piece->records.begin(), piece->records.end());
    std::move(piece->pins.begin(), piece->pins.end(), std::back_inserter(batch.pins));
    batch.next_sequence_number = piece->next_sequence_number;
    batch.next_shard_iterator = std::move(piece->next_shard_iterator);
    batch.behind_latest = piece->behind_latest;
  }
  return batch;
}

absl::StatusOr<RecordBatch> ShardReader::ReadPiece(
    ShardId shard, uint64_t position, const GetRecordsOptions& options) const {
  log::Log& log = *logs_[shard];
  // A place beyond the tail was given out by a process that died before it had
  // filled what lies below. It will be filled now, and is not to be skipped.
  position = std::min(position, log.tail());

  log::ReadOptions read;
  read.frames_max = options.limit;
  read.bytes_max = options.bytes_max;
  read.committed_only = options.read_committed;
  const bool wait = options.wait_time > absl::ZeroDuration();
  const absl::Duration deadline =
      wait ? clock_->SinceBoot() + options.wait_time : absl::ZeroDuration();
  std::optional<Gap> told;
  for (;;) {
    const uint64_t committed = log.committed();
    EDDY_ASSIGN_OR_RETURN(log::ReadResult result, log.Read(position, read));
    if (result.gap && !log.gaps().Find(position, result.gap->first)) {
      const log::LogGap& damaged = *result.gap;
      if (told) {  // one gap a batch
        CutBefore(damaged.first, &result);
        return ToBatch(shard, std::move(result), told);
      }
      told = Gap{damaged.first, damaged.end - 1, damaged.frame_count, damaged.reason};
      position = damaged.end;
      continue;
    }
    // After the read: what was dropped meanwhile was made a gap before it went.
    if (const auto gap = log.gaps().Find(position, result.next)) {
      const bool first = result.frames.empty() ||
                         result.frames.front().position > gap->last;
      if (first && !told) {
        told = gap;
        position = gap->last + 1;
        continue;
      }
      // A record before it, or a gap of this batch already.
      CutBefore(gap->first, &result);
      return ToBatch(shard, std::move(result), told);
    }
    if (!result.frames.empty() || told) {
      return ToBatch(shard, std::move(result), told);
    }
    // What was committed before the read would have been seen by it. Without
    // this, a reader in the gap that a power cut leaves in the positions would
    // find "something is committed above" again and again, and never sleep.
    position = result.next = std::max(result.next, committed);
    if (!wait) return ToBatch(shard, std::move(result), told);
    const absl::Duration left = deadline - clock_->SinceBoot();
    if (left <= absl::ZeroDuration() || !log.WaitForFrame(position, left) ||
        (options.read_committed &&
         !WaitForCommit(log, position, deadline - clock_->SinceBoot()))) {
      return ToBatch(shard, std::move(result), told);
    }
  }
}

// Until the frame that is readable at `position` is committed. A reader does
// not hurry the commit, which would cost a sync for each record; but where
// nobody else runs it when it is due (StoreOptions::threads == false), this one
// does.
bool ShardReader::WaitForCommit(log::Log& log, uint64_t position,
                                absl::Duration timeout) const {
  const absl::Duration deadline = clock_->SinceBoot() + timeout;
  Signal nobody(clock_);
  while (log.committed() <= position) {
    const absl::Duration due = engine_.RunOnce();
    const absl::Duration left = deadline - clock_->SinceBoot();
    if (left <= absl::ZeroDuration()) return log.committed() > position;
    nobody.Wait(nobody.Epoch(), std::min({due, left, kCommitLookInterval}));
  }
  return true;
}

absl::StatusOr<RecordBatch> ShardReader::ToBatch(
    ShardId shard, log::ReadResult result, const std::optional<Gap>& gap) const {
  RecordBatch batch;
  batch.gap = gap;
  batch.records.reserve(result.frames.size());
  for (const log::FrameView& frame : result.frames) {
    absl::StatusOr<Record> record = DecodeRecord(frame);
    if (!record.ok()) {
      return absl::Status(
          record.status().code(),
          absl::StrCat("shard ", shard, ": ", record.status().message()));
    }
    batch.records.push_back(*record);
  }
  batch.next_sequence_number = result.next;
  batch.next_shard_iterator = iterators_->Encode({shard, result.next});
  if (result.more) {
    // At least the least there is: R2, whatever the wall clock did since.
    batch.behind_latest =
        std::max(absl::Milliseconds(absl::ToUnixMillis(clock_->WallNow()) -
                                    result.next_time_ms),
                 absl::Milliseconds(1));
  }
  batch.pins = std::move(result.pins);
  return batch;
}

}  // namespace eddy::stream
