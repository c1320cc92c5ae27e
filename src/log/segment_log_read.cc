// The reading side of SegmentLog: from the runs if they reach down to the
// position, else from the blocks.
#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/log/segment_log.h"

namespace eddy::log {
namespace {

uint32_t AcquireWord0(const char* frame) {
  return reinterpret_cast<const std::atomic<uint32_t>*>(frame)->load(
      std::memory_order_acquire);
}

// What most reads of few frames bring, without growing.
constexpr size_t kFramesReserved = 16;

// Steps over published frames in [frames, frames + size), the first of which
// is at offset `at`: the offset behind the frame, or 0 at the end.
size_t StepPublished(const char* frames, size_t size, size_t at) {
  if (at + kFrameHeaderBytes > size) return 0;
  const uint32_t word0 = AcquireWord0(frames + at);
  if (word0 == 0) return 0;
  const size_t next = at + AlignFrame(FrameSize(word0));
  EDDY_CHECK(next <= size);
  return next;
}

}  // namespace

// Gathers frames until the caller's limits are reached, and then looks at one
// more, to be able to say that there is more.
class SegmentLog::Collector {
 public:
  Collector(const SegmentLog& log, uint64_t position, const ReadOptions& options, uint64_t limit)
      : log_(log), options_(options), limit_(limit) {
    result_.next = position;
    result_.frames.reserve(std::min(options.frames_max, kFramesReserved));
  }

  bool full() const { return full_; }
  bool empty() const { return result_.frames.empty(); }
  uint64_t position() const { return result_.next; }
  uint64_t limit() const { return limit_; }
  void SkipTo(uint64_t position) { result_.next = std::max(result_.next, position); }
  size_t frames_left() const { return options_.frames_max - result_.frames.size() + 1; }
  size_t bytes_left() const {
    return options_.bytes_max > bytes_ ? options_.bytes_max - bytes_ : 0;
  }

  void Add(const FrameView& frame) {
    if (full_) return;
    if (frame.position >= limit_) {
      full_ = true;
      return;
    }
    const size_t bytes = static_cast<size_t>(frame.end - frame.position);
    if (result_.frames.size() >= options_.frames_max ||
        (!result_.frames.empty() && bytes_ + bytes > options_.bytes_max)) {
      full_ = true;
      result_.more = true;
      result_.next_time_ms = frame.time_ms;
      return;
    }
    result_.frames.push_back(frame);
    result_.next = frame.end;
    bytes_ += bytes;
  }

  // Notes what is missing at the position. With frames before it, it is the next
  // read's.
  void AddGap(const LogGap& gap) {
    if (!result_.frames.empty()) {
      full_ = true;
      result_.more = true;
      result_.next_time_ms = result_.frames.back().time_ms;
      return;
    }
    if (!result_.gap) {
      result_.gap = gap;
    } else {  // nothing readable lies between the two
      result_.gap->end = gap.end;
      result_.gap->frame_count += gap.frame_count;
    }
    result_.next = std::max(result_.next, gap.end);
  }

  // Adds the frames of `bytes` at or above the position. The first lies at
  // `first`. False: a frame does not parse. `place`: see Block.
  bool AddAll(std::string_view bytes, uint64_t first, std::shared_ptr<const void> pin,
              std::atomic<uint64_t>* place = nullptr) {
    const size_t before = result_.frames.size();
    // Relaxed: whatever is there begins a frame, and the bytes never change.
    const uint64_t known = place == nullptr ? 0 : place->load(std::memory_order_relaxed);
    const bool helps = known > first && known <= result_.next;
    size_t at = helps ? static_cast<size_t>(known - first) : 0;
    uint64_t last = first + at;
    while (at < bytes.size() && !full_) {
      FrameView frame;
      if (!ParseFrame(bytes.data() + at, bytes.size() - at, first + at, &frame)) return false;
      last = frame.position;
      if (frame.position >= result_.next) {
        log_.RepairTime(&frame);
        Add(frame);
      }
      at += static_cast<size_t>(frame.end - frame.position);
    }
    if (place != nullptr) place->store(last, std::memory_order_relaxed);
    if (result_.frames.size() > before) result_.pins.push_back(std::move(pin));
    return true;
  }

  // More is there, but not now. False: nothing has been found.
  bool EndForNow() {
    if (result_.frames.empty() && !result_.gap) return false;
    full_ = result_.more = true;
    if (!result_.frames.empty()) result_.next_time_ms = result_.frames.back().time_ms;
    return true;
  }

  ReadResult Take() { return std::move(result_); }

 private:
  const SegmentLog& log_;
  const ReadOptions options_;
  const uint64_t limit_;  // frames at or above are not for this caller
  ReadResult result_;
  size_t bytes_ = 0;
  bool full_ = false;
};

absl::StatusOr<ReadResult> SegmentLog::Read(uint64_t position, const ReadOptions& options) {
  const uint64_t limit = options.committed_only ? committed() : UINT64_MAX;
  Collector collector(*this, std::max(position, oldest()), options, limit);
  while (!collector.full() && collector.position() < limit) {
    if (AwaitsSalvage(collector.position())) {
      if (!collector.EndForNow()) return NotYetSalvaged();
      break;
    }
    uint64_t runs_first = 0;
    Found found = ReadRuns(&collector, &runs_first);
    if (found == Found::kInBlocks) {
      const absl::StatusOr<Found> in_blocks = ReadBlocks(&collector, runs_first);
      if (!in_blocks.ok()) {
        // What lies before a bad block is handed out first.
        if (!collector.empty()) break;
        return in_blocks.status();
      }
      found = *in_blocks;
    }
    if (found == Found::kNothing) break;
  }
  return collector.Take();
}

SegmentLog::Found SegmentLog::ReadRuns(Collector* collector, uint64_t* runs_first) {
  absl::ReaderMutexLock lock(&mu_);
  *runs_first = runs_.empty() ? UINT64_MAX : runs_.front().first;
  // Above the last block there is none to look for. Here, where no run can become one
  // in between (see Committed).
  if (collector->position() < *runs_first && collector->position() < stored_end()) {
    return Found::kInBlocks;
  }
  for (const Run& run : runs_) {
    if (run.sealed && run.end <= collector->position()) continue;
    if (run.hidden) return Found::kNothing;
    collector->SkipTo(run.first);
    const uint64_t first = FirstAtOrAbove(run, collector->position());
    collector->SkipTo(first);  // it may have lain within a frame
    if (run.sealed && first == run.end) continue;
    const uint64_t before = collector->position();
    if (run.heap != nullptr) {
      EDDY_CHECK(collector->AddAll({run.heap.get(), HeapBytes(run)}, run.first, run.heap));
    } else {
      CopyFromSegment(run, first, collector);
    }
    // Nothing taken: the frame there is still unpublished, and everything
    // behind it has to wait (L2).
    return collector->full() || collector->position() > before ? Found::kSome
                                                               : Found::kNothing;
  }
  return Found::kNothing;
}

uint64_t SegmentLog::FirstAtOrAbove(const Run& run, uint64_t position) const {
  const char* const frames = RunFrames(run);
  const size_t size = static_cast<size_t>(ClaimedEnd(run) - run.first);
  // A position that a reader got from us is a frame's; anything else (a user may
  // ask for any number) does not match and is walked to from the start.
  if (position > run.first && position % kFrameAlignment == 0 && run.heap == nullptr) {
    const size_t at = static_cast<size_t>(position - run.first);
    if (at == size) return position;
    if (at + kFrameHeaderBytes <= size && AcquireWord0(frames + at) != 0 &&
        FrameMatches(frames + at, size - at, position, intake_->salt())) {
      return position;
    }
  }
  size_t at = 0;
  while (run.first + at < position) {
    const size_t next = StepPublished(frames, size, at);
    if (next == 0) break;
    at = next;
  }
  return run.first + at;
}

void SegmentLog::CopyFromSegment(const Run& run, uint64_t first, Collector* collector) {
  const char* const frames = RunFrames(run);
  const size_t size = static_cast<size_t>(ClaimedEnd(run) - run.first);
  const size_t from = static_cast<size_t>(first - run.first);
  size_t to = from;
  for (size_t count = 0; count < collector->frames_left(); ++count) {
    const size_t next = StepPublished(frames, size, to);
    if (next == 0) break;
    const bool enough = to > from && to - from > collector->bytes_left();
    to = next;
    if (enough) break;
  }
  if (to == from) return;
  // Copied, because the committer gives the segment back when it is committed,
  // however long the caller keeps what it has read.
  std::shared_ptr<char[]> copy(new char[to - from]);
  std::memcpy(copy.get(), frames + from, to - from);
  EDDY_CHECK(collector->AddAll({copy.get(), to - from}, first, copy));
}

absl::StatusOr<SegmentLog::Found> SegmentLog::ReadBlocks(Collector* collector,
                                                         uint64_t runs_first) {
  // No block reaches beyond, and all below it is in a block that the look sees:
  // noted before the look.
  const uint64_t bound = std::min(runs_first, committed());
  const uint64_t salvage_at = salvage_at_.load(std::memory_order_acquire);
  EDDY_ASSIGN_OR_RETURN(const std::shared_ptr<const Block> block,
                        blocks_->Find(id_, collector->position()));
  // The end of a damaged block is what its row says, if not the most that can be. It
  // is not to be believed beyond what was written.
  if (collector->position() < salvage_at && salvage_at < salvage_end_ &&
      (block == nullptr || block->first >= salvage_at)) {
    collector->SkipTo(salvage_at);  // what comes next is not there yet
    return Found::kSome;
  }
  const bool damaged = block != nullptr && !block->damage.ok();
  if (block != nullptr && !(damaged && collector->position() >= bound)) {
    if (damaged) {
      const uint64_t first = std::max(collector->position(), block->first);
      const uint64_t end = std::max(std::min(block->end, bound), first + kFrameAlignment);
      collector->AddGap({first, end, block->frame_count, GapReason::kDamaged});
      return Found::kSome;
    }
    const uint64_t before = collector->position();
    collector->SkipTo(block->first);
    if (!collector->AddAll(block->frames, block->first, block, &block->place)) {
      return absl::DataLossError("a block with a right checksum holds no whole frames");
    }
    // Behind the block's last frame, if the position lay within that.
    if (!collector->full() && collector->position() == before) collector->SkipTo(block->end);
    return Found::kSome;
  }
  // Nothing stored from here on: what there is lies in the runs, perhaps behind
  // positions that nothing was ever written to. Where the runs began before the
  // look at the blocks: one that was committed meanwhile is not to be skipped.
  if (runs_first == UINT64_MAX) return Found::kNothing;
  collector->SkipTo(runs_first);
  return Found::kSome;
}

absl::Status SegmentLog::NotYetSalvaged() const {
  const uint64_t at = std::min(salvage_at_.load(std::memory_order_acquire), salvage_end_);
  const uint64_t all = std::max<uint64_t>(salvage_end_ - salvage_begin_, 1);
  return absl::UnavailableError(absl::StrCat(
      "log ", id_, ": being salvaged out of a damaged database, ",
      100 * ((at - salvage_begin_) / 128) / std::max<uint64_t>(all / 128, 1),
      " % done; try again"));
}

bool SegmentLog::FrameIsReadable(uint64_t position) {
  if (blocks_end_.load(std::memory_order_acquire) > position) return true;
  absl::ReaderMutexLock lock(&mu_);
  // Again, where Committed() cannot come in between: a frame published before a
  // waiter counted itself may have left the runs since the look above, and
  // nobody would notify the waiter of it.
  if (blocks_end_.load(std::memory_order_acquire) > position) return true;
  for (const Run& run : runs_) {
    if (run.sealed && run.end <= position) continue;
    if (run.hidden) return false;
    const uint64_t first = FirstAtOrAbove(run, std::max(position, run.first));
    if (run.sealed && first == run.end) continue;
    const size_t at = static_cast<size_t>(first - run.first);
    const size_t size = static_cast<size_t>(ClaimedEnd(run) - run.first);
    // Sequentially consistent, as the publisher's exchange: see waiters_.
    return first >= position && at + kFrameHeaderBytes <= size &&
           reinterpret_cast<const std::atomic<uint32_t>*>(RunFrames(run) + at)
                   ->load(std::memory_order_seq_cst) != 0;
  }
  return false;
}

// Of runs that are sealed, as those before a hidden one are.
bool SegmentLog::PublishedBelow(uint64_t end) const {
  const uint64_t committed = this->committed();
  absl::ReaderMutexLock lock(&mu_);
  for (const Run& run : runs_) {
    if (run.first >= end) break;
    if (run.heap != nullptr) continue;
    EDDY_CHECK(run.sealed);
    const size_t size = static_cast<size_t>(run.end - run.first);
    size_t at = committed > run.first ? static_cast<size_t>(committed - run.first) : 0;
    while (at < size) {
      at = StepPublished(RunFrames(run), size, at);
      if (at == 0) return false;
    }
  }
  return true;
}

bool SegmentLog::WaitForFrame(uint64_t position, absl::Duration timeout) {
  if (FrameIsReadable(position)) return true;
  const absl::Duration deadline = clock_->SinceBoot() + timeout;
  // Counted before the second look: see waiters_.
  waiters_.fetch_add(1, std::memory_order_seq_cst);
  bool readable = false;
  for (bool in_time = true; in_time && !readable;) {
    const uint64_t seen = appended_.Epoch();
    readable = FrameIsReadable(position);
    // A notification may be for a frame behind one still unpublished.
    if (!readable) in_time = appended_.Wait(seen, deadline - clock_->SinceBoot());
  }
  waiters_.fetch_sub(1, std::memory_order_seq_cst);
  return readable || FrameIsReadable(position);
}

absl::StatusOr<std::shared_ptr<const Block>> SegmentLog::FindBlock(int64_t time_ms) {
  // Boot by boot: what its guesses are wrong by is not in the rows. A clock that was ahead
  // makes them too late, which costs a look at frames.
  for (size_t i = 0; i <= boot_starts_.size(); ++i) {
    const uint64_t first = i == 0 ? 0 : boot_starts_[i - 1].first;
    const uint64_t end = i == boot_starts_.size() ? UINT64_MAX : boot_starts_[i].first;
    const BootOffset* const offset = i == 0 ? nullptr : boot_starts_[i - 1].second;
    const int64_t ms =
        offset == nullptr ? BootOffset::kUnknown : offset->ms.load(std::memory_order_relaxed);
    const int64_t behind = std::max<int64_t>(ms, 0);  // unknown is far below
    const int64_t guessed = time_ms < INT64_MIN + behind ? INT64_MIN : time_ms - behind;
    EDDY_ASSIGN_OR_RETURN(std::shared_ptr<const Block> block,
                          blocks_->FindTime(id_, first, end, time_ms, guessed));
    if (block != nullptr) return block;
  }
  return std::shared_ptr<const Block>();
}

absl::StatusOr<uint64_t> SegmentLog::FindTime(int64_t time_ms) {
  // Noted before the look: a commit that ends meanwhile moves frames into a block
  // that the look does not see.
  const uint64_t behind_blocks = committed();
  EDDY_ASSIGN_OR_RETURN(const std::shared_ptr<const Block> block, FindBlock(time_ms));
  const uint64_t salvage_at = salvage_at_.load(std::memory_order_acquire);
  if (salvage_at < salvage_end_ && (block == nullptr || block->first >= salvage_at)) {
    return NotYetSalvaged();
  }
  uint64_t position = block != nullptr ? block->first : behind_blocks;
  position = std::max(position, oldest());
  for (;;) {
    EDDY_ASSIGN_OR_RETURN(const ReadResult result, Read(position, {}));
    for (const FrameView& frame : result.frames) {
      if (frame.time_ms >= time_ms) return frame.position;
    }
    position = result.next;
    // Not the tail: a frame that is being published below it may be the one.
    if (result.frames.empty()) return position;
  }
}

}  // namespace eddy::log
