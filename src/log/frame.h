// Frame: how one record lies in memory, and in the rows of the table `blocks` that
// are not packed (block_codec.h).
//
//      0       4        8               16
//      +-------+--------+---------------+-----+------+-------+
//      | size, | check- | time, trusted,| key | head | body  | zeros up to
//      | kind  | sum    | key size      |     |      |       | 4-byte alignment
//      +-------+--------+---------------+-----+------+-------+
//
//   word 0   bits 0..25 the size in bytes, header included, padding not;
//            bits 26..31 the kind, owned by the view that writes the log.
//            Zero means: not published. It is stored last, with release order.
//   word 1   low half of XXH3-64 over word 0, word 2.., seeded with the frame's
//            position and the intake's salt: a frame moved elsewhere, or left
//            over from an earlier life of its segment, does not match. It is for
//            those who read an intake; in a block, which has a checksum of its
//            own, it means nothing and may be zero.
//   word 2-3 bits 0..46 wall time in ms since 1970, bit 47 "the clock was set",
//            bits 48..63 the key's size.
//
// All words are in the byte order of the machine; a store does not travel
// between machines of different order (the database's meta table says which).
// Depends on base/ only. No I/O, no lock.
#ifndef EDDY_SRC_LOG_FRAME_H_
#define EDDY_SRC_LOG_FRAME_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace eddy::log {

inline constexpr size_t kFrameHeaderBytes = 16;
inline constexpr size_t kFrameAlignment = 4;
inline constexpr size_t kFrameBytesMax = (1u << 26) - 1;
inline constexpr size_t kFrameKeyBytesMax = 0xffff;
inline constexpr uint8_t kFrameKindMax = 63;
inline constexpr uint64_t kFrameTimeMsMax = (uint64_t{1} << 47) - 1;

// The drawing in numbers: of word 0, then of words 2 and 3.
inline constexpr int kFrameKindShift = 26;
inline constexpr uint64_t kFrameTrustedBit = kFrameTimeMsMax + 1;
inline constexpr int kFrameKeySizeShift = 48;

// What a view gives to be written. The pieces are copied one after the other.
struct FrameParts {
  uint8_t kind = 0;        // 0..63, the view's own meaning
  int64_t time_ms = 0;     // wall time
  bool time_trusted = false;
  std::string_view key;
  std::string_view head;   // the view's own header, in front of the body
  std::string_view body;

  size_t Bytes() const {
    return kFrameHeaderBytes + key.size() + head.size() + body.size();
  }
};

// What a reader sees: views into bytes that somebody else keeps.
struct FrameView {
  uint64_t position = 0;
  uint64_t end = 0;        // position of the next frame, if it follows directly
  int64_t time_ms = 0;
  bool time_trusted = false;
  uint8_t kind = 0;
  std::string_view key;
  std::string_view body;   // head and body as written, in one piece
};

constexpr size_t AlignFrame(size_t bytes) {
  return (bytes + kFrameAlignment - 1) & ~(kFrameAlignment - 1);
}

// Writes everything but word 0 to `to` and returns word 0, for the publisher to
// store last. `to` has room for AlignFrame(parts.Bytes()).
uint32_t FillFrame(const FrameParts& parts, uint64_t position, uint64_t salt,
                   char* to);

constexpr size_t FrameSize(uint32_t word0) { return word0 & kFrameBytesMax; }
constexpr uint32_t FrameWord0(size_t size, uint8_t kind) {
  return static_cast<uint32_t>(size) | (uint32_t{kind} << kFrameKindShift);
}
// Words 2 and 3.
constexpr uint64_t FrameTimeWord(uint64_t time_ms, bool trusted, size_t key_size) {
  return (time_ms & kFrameTimeMsMax) | (trusted ? kFrameTrustedBit : 0) |
         (uint64_t{key_size} << kFrameKeySizeShift);
}

// Whether the `available` bytes at `from` begin with a whole frame: its sizes
// in bounds. Fills `view`. Never reads beyond `available`.
bool ParseFrame(const char* from, size_t available, uint64_t position, FrameView* view);

// The same, and the frame was written for this position under this salt.
bool FrameMatches(const char* from, size_t available, uint64_t position, uint64_t salt);

}  // namespace eddy::log

#endif  // EDDY_SRC_LOG_FRAME_H_
