// BlockCodec: a run of frames as the bytes of a row, and back.
//
// DESIGN 3.3 wanted no encoding step: the segment's bytes, as they lie. That was
// given up for this table alone, because SQLite writes a row twice (WAL, then
// database) and a record of 100 B with a key of 9 B lies in a frame of 128: 2.59
// bytes of flash for each of data, where the bar is 2.2. Packed the record takes
// 101, which makes 2.06, and packing costs a fraction of what writing the other 27
// does. Intake, readers and recovery still know frames only.
//
// A packed run is its frames one after the other, each as what differs from the
// frame before it. The first follows a frame of kind 0, not trusted, at time 0,
// with an empty key and body.
//
//      +-----+--------+--------+--------+-------------------+------+
//      | tag | time   | kind   | body   | key               | body |
//      | u8  | varint | u8     | size   | slot, or          |      |
//      |     | zigzag |        | varint | varint size, key  |      |
//      +-----+--------+--------+--------+-------------------+------+
//               each of these four only if the tag says so
//
//   tag   bits 0..3   0..14: so many ms later; 15: the difference follows
//         bits 4..5   the key: 0 the same, 1 a slot of one byte, 2 of two bytes
//                     (the lower one first), 3 new, it follows
//         bit 6       the body's size follows; else the same
//         bit 7       the kind follows, bit 6 of it "the clock was set"; else both
//                     are the same
//
// Each new key takes the next of kPackedKeySlots slots, in turn, from whoever had
// it before. Numbers are varints of 7 bits a byte, the lowest first. Not kept are
// a frame's checksum (the row has one, see frame.h), its padding, and its position,
// which is the row's plus the bytes of the frames before it: a run has no holes.
//
// Depends on frame.h. Pure.
#ifndef EDDY_SRC_LOG_BLOCK_CODEC_H_
#define EDDY_SRC_LOG_BLOCK_CODEC_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "src/log/frame.h"

namespace eddy::log {

// Longer runs are not packed, so that what unpacking may take has a bound: that
// of the committer's blocks, which only a single frame exceeds.
inline constexpr size_t kPackedSpanMax = 1 << 20;

// Nor are frames that are larger on average: copying them would save less than a
// hundredth.
inline constexpr size_t kPackedFrameBytesMean = 2048;

inline constexpr size_t kPackedKeySlots = 1024;

constexpr bool IsWorthPacking(size_t span, uint64_t frame_count) {
  return span <= kPackedSpanMax && span / kPackedFrameBytesMean <= frame_count;
}

// Packs the whole frames that `frames` is made of to `to`, which has room for as
// many bytes: packed they are never more. Returns how many it took, or 0: they are
// better stored as they are (and what `to` holds is nothing).
size_t PackBlock(std::string_view frames, char* to);

// The same with memory of its own, used again for each block: the packed bytes there, or
// `frames` where they are better stored as they are.
class BlockPacker {
 public:
  std::string_view Pack(std::string_view frames, uint64_t frame_count);

 private:
  std::unique_ptr<char[]> packed_;
  size_t packed_bytes_max_ = 0;
};

// Writes the frames, `span` bytes with their padding, to `to`.
//   kDataLoss   `packed` is not what PackBlock makes of frames of that span.
absl::Status UnpackBlock(std::string_view packed, size_t span, char* to);

// The frames of a row whose bytes are `stored` and whose span is `span`: `stored`
// itself if the two are of the same size, which says that it was not packed, else
// unpacked into `*memory`.
//   kDataLoss   they do not fit together.
absl::StatusOr<std::string_view> StoredFrames(std::string_view stored, int64_t span,
                                              std::unique_ptr<char[]>* memory);

}  // namespace eddy::log

#endif  // EDDY_SRC_LOG_BLOCK_CODEC_H_
