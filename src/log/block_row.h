// A row of the table `blocks`, as it is told and found.
//
// Its id says which log and where:   id = log << 47 | first position >> 2
// which leaves 2^16 logs of 2^49 bytes each: 17 years at a megabyte a second.
//
// A block has two sizes. Its *span* is that of the frames as they lay in the
// intake, and how far its positions reach. Its *bytes* are what is stored: sums of
// them, and with them quota and retention, are about the disk.
//
// The span decides what is found, trimmed and dropped before any checksum is looked
// at, and pages of the database carry none. So the column holds it twice, which a
// changed byte does not survive; a span that is not sure counts as the largest that
// can be, so that nothing which may belong to the block is stepped over.
// Depends on log.h. Pure.
#ifndef EDDY_SRC_LOG_BLOCK_ROW_H_
#define EDDY_SRC_LOG_BLOCK_ROW_H_

#include <cstdint>
#include <string_view>

#include "src/log/log.h"

namespace eddy::log {

inline constexpr int kBlockPositionBits = 47;
inline constexpr uint64_t kPositionMax = (uint64_t{1} << (kBlockPositionBits + 2)) - 4;
inline constexpr LogId kLogIdMax = (1u << 16) - 2;

constexpr int64_t BlockId(LogId log, uint64_t position) {
  return static_cast<int64_t>((uint64_t{log} << kBlockPositionBits) | (position >> 2));
}

inline constexpr uint64_t kBlockSpanMax = uint64_t{kFrameBytesMax} + 1;

// In the column, and in the text of a query.
constexpr int64_t SpanColumn(int64_t span) { return span << 32 | span; }
#define EDDY_BLOCK_SPAN                                                              \
  "(CASE WHEN span >> 32 = span & 4294967295 AND span & 4294967295 BETWEEN 1 AND 67108864 " \
  "THEN span & 4294967295 ELSE 67108864 END)"
static_assert(kBlockSpanMax == 67108864, "the text above knows it");

constexpr LogId LogOf(int64_t id) { return static_cast<LogId>(id >> kBlockPositionBits); }
constexpr uint64_t FirstOf(int64_t id) {
  return (static_cast<uint64_t>(id) & ((uint64_t{1} << kBlockPositionBits) - 1)) << 2;
}

uint64_t BlockChecksum(std::string_view bytes, int64_t id, int64_t span);

// Sums of some blocks.
struct BlockSum {
  uint64_t blocks = 0;
  uint64_t frames = 0;
  uint64_t bytes = 0;  // as stored
};

// A row without its bytes.
struct BlockRow {
  int64_t id = 0;
  LogId log = 0;
  uint64_t first = 0;
  uint64_t end = 0;
  uint64_t frame_count = 0;
  uint64_t bytes = 0;  // as stored
  int64_t first_time_ms = 0;
  int64_t last_time_ms = 0;
  int64_t kept_ms = 0;
};

}  // namespace eddy::log

#endif  // EDDY_SRC_LOG_BLOCK_ROW_H_
