// The frames of a shard's log.
//
//   kind 0   a record: key = partition key, body = data
//   kind 1   the same with an explicit hash key: body = 16 bytes, big-endian,
//            and then the data
//
// The frame's time is the arrival. Depends on log/frame.h. Pure.
#ifndef EDDY_SRC_STREAM_RECORD_FRAME_H_
#define EDDY_SRC_STREAM_RECORD_FRAME_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "eddy/stream.h"
#include "src/log/frame.h"

namespace eddy::stream {

inline constexpr uint8_t kRecordKind = 0;
inline constexpr uint8_t kRecordWithHashKeyKind = 1;

// The views of the record point into the frame's bytes.
//   kDataLoss   a kind that we do not know, or too short for its own.
absl::StatusOr<Record> DecodeRecord(const log::FrameView& frame);

}  // namespace eddy::stream

#endif  // EDDY_SRC_STREAM_RECORD_FRAME_H_
