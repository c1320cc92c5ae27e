// EngineImpl: see engine.h. Opening is in engine_open.cc, recovery in
// engine_recover.cc, commits in engine_commit.cc, who waits for them in
// engine_wait.cc, transactions of the user in engine_transact.cc, what follows a
// failed sync in engine_reopen.cc, a damaged database in engine_salvage.cc.
#ifndef EDDY_SRC_LOG_ENGINE_IMPL_H_
#define EDDY_SRC_LOG_ENGINE_IMPL_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "src/base/mutex.h"
#include "src/log/block_store.h"
#include "src/log/block_writer.h"
#include "src/log/boot_clock.h"
#include "src/log/commit_line.h"
#include "src/log/early_writer.h"
#include "src/log/engine.h"
#include "src/log/health.h"
#include "src/log/intake.h"
#include "src/log/keeper.h"
#include "src/log/salvage.h"
#include "src/log/segment_log.h"
#include "src/log/space.h"
#include "src/log/thinner.h"
#include "src/log/wear.h"
#include "src/runtime/signal.h"
#include "src/sql/counting_vfs.h"
#include "src/sql/database.h"

namespace eddy::log {

// So long whoever needs a frame that is claimed and not yet published, or a segment
// that others were quicker to take, sleeps before the next round.
inline constexpr absl::Duration kIncompletePauseMin = absl::Milliseconds(1);
inline constexpr absl::Duration kIncompletePauseMax = absl::Milliseconds(20);

// Threads: safe. Lock order: salvage_mu_, entry_mu_, commit_mu_, cut_, logs_mu_, views'
// locks, a log's mu_, the intake's pool.
class EngineImpl final : public Engine, public LogHost {
 public:
  explicit EngineImpl(EngineOptions options);
  // The reading connection first, so that the writing one is the last: its
  // close copies the WAL into the database.
  ~EngineImpl() override { blocks_.reset(); }

  absl::Status OpenFiles();  // first call, once

  absl::Status TrueCause(const absl::Status& status) override;
  void AddParticipant(uint32_t view, Participant* participant) override;
  absl::Status FinishOpen() override;
  absl::Status Close() override;
  absl::StatusOr<Log*> AddLog(sql::Database& db) override;
  absl::StatusOr<Log*> OpenLog(LogId id) override;
  Log& journal() override { return *journal_; }
  void SetRetention(const std::vector<LogId>& logs, const KeepLimits& limits) override;
  absl::StatusOr<Appended> TryJournal(uint32_t view, std::string_view op) override;
  absl::Status WaitForRoom(absl::Duration timeout) override;
  absl::Mutex& cut() override { return cut_; }
  absl::Status WaitCommitted(LogId log, uint64_t end, absl::Duration timeout) override;
  absl::Status WaitAppended(Log& log, uint64_t end, absl::Duration timeout) override;
  absl::Status Flush() override;
  absl::Duration RunOnce() override;
  void OnCommitDue(std::function<void()> wake) override ABSL_LOCKS_EXCLUDED(wake_mu_);
  absl::Status WithDatabase(const std::function<absl::Status(sql::Database&)>& work) override;
  absl::Status Transact(TransactionWork* work) override;
  absl::Status ReadTables(const std::function<absl::Status(Sql&)>& work) override;
  absl::Status CheckMayCommit() const override;
  int64_t boot_base_ms() const override { return boot_clock_.Base(); }
  size_t inline_bytes_max() const override {
    return SegmentLog::InlineBytesMax(PlanIntake(options_.store.intake_bytes));
  }
  const Platform& platform() const override { return options_.store.platform; }
  const StoreOptions& options() const override { return options_.store; }
  StoreStats Stats() override;

  // LogHost
  void OnSealed(size_t bytes) override;
  void BetweenCommits(const std::function<void()>& work) override;

 private:
  // What one log brings to a round.
  struct LogRound {
    SegmentLog* log = nullptr;
    LogCut cut;
    std::vector<BlockDraft> drafts;
    uint64_t end = 0;       // committed up to here if the transaction succeeds
    uint64_t frames_end = 0;  // of the last one drained; 0: there was none
    uint64_t reserve = 0;   // up to here, if the tables are told of the end; else 0
    uint64_t spared_bytes = 0;  // of payload that nobody needs any more
    bool held = false;      // what is left of it is for a later round
    bool complete = false;  // everything that the cut names was published

    bool holds() const { return cut.hold > absl::ZeroDuration(); }
    uint64_t kept_from() const { return drafts.empty() ? end : drafts.front().first; }
    void Withhold() {  // is for a later round
      end = kept_from();
      drafts.clear();
    }
  };

  // Holds commit_mu_; see UnlockCommit. Makes a round before it lets go, if others wait for
  // one and neither this hold nor the one before has made it.
  class ABSL_SCOPED_LOCKABLE CommitLock {
   public:
    explicit CommitLock(EngineImpl* engine) ABSL_EXCLUSIVE_LOCK_FUNCTION(engine->commit_mu_);
    ~CommitLock() ABSL_UNLOCK_FUNCTION();
    CommitLock(const CommitLock&) = delete;
    CommitLock& operator=(const CommitLock&) = delete;

   private:
    EngineImpl* const engine_;
  };

  absl::Status OpenDatabase();
  // See engine_salvage.cc.
  absl::Status LookAtFiles();
  bool IntakeWasUsed();
  absl::StatusOr<bool> CheckAll() ABSL_EXCLUSIVE_LOCKS_REQUIRED(commit_mu_);
  // Has the next open look, once a damage is met that readers or commits cannot pass.
  void NoteDamage(bool seen) ABSL_EXCLUSIVE_LOCKS_REQUIRED(commit_mu_);
  absl::Status ForeignOrDamaged(const absl::Status& foreign);
  absl::Status TakeOverDamaged(int64_t store_id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(commit_mu_);
  absl::Status LoadSalvage() ABSL_EXCLUSIVE_LOCKS_REQUIRED(commit_mu_);
  void NoteSalvage(const absl::Status& cause) ABSL_EXCLUSIVE_LOCKS_REQUIRED(commit_mu_);
  absl::Duration RunSalvage() ABSL_LOCKS_EXCLUDED(salvage_mu_, commit_mu_);
  absl::Duration RunSalvageLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(salvage_mu_)
      ABSL_LOCKS_EXCLUDED(commit_mu_);
  absl::Status DecideSalvage() ABSL_EXCLUSIVE_LOCKS_REQUIRED(commit_mu_);
  absl::Duration RunCommits() ABSL_LOCKS_EXCLUDED(commit_mu_);
  absl::Status FindIntake();
  absl::Status ProveDatabase();
  absl::Status LoadLogs();
  absl::Status RecoverIntake();
  absl::Status JumpPositions() ABSL_EXCLUSIVE_LOCKS_REQUIRED(commit_mu_);
  absl::Status ReplayJournal();
  struct RoundResult {
    absl::Status status;
    bool complete = true;  // all that was claimed at the cut is committed
    bool worked = false;   // there was something to write
  };
  // Lets go of commit_mu_ and notifies: a waiter that found the lock taken sleeps
  // until then, and one of them becomes the next to lead. A notification before the
  // unlock would be answered too early, and lost.
  void UnlockCommit() ABSL_UNLOCK_FUNCTION(commit_mu_);
  // Lets those arrive that the last round has released, before the cut.
  void GatherWaiters() ABSL_EXCLUSIVE_LOCKS_REQUIRED(commit_mu_);
  // kDue: what may wait, waits. kRelease: nothing is written, only what nobody
  // needs any more leaves the intake.
  enum class Extent { kRelease, kDue, kEverything };
  RoundResult CommitRound(Extent extent = Extent::kDue)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(commit_mu_);
  // See engine_hold.cc. What nobody needs any more leaves the drafts.
  void DropUseless(LogRound* round) ABSL_EXCLUSIVE_LOCKS_REQUIRED(commit_mu_);
  // Takes what is held out of the round, unless the intake needs its segments.
  void HoldBack(absl::Duration now, std::vector<LogRound>* rounds)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(commit_mu_);
  void WithholdBound(std::vector<LogRound>* rounds) ABSL_EXCLUSIVE_LOCKS_REQUIRED(commit_mu_);
  bool ReleaseHeld() ABSL_EXCLUSIVE_LOCKS_REQUIRED(commit_mu_);
  bool JournalIsCrowded(const LogRound& journal) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(commit_mu_);
  // The user's transaction that the next round joins.
  struct Transacting {
    TransactionWork* work = nullptr;
    std::optional<sql::Transaction> sql;  // none: rolled back
    bool spilled = false;                 // see HasSpilled; by the user's part
  };
  absl::Status RunTransaction(TransactionWork* work) ABSL_EXCLUSIVE_LOCKS_REQUIRED(commit_mu_);
  absl::Status RunUsersPart(Transacting* transacting) ABSL_EXCLUSIVE_LOCKS_REQUIRED(commit_mu_);
  absl::Status CommitFrames(Transacting* transacting) ABSL_EXCLUSIVE_LOCKS_REQUIRED(commit_mu_);
  absl::Status WaitPublished(SegmentLog* log, uint64_t end);
  absl::Status AdmitRows(const Transacting& transacting, const sql::FileSizes& before)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(commit_mu_);
  absl::Status AdmitWal(uint64_t rows, uint64_t file_now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(commit_mu_);
  void CutSpill(uint64_t written) ABSL_EXCLUSIVE_LOCKS_REQUIRED(commit_mu_);
  bool HasSpilled(uint64_t written) const;
  void MakeRoomForRows() ABSL_EXCLUSIVE_LOCKS_REQUIRED(commit_mu_);
  uint64_t WalBytesKept() ABSL_EXCLUSIVE_LOCKS_REQUIRED(commit_mu_);
  uint64_t WalBytesMost(uint64_t file) ABSL_EXCLUSIVE_LOCKS_REQUIRED(commit_mu_);
  absl::Status RefuseSpill(uint64_t wal_most) ABSL_EXCLUSIVE_LOCKS_REQUIRED(commit_mu_);
  // See Space.
  uint64_t GrowBytesMax() ABSL_EXCLUSIVE_LOCKS_REQUIRED(commit_mu_);
  // That of Transacting, or a new one.
  absl::StatusOr<sql::Transaction> BeginOrJoin() ABSL_EXCLUSIVE_LOCKS_REQUIRED(commit_mu_);
  absl::Status SettleBlocks() ABSL_EXCLUSIVE_LOCKS_REQUIRED(commit_mu_);
  absl::Status MendIndex() ABSL_EXCLUSIVE_LOCKS_REQUIRED(commit_mu_);
  // After a round in which nothing could be moved, or which failed.
  static constexpr absl::Duration kMovePause = absl::Minutes(1);
  absl::Status MoveLast() ABSL_EXCLUSIVE_LOCKS_REQUIRED(commit_mu_);
  bool MayLend() ABSL_EXCLUSIVE_LOCKS_REQUIRED(commit_mu_);
  std::vector<EarlyWriter::Source> EarlySources(const std::vector<LogRound>& rounds) const;
  static bool AnyLarge(const std::vector<LogRound>& rounds);
  // What was deleted is to be overwritten: SQLite does that, for pages.
  bool UsesExtents() const { return !options_.store.secure_delete; }
  bool IsBounded() const {
    return options_.store.quota_bytes != 0 || options_.store.headroom_bytes != 0;
  }
  // Of the frames of a block.
  uint64_t BlockBytesMax() const;
  absl::Status Trim(uint64_t end, LogRound* round) ABSL_EXCLUSIVE_LOCKS_REQUIRED(commit_mu_);
  absl::Status TrimOnly(std::vector<LogRound>* rounds) ABSL_EXCLUSIVE_LOCKS_REQUIRED(commit_mu_);
  absl::Status DecideDrops(const std::vector<LogRound>& rounds)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(commit_mu_);
  // See thinner.h.
  void PlanThinning(bool any) ABSL_EXCLUSIVE_LOCKS_REQUIRED(commit_mu_);
  void TruncateWal() ABSL_EXCLUSIVE_LOCKS_REQUIRED(commit_mu_);
  bool GiveUpReserve() ABSL_EXCLUSIVE_LOCKS_REQUIRED(commit_mu_);
  void AdmitAndReport() ABSL_EXCLUSIVE_LOCKS_REQUIRED(commit_mu_);
  // Takes what was written since the last call from the budget, and tells it.
  void NoteWrites() ABSL_EXCLUSIVE_LOCKS_REQUIRED(commit_mu_);
  // Brings LiveStats up to date.
  void TellLive() ABSL_EXCLUSIVE_LOCKS_REQUIRED(commit_mu_);
  // To be told the outcome of everything that syncs; see engine_reopen.cc.
  void NoteCommit(const absl::Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(commit_mu_);
  void NoteCheckpoint(const absl::Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(commit_mu_);
  void NoteSync(const absl::Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(commit_mu_);
  // Before anything is written: opens the database anew if that is due.
  //   kUnavailable   it is needed, and has not succeeded yet.
  absl::Status EnsureDatabase() ABSL_EXCLUSIVE_LOCKS_REQUIRED(commit_mu_);
  absl::Status ReopenDatabase() ABSL_EXCLUSIVE_LOCKS_REQUIRED(commit_mu_);
  // A small write, to learn whether the disk takes any again.
  void Probe() ABSL_EXCLUSIVE_LOCKS_REQUIRED(commit_mu_);
  bool IsDegraded() ABSL_LOCKS_EXCLUDED(stats_mu_);
  sql::OpenOptions ConnectionOptions(sql::Mode mode) const;
  void SealQuietLogs() ABSL_EXCLUSIVE_LOCKS_REQUIRED(commit_mu_);
  void Drain(LogRound* round);
  absl::Status WriteRound(const std::vector<Participant*>& captured, bool with_state,
                          std::vector<LogRound>* rounds_of_logs)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(commit_mu_);
  // How long the WAL may become before it is copied.
  uint64_t WalBytesMax() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(commit_mu_);
  void Wake() ABSL_LOCKS_EXCLUDED(wake_mu_);
  void CheckpointAbove(uint64_t wal_bytes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(commit_mu_);
  std::vector<SegmentLog*> LogsWithWork() ABSL_LOCKS_EXCLUDED(logs_mu_);
  SegmentLog* FindLog(LogId id) ABSL_LOCKS_EXCLUDED(logs_mu_);
  std::string IntakePath(const std::string& directory) const;

  const EngineOptions options_;
  Clock* const clock_;
  const SpacePlan plan_;

  // Set while opening, constant after it.
  std::unique_ptr<FileLock> lock_;
  std::unique_ptr<sql::CountingVfs> vfs_;  // outlives the connections
  std::unique_ptr<BlockStore> blocks_;
  std::unique_ptr<Intake> intake_;
  IntakeIdentity identity_;
  SegmentLog* journal_ = nullptr;
  std::vector<LeftRun> journal_leftovers_;  // until FinishOpen
  std::unique_ptr<Intake> old_intake_;      // as the last owner left it, likewise
  std::string old_intake_path_;
  bool old_intake_is_ours_ = false;         // of this store and boot
  BootClock boot_clock_;                    // changed under commit_mu_ only
  bool is_new_ = false;                     // made by this open
  bool died_ = false;                       // the last owner did not close
  bool made_by_open_ = false;               // the last owner did not come so far
  bool wal_was_left_ = false;               // when this open began

  // commit_mu_ was let go: a round may have ended. And, with it held, for those who want
  // room: there is something to write early.
  Signal committed_;
  EarlyWriter early_writer_;  // lent to while a round syncs
  CommitLine line_;   // the same, for those who wait for a commit of theirs

  Mutex salvage_mu_ ABSL_ACQUIRED_BEFORE(commit_mu_);  // whoever runs a step
  Mutex entry_mu_ ABSL_ACQUIRED_BEFORE(commit_mu_);  // held while waiting for the next
  Mutex commit_mu_;
  std::unique_ptr<sql::Database> db_ ABSL_GUARDED_BY(commit_mu_);
  std::unique_ptr<BlockWriter> writer_ ABSL_GUARDED_BY(commit_mu_);
  std::unique_ptr<Keeper> keeper_ ABSL_GUARDED_BY(commit_mu_);
  std::unique_ptr<Thinner> thinner_ ABSL_GUARDED_BY(commit_mu_);
  std::unique_ptr<Salvage> salvage_;  // set while opening; see there for its locks
  absl::Duration salvage_due_ ABSL_GUARDED_BY(commit_mu_);  // SinceBoot
  bool suspect_ ABSL_GUARDED_BY(commit_mu_) = false;  // noted
  uint64_t position_floor_ = 0;       // no new log begins below; constant once open
  bool salvaged_ = false;             // from a damaged database, ever; likewise
  Space space_ ABSL_GUARDED_BY(commit_mu_);
  absl::Duration move_after_ ABSL_GUARDED_BY(commit_mu_);  // SinceBoot
  bool db_open_ ABSL_GUARDED_BY(commit_mu_) = true;  // false: a reopen has failed half way
  bool reopen_wanted_ ABSL_GUARDED_BY(commit_mu_) = false;   // a sync failed
  bool wal_in_doubt_ ABSL_GUARDED_BY(commit_mu_) = false;    // that of a commit
  absl::Duration reopen_at_ ABSL_GUARDED_BY(commit_mu_);     // SinceBoot
  absl::Duration reopen_pause_ ABSL_GUARDED_BY(commit_mu_);  // zero: at once
  absl::Status reopen_status_ ABSL_GUARDED_BY(commit_mu_);   // of the last attempt
  int reopens_in_a_row_ ABSL_GUARDED_BY(commit_mu_) = 0;     // without a commit
  bool mend_wanted_ ABSL_GUARDED_BY(commit_mu_) = false;
  std::optional<absl::Duration> mended_at_ ABSL_GUARDED_BY(commit_mu_);
  absl::Duration last_round_ ABSL_GUARDED_BY(commit_mu_);  // SinceBoot of its start
  absl::Duration last_own_ ABSL_GUARDED_BY(commit_mu_);  // likewise, of no transaction
  uint64_t wal_block_bytes_ ABSL_GUARDED_BY(commit_mu_) = 0;  // in the WAL; about
  bool trims_left_ ABSL_GUARDED_BY(commit_mu_) = false;  // the last round had too much of them
  bool round_owed_ ABSL_GUARDED_BY(commit_mu_) = false;  // to those who waited, by the next
  uint32_t crowd_ ABSL_GUARDED_BY(commit_mu_) = 0;  // waited at the last round's end
  WriteBudget budget_ ABSL_GUARDED_BY(commit_mu_);
  Transacting* transacting_ ABSL_GUARDED_BY(commit_mu_) = nullptr;
  bool refused_rows_ ABSL_GUARDED_BY(commit_mu_) = false;  // a transaction, for their size
  uint64_t disk_bytes_spent_ ABSL_GUARDED_BY(commit_mu_) = 0;  // of vfs_'s count

  absl::Mutex cut_ ABSL_ACQUIRED_AFTER(commit_mu_);
  std::vector<std::pair<uint32_t, Participant*>> participants_ ABSL_GUARDED_BY(cut_);

  Mutex logs_mu_;
  std::map<LogId, std::unique_ptr<SegmentLog>> logs_ ABSL_GUARDED_BY(logs_mu_);

  Mutex wake_mu_;  // the last but what wake_ takes
  std::function<void()> wake_ ABSL_GUARDED_BY(wake_mu_);

  // Who runs a transaction now. Relaxed: a thread asks for itself only, and sees
  // what it has written itself.
  std::atomic<std::thread::id> transact_thread_{};
  std::atomic<uint64_t> sealed_bytes_{0};     // since the last round; a hint
  std::atomic<uint32_t> room_wanted_{0};      // appenders that wait for a segment
  std::atomic<uint64_t> rounds_ended_{0};
  std::atomic<uint32_t> lock_wanted_{0};      // who sleeps for commit_mu_

  mutable Mutex stats_mu_;
  StoreStats stats_ ABSL_GUARDED_BY(stats_mu_);
  Health health_ ABSL_GUARDED_BY(stats_mu_);
  uint64_t disk_bytes_before_ ABSL_GUARDED_BY(stats_mu_) = 0;     // this open
  uint64_t payload_bytes_before_ ABSL_GUARDED_BY(stats_mu_) = 0;
};

}  // namespace eddy::log

#endif  // EDDY_SRC_LOG_ENGINE_IMPL_H_
