// The appending side of SegmentLog, and what the committer sees. Reading is in
// segment_log_read.cc, what is hidden until its commit in segment_log_hidden.cc.
#include "src/log/segment_log.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/base/attributes.h"
#include "absl/base/optimization.h"
#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/log/segment_tail.h"

namespace eddy::log {
SegmentLog::SegmentLog(LogId id, uint64_t oldest, uint64_t end, uint64_t blocks_end,
                       Intake* intake, BlockStore* blocks, LogHost* host, Clock* clock)
    : id_(id),
      intake_(intake),
      blocks_(blocks),
      host_(host),
      clock_(clock),
      tail_(kNoTail),
      committed_(end),
      blocks_end_(blocks_end),
      oldest_(oldest),
      appended_(clock),
      known_end_(end),
      next_position_(end) {
  static_assert(std::atomic<uint64_t>::is_always_lock_free,
                "the intake needs lock-free 64-bit atomics");
}

inline Appended SegmentLog::Publish(const FrameParts& parts, const Claim& claim) {
  const uint32_t word0 = FillFrame(parts, claim.position, intake_->salt(), claim.at);
  // An exchange, not a release store: it must not be reordered with the load of
  // waiters_ below (see there). Paired with the acquire loads of readers and
  // the committer.
  Word0(claim.at)->exchange(word0, std::memory_order_seq_cst);
  if (waiters_.load(std::memory_order_seq_cst) != 0) appended_.Notify();
  return {claim.position, claim.position + AlignFrame(parts.Bytes())};
}

absl::StatusOr<Appended> SegmentLog::TryAppend(const FrameParts& parts) {
  EDDY_CHECK(parts.kind <= kFrameKindMax && parts.key.size() <= kFrameKeyBytesMax);
  const size_t bytes = AlignFrame(parts.Bytes());
  Claim claim;
  if (ABSL_PREDICT_TRUE(bytes <= InlineBytesMax(intake_->geometry()) &&
                        TryClaim(bytes, &claim))) {
    return Publish(parts, claim);
  }
  return TryAppendSlow(parts, bytes);
}

// With a segment to be taken first; apart, to keep the usual path short.
ABSL_ATTRIBUTE_NOINLINE absl::StatusOr<Appended> SegmentLog::TryAppendSlow(
    const FrameParts& parts, size_t bytes) {
  if (bytes > InlineBytesMax(intake_->geometry())) {
    return absl::InvalidArgumentError(
        absl::StrCat("log ", id_, ": a frame of ", bytes, " bytes cannot be appended without a ",
                     "commit; at most ", InlineBytesMax(intake_->geometry()), " can"));
  }
  Claim claim;
  while (!TryClaim(bytes, &claim)) {
    const Room room = Rotate(bytes);
    if (room == Room::kNoPositions) return NoPositions();
    if (room == Room::kNone) {
      return absl::ResourceExhaustedError(
          absl::StrCat("log ", id_, ": the intake is full (",
                       intake_->geometry().segment_count, " segments of ",
                       intake_->geometry().segment_bytes, " bytes wait for the disk)"));
    }
  }
  return Publish(parts, claim);
}

absl::Status SegmentLog::NoPositions() const {
  return absl::FailedPreconditionError(
      absl::StrCat("log ", id_, ": its positions are used up; the last is ", kPositionMax));
}

absl::StatusOr<Appended> SegmentLog::Append(const FrameParts& parts, absl::Duration timeout) {
  const size_t bytes = AlignFrame(parts.Bytes());
  Claim claim;
  if (ABSL_PREDICT_TRUE(bytes <= InlineBytesMax(intake_->geometry()) &&
                        TryClaim(bytes, &claim))) {
    const Appended appended = Publish(parts, claim);
    // Here and not in TryAppend, whose callers hold locks.
    if (ABSL_PREDICT_FALSE(claim.may_rest)) Rest(claim.position, bytes);
    return appended;
  }
  return AppendSlow(parts, timeout);
}

ABSL_ATTRIBUTE_NOINLINE void SegmentLog::Rest(uint64_t position, size_t bytes) {
  turns_.Rest(tail_, position, bytes);
}

ABSL_ATTRIBUTE_NOINLINE absl::StatusOr<Appended> SegmentLog::AppendSlow(
    const FrameParts& parts, absl::Duration timeout) {
  if (parts.Bytes() > kFrameBytesMax - kFrameAlignment) {
    return absl::InvalidArgumentError(absl::StrCat("log ", id_, ": a frame of ", parts.Bytes(),
                                                   " bytes is above ", kFrameBytesMax));
  }
  if (AlignFrame(parts.Bytes()) > InlineBytesMax(intake_->geometry())) {
    return AppendLarge(parts, timeout);
  }
  absl::StatusOr<Appended> appended = TryAppend(parts);
  if (appended.ok()) return appended;
  const absl::Duration deadline = clock_->SinceBoot() + timeout;
  while (!appended.ok() && absl::IsResourceExhausted(appended.status())) {
    EDDY_RETURN_IF_ERROR(host_->WaitForRoom(deadline - clock_->SinceBoot()));
    appended = TryAppend(parts);
  }
  return appended;
}

bool SegmentLog::NoCrosserPending() const {
  const uint64_t tail = tail_.load(std::memory_order_acquire);
  return Index(tail) == kNoSegment || Offset(tail) <= intake_->geometry().segment_bytes;
}

uint64_t SegmentLog::SettledTail() const {
  for (;;) {
    if (!NoCrosserPending()) mu_.Await(absl::Condition(this, &SegmentLog::NoCrosserPending));
    const uint64_t tail = tail_.load(std::memory_order_acquire);
    if (Index(tail) == kNoSegment || Offset(tail) <= intake_->geometry().segment_bytes) {
      return tail;
    }
  }
}

void SegmentLog::SetSealed(uint64_t offset) {
  Run& run = runs_.back();
  EDDY_CHECK(run.segment != kNoSegment && !run.sealed);
  run.end = run.first + (offset - kSegmentHeaderBytes);
  run.sealed = true;
  next_position_ = run.end;
}

void SegmentLog::SealCrossed(uint64_t offset) {
  absl::MutexLock lock(&mu_);
  SetSealed(offset);
  tail_.store(kNoTail, std::memory_order_release);
}

bool SegmentLog::SealUnlessRoom(size_t bytes) {
  uint64_t tail = SettledTail();
  for (;;) {
    if (Index(tail) == kNoSegment) return true;
    const uint64_t offset = Offset(tail);
    const uint64_t segment_bytes = intake_->geometry().segment_bytes;
    if (offset > segment_bytes) {  // a crosser came after the look above
      tail = SettledTail();
      continue;
    }
    if (bytes <= segment_bytes && offset + bytes <= segment_bytes) return false;
    if (tail_.compare_exchange_weak(tail, kNoTail, std::memory_order_acq_rel)) {
      SetSealed(offset);
      return true;
    }
  }
}

SegmentLog::Room SegmentLog::Rotate(size_t bytes) {
  {
    absl::MutexLock lock(&mu_);
    if (!SealUnlessRoom(bytes)) return Room::kRetry;
    const uint64_t first = next_position_;
    if (first + intake_->geometry().segment_bytes > kPositionMax) return Room::kNoPositions;
    const uint32_t segment = intake_->Take(id_, first);
    if (segment == kNoSegment) return Room::kNone;
    Run run;
    run.first = first;
    run.segment = segment;
    runs_.push_back(std::move(run));
    has_work_.store(true, std::memory_order_release);
    // Publishes the segment's header and zeros to the claimers' fetch_add.
    tail_.store((uint64_t{segment} << kIndexShift) | kSegmentHeaderBytes,
                std::memory_order_release);
  }
  host_->OnSealed(intake_->geometry().segment_bytes);
  return Room::kRetry;
}

absl::Status SegmentLog::Trim(uint64_t before) {
  const uint64_t bounded = std::min(before, committed());
  absl::MutexLock lock(&mu_);
  if (stored_end() <= oldest()) {  // no block is left, and none comes below committed()
    oldest_.store(std::max(oldest(), bounded), std::memory_order_release);
    return absl::OkStatus();
  }
  if (bounded > oldest() && bounded > trim_before_) {
    trim_before_ = bounded;
    has_work_.store(true, std::memory_order_release);
  }
  return absl::OkStatus();
}

uint64_t SegmentLog::tail() const {
  absl::ReaderMutexLock lock(&mu_);
  const uint64_t tail = SettledTail();
  return runs_.empty() ? next_position_
                       : std::max(next_position_, ClaimedEnd(runs_.back(), tail));
}

uint64_t SegmentLog::PendingEnd() const {
  absl::ReaderMutexLock lock(&mu_);
  const uint64_t tail = SettledTail();
  return runs_.empty() ? committed() : ClaimedEnd(runs_.back(), tail);
}

uint64_t SegmentLog::ClaimedEnd(const Run& run) const {
  return ClaimedEnd(run, tail_.load(std::memory_order_acquire));
}

uint64_t SegmentLog::ClaimedEnd(const Run& run, uint64_t tail) const {
  if (run.sealed) return run.end;
  const uint64_t segment_bytes = intake_->geometry().segment_bytes;
  return run.first + (std::min(Offset(tail), segment_bytes) - kSegmentHeaderBytes);
}

const char* SegmentLog::RunFrames(const Run& run) const {
  return run.heap != nullptr ? run.heap.get()
                             : intake_->data(run.segment) + kSegmentHeaderBytes;
}

void SegmentLog::Restore(uint64_t first, std::string frames) {
  // Not copied: megabytes of memory that was never touched are most of a recovery. What a
  // string holds within itself would not be aligned: that is short, and grows.
  frames.reserve(64);
  const auto owner = std::make_shared<std::string>(std::move(frames));
  absl::MutexLock lock(&mu_);
  Run run;
  run.first = first;
  run.end = first + owner->size();
  run.sealed = true;
  run.heap = std::shared_ptr<const char[]>(owner, owner->data());
  next_position_ = run.end;
  runs_.push_back(std::move(run));
  has_work_.store(true, std::memory_order_release);
}

void SegmentLog::SetDiscard(std::function<uint64_t()> below) {
  absl::MutexLock lock(&mu_);
  discard_below_ = std::move(below);
  discards_.store(discard_below_ != nullptr, std::memory_order_release);
}

void SegmentLog::SetHold(absl::Duration hold) {
  absl::MutexLock lock(&mu_);
  hold_ = hold;
}

bool SegmentLog::Holds() const {
  absl::ReaderMutexLock lock(&mu_);
  return hold_ > absl::ZeroDuration();
}

bool SegmentLog::IsDue(absl::Duration now, const LogCut& cut, uint64_t from) {
  // While the mark has not passed all that was written there is no hope for more.
  const bool behind = written_ != 0 && cut.discard_below <= written_;
  const uint64_t mark = behind ? cut.discard_below : from;
  return waits_.IsDue(now, cut.hold, mark, cut.claimed_end) || IsWanted();
}

LogCut SegmentLog::Cut() {
  LogCut cut;
  const uint64_t committed = this->committed();
  cut.discards = discards_.load(std::memory_order_acquire);
  if (cut.discards) {
    std::function<uint64_t()> discard_below;
    {
      absl::ReaderMutexLock lock(&mu_);
      discard_below = discard_below_;
    }
    // Unlocked: it takes the lock of a view, which comes before ours.
    cut.discards = discard_below != nullptr;
    if (cut.discards) cut.discard_below = discard_below();
  }
  absl::ReaderMutexLock lock(&mu_);
  const uint64_t tail = SettledTail();
  for (const Run& run : runs_) {
    CutRun piece;
    piece.end = ClaimedEnd(run, tail);
    piece.first = std::max(run.first, std::min(committed, piece.end));
    piece.sealed = run.sealed;
    piece.frames = RunFrames(run) + (piece.first - run.first);
    cut.runs.push_back(piece);
  }
  cut.trim_before = trim_before_;
  // Positions that refused frames have used up lie below it too.
  cut.claimed_end = cut.runs.empty() ? next_position_ : cut.runs.back().end;
  cut.hold = hold_;
  cut.bound = bound_end_ > committed;
  return cut;
}

std::optional<CutRun> SegmentLog::SealedRun(uint64_t from) const {
  absl::ReaderMutexLock lock(&mu_);
  for (const Run& run : runs_) {
    if (!run.sealed || run.segment == kNoSegment || run.end <= from) continue;
    const uint64_t first = std::max(run.first, from);
    return CutRun{first, run.end, true, RunFrames(run) + (first - run.first)};
  }
  return std::nullopt;
}

void SegmentLog::JumpTo(uint64_t position) {
  absl::MutexLock lock(&mu_);
  EDDY_CHECK(runs_.empty() && position >= next_position_);
  next_position_ = position;
  known_end_ = position;
  committed_.store(position, std::memory_order_release);
}

void SegmentLog::SetSalvage(uint64_t at, uint64_t end) {
  salvage_begin_ = at;
  salvage_end_ = end;
  salvage_at_.store(at, std::memory_order_release);
  // Readers below it look into the blocks, trims wait for them.
  blocks_end_.store(std::max(end, stored_end()), std::memory_order_release);
}

void SegmentLog::TellSalvaged(const BlockDraft& block) {
  if (!salvage_came_) return;
  std::vector<BlockDraft> above = {block};
  DropBelow(salvage_mark_(), boot_starts_, &above);
  if (!above.empty()) salvage_came_(above.front().frame_count);
}

void SegmentLog::SetSalvaged(uint64_t at) {
  salvage_at_.store(at, std::memory_order_release);
  appended_.Notify();
}

void SegmentLog::EndSalvage(uint64_t stored_end) {
  {
    absl::MutexLock lock(&mu_);
    if (blocks_end_.load(std::memory_order_relaxed) == salvage_end_) {
      blocks_end_.store(stored_end, std::memory_order_release);
    }
  }
  salvage_at_.store(UINT64_MAX, std::memory_order_release);
  appended_.Notify();
}

void SegmentLog::SetKnown(uint64_t end, uint64_t reserved) {
  known_end_ = std::max(known_end_, end);
  reserved_ = std::max(reserved_, reserved);
}

void SegmentLog::Want(uint64_t end) {
  uint64_t wanted = wanted_.load(std::memory_order_relaxed);
  while (wanted < end && !wanted_.compare_exchange_weak(wanted, end, std::memory_order_release,
                                                        std::memory_order_relaxed)) {
  }
}

void SegmentLog::Bind(uint64_t end) {
  absl::MutexLock lock(&mu_);
  bound_end_ = std::max(bound_end_, end);
}

bool SegmentLog::TrimPending() const {
  absl::ReaderMutexLock lock(&mu_);
  return trim_before_ != 0;
}

void SegmentLog::Committed(uint64_t end, uint64_t frames_end, uint64_t trimmed_before) {
  std::vector<uint32_t> done;
  {
    absl::MutexLock lock(&mu_);
    EDDY_CHECK(end <= reach());  // L4
    if (frames_end != 0) {
      // Not below what is still to be salvaged.
      blocks_end_.store(std::max(frames_end, AwaitsSalvage(salvage_end_ - 1) ? salvage_end_ : 0),
                        std::memory_order_release);
    }
    committed_.store(std::max(end, committed()), std::memory_order_release);
    if (committed() >= refused_end_) refused_bytes_ = 0;
    while (!runs_.empty() && runs_.front().sealed && runs_.front().end <= end) {
      if (runs_.front().segment != kNoSegment) done.push_back(runs_.front().segment);
      runs_.pop_front();
    }
    if (trimmed_before != 0) {
      oldest_.store(std::max(oldest(), trimmed_before), std::memory_order_release);
      if (trim_before_ == trimmed_before) trim_before_ = 0;
    }
    has_work_.store(!runs_.empty() || trim_before_ != 0 || refused_bytes_ != 0,
                    std::memory_order_release);
  }
  for (const uint32_t segment : done) intake_->Give(segment);
}

void SegmentLog::Drop(const GapPiece& gap) {
  gaps().Add(gap, gap.end);  // first: who finds nothing must find this
  absl::MutexLock lock(&mu_);
  oldest_.store(std::max(oldest(), gap.end), std::memory_order_release);
}

void SegmentLog::SealActive() {
  absl::MutexLock lock(&mu_);
  SealUnlessRoom(SIZE_MAX);
}

bool SegmentLog::HasActiveSegment() const {
  return Index(tail_.load(std::memory_order_relaxed)) != kNoSegment;
}

bool SegmentLog::QuietSinceLastLook() {
  const uint64_t tail = tail_.load(std::memory_order_relaxed);
  return std::exchange(last_tail_seen_, tail) == tail;
}

}  // namespace eddy::log
