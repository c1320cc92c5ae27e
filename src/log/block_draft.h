// BlockDraft: a run of frames on its way to a row, and what is left of it once
// the frames that nobody needs any more are taken away. Pure. Depends on
// boot_clock.h, log.h.
#ifndef EDDY_SRC_LOG_BLOCK_DRAFT_H_
#define EDDY_SRC_LOG_BLOCK_DRAFT_H_

#include <cstdint>
#include <vector>

#include "src/log/boot_clock.h"
#include "src/log/log.h"

namespace eddy::log {

// A run of frames on its way to a row.
struct BlockDraft {
  LogId log = 0;
  uint64_t first = 0;
  uint64_t end = 0;
  uint64_t last = 0;           // where the last frame begins
  const char* frames = nullptr;
  uint64_t frame_count = 0;
  uint64_t payload_bytes = 0;  // keys and bodies
  int64_t first_time_ms = 0;
  int64_t last_time_ms = 0;    // the latest
  bool time_trusted = true;    // of all frames
};

// Takes the frames that begin below `below` out of drafts that stand in
// order. Frames keep their positions: the first block that is left begins where
// its first frame does. True: some were taken.
// `starts`: of the log, to repair times with.
bool DropBelow(uint64_t below, const BootStarts& starts, std::vector<BlockDraft>* drafts);

uint64_t PayloadBytes(const std::vector<BlockDraft>& drafts);

}  // namespace eddy::log

#endif  // EDDY_SRC_LOG_BLOCK_DRAFT_H_
