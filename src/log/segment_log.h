// SegmentLog: the log itself - lock-free appends into segments of the intake,
// and what readers and the committer see of them.
//
// One 64-bit word, the tail, names the active segment and how much of it is
// claimed:
//
//     tail = segment index (16 bits) | offset in it (48 bits)
//
//   claim    fetch_add the frame's length. Below the segment's end the space is
//            ours: nobody else can claim it, and the segment cannot be given
//            back before our frame is published.
//   fill     copy the frame.
//   publish  exchange word 0.
//
// Who collides with others there lets them go first for a while: turns.h.
//
// When a claim crosses the end, the crosser *seals* the segment (records where
// its frames end, takes the tail away) under mu_; then anybody installs the
// next segment, whose first position is the sealed one's end: positions are
// contiguous. The committer may seal too, by compare-exchange, to take the
// segment of a quiet log back.
//
// The frames of a log, in order, lie in *runs*: sealed segments, the active
// one, and pieces of heap (recovered frames, and frames too large for a
// segment). A run leaves the list, under mu_, once it is committed as a whole.
//
// Depends on log.h, intake.h, block_store.h, runtime/.
#ifndef EDDY_SRC_LOG_SEGMENT_LOG_H_
#define EDDY_SRC_LOG_SEGMENT_LOG_H_

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "src/log/block_draft.h"
#include "src/log/block_store.h"
#include "src/log/boot_clock.h"
#include "src/log/hold.h"
#include "src/log/intake.h"
#include "src/log/log.h"
#include "src/log/segment_tail.h"
#include "src/log/turns.h"
#include "src/runtime/signal.h"

namespace eddy::log {

// How many positions are reserved beyond the end where a log goes on without
// being written: at 200 KB/s one small write in five minutes. After a power cut as
// many are skipped, which a log can bear some millions of times.
inline constexpr uint64_t kReserveBytes = uint64_t{64} << 20;

// What a log asks of the engine above it.
class LogHost {
 public:
  virtual ~LogHost() = default;
  virtual absl::Status WaitForRoom(absl::Duration timeout) = 0;
  virtual absl::Status WaitCommitted(LogId log, uint64_t end, absl::Duration timeout) = 0;
  // A segment was filled: a commit may be due. Never blocks.
  virtual void OnSealed(size_t bytes) = 0;
  // Runs `work` while no commit is under way.
  virtual void BetweenCommits(const std::function<void()>& work) = 0;
  //   kFailedPrecondition   the calling thread keeps commits from happening.
  virtual absl::Status CheckMayCommit() const = 0;
};

// How far the positions of a log may run ahead of its committed end, beside what
// the intake holds: hidden frames (a large one, a transaction's) and those that the
// disk has refused before them. After a death the log goes on beyond all that this
// allows (JumpPositions).
inline constexpr uint64_t kAheadBytesMax = kFrameBytesMax + 1;

struct LogCut {
  std::vector<CutRun> runs;
  uint64_t trim_before = 0;  // 0: nothing to trim
  uint64_t discard_below = 0;  // what begins below need not be written
  uint64_t claimed_end = 0;
  bool discards = false;       // SetDiscard is in force
  bool bound = false;          // some of it is to be committed with the views' state only
  absl::Duration hold;         // as SetHold has it
};

// Threads: safe. Lock order: mu_ is the last lock; nothing is called under it
// but the intake's pool.
class SegmentLog final : public Log {
 public:
  // `end`: where the next frame goes; all below is committed. `blocks_end`: where
  // the last block ends, which lies below that after a jump of the positions.
  SegmentLog(LogId id, uint64_t oldest, uint64_t end, uint64_t blocks_end, Intake* intake,
             BlockStore* blocks, LogHost* host, Clock* clock);

  LogId id() const override { return id_; }
  absl::StatusOr<Appended> Append(const FrameParts& parts, absl::Duration timeout) override;
  absl::StatusOr<Appended> TryAppend(const FrameParts& parts) override;
  absl::StatusOr<size_t> AppendBatch(const FrameParts* frames, size_t count,
                                     absl::Duration timeout, Appended* appended) override;
  absl::StatusOr<ReadResult> Read(uint64_t position, const ReadOptions& options) override;
  bool WaitForFrame(uint64_t position, absl::Duration timeout) override;
  absl::StatusOr<uint64_t> FindTime(int64_t time_ms) override;
  absl::Status Trim(uint64_t before) override;
  bool IsLost(uint64_t position) override { return blocks_->IsLost(id_, position); }
  void OnSalvaged(std::function<uint64_t()> mark,
                  std::function<void(uint64_t frames)> came) override {
    salvage_mark_ = std::move(mark);
    salvage_came_ = std::move(came);
  }
  void SetDiscard(std::function<uint64_t()> below) override ABSL_LOCKS_EXCLUDED(mu_);
  void SetHold(absl::Duration hold) override ABSL_LOCKS_EXCLUDED(mu_);
  uint64_t oldest() const override { return oldest_.load(std::memory_order_acquire); }
  uint64_t tail() const override;
  uint64_t committed() const override { return committed_.load(std::memory_order_acquire); }

  static size_t InlineBytesMax(const IntakeGeometry& geometry) {
    return geometry.segment_bytes / 4;
  }

  // For recovery, before the log is used: frames that lie at or above its end.
  void Restore(uint64_t first, std::string frames);
  void SetIntake(Intake* intake) { intake_ = intake; }
  // Before the log is used: whose times are to be repaired.
  void SetBootStarts(BootStarts starts) { boot_starts_ = std::move(starts); }
  const BootStarts& boot_starts() const { return boot_starts_; }
  void RepairTime(FrameView* frame) const { log::RepairTime(boot_starts_, frame); }
  // Before the log is used: what lies in [at, end) is still to come into the blocks, in
  // order. The salvage, under the commit lock: it is there below `at`, or all of it is,
  // and the last block then ends at `stored_end`.
  void SetSalvage(uint64_t at, uint64_t end);
  void TellSalvaged(const BlockDraft& block);  // before SetSalvaged and EndSalvage
  void SetSalvaged(uint64_t at) ABSL_LOCKS_EXCLUDED(mu_);
  void EndSalvage(uint64_t stored_end) ABSL_LOCKS_EXCLUDED(mu_);
  // UINT64_MAX: nothing is to come.
  uint64_t salvage_at() const { return salvage_at_.load(std::memory_order_acquire); }

  // Leaves a gap, so that what a dead process claimed is not given again. With
  // everything committed and nobody appending.
  void JumpTo(uint64_t position);

  // For the committer, one at a time. Cut() notes what is claimed, then the
  // transaction, then Committed() with how far the log was drained and where its
  // last drained frame ends (0: there was none); it gives drained segments back.
  // `trimmed_before` is that of the cut.
  bool HasWork() const { return has_work_.load(std::memory_order_acquire); }
  LogCut Cut();
  // The first sealed segment that reaches beyond `from`, and what of it does. It stays until
  // the committer gives it back.
  std::optional<CutRun> SealedRun(uint64_t from) const ABSL_LOCKS_EXCLUDED(mu_);
  uint64_t PendingEnd() const;  // what a flush has to reach
  // L4: what the tables know of the log's end and of the positions reserved for it.
  uint64_t known_end() const { return known_end_; }
  uint64_t reach() const override { return std::max(known_end_, reserved_); }
  uint64_t stored_end() const override { return blocks_end_.load(std::memory_order_acquire); }
  void SetKnown(uint64_t end, uint64_t reserved);
  void Want(uint64_t end) override;
  void Bind(uint64_t end) override ABSL_LOCKS_EXCLUDED(mu_);
  bool Holds() const ABSL_LOCKS_EXCLUDED(mu_);  // SetHold is in force
  // Whether what is left at a cut, from `from` on, has to be written now. `now` is
  // the time since boot. Committer only, once a cut.
  bool IsDue(absl::Duration now, const LogCut& cut, uint64_t from);
  // The last frame in a block begins at `position`.
  void SetWritten(uint64_t position) { written_ = position; }
  bool IsWanted() const { return wanted_.load(std::memory_order_acquire) > committed(); }
  void Committed(uint64_t end, uint64_t frames_end, uint64_t trimmed_before);
  bool TrimPending() const;
  // The records in the gap are given up: no reader sees them from now on, and
  // those who would have are told. Committer only.
  void Drop(const GapPiece& gap);
  // Appends frames that nobody sees before they are committed, in one piece, which
  // a round takes as a whole if all that lies before it is published by then. Between
  // commits, as TakeBackHidden, which removes them if they were not committed. In
  // either case then NotifyHidden: what lies behind them can be read now.
  //   kResourceExhausted   the disk has refused too many before.
  absl::Status AppendHidden(const std::vector<FrameParts>& frames,
                            std::vector<Appended>* appended);
  void TakeBackHidden(uint64_t first);
  void NotifyHidden();
  bool PublishedBelow(uint64_t end) const;

  // Seals the active segment so that the next commit can give it back.
  void SealActive();
  bool HasActiveSegment() const;  // a hint
  // Whether nobody has appended since the last call. Committer only.
  bool QuietSinceLastLook();

 private:
  struct Run {
    uint64_t first = 0;
    uint64_t end = 0;                          // valid once sealed
    bool sealed = false;
    bool hidden = false;                       // readable only from its block
    uint32_t segment = kNoSegment;             // or:
    std::shared_ptr<const char[]> heap;        // new[] aligns it for word 0
  };
  struct Claim {
    char* at = nullptr;
    uint64_t position = 0;
    bool may_rest = false;  // after the publish: see turns.h
  };
  enum class Room { kRetry, kNone, kNoPositions };

  bool TryClaim(size_t bytes, Claim* claim);
  Appended Publish(const FrameParts& parts, const Claim& claim);
  void Rest(uint64_t position, size_t bytes);  // see turns.h
  Room Rotate(size_t bytes) ABSL_LOCKS_EXCLUDED(mu_);
  void SealCrossed(uint64_t offset) ABSL_LOCKS_EXCLUDED(mu_);
  // Seals the active segment if fewer than `bytes` are left in it (always, with
  // SIZE_MAX). False: there is room. Waits for a crosser on its way.
  bool SealUnlessRoom(size_t bytes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void SetSealed(uint64_t offset) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The tail with no crosser on its way, which is waited for. A crosser that
  // comes later leaves what is returned as it was.
  uint64_t SettledTail() const ABSL_SHARED_LOCKS_REQUIRED(mu_);
  bool NoCrosserPending() const;
  absl::StatusOr<Appended> TryAppendSlow(const FrameParts& parts, size_t bytes);
  absl::StatusOr<Appended> AppendSlow(const FrameParts& parts, absl::Duration timeout);
  absl::Status NoPositions() const;
  absl::StatusOr<Appended> AppendLarge(const FrameParts& parts, absl::Duration timeout);
  bool RemoveHidden(uint64_t first) ABSL_LOCKS_EXCLUDED(mu_);

  class Collector;
  enum class Found { kInBlocks, kSome, kNothing };

  const char* RunFrames(const Run& run) const;
  static size_t HeapBytes(const Run& run) { return static_cast<size_t>(run.end - run.first); }
  // How far the run is claimed, as of now or as of `tail`. Of now it may come
  // out as the segment's end although a crosser seals it below that; good enough
  // for those who look at published frames only.
  uint64_t ClaimedEnd(const Run& run) const ABSL_SHARED_LOCKS_REQUIRED(mu_);
  uint64_t ClaimedEnd(const Run& run, uint64_t tail) const ABSL_SHARED_LOCKS_REQUIRED(mu_);
  // Where the walk for frames at or above `position` starts in the run.
  uint64_t FirstAtOrAbove(const Run& run, uint64_t position) const
      ABSL_SHARED_LOCKS_REQUIRED(mu_);
  // Takes published frames at or above collector's position out of the first
  // run that has some.
  // `runs_first`: where the runs begin, UINT64_MAX if there are none.
  Found ReadRuns(Collector* collector, uint64_t* runs_first) ABSL_LOCKS_EXCLUDED(mu_);
  void CopyFromSegment(const Run& run, uint64_t first, Collector* collector)
      ABSL_SHARED_LOCKS_REQUIRED(mu_);
  absl::StatusOr<Found> ReadBlocks(Collector* collector, uint64_t runs_first)
      ABSL_LOCKS_EXCLUDED(mu_);
  bool FrameIsReadable(uint64_t position) ABSL_LOCKS_EXCLUDED(mu_);
  bool AwaitsSalvage(uint64_t position) const {
    return position >= salvage_at_.load(std::memory_order_acquire) && position < salvage_end_;
  }
  absl::StatusOr<std::shared_ptr<const Block>> FindBlock(int64_t time_ms);
  absl::Status NotYetSalvaged() const;

  const LogId id_;
  Intake* intake_;
  BootStarts boot_starts_;  // constant once the log is in use; so are the next two
  std::function<uint64_t()> salvage_mark_;
  std::function<void(uint64_t frames)> salvage_came_;
  BlockStore* const blocks_;
  LogHost* const host_;
  Clock* const clock_;

  // The producers' line. Claimed with acq_rel: the acquire pairs with the
  // release of the install in Rotate, so that a claimer sees the segment's
  // header and zeros; read-modify-writes in between carry the release on.
  alignas(64) std::atomic<uint64_t> tail_;
  Turns turns_;

  // The readers' and committer's line; producers only read waiters_.
  // A waiter increments it before it looks for a frame (FrameIsReadable), a
  // producer publishes before it looks for waiters, all four sequentially
  // consistent: one of them sees the other.
  alignas(64) std::atomic<uint32_t> waiters_{0};
  std::atomic<uint64_t> committed_;    // released by Committed, acquired by waiters
  std::atomic<uint64_t> blocks_end_;   // likewise; never in a gap of positions
  std::atomic<uint64_t> oldest_;
  // What is to be salvaged begins there; released once what lies below is in the blocks
  // or told as a gap, acquired by readers. UINT64_MAX: nothing.
  std::atomic<uint64_t> salvage_at_{UINT64_MAX};
  uint64_t salvage_begin_ = 0;  // constant once the log is in use, as the next
  uint64_t salvage_end_ = 0;
  // Runs, a trim, or positions that were refused; exact under mu_.
  std::atomic<bool> has_work_{false};
  std::atomic<bool> discards_{false};  // SetDiscard is in force; exact under mu_
  Signal appended_;
  std::atomic<uint64_t> wanted_{0};    // released by Want, acquired by the committer
  uint64_t last_tail_seen_ = 0;        // committer only, as the next four
  uint64_t known_end_;
  uint64_t reserved_ = 0;
  Hold waits_;
  uint64_t written_ = 0;               // see SetWritten; 0: since the open nothing

  absl::Mutex large_mu_ ABSL_ACQUIRED_BEFORE(mu_);  // one large frame at a time
  mutable absl::Mutex mu_;
  std::deque<Run> runs_ ABSL_GUARDED_BY(mu_);
  uint64_t next_position_ ABSL_GUARDED_BY(mu_);  // of the next run
  uint64_t trim_before_ ABSL_GUARDED_BY(mu_) = 0;
  std::function<uint64_t()> discard_below_ ABSL_GUARDED_BY(mu_);
  absl::Duration hold_ ABSL_GUARDED_BY(mu_);
  uint64_t bound_end_ ABSL_GUARDED_BY(mu_) = 0;  // of the last that Bind was called for
  // Positions that refused large frames have used up above committed_, and where
  // the last of them ended.
  uint64_t refused_bytes_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t refused_end_ ABSL_GUARDED_BY(mu_) = 0;
};

inline bool SegmentLog::TryClaim(size_t bytes, Claim* claim) {
  const uint64_t segment_bytes = intake_->geometry().segment_bytes;
  // Looked at first, so that failed claims do not push the offset on without
  // end: it overshoots by one frame a thread at most.
  const uint64_t seen = tail_.load(std::memory_order_relaxed);
  if (Offset(seen) + bytes > segment_bytes) return false;
  const uint64_t tail = tail_.fetch_add(bytes, std::memory_order_acq_rel);
  const uint64_t offset = Offset(tail);
  if (offset + bytes <= segment_bytes) {
    const uint32_t segment = Index(tail);
    claim->at = intake_->data(segment) + offset;
    claim->position = intake_->first_position(segment) + (offset - kSegmentHeaderBytes);
    claim->may_rest = turns_.MayRest(tail != seen);
    return true;
  }
  // Of all claims beyond the end exactly one began at or below it.
  if (offset <= segment_bytes) SealCrossed(offset);
  return false;
}

}  // namespace eddy::log

#endif  // EDDY_SRC_LOG_SEGMENT_LOG_H_
