// What a stream writes to the journal: the new place of a cursor in a shard, in
// absolute values, so that replaying a frame twice does no harm.
//
//      0         1         5            13
//      +---------+---------+------------+--------------------+
//      | 1, the  | shard   | position   | name of the cursor |
//      | format  | u32     | u64        | 1..128 bytes       |
//      +---------+---------+------------+--------------------+
//
// Numbers are in the machine's byte order, as all of a frame. Pure.
#ifndef EDDY_SRC_STREAM_CURSOR_JOURNAL_H_
#define EDDY_SRC_STREAM_CURSOR_JOURNAL_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "eddy/types.h"

namespace eddy::stream {

struct CursorMove {
  std::string_view name;  // after decoding: a view into the frame
  ShardId shard = 0;
  uint64_t position = 0;
};

std::string EncodeMove(const CursorMove& move);

//   kDataLoss   not of this format.
absl::StatusOr<CursorMove> DecodeMove(std::string_view op);

}  // namespace eddy::stream

#endif  // EDDY_SRC_STREAM_CURSOR_JOURNAL_H_
