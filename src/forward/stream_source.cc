#include "src/forward/stream_source.h"

#include <algorithm>
#include <utility>

#include "src/base/status.h"
#include "src/stream/hash_key.h"

namespace eddy::forward {

StreamSource::StreamSource(Stream* stream, Cursor* cursor, KeyOrder order)
    : stream_(stream), cursor_(cursor) {
  for (ShardId id = 0; id < stream->shard_count(); ++id) {
    const SequenceNumber position = cursor->Position(id);
    shards_.push_back({ShardWindow(order, position), "", position, false});
  }
}

absl::Status StreamSource::Fill() {
  absl::Status status;
  for (const ShardDescription& shard : stream_->Describe().shards) {
    if (shards_[shard.shard].read_to >= shard.next) continue;
    status.Update(FillShard(shard.shard));
  }
  return status;
}

absl::Status StreamSource::FillShard(ShardId id) {
  Shard& shard = shards_[id];
  ShardWindow& window = shard.window;
  const size_t records_max = std::max<size_t>(1, kWindowRecordsMax / shards_.size());
  const size_t bytes_max = std::max<size_t>(1, kWindowBytesMax / shards_.size());
  if (window.span_records() >= records_max || window.unsettled_bytes() >= bytes_max) {
    return absl::OkStatus();
  }
  if (shard.iterator.empty()) {
    ShardIteratorPosition position;
    position.type = ShardIteratorType::kAtSequenceNumber;
    position.sequence_number = window.end();
    EDDY_ASSIGN_OR_RETURN(shard.iterator, stream_->GetShardIterator(id, position));
  }
  GetRecordsOptions options;
  options.limit = records_max - window.span_records();
  options.bytes_max = bytes_max - window.unsettled_bytes();
  EDDY_ASSIGN_OR_RETURN(RecordBatch batch, stream_->GetRecords(shard.iterator, options));
  if (batch.gap.has_value()) lost_ += batch.gap->count;
  for (const Record& record : batch.records) {
    WindowRecord copy;  // the window outlives the batch, and must not pin its blocks
    copy.sequence_number = record.sequence_number;
    copy.partition_key = std::string(record.partition_key);
    copy.data = std::string(record.data);
    if (record.explicit_hash_key.size() == stream::kHashKeyBytes) {
      copy.explicit_hash_key =
          stream::FormatHashKey(stream::LoadHashKey(record.explicit_hash_key.data()));
    }
    window.Add(std::move(copy));
  }
  shard.iterator = std::move(batch.next_shard_iterator);
  shard.read_to = batch.next_sequence_number;
  return absl::OkStatus();
}

std::vector<RecordId> StreamSource::Choose(size_t records_max, size_t bytes_max,
                                           absl::Duration now) {
  struct Place {
    ShardId shard;
    SequenceNumber from;
  };
  std::vector<Place> places;
  for (ShardId i = 0; i < shards_.size(); ++i) {
    const ShardId id = static_cast<ShardId>((first_shard_ + i) % shards_.size());
    if (shards_[id].window.ready_count() > 0) places.push_back({id, 0});
  }
  first_shard_ = static_cast<ShardId>((first_shard_ + 1) % shards_.size());

  std::vector<RecordId> ids;
  size_t bytes = 0;
  while (!places.empty()) {
    std::vector<Place> left;
    for (const Place& place : places) {
      const WindowRecord* record = shards_[place.shard].window.NextReady(place.from, now);
      if (record == nullptr) continue;
      bytes += record->bytes();
      const bool is_full = ids.size() == records_max || bytes > bytes_max;
      if (is_full && !ids.empty()) return ids;
      ids.push_back({place.shard, record->sequence_number});
      left.push_back({place.shard, record->sequence_number + 1});
    }
    places = std::move(left);
  }
  return ids;
}

absl::Duration StreamSource::NextDue() {
  absl::Duration next = absl::InfiniteDuration();
  for (Shard& shard : shards_) next = std::min(next, shard.window.NextDue());
  return next;
}

absl::Status StreamSource::MoveCursors() {
  absl::Status status;
  for (ShardId id = 0; id < shards_.size(); ++id) {
    Shard& shard = shards_[id];
    if (!shard.cursor_behind) continue;
    const absl::Status moved =
        cursor_->Advance(id, shard.window.prefix(), Durability::kProcess);
    shard.cursor_behind = !moved.ok();
    status.Update(moved);
  }
  return status;
}

void StreamSource::Settle(const RecordId& id) {
  Shard& shard = shards_[id.shard];
  const SequenceNumber before = shard.window.prefix();
  shard.window.Settle(id.sequence_number);
  if (shard.window.prefix() > before) shard.cursor_behind = true;
}

size_t StreamSource::UnsettledCount() const {
  size_t count = 0;
  for (const Shard& shard : shards_) count += shard.window.unsettled_count();
  return count;
}

size_t StreamSource::BytesOf(const std::vector<RecordId>& ids) {
  size_t bytes = 0;
  for (const RecordId& id : ids) bytes += At(id).bytes();
  return bytes;
}

}  // namespace eddy::forward
