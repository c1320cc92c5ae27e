// BlockDraft: a run of frames on its way to a row: how it is made of what lies in the
// intake, and what is left of it once the frames that nobody needs any more are taken
// away. Depends on boot_clock.h, frame.h, log.h.
#ifndef EDDY_SRC_LOG_BLOCK_DRAFT_H_
#define EDDY_SRC_LOG_BLOCK_DRAFT_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "src/log/boot_clock.h"
#include "src/log/frame.h"
#include "src/log/log.h"

namespace eddy::log {

// A contiguous piece of a log, as the committer sees it in a cut.
struct CutRun {
  uint64_t first = 0;
  uint64_t end = 0;          // claimed up to here; exact if `sealed`
  bool sealed = false;
  const char* frames = nullptr;
};

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
  // Written before its round (early_writer.h): see BlockExtents::Adopt. 0: it is not.
  uint64_t early_ticket = 0;
  uint64_t early_checksum = 0;  // BlockChecksum

  // The next frame, its time repaired. Where it begins and ends the caller says.
  void Count(const FrameView& frame) {
    if (frame_count++ == 0) first_time_ms = frame.time_ms;
    last_time_ms = std::max(last_time_ms, frame.time_ms);
    time_trusted = time_trusted && frame.time_trusted;
    payload_bytes += frame.key.size() + frame.body.size();
  }
  std::string_view Frames() const { return {frames, static_cast<size_t>(end - first)}; }
};

// Appends what of the run is published, as drafts of at most `block_bytes_max`, a longer
// frame aside. For one that is not, the processor is given away `yields_max` times. Returns
// where what is published ends.
uint64_t DraftRun(LogId log, const CutRun& run, const BootStarts& starts,
                  uint64_t block_bytes_max, int yields_max, std::vector<BlockDraft>* drafts);

// Takes the frames that begin below `below` out of drafts that stand in
// order. Frames keep their positions: the first block that is left begins where
// its first frame does. True: some were taken.
// `starts`: of the log, to repair times with.
bool DropBelow(uint64_t below, const BootStarts& starts, std::vector<BlockDraft>* drafts);

uint64_t PayloadBytes(const std::vector<BlockDraft>& drafts);

}  // namespace eddy::log

#endif  // EDDY_SRC_LOG_BLOCK_DRAFT_H_
