// The reading side of StreamImpl.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/stream/stream.h"

namespace eddy::stream {
namespace {

// Arrivals are whole milliseconds, so "at or after" rounds up.
int64_t CeilToMs(absl::Time time) {
  const int64_t ms = absl::ToUnixMillis(time);
  return absl::FromUnixMillis(ms) < time ? ms + 1 : ms;
}

}  // namespace

absl::StatusOr<std::string> StreamImpl::GetShardIterator(
    ShardId shard, const ShardIteratorPosition& position) {
  EDDY_RETURN_IF_ERROR(reader_.CheckShard(shard));
  EDDY_ASSIGN_OR_RETURN(const uint64_t place,
                        Locate(reader_.shard_log(shard), position));
  return iterators_.Encode({shard, place});
}

absl::StatusOr<uint64_t> StreamImpl::Locate(
    log::Log& log, const ShardIteratorPosition& position) const {
  switch (position.type) {
    case ShardIteratorType::kTrimHorizon:
      return log.oldest();
    case ShardIteratorType::kLatest:
      return log.tail();
    case ShardIteratorType::kAtTimestamp: {
      const absl::Time now = clock_->WallNow();
      if (position.timestamp > now) {
        return absl::InvalidArgumentError(absl::StrCat(
            "timestamp ", absl::FormatTime(position.timestamp).c_str(),
            " is in the future; it is now ", absl::FormatTime(now).c_str()));
      }
      return log.FindTime(std::max(CeilToMs(position.timestamp), int64_t{0}));
    }
    case ShardIteratorType::kAtSequenceNumber:
    case ShardIteratorType::kAfterSequenceNumber: {
      const uint64_t after =
          position.type == ShardIteratorType::kAfterSequenceNumber ? 1 : 0;
      const uint64_t tail = log.tail();
      // A number that is still to come would silently pass over all that is put
      // until then.
      if (position.sequence_number > tail - std::min(tail, after)) {
        return absl::InvalidArgumentError(absl::StrCat(
            "sequence number ", position.sequence_number,
            " was not given to a record yet: the next one gets ", tail));
      }
      return position.sequence_number + after;
    }
  }
  return absl::InvalidArgumentError(
      absl::StrCat("shard iterator type ", static_cast<int>(position.type),
                   " is none that exists"));
}

absl::StatusOr<RecordBatch> StreamImpl::GetRecords(
    std::string_view shard_iterator, const GetRecordsOptions& options) {
  EDDY_ASSIGN_OR_RETURN(const ShardPlace place,
                        iterators_.Decode(shard_iterator));
  return reader_.Read(place.shard, place.position, options);
}

}  // namespace eddy::stream
