// Log: an append-only sequence of frames. The one way in which bytes are kept.
//
// A frame is *accepted* in a segment of the intake, lock-free; the committer
// moves it into a block in SQLite, packed. Readers do not notice the move.
//
// Invariants
//   L1  Positions of frames increase in the order of publication per producer,
//       and no position is ever given out twice, not even after a power cut.
//   L2  A reader sees a frame only after every earlier frame of the log.
//   L3  A frame leaves the intake only after the transaction that holds its block
//       has been synced, or when its owner's mark (SetDiscard) says that nobody
//       needs it. What the mark rests on is then in the tables or still in the
//       journal, so that the death of the process brings no such frame back; a
//       power cut may take the mark, but then the frame with it.
//   L4  committed() never passes reach(), which the tables know: a log that a
//       power cut stopped goes on above all positions that anybody has seen,
//       although no block says that they were there.
// Depends on frame.h.
#ifndef EDDY_SRC_LOG_LOG_H_
#define EDDY_SRC_LOG_LOG_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "absl/base/optimization.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "src/log/frame.h"
#include "src/log/gap_list.h"

namespace eddy::log {

using LogId = uint32_t;  // 0 is the journal

// Of a log. Position 0 comes before every record.
inline constexpr uint64_t kFirstPosition = 64;

// Where an append went.
struct Appended {
  uint64_t position = 0;
  uint64_t end = 0;  // committed when the log's committed() has reached it
};

struct ReadOptions {
  size_t frames_max = 1000;
  size_t bytes_max = 1 << 20;   // of frames; one frame is returned even if larger
  bool committed_only = false;
};

// Frames that a read would have given out and cannot.
struct LogGap {
  uint64_t first = 0;  // at or above the position asked for
  uint64_t end = 0;
  uint64_t frame_count = 0;  // of the blocks there, as their rows say
  GapReason reason = GapReason::kDamaged;
};

struct ReadResult {
  std::optional<LogGap> gap;      // before `frames`, which may be empty then
  std::vector<FrameView> frames;  // in order
  uint64_t next = 0;              // where to read on
  bool more = false;              // a frame was there at `next` when we stopped
  int64_t next_time_ms = 0;       // arrival of that frame
  std::vector<std::shared_ptr<const void>> pins;  // keep what the views point to
};

// Threads:    safe. Append is lock-free but when a segment ends.
// Durability: an append is accepted; Engine::WaitCommitted makes it committed.
// Owned by the engine; lives as long as it does.
class Log {
 public:
  virtual ~Log() = default;
  virtual LogId id() const = 0;

  // Appends one frame, waiting at most `timeout` for room in the intake. A frame
  // above Engine::inline_bytes_max() is committed before this returns.
  //   kInvalidArgument    larger than kFrameBytesMax.
  //   kResourceExhausted  no room in time: nothing was appended.
  //   kUnavailable        (large frames only) the commit failed: not appended.
  virtual absl::StatusOr<Appended> Append(const FrameParts& parts,
                                          absl::Duration timeout) = 0;

  // The same, never waiting: kResourceExhausted at once. The only form allowed
  // while the cut is held (see Engine::cut); for frames of at most
  // Engine::inline_bytes_max().
  virtual absl::StatusOr<Appended> TryAppend(const FrameParts& parts) = 0;

  // Appends some of the `count` (1 or more) frames, from the first on and in order,
  // and returns how many: with one claim those that fit where the log stands, else
  // one as Append does, with its errors. Frames of others may come between two
  // calls, not within one. `appended` has room for `count`.
  virtual absl::StatusOr<size_t> AppendBatch(const FrameParts* frames, size_t count,
                                             absl::Duration timeout, Appended* appended) = 0;

  // Reads from `position` (or the next frame above it), published frames only.
  // No frame and no gap means: nothing there yet. A damaged block is a gap, and the
  // read goes on behind it.
  //   kDataLoss     the table of blocks cannot be read at all there.
  //   kUnavailable  try again: the disk, a database that is being opened anew, or
  //                 frames that are still being salvaged.
  virtual absl::StatusOr<ReadResult> Read(uint64_t position,
                                          const ReadOptions& options) = 0;

  // Sleeps until a frame is readable at or above `position`, or `timeout` ends.
  virtual bool WaitForFrame(uint64_t position, absl::Duration timeout) = 0;

  // The first frame whose arrival time is at or after `time_ms`, else the tail.
  virtual absl::StatusOr<uint64_t> FindTime(int64_t time_ms) = 0;

  // Deletes, with the next commit, the blocks that lie wholly below `before`.
  // What is not yet committed is never trimmed. Costs nothing if there is no block.
  virtual absl::Status Trim(uint64_t before) = 0;

  // Of a frame that a view knows at `position`, and that a read has not found there: it
  // counts as damaged, once. True: it is lost. False: the database may hide it, which the
  // next open finds out; until then it is to be left where it is.
  virtual bool IsLost(uint64_t position) = 0;

  // While opening. Of each block that a salvage brings, before it can be read: how many of
  // its frames begin at or above `mark()`. Called with the commit lock held, and no other.
  virtual void OnSalvaged(std::function<uint64_t()> mark,
                          std::function<void(uint64_t frames)> came) = 0;

  // `below` tells the owner's mark: frames that begin below it are of no more use
  // to anybody and are dropped at the next commit, not written. It is called
  // with the cut held exclusively and no other lock of the engine but the
  // commit's, so that the mark and what Capture() takes belong together: what it
  // rests on must be captured in the same cut, since after a power cut the frames
  // are missing. Never moves back. A round that finds nothing else to write, and
  // whose participants may all wait, writes nothing: positions are reserved ahead.
  // Null: nothing is dropped.
  virtual void SetDiscard(std::function<uint64_t()> below) = 0;

  // How long frames above the mark are kept out of the commits, for the mark to pass
  // them; zero, as at first: not at all. They are written nevertheless once one has
  // waited for one to two times as long (hold.h), when somebody waits for their
  // commit, when the intake is short of segments, and at the close. Until then a
  // power cut takes them, although others of the same cut are committed: state that
  // refers to them must bear that.
  virtual void SetHold(absl::Duration hold) = 0;

  // Nothing below `end` is held any more: the next round takes it. Called by whoever
  // waits for it, or within the cut in which it was appended, to bind it to all else
  // that was done there (E1).
  virtual void Want(uint64_t end) = 0;

  // Within the cut in which it was appended: what ends at `end` is not committed without
  // the state of that cut. A round that cannot commit the state leaves it, and what comes
  // behind it in the log, to the next one.
  virtual void Bind(uint64_t end) = 0;

  virtual uint64_t oldest() const = 0;     // no frame lies below
  virtual uint64_t tail() const = 0;       // behind the last claimed frame
  // All below survives a power cut, or is of no more use (SetDiscard).
  virtual uint64_t committed() const = 0;
  // No position at or above it was given out before the open. Only while opening.
  virtual uint64_t reach() const = 0;
  virtual uint64_t stored_end() const = 0;  // no block reaches above it

  // What was dropped below oldest() or cannot be read above it. To be asked after
  // a read, for all that the read has passed.
  GapList& gaps() { return gaps_; }
  const GapList& gaps() const { return gaps_; }

  // What the log may take for now, as limits demand: a view refuses a frame above
  // it. Frames that make room (deletes, cursors) are not asked.
  uint64_t room() const { return room_.load(std::memory_order_relaxed); }
  //   kResourceExhausted   `bytes` are above room().
  absl::Status CheckRoom(size_t bytes) const;
  // Relaxed, here and above: a number for itself, and one a little old lets
  // through what the intake holds, which is reckoned with.
  void SetRoom(uint64_t bytes) { room_.store(bytes, std::memory_order_relaxed); }

 private:
  GapList gaps_;
  std::atomic<uint64_t> room_{UINT64_MAX};
};

inline absl::Status Log::CheckRoom(size_t bytes) const {
  if (ABSL_PREDICT_TRUE(bytes <= room())) return absl::OkStatus();
  return absl::ResourceExhaustedError(absl::StrCat(
      "log ", id(), ": at its limit or the store's (or the disk is full), it has room for ",
      room(), " bytes, not for ", bytes));
}

}  // namespace eddy::log

#endif  // EDDY_SRC_LOG_LOG_H_
