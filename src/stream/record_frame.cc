#include "src/stream/record_frame.h"

#include "absl/strings/str_cat.h"
#include "src/stream/hash_key.h"

namespace eddy::stream {

absl::StatusOr<Record> DecodeRecord(const log::FrameView& frame) {
  Record record;
  record.sequence_number = frame.position;
  record.partition_key = frame.key;
  record.data = frame.body;
  record.arrival = absl::FromUnixMillis(frame.time_ms);
  record.arrival_is_trusted = frame.time_trusted;
  if (frame.kind == kRecordWithHashKeyKind &&
      frame.body.size() >= kHashKeyBytes) {
    record.explicit_hash_key = frame.body.substr(0, kHashKeyBytes);
    record.data = frame.body.substr(kHashKeyBytes);
  } else if (frame.kind != kRecordKind) {
    return absl::DataLossError(
        absl::StrCat("position ", frame.position, ": a frame of kind ",
                     int{frame.kind}, " and ", frame.body.size(),
                     " bytes is no record that this eddy knows"));
  }
  return record;
}

}  // namespace eddy::stream
