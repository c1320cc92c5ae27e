#include "src/log/frame.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "absl/base/optimization.h"
#include "src/base/short_bytes.h"
#include "src/base/status.h"

namespace eddy::log {
namespace {

// Word 0 enters through the seed, so that the bytes behind the checksum are one
// contiguous piece.
uint32_t Checksum(const char* frame, uint32_t word0, uint64_t position, uint64_t salt) {
  const uint64_t seed = (position * 0x9e3779b97f4a7c15u) ^ salt ^ (uint64_t{word0} << 32);
  return static_cast<uint32_t>(
      XXH3_64bits_withSeed(frame + 8, FrameSize(word0) - 8, seed));
}

}  // namespace

uint32_t FillFrame(const FrameParts& parts, uint64_t position, uint64_t salt, char* to) {
  const size_t size = parts.Bytes();
  const uint32_t word0 = FrameWord0(size, parts.kind);
  const uint64_t time = FrameTimeWord(static_cast<uint64_t>(parts.time_ms), parts.time_trusted,
                                      parts.key.size());
  // The padding first: what follows covers the rest of the word that it is in.
  StoreAt<uint32_t>(to + AlignFrame(size) - kFrameAlignment, 0);
  StoreAt(to + 8, time);
  char* at = CopyShort(to + kFrameHeaderBytes, parts.key);
  if (ABSL_PREDICT_FALSE(!parts.head.empty())) at = CopyShort(at, parts.head);
  CopyShort(at, parts.body);
  const uint32_t checksum = Checksum(to, word0, position, salt);
  StoreAt(to + 4, checksum);
  return word0;
}

bool ParseFrame(const char* from, size_t available, uint64_t position, FrameView* view) {
  if (available < kFrameHeaderBytes) return false;
  const uint32_t word0 = LoadAt<uint32_t>(from);
  const size_t size = FrameSize(word0);
  if (size < kFrameHeaderBytes || AlignFrame(size) > available) return false;
  const uint64_t time = LoadAt<uint64_t>(from + 8);
  const size_t key_size = static_cast<size_t>(time >> kFrameKeySizeShift);
  if (kFrameHeaderBytes + key_size > size) return false;
  view->position = position;
  view->end = position + AlignFrame(size);
  view->time_ms = static_cast<int64_t>(time & kFrameTimeMsMax);
  view->time_trusted = (time & kFrameTrustedBit) != 0;
  view->kind = static_cast<uint8_t>(word0 >> kFrameKindShift);
  view->key = std::string_view(from + kFrameHeaderBytes, key_size);
  view->body = std::string_view(from + kFrameHeaderBytes + key_size,
                                size - kFrameHeaderBytes - key_size);
  return true;
}

bool FrameMatches(const char* from, size_t available, uint64_t position, uint64_t salt) {
  FrameView view;
  if (!ParseFrame(from, available, position, &view)) return false;
  return Checksum(from, LoadAt<uint32_t>(from), position, salt) == LoadAt<uint32_t>(from + 4);
}

}  // namespace eddy::log
