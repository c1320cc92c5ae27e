// Engine: the logs of one store, their intake, their database, their commits.
//
// Everything that must survive is either a frame in a log or state of a view
// (a queue's deliveries, a cursor's position). State is changed in memory and,
// in the same cut, written as a small frame to the *journal* (log 0), so that a
// SIGKILL loses none of it; the committer folds it into tables:
//
//   view, holding cut() shared:  change own state + journal().TryAppend(op)
//   committer, exclusive:        note each log's tail, Capture() each view
//   committer, unlocked:         one transaction: blocks of all logs, Write() of
//                                each view, the journal's end; sync; Finish()
//   after a crash:               tables + Replay() of the journal's frames
//
// Invariants
//   E1  A transaction holds a consistent cut: whatever was done under one hold
//       of cut() is in it as a whole or not at all. But for frames of a log that
//       holds them back (Log::SetHold): they come later, unless Want() was called. And
//       where a frame of any log is still unpublished, the state is left to the next
//       round, and with it the frames of the same holds for which Bind() was called.
//   E2  One connection, under one mutex, does every write and WAL checkpoint.
//   E3  Any thread may run a commit (the waiting ones lead in turn), so that the
//       engine needs no thread of its own.
// Depends on sql/, runtime/, base/ and platform.h.
#ifndef EDDY_SRC_LOG_ENGINE_H_
#define EDDY_SRC_LOG_ENGINE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "eddy/platform.h"
#include "eddy/store.h"
#include "eddy/transaction.h"
#include "eddy/types.h"
#include "src/log/log.h"
#include "src/log/retention.h"
#include "src/sql/database.h"

namespace eddy::log {

// How far a view has been in its log.
struct Passed {
  Log* log = nullptr;
  uint64_t head = 0;  // no frame below is of use
  uint64_t scan = 0;  // between the two some are
};

// A view whose state is committed together with the logs.
class Participant {
 public:
  virtual ~Participant() = default;

  // The cut is held exclusively: moves what has changed since the last capture
  // aside. Short, no I/O, must not append. False: nothing changed.
  virtual bool Capture() = 0;

  // Asked after a Capture that was true, in the same cut: whether the write of
  // that capture may wait without end. It may if the tables, as they are, remain a
  // state to which a power cut may go back although what was accepted since is
  // older than the flush interval: say, because all that has changed is about
  // frames that were never written. The journal keeps the changes meanwhile. The
  // round that does not write ends with Finish(false).
  virtual bool MayWait() { return false; }

  // Writes what was captured, inside the engine's transaction. May be called
  // again with the same capture after a failed commit.
  virtual absl::Status Write(sql::Database& db) = 0;

  // The capture is committed, or goes back among what has changed.
  virtual void Finish(bool committed) = 0;

  // For a view alone with its log, whose frames become useless in any order: where
  // blocks may be thinned out (thinner.h). Without a log, as here: nowhere.
  virtual Passed passed() { return {}; }

  // In the cut, after Capture, for [first, end) below the scan: the positions of the
  // frames there that are still of use, in order. All others are useless by what is
  // captured or committed. False: they are more than `most`.
  virtual bool LiveWithin(uint64_t /*first*/, uint64_t /*end*/, size_t /*most*/,
                          std::vector<uint64_t>* /*live*/) {
    return false;
  }

  // A journal frame of this view that the tables do not yet show. Frames hold
  // absolute values, so replaying one twice does no harm.
  virtual absl::Status Replay(std::string_view op) = 0;
};

// The frames that a transaction brings to one log.
struct LogFrames {
  Log* log = nullptr;
  std::vector<FrameParts> frames;
  std::vector<Appended> appended;  // filled by the engine
};

// What Engine::Transact commits, besides what a round commits anyway. Its calls come
// in this order, on the calling thread, with the commit lock held: nothing else is
// committed meanwhile.
class TransactionWork {
 public:
  virtual ~TransactionWork() = default;

  // The user's part, with the user's tables. An error ends the transaction.
  virtual absl::Status Run(Sql& sql) = 0;

  // Whether anything but rows of the user is to be committed.
  virtual bool HasChanges() const = 0;

  // Whether messages are deleted or cursors moved: a store that is full takes the few rows
  // that say so, or what fills it could never go.
  virtual bool MakesRoom() const = 0;

  // What is to be appended, one entry a log. Hidden until committed.
  virtual std::vector<LogFrames>& frames() = 0;

  // Rows of views, inside the transaction, after those of the Participants.
  virtual absl::Status Write(sql::Database& db) = 0;

  // Once in any case, also if Run has failed: applies to memory what is committed
  // now, or takes back what Run has done there.
  virtual void Finish(bool committed) = 0;
};

struct EngineOptions {
  std::string directory;
  StoreOptions store;      // platform members filled in
  // Where the store's lock is kept, beyond the engine's life, so that nobody else comes
  // between two engines. Null: it is the engine's own.
  std::unique_ptr<FileLock>* lock = nullptr;
  // Of a new store: fills it from this directory, a store's or one of a database that was
  // set aside, and leaves that as it is. Empty: from what was set aside in `directory`.
  std::string salvage_from;
  // The reserve is given up first, and not taken before there is room for it.
  bool without_reserve = false;
  // Makes of the rows of views that came out of a damaged database such as can be loaded.
  std::function<absl::Status(sql::Database&)> mend;
};

class Engine {
 public:
  // Opens the database, maps the intake, recovers what a dead process left in
  // it. No view exists yet; FinishOpen() replays and commits.
  static absl::StatusOr<std::unique_ptr<Engine>> Open(EngineOptions options);
  virtual ~Engine() = default;

  // What an error of opening, its views' too, comes from: kDataLoss stays so only if no
  // read has failed, and is kUnavailable else.
  virtual absl::Status TrueCause(const absl::Status& status) = 0;

  // Sets the database aside, whose damage is `why`: see set_aside.h. No engine has it
  // open, and options.lock has been held since the damage was seen.
  static absl::StatusOr<std::string> SetAside(const EngineOptions& options,
                                              const absl::Status& why);

  // Registers a view under a number of its own, before FinishOpen for those in
  // the tables. The view outlives the engine's last commit.
  virtual void AddParticipant(uint32_t view, Participant* participant) = 0;

  // Replays the journal into the participants, commits what was recovered and
  // gives the intake free.
  virtual absl::Status FinishOpen() = 0;

  // Commits what is left. Called once, before the participants die.
  virtual absl::Status Close() = 0;

  // Adds a log inside the caller's catalog transaction (see WithDatabase).
  virtual absl::StatusOr<Log*> AddLog(sql::Database& db) = 0;
  virtual absl::StatusOr<Log*> OpenLog(LogId id) = 0;
  virtual Log& journal() = 0;

  // Gives the logs of one view, together, their limits: see keeper.h.
  virtual void SetRetention(const std::vector<LogId>& logs, const KeepLimits& limits) = 0;

  // Journal frames begin with the view's number; this adds it. Never waits.
  virtual absl::StatusOr<Appended> TryJournal(uint32_t view, std::string_view op) = 0;

  // Waits, outside of any cut, until TryJournal or TryAppend has a chance again.
  //   kResourceExhausted   no room in time.
  virtual absl::Status WaitForRoom(absl::Duration timeout) = 0;

  // Held shared by an operation of several steps, see above. Never while
  // waiting for anything. Lock order: the cut before any lock of a view, since
  // Capture() takes the view's lock with the cut held.
  virtual absl::Mutex& cut() = 0;

  // OK once the log is committed up to `end`; runs the commit itself if nobody
  // else does.
  //   kUnavailable        the disk refused; what was accepted is tried again.
  //   kDeadlineExceeded   not in time.
  virtual absl::Status WaitCommitted(LogId log, uint64_t end, absl::Duration timeout) = 0;
  // The same, for an end that an append to this log has returned.
  virtual absl::Status WaitAppended(Log& log, uint64_t end, absl::Duration timeout) = 0;

  // Commits everything accepted so far.
  virtual absl::Status Flush() = 0;

  // Commits if a commit is due, checkpoints the WAL if that is due; returns how
  // long until the next call is needed.
  virtual absl::Duration RunOnce() = 0;

  // Called, from an append or a commit, when RunOnce should come earlier than it
  // said. Must not block, nor call the engine. Once this returns, what was set
  // before is not called any more; null: nothing is.
  virtual void OnCommitDue(std::function<void()> wake) = 0;

  // Runs `work` in a transaction of its own on the writing connection; commits
  // if it returns OK. For the catalog: creating streams and queues.
  virtual absl::Status WithDatabase(
      const std::function<absl::Status(sql::Database&)>& work) = 0;

  // Runs `work` and commits it in a round of its own, all or nothing.
  //   what Run has returned.
  //   kFailedPrecondition, kResourceExhausted, kUnavailable   as Store::Transact.
  virtual absl::Status Transact(TransactionWork* work) = 0;

  // Runs `work` on the user's tables as they are committed; it can only read.
  virtual absl::Status ReadTables(const std::function<absl::Status(Sql&)>& work) = 0;

  // To be asked before something is done for which a commit must then be waited for.
  //   kFailedPrecondition   the calling thread is within Transact.
  virtual absl::Status CheckMayCommit() const = 0;

  // What to add to the time since boot, in ms, for a wall time while the clock is
  // not trusted: such times are repaired once it is. Constant.
  virtual int64_t boot_base_ms() const = 0;

  virtual size_t inline_bytes_max() const = 0;  // larger frames commit at once
  virtual const Platform& platform() const = 0;
  virtual const StoreOptions& options() const = 0;
  virtual StoreStats Stats() = 0;
};

}  // namespace eddy::log

#endif  // EDDY_SRC_LOG_ENGINE_H_
