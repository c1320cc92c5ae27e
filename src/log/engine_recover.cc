// Recovery: the intake that a dead process left, the positions, the journal.
//
// What the last owner left decides what is believed:
//
//   clean close                         all is in the tables; the intake is empty
//   same boot, the intake is ours       a process died: its published frames are
//                                       taken over, nothing is lost
//   another boot, or no intake          a power cut (or the file was removed):
//                                       the intake is not believed
//
// After a death of either kind every log goes on beyond all positions that can
// have been handed out.
//
// Order of a takeover: (1) copy the frames out of the intake, (2) the views load
// and replay, (3) one transaction commits it all, (4) the intake is reset. A
// death before 3 leaves everything as it was; between 3 and 4 the frames left in
// the intake lie below their log's end and are passed over.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/log/engine_impl.h"
#include "src/log/meta.h"

namespace eddy::log {
namespace {

constexpr char kJump[] = "UPDATE logs SET end_position = ? WHERE id = ?";

}  // namespace

// The intake that the last owner used, which may lie elsewhere than ours will.
absl::Status EngineImpl::FindIntake() {
  Files* const files = platform().files;
  CommitLock lock(this);
  EDDY_ASSIGN_OR_RETURN(const int64_t clean, MetaInt(*db_, kMetaClean, 0));
  died_ = clean != 1;
  made_by_open_ = clean == kMadeByOpen;
  EDDY_ASSIGN_OR_RETURN(const std::string directory, MetaText(*db_, kMetaIntakeDirectory));
  old_intake_path_ = IntakePath(directory);
  const std::string path = IntakePath(options_.store.intake_directory);
  if (is_new_ && files->Exists(path)) {
    EDDY_ASSIGN_OR_RETURN(const bool foreign, Intake::IsForeign(files, path));
    if (foreign) {
      return absl::FailedPreconditionError(
          absl::StrCat(path, " is no intake of eddy; move it away, or choose another directory"));
    }
  }
  const absl::StatusOr<IntakeGeometry> geometry =
      files->Exists(old_intake_path_) ? Intake::ReadGeometry(files, old_intake_path_)
                                      : absl::NotFoundError(old_intake_path_);
  EDDY_ASSIGN_OR_RETURN(const int64_t disk_bytes, MetaInt(*db_, kMetaDiskBytes, 0));
  EDDY_ASSIGN_OR_RETURN(const int64_t payload_bytes, MetaInt(*db_, kMetaPayloadBytes, 0));
  MutexLock stats(&stats_mu_);
  disk_bytes_before_ = static_cast<uint64_t>(std::max<int64_t>(disk_bytes, 0));
  payload_bytes_before_ = static_cast<uint64_t>(std::max<int64_t>(payload_bytes, 0));
  if (absl::IsNotFound(geometry.status())) return absl::OkStatus();
  EDDY_RETURN_IF_ERROR(geometry.status());
  EDDY_ASSIGN_OR_RETURN(old_intake_, Intake::Map(files, old_intake_path_, *geometry));
  old_intake_is_ours_ = old_intake_->BelongsTo(identity_);
  if (old_intake_is_ours_) {  // after a kill the mapping knows more than the table
    const LiveStats& live = old_intake_->live();
    disk_bytes_before_ = std::max(disk_bytes_before_, live.disk_bytes_total.load());
    payload_bytes_before_ = std::max(payload_bytes_before_, live.payload_bytes_total.load());
  }
  return absl::OkStatus();
}

// After a failed sync the kernel shows pages that the disk may not hold, until it
// forgets them. If the process that saw the failure dies before it has written
// them again, its successor would believe in commits that the next power cut
// takes away, and with them all that was synced behind them. So the WAL is written anew, as
// it is, which needs no room and is in no reader's way, and then copied, all of it. Not
// where nothing says that a sync has failed: where the power fails while it is written, it
// tears. After a boot there is nothing to prove: what is read came from the disk; but an
// open of this boot that has failed may have marked the intake of the last.
absl::Status EngineImpl::ProveDatabase() {
  if (is_new_) return absl::OkStatus();  // its syncs were our own
  const bool told = !made_by_open_ && old_intake_ != nullptr &&
                    (old_intake_->IsOfEarlierBoot(identity_) || old_intake_is_ours_);
  // Also of one who closed: a sync of that may have failed.
  const bool is_suspect = told && old_intake_->IsSuspect(identity_.boot);
  if (!is_suspect && (told || (!died_ && !wal_was_left_))) return absl::OkStatus();
  CommitLock lock(this);
  // A disk that is full (there are some that need room for what is written in its place), or
  // a reader in the way, is no reason not to open: the checkpoints to come do the same. A
  // sync that fails again is.
  const absl::Status written = is_suspect ? db_->RewriteWal() : absl::OkStatus();
  if (sql::IsSyncFailure(written)) return written;
  db_->ForgetCopied().IgnoreError();
  const absl::Status proved = db_->Checkpoint(sql::CheckpointMode::kFull).status();
  return sql::IsSyncFailure(proved) ? proved : absl::OkStatus();
}

absl::Status EngineImpl::RecoverIntake() {
  if (!old_intake_is_ours_) {
    MutexLock lock(&stats_mu_);
    stats_.intake_distrusted = died_;
    return absl::OkStatus();
  }
  std::vector<std::pair<uint32_t, uint64_t>> ends;
  {
    MutexLock logs(&logs_mu_);
    for (const auto& [id, log] : logs_) ends.emplace_back(id, log->committed());
  }
  uint64_t recovered = 0;
  for (LeftRun& run : old_intake_->Leftovers(ends)) {
    recovered += run.frame_count;
    if (run.log == 0) journal_leftovers_.push_back(run);
    FindLog(run.log)->Restore(run.first, std::move(run.frames));
  }
  MutexLock lock(&stats_mu_);
  stats_.frames_recovered = recovered;
  return absl::OkStatus();
}

// What a dead process claimed and did not publish (and, after a power cut, all
// that it did not commit) is lost, but its positions may have been handed out:
// to callers, to readers, perhaps to the cloud. All lie below what the tables know
// to be reached (L4) plus what the intake can hold plus kAheadBytesMax. The jump is
// committed before anything is appended, so that the next one starts beyond it.
absl::Status EngineImpl::JumpPositions() {
  constexpr int64_t kMost = kIntakeBytesMax + kIntakeHeaderBytes;
  EDDY_ASSIGN_OR_RETURN(const int64_t intake_bytes, MetaInt(*db_, kMetaIntakeBytes, kMost));
  if (!IsIntakeBytes(intake_bytes)) {
    return absl::DataLossError(
        absl::StrCat("meta: ", kMetaIntakeBytes, " is ", intake_bytes, ", which cannot be"));
  }
  const uint64_t jump = AlignFrame(static_cast<size_t>(intake_bytes)) + kAheadBytesMax;
  static_assert(kAheadBytesMax % kFrameAlignment == 0);
  EDDY_ASSIGN_OR_RETURN(sql::Statement update, db_->Prepare(kJump));
  MutexLock logs(&logs_mu_);
  for (auto& [id, log] : logs_) {
    const uint64_t end = std::min(std::max(log->committed(), log->reach()) + jump, kPositionMax);
    EDDY_RETURN_IF_ERROR(update.Bind(1, static_cast<int64_t>(end)).Bind(2, id).Run());
    log->JumpTo(end);
  }
  return absl::OkStatus();
}

absl::Status EngineImpl::ReplayJournal() {
  for (const LeftRun& run : journal_leftovers_) {
    for (size_t at = 0; at < run.frames.size();) {
      FrameView frame;
      if (!ParseFrame(run.frames.data() + at, run.frames.size() - at, run.first + at, &frame) ||
          frame.body.size() < sizeof(uint32_t)) {
        return absl::DataLossError(
            absl::StrCat("journal: no whole frame at position ", run.first + at));
      }
      at += static_cast<size_t>(frame.end - frame.position);
      uint32_t view;
      std::copy_n(frame.body.data(), sizeof(view), reinterpret_cast<char*>(&view));
      Participant* participant = nullptr;
      {
        absl::ReaderMutexLock lock(&cut_);
        for (const auto& [number, candidate] : participants_) {
          if (number == view) participant = candidate;
        }
      }
      // A view that is in no table was never committed, and neither was a
      // frame of its own log: there is nothing its state could refer to.
      if (participant == nullptr) continue;
      const absl::Status replayed = participant->Replay(frame.body.substr(sizeof(view)));
      // What it speaks of may be lost with a page of the damaged database.
      if (absl::IsDataLoss(replayed) && salvaged_) continue;
      EDDY_RETURN_IF_ERROR(replayed);
    }
  }
  journal_leftovers_.clear();
  return absl::OkStatus();
}

absl::Status EngineImpl::FinishOpen() {
  EDDY_RETURN_IF_ERROR(ReplayJournal());
  Files* const files = platform().files;
  const IntakeGeometry geometry = PlanIntake(options_.store.intake_bytes);
  CommitLock lock(this);
  // With no intake in place nobody can append yet; Cut() and Committed() of
  // restored runs do not need one.
  EDDY_RETURN_IF_ERROR(CommitRound(Extent::kEverything).status);
  EDDY_ASSIGN_OR_RETURN(sql::Transaction transaction, sql::Transaction::Begin(*db_));
  if (died_) EDDY_RETURN_IF_ERROR(JumpPositions());  // by the old size of the intake
  std::vector<std::pair<LogId, uint64_t>> tails;
  {
    MutexLock logs(&logs_mu_);
    for (const auto& [id, log] : logs_) tails.emplace_back(id, log->committed());
  }
  EDDY_RETURN_IF_ERROR(boot_clock_.Begin(*db_, tails));
  const std::string path = IntakePath(options_.store.intake_directory);
  EDDY_RETURN_IF_ERROR(SetMeta(*db_, kMetaIntakeBytes, static_cast<int64_t>(geometry.FileBytes())));
  EDDY_RETURN_IF_ERROR(SetMeta(*db_, kMetaIntakeDirectory, options_.store.intake_directory));
  EDDY_RETURN_IF_ERROR(SetMeta(*db_, kMetaClean, 0));
  const bool in_memory = options_.store.intake_in_memory;
  const bool moves = path != old_intake_path_ || in_memory;
  if (in_memory) {
    intake_ = Intake::InMemory(geometry);
  } else if (old_intake_ != nullptr && !moves && old_intake_is_ours_ &&
             old_intake_->geometry() == geometry) {
    intake_ = std::move(old_intake_);
  } else {
    // Only now, with everything of value in the tables. A file that is removed
    // cannot be half new and half old.
    if (!moves) old_intake_.reset();
    const absl::Status removed = files->Remove(path);
    if (!removed.ok() && !absl::IsNotFound(removed)) return removed;
    absl::StatusOr<std::unique_ptr<Intake>> mapped = Intake::Map(files, path, geometry);
    if (absl::IsUnimplemented(mapped.status())) {
      return absl::UnimplementedError(absl::StrCat(
          mapped.status().message(), ": with StoreOptions::intake_in_memory eddy does without"));
    }
    EDDY_ASSIGN_OR_RETURN(intake_, std::move(mapped));
  }
  const absl::Status committed = transaction.Commit();
  NoteSync(committed);
  EDDY_RETURN_IF_ERROR(committed);
  intake_->Reset(identity_, platform().random->Next());
  const bool had_old = old_intake_ != nullptr;
  old_intake_.reset();
  // Nobody looks for it there again.
  if (moves && had_old) files->Remove(old_intake_path_).IgnoreError();
  TellLive();  // not what the last owner has left there
  MutexLock logs(&logs_mu_);
  for (auto& [id, log] : logs_) {
    log->SetIntake(intake_.get());
    log->SetBootStarts(boot_clock_.StartsOf(id));
  }
  return absl::OkStatus();
}

}  // namespace eddy::log
