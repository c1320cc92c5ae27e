// Appending several frames at once: one claim for all that fit into the active
// segment, filled and published one after the other.
//
// A reader sees the first as soon as it is published; to it, and to the committer,
// the rest is what several claims of one producer would be. A process that dies in
// between leaves the rest as a hole, which recovery steps over.
#include <algorithm>

#include "src/base/status.h"
#include "src/log/segment_log.h"
#include "src/log/segment_tail.h"

namespace eddy::log {

absl::StatusOr<size_t> SegmentLog::AppendBatch(const FrameParts* frames, size_t count,
                                               absl::Duration timeout, Appended* appended) {
  // Relaxed: a guess. If the tail has moved on meanwhile the claim may fail, and
  // with it at most what the guess left in the segment is lost.
  const uint64_t offset = Offset(tail_.load(std::memory_order_relaxed));
  const uint64_t segment_bytes = intake_->geometry().segment_bytes;
  const uint64_t left = segment_bytes - std::min(offset, segment_bytes);
  size_t bytes = 0;
  size_t fitting = 0;
  while (fitting < count) {
    EDDY_CHECK(frames[fitting].kind <= kFrameKindMax &&
               frames[fitting].key.size() <= kFrameKeyBytesMax);
    const size_t next = AlignFrame(frames[fitting].Bytes());
    if (next > InlineBytesMax(intake_->geometry()) || bytes + next > left) break;
    bytes += next;
    ++fitting;
  }
  Claim claim;
  if (fitting < 2 || !TryClaim(bytes, &claim)) {
    // With a segment to be taken, or a large frame: one at a time.
    absl::StatusOr<Appended> one = Append(frames[0], timeout);
    if (!one.ok()) return one.status();
    appended[0] = *one;
    return size_t{1};
  }
  for (size_t i = 0; i < fitting; ++i) {
    const size_t size = AlignFrame(frames[i].Bytes());
    const uint32_t word0 = FillFrame(frames[i], claim.position, intake_->salt(), claim.at);
    // Each an exchange, as in Publish: a waiter may wait for any of them.
    Word0(claim.at)->exchange(word0, std::memory_order_seq_cst);
    appended[i] = {claim.position, claim.position + size};
    claim.at += size;
    claim.position += size;
  }
  if (waiters_.load(std::memory_order_seq_cst) != 0) appended_.Notify();
  return fitting;
}

}  // namespace eddy::log
