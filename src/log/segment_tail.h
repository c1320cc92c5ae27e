// The tail word of a log, and word 0 of a frame: what producers fight over. See
// segment_log.h for the protocol. Pure.
#ifndef EDDY_SRC_LOG_SEGMENT_TAIL_H_
#define EDDY_SRC_LOG_SEGMENT_TAIL_H_

#include <atomic>
#include <cstdint>

#include "src/log/intake.h"

namespace eddy::log {

inline constexpr int kIndexShift = 48;
inline constexpr uint64_t kOffsetMask = (uint64_t{1} << kIndexShift) - 1;
// No segment: an offset far above any segment's end, so that every claim fails
// and no claimer takes itself for the crosser.
inline constexpr uint64_t kNoTail =
    (uint64_t{kNoSegment} << kIndexShift) | (uint64_t{1} << 40);

constexpr uint32_t Index(uint64_t tail) { return static_cast<uint32_t>(tail >> kIndexShift); }
constexpr uint64_t Offset(uint64_t tail) { return tail & kOffsetMask; }

inline std::atomic<uint32_t>* Word0(char* frame) {
  static_assert(sizeof(std::atomic<uint32_t>) == 4 &&
                std::atomic<uint32_t>::is_always_lock_free);
  return reinterpret_cast<std::atomic<uint32_t>*>(frame);
}

}  // namespace eddy::log

#endif  // EDDY_SRC_LOG_SEGMENT_TAIL_H_
