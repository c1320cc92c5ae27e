// Opening the database anew, in the living process, after a sync that failed.
//
// The kernel reports a failed sync once and then shows pages that the disk may
// not hold. To sync the same file again and believe the answer would call them
// durable. What a failed commit wrote is no part of the database as its connection
// sees it, but a connection that recovers the WAL would take it for committed, and
// what a failed checkpoint copied would not be copied again. So:
//
//   1  overwrite   after a failed commit, still on the old connection, one small
//                  transaction. It lies in the WAL where the failed one began:
//                  from now on no recovery can see that one (nor refer to what it had
//                  beside the database, which is not used again before: block_extents.h)
//   2  close       all connections, without the checkpoint that a close makes; with
//                  the last goes the shared memory that knows what was copied, unless
//                  another process reads: then it is told to forget that (ForgetCopied)
//   3  open        new descriptors; the WAL is recovered from its bytes
//   4  prove       a full checkpoint writes everything that the WAL holds into the
//                  database, anew, and syncs it
//
// A death after any step leaves what a death at a failed sync always leaves: an
// intake marked suspect, and a successor that proves the WAL (see ProveDatabase).
// If a step fails it is tried again, later each time. Until it succeeds commits
// answer kUnavailable and what was accepted waits in the intake; but after a failed
// checkpoint commits go on, since the WAL they rest on was synced each time.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/log/engine_impl.h"
#include "src/log/meta.h"
#include "src/sql/error.h"

namespace eddy::log {
namespace {

// The first few attempts come as soon as somebody commits: a fault that is over is
// over. After them, until a commit succeeds:
constexpr int kReopensAtOnce = 4;
constexpr absl::Duration kReopenPauseMin = absl::Milliseconds(200);
constexpr absl::Duration kReopenPauseMax = absl::Seconds(5);

}  // namespace

void EngineImpl::NoteSync(const absl::Status& status) {
  if (!sql::IsSyncFailure(status)) return;
  if (intake_ != nullptr) intake_->MarkSuspect(identity_.boot);
  if (old_intake_ != nullptr) old_intake_->MarkSuspect(identity_.boot);
  if (intake_ == nullptr) return;  // still opening, which fails: the next open proves
  if (!reopen_wanted_) reopen_at_ = clock_->SinceBoot() + reopen_pause_;
  reopen_wanted_ = true;
}

void EngineImpl::NoteCommit(const absl::Status& status) {
  if (sql::IsSyncFailure(status) && intake_ != nullptr) wal_in_doubt_ = true;
  NoteSync(status);
  NoteDamage(absl::IsDataLoss(status));
  mend_wanted_ = mend_wanted_ || sql::IsIndexDamage(status);
  if (status.ok() && !reopen_wanted_) {
    reopen_pause_ = absl::ZeroDuration();
    reopens_in_a_row_ = 0;
  }
  MutexLock lock(&stats_mu_);
  health_.Note(Health::Work::kCommit, sql::WithErrno(status, vfs_->WriteErrno()),
               clock_->WallNow());
}

void EngineImpl::NoteCheckpoint(const absl::Status& status) {
  NoteSync(status);
  if (sql::IsBusy(status)) return;  // a reader says nothing of the disk
  MutexLock lock(&stats_mu_);
  health_.Note(Health::Work::kCheckpoint, sql::WithErrno(status, vfs_->WriteErrno()),
               clock_->WallNow());
}

absl::Status EngineImpl::EnsureDatabase() {
  // Not under a transaction of the user: it has to end on the connection on which it
  // began, and what it has written would be rolled back, the rest of it not.
  if (!reopen_wanted_ || (db_open_ && db_->InTransaction())) return absl::OkStatus();
  const absl::Duration now = clock_->SinceBoot();
  if (now >= reopen_at_) {
    reopen_status_ = ReopenDatabase();
    if (reopen_status_.ok()) {
      reopen_wanted_ = wal_in_doubt_ = false;
      MutexLock lock(&stats_mu_);
      ++stats_.reopens;
    }
    if (++reopens_in_a_row_ >= kReopensAtOnce) {
      reopen_pause_ = std::clamp(2 * reopen_pause_, kReopenPauseMin, kReopenPauseMax);
    }
    reopen_at_ = now + reopen_pause_;
  }
  if (!reopen_wanted_ || (db_open_ && !wal_in_doubt_)) return absl::OkStatus();
  // With the payloads of the cause, by which health.h knows it.
  return Retold(
      absl::UnavailableError(absl::StrCat(
          "a sync failed, and the database could not be opened anew yet (next attempt in ",
          absl::FormatDuration(std::max(reopen_at_ - now, absl::ZeroDuration())).c_str(), ")",
          reopen_status_.ok() ? "" : ": ", reopen_status_.ok() ? "" : reopen_status_.ToString())),
      reopen_status_);
}

absl::Status EngineImpl::ReopenDatabase() {
  if (db_open_) {
    if (wal_in_doubt_) {
      EDDY_RETURN_IF_ERROR(CountUp(*db_));
    }
    blocks_->CloseFile();
    // The objects stay, others point to them.
    *writer_ = BlockWriter();
    db_->KeepWalOnClose();
    db_open_ = false;
    EDDY_RETURN_IF_ERROR(db_->Close());
  }
  const std::string path = options_.directory + kDatabaseFile;
  sql::OpenOptions owner = ConnectionOptions(sql::Mode::kOwner);
  owner.create = false;  // one that is gone is not replaced by an empty one
  EDDY_ASSIGN_OR_RETURN(sql::Database db, sql::Database::Open(path, owner));
  EDDY_ASSIGN_OR_RETURN(const int64_t store_id, MetaInt(db, kMetaStoreId, 0));
  if (static_cast<uint64_t>(store_id) != identity_.store) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, " is no longer the database of this store"));
  }
  EDDY_ASSIGN_OR_RETURN(std::unique_ptr<BlockWriter> writer,
                        BlockWriter::Create(db, path, owner, UsesExtents(),
                                            options_.store.platform.files));
  EDDY_RETURN_IF_ERROR(blocks_->OpenFile(path, ConnectionOptions(sql::Mode::kReadOnly)));
  // A prepared statement knows SQLite's connection, not the object that moves.
  *writer_ = std::move(*writer);
  *db_ = std::move(db);
  db_open_ = true;
  keeper_->BoundAgain();

  EDDY_RETURN_IF_ERROR(db_->ForgetCopied());
  const absl::Status proved = db_->Checkpoint(sql::CheckpointMode::kFull).status();
  if (!sql::IsBusy(proved)) {
    MutexLock lock(&stats_mu_);
    health_.Note(Health::Work::kCheckpoint, proved, clock_->WallNow());
  }
  // As in ProveDatabase: of a full disk, or a reader in the way, the WAL only
  // stays longer.
  return sql::IsSyncFailure(proved) ? proved : absl::OkStatus();
}

void EngineImpl::Probe() {
  absl::Status status = EnsureDatabase();
  {
    MutexLock lock(&stats_mu_);
    if (health_.commits()) return;  // only checkpoints fail, which are tried anyway
  }
  if (status.ok()) status = CountUp(*db_);
  NoteCommit(status);
}

bool EngineImpl::IsDegraded() {
  MutexLock lock(&stats_mu_);
  return health_.state() != DiskState::kGood;
}

}  // namespace eddy::log
