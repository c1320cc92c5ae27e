// DecodeRecord: a record out of any frame, or a reason why not.
#include "src/stream/hash_key.h"
#include "src/stream/record_frame.h"
#include "tests/fuzz/fuzz.h"

namespace eddy::fuzz {

std::vector<std::string> Seeds() {
  return {FrameInput(stream::kRecordKind, "key", "data"),
          FrameInput(stream::kRecordKind, "k", ""),
          FrameInput(stream::kRecordWithHashKeyKind, "key", std::string(16, 'h') + "data"),
          FrameInput(stream::kRecordWithHashKeyKind, "key", std::string(15, 'h')),
          FrameInput(7, "key", "data")};
}

}  // namespace eddy::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace eddy;
  fuzz::OwnedFrame frame;
  fuzz::FrameOf(data, size, &frame);
  const absl::StatusOr<Record> record = stream::DecodeRecord(frame.view);
  if (!record.ok()) {
    fuzz::Hold(absl::IsDataLoss(record.status()), "another code than kDataLoss");
    return 0;
  }
  fuzz::Hold(record->sequence_number == frame.view.position &&
                 record->partition_key == frame.view.key,
             "a record under another name");
  const size_t hash_bytes =
      frame.view.kind == stream::kRecordWithHashKeyKind ? stream::kHashKeyBytes : 0;
  fuzz::Hold(record->data.size() + hash_bytes == frame.view.body.size() &&
                 record->data.data() == frame.view.body.data() + hash_bytes,
             "a record's data are not the frame's");
  return 0;
}
