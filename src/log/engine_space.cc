// Where commits meet limits: what is dropped for them, and what is refused. The
// deciding is in retention.h, the doing in keeper.h, the disk in space.h. And where
// the blocks of queues are thinned out, for room: thinner.h.
#include "src/base/status.h"
#include "src/log/engine_impl.h"

namespace eddy::log {

void EngineImpl::SetRetention(const std::vector<LogId>& logs, const KeepLimits& limits) {
  std::vector<SegmentLog*> members;
  for (const LogId id : logs) members.push_back(FindLog(id));
  CommitLock lock(this);
  keeper_->SetGroup(members, limits);
}

absl::Status EngineImpl::DecideDrops(const std::vector<LogRound>& rounds) {
  std::vector<BlockDraft> drafts;
  for (const LogRound& round : rounds) {
    if (round.log == journal_) continue;
    drafts.insert(drafts.end(), round.drafts.begin(), round.drafts.end());
  }
  // Not along with the rows of a transaction, which may fail yet.
  return keeper_->Decide(drafts, GrowBytesMax(), /*for_rows=*/transacting_ == nullptr);
}

uint64_t EngineImpl::GrowBytesMax() {
  if (options_.store.headroom_bytes == 0) return UINT64_MAX;
  const absl::StatusOr<sql::FileSizes> database = db_->Sizes();
  if (!database.ok()) return UINT64_MAX;  // what cannot be asked is no limit
  return space_.GrowBytesMax(database->all, writer_->outside_bytes());
}

void EngineImpl::PlanThinning(bool any) {
  std::vector<Thinner::View> views;
  if (any && db_open_) {
    absl::ReaderMutexLock cut(&cut_);
    for (const auto& [number, participant] : participants_) {
      const Passed passed = participant->passed();
      if (passed.log == nullptr) continue;
      // The usual case, as long as no message stays: so little is not worth a look.
      if (passed.scan < passed.head + kThinBytesMin) continue;
      if (passed.log->stored_end() <= passed.head) continue;
      views.push_back({participant, FindLog(passed.log->id()), passed.scan});
    }
  }
  // A table that cannot be read is told by those who need what stands there.
  thinner_->Plan(views).IgnoreError();
}

void EngineImpl::TruncateWal() {
  NoteCheckpoint(db_->Checkpoint(sql::CheckpointMode::kTruncate).status());
  if (db_->WalBytes() == 0) wal_block_bytes_ = 0;
}

bool EngineImpl::GiveUpReserve() {
  if (!space_.GiveUp()) return false;
  // While it is there: the database may have to grow for what the WAL holds, and
  // only a WAL that begins anew takes the commits to come without growing.
  TruncateWal();
  return true;
}

void EngineImpl::AdmitAndReport() {
  if (!db_open_) return;  // until then as it was
  if (space_.TakeBackIsDue()) {
    // The WAL of a burst may hold what the reserve needs.
    TruncateWal();
    space_.TakeBack();
  }
  bool closed = false;
  if (options_.store.reserve_bytes != 0 && !space_.reserve_held()) {
    closed = space_.Closed(db_->Sizes().value_or(sql::FileSizes()).free);
  }
  const absl::StatusOr<bool> rejects = keeper_->Admit(GrowBytesMax(), closed);
  MutexLock lock(&stats_mu_);
  // A database that cannot say how large it is fails its commits, and says why there.
  if (rejects.ok()) stats_.rejects = *rejects;
  stats_.dropped = keeper_->dropped();
  stats_.reserve_held = space_.reserve_held();
}

}  // namespace eddy::log
