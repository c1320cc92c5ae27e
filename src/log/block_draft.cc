#include "src/log/block_draft.h"

#include <algorithm>
#include <cstddef>

#include "src/base/status.h"
#include "src/log/frame.h"

namespace eddy::log {

bool DropBelow(uint64_t below, const BootStarts& starts, std::vector<BlockDraft>* drafts) {
  const auto kept = std::find_if(drafts->begin(), drafts->end(), [below](const BlockDraft& draft) {
    return draft.end > below;
  });
  const bool dropped = kept != drafts->begin();
  drafts->erase(drafts->begin(), kept);
  if (drafts->empty() || drafts->front().first >= below) return dropped;

  // The mark lies in this one. Its arrival times are found anew from what stays.
  BlockDraft& old = drafts->front();
  BlockDraft rest;
  rest.log = old.log;
  rest.end = old.end;
  rest.last = old.last;
  for (uint64_t at = old.first; at < old.end;) {
    const char* const bytes = old.frames + (at - old.first);
    FrameView frame;
    EDDY_CHECK(ParseFrame(bytes, static_cast<size_t>(old.end - at), at, &frame));
    if (frame.position >= below) {
      RepairTime(starts, &frame);
      if (rest.frame_count++ == 0) {
        rest.first = at;
        rest.frames = bytes;
        rest.first_time_ms = frame.time_ms;
      }
      rest.time_trusted = rest.time_trusted && frame.time_trusted;
      rest.payload_bytes += frame.key.size() + frame.body.size();
      rest.last_time_ms = std::max(rest.last_time_ms, frame.time_ms);
    }
    at = frame.end;
  }
  if (rest.frame_count == 0) {  // it lies in the last frame
    drafts->erase(drafts->begin());
  } else {
    old = rest;
  }
  return true;
}

uint64_t PayloadBytes(const std::vector<BlockDraft>& drafts) {
  uint64_t bytes = 0;
  for (const BlockDraft& draft : drafts) bytes += draft.payload_bytes;
  return bytes;
}

}  // namespace eddy::log
