#include "src/log/block_draft.h"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <thread>

#include "src/base/status.h"
#include "src/log/frame.h"

namespace eddy::log {

uint64_t DraftRun(LogId log, const CutRun& run, const BootStarts& starts,
                  uint64_t block_bytes_max, int yields_max, std::vector<BlockDraft>* drafts) {
  BlockDraft draft;
  const size_t size = static_cast<size_t>(run.end - run.first);
  size_t at = 0;
  const auto finish = [&] {
    if (draft.frame_count > 0) drafts->push_back(draft);
    draft = BlockDraft();
    draft.log = log;
    draft.first = draft.end = run.first + at;
    draft.frames = run.frames + at;
  };
  finish();
  int yields = 0;
  while (at + kFrameHeaderBytes <= size) {
    const uint32_t word0 =
        reinterpret_cast<const std::atomic<uint32_t>*>(run.frames + at)
            ->load(std::memory_order_acquire);
    if (word0 == 0) {
      if (++yields > yields_max) break;
      std::this_thread::yield();
      continue;
    }
    FrameView frame;
    EDDY_CHECK(ParseFrame(run.frames + at, size - at, run.first + at, &frame));
    if (draft.frame_count > 0 && frame.end - draft.first > block_bytes_max) finish();
    RepairTime(starts, &frame);
    draft.Count(frame);
    draft.last = frame.position;
    at += static_cast<size_t>(frame.end - frame.position);
    draft.end = frame.end;
  }
  finish();
  return run.first + at;
}

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
      if (rest.frame_count == 0) {
        rest.first = at;
        rest.frames = bytes;
      }
      rest.Count(frame);
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
