// Frames that nobody sees before they are committed: those too large for the
// intake, and those of a transaction. They lie on the heap until then, at positions
// of their own; what is appended meanwhile comes behind them and waits with them.
#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/log/segment_log.h"

namespace eddy::log {

absl::StatusOr<Appended> SegmentLog::AppendLarge(const FrameParts& parts,
                                                 absl::Duration timeout) {
  EDDY_RETURN_IF_ERROR(host_->CheckMayCommit());
  absl::MutexLock one_at_a_time(&large_mu_);
  std::vector<Appended> places;
  EDDY_RETURN_IF_ERROR(AppendHidden({parts}, &places));
  const Appended appended = places.front();
  const absl::Status committed = host_->WaitCommitted(id_, appended.end, timeout);
  bool removed = false;
  if (!committed.ok()) {
    host_->BetweenCommits([&] { removed = RemoveHidden(appended.position); });
  }
  NotifyHidden();
  if (removed) {
    return absl::UnavailableError(absl::StrCat(
        "log ", id_, ": a frame of ", appended.end - appended.position,
        " bytes was not committed, and is not accepted: ", committed.ToString()));
  }
  return appended;
}

absl::Status SegmentLog::AppendHidden(const std::vector<FrameParts>& frames,
                                      std::vector<Appended>* appended) {
  size_t bytes = 0;
  for (const FrameParts& parts : frames) bytes += AlignFrame(parts.Bytes());
  std::shared_ptr<char[]> heap(new char[bytes]());
  absl::MutexLock lock(&mu_);
  SealUnlessRoom(SIZE_MAX);
  Run run;
  run.first = next_position_;
  run.end = run.first + bytes;
  if (run.end > kPositionMax) return NoPositions();
  uint64_t ahead = refused_bytes_ + bytes;
  for (const Run& other : runs_) {
    if (other.hidden) ahead += other.end - other.first;
  }
  if (ahead > kAheadBytesMax) {
    return absl::ResourceExhaustedError(
        absl::StrCat("log ", id_, ": the disk has refused ", refused_bytes_,
                     " bytes of large frames; no more before it takes something"));
  }
  next_position_ = run.end;
  uint64_t at = run.first;
  for (const FrameParts& parts : frames) {
    char* const to = heap.get() + static_cast<size_t>(at - run.first);
    const uint32_t word0 = FillFrame(parts, at, intake_->salt(), to);
    std::memcpy(to, &word0, sizeof(word0));
    const uint64_t end = at + AlignFrame(parts.Bytes());
    appended->push_back({at, end});
    at = end;
  }
  run.sealed = true;
  // Not in the intake, so a killed process takes it along, and its positions may be
  // given again: nobody may have seen them before they are committed.
  run.hidden = true;
  run.heap = std::move(heap);
  runs_.push_back(std::move(run));
  has_work_.store(true, std::memory_order_release);
  return absl::OkStatus();
}

// False: it was committed after all.
bool SegmentLog::RemoveHidden(uint64_t first) {
  absl::MutexLock lock(&mu_);
  const auto run = std::find_if(runs_.begin(), runs_.end(), [&](const Run& r) {
    return r.hidden && r.first == first;
  });
  if (run == runs_.end()) return false;
  refused_bytes_ += run->end - run->first;
  refused_end_ = std::max(refused_end_, run->end);
  runs_.erase(run);
  // Also if nothing lies behind: what no table knows of as used up adds up to a limit
  // (AppendHidden), and a round that the disk takes sets it back.
  has_work_.store(true, std::memory_order_release);
  return true;
}

void SegmentLog::TakeBackHidden(uint64_t first) { RemoveHidden(first); }

void SegmentLog::NotifyHidden() {
  if (waiters_.load(std::memory_order_seq_cst) != 0) appended_.Notify();
}

}  // namespace eddy::log
