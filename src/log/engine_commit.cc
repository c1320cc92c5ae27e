// The commit round: group commit of all logs and views.
//
//   1  cut      exclusively: note what each log has claimed, Capture() the views
//   2  drain    find the published frames below the cut, as blocks, less those
//               that nobody needs any more
//   3  write    one transaction: blocks, views, the journal's end. Left out, with
//               4, if there is no block and the views may wait: they go on in the
//               journal
//   4  sync     the blocks' file and the transaction's COMMIT; who waits for room
//               writes the next round's blocks meanwhile: early_writer.h
//   5  release  tell waiters and readers, give drained segments back
//
// A crash before 4 has ended leaves the database as before the round, and the
// frames in the intake; a crash after it leaves frames in the intake that the
// tables hold too: recovery knows them by their position.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/log/block_draft.h"
#include "src/log/engine_impl.h"
#include "src/log/meta.h"

namespace eddy::log {
namespace {

// A claimed frame is published within the time of a copy, unless its thread was
// preempted. So long a round waits for it before it goes on without it.
constexpr int kUnpublishedYieldsMax = 200;

// How often a disk that refuses is tried again, if the flush is not due sooner.
constexpr absl::Duration kRetryPause = absl::Milliseconds(200);

// What a trim takes of the WAL's length in one round, and how soon the next comes.
constexpr uint64_t kTrimShareOfWal = 4;
constexpr absl::Duration kTrimPause = absl::Milliseconds(2);

// A WAL whose copy is short, because its commits have written the same few pages
// again and again, is copied at this length: one that is written anew from its start
// does not grow, and a sync of a file that grows takes twice as long. (Measured on
// ext4: 350 against 150 us.) The copy's two syncs are one in some 250.
constexpr uint64_t kShortCopyWalBytes = 2 << 20;
constexpr uint64_t kShortCopyShare = 8;  // of the WAL is blocks, at most

}  // namespace

void EngineImpl::OnSealed(size_t bytes) {
  const uint64_t sealed = sealed_bytes_.fetch_add(bytes, std::memory_order_relaxed) + bytes;
  if (sealed >= options_.store.commit_bytes) Wake();
}

void EngineImpl::OnCommitDue(std::function<void()> wake) {
  MutexLock lock(&wake_mu_);
  wake_ = std::move(wake);
}

void EngineImpl::Wake() {
  MutexLock lock(&wake_mu_);
  if (wake_) wake_();
}

EngineImpl::CommitLock::CommitLock(EngineImpl* engine) : engine_(engine) {
  // One after another, so that one who comes again at once, as a loop of transactions
  // does, lets those in who wait.
  const MutexLock entry(&engine_->entry_mu_);
  engine_->lock_wanted_.fetch_add(1, std::memory_order_acq_rel);
  engine_->commit_mu_.Lock();
  engine_->lock_wanted_.fetch_sub(1, std::memory_order_acq_rel);
  engine_->line_.LedByAnother();
}

EngineImpl::CommitLock::~CommitLock() {
  // Those who wait for a commit let us in: two that query in turn would keep them waiting.
  if (engine_->round_owed_ && !engine_->line_.HasClosed() && engine_->line_.Arrived() > 0) {
    engine_->CommitRound();  // what fails is told to those who wait, by their own
  }
  engine_->UnlockCommit();
}

void EngineImpl::BetweenCommits(const std::function<void()>& work) {
  CommitLock lock(this);
  work();
}

absl::StatusOr<Appended> EngineImpl::TryJournal(uint32_t view, std::string_view op) {
  FrameParts parts;
  parts.head = std::string_view(reinterpret_cast<const char*>(&view), sizeof(view));
  parts.body = op;
  return journal_->TryAppend(parts);
}

absl::Duration EngineImpl::RunOnce() {
  if (!CheckMayCommit().ok()) return options_.store.flush_interval;
  const absl::Duration due = RunCommits();
  return std::min(due, RunSalvage());
}

absl::Duration EngineImpl::RunCommits() {
  CommitLock lock(this);
  NoteDamage(blocks_->table_is_damaged());
  const absl::Duration interval = options_.store.flush_interval;
  const absl::Duration now = clock_->SinceBoot();
  CheckpointAbove(WalBytesMax());
  // While the disk refuses, it is tried more often than the flush is due.
  const bool degraded = IsDegraded();
  const absl::Duration pace = degraded ? std::min(interval, kRetryPause) : interval;
  const absl::Duration due = last_own_ + pace - now;
  const bool enough =
      sealed_bytes_.load(std::memory_order_relaxed) >= options_.store.commit_bytes ||
      room_wanted_.load() > 0 || (trims_left_ && !degraded);
  if (!enough && due > absl::ZeroDuration()) return due;
  if (mend_wanted_ && EnsureDatabase().ok()) MendIndex().IgnoreError();  // of a salvage, say
  const absl::Duration debt = budget_.UntilAffordable(now);
  if (debt > absl::ZeroDuration()) {
    const bool held = ReleaseHeld();
    MutexLock lock_stats(&stats_mu_);
    stats_.flush_interval = std::max(interval, now + debt - last_round_);
    return held ? std::min(debt, interval) : debt;
  }
  // The status stays visible in Stats(); the next round tries again.
  const RoundResult round = CommitRound();
  if (boot_clock_.RepairIsDue() && EnsureDatabase().ok()) {
    // Tried again in the next round if it fails.
    const absl::Status repaired = boot_clock_.Repair(*db_);
    if (sql::IsSyncFailure(repaired)) NoteCommit(repaired);
  }
  if (degraded && !round.worked) Probe();
  CheckpointAbove(WalBytesMax());
  if (!round.status.ok() || IsDegraded()) return std::min(interval, kRetryPause);
  if (trims_left_) return std::min(interval, kTrimPause);
  return round.complete ? interval : std::min(interval, kIncompletePauseMax);
}

void EngineImpl::SealQuietLogs() {
  if (room_wanted_.load() == 0 || intake_->free_count() > 0) return;
  // Those that nobody has appended to since the last look; if all are busy, a
  // quarter of them, so that more active logs than segments only go slower.
  std::vector<SegmentLog*> busy;
  size_t sealed = 0;
  for (SegmentLog* log : LogsWithWork()) {
    const bool quiet = log->QuietSinceLastLook();
    // Without one it has nothing to give, and may be quiet for long: what it has sealed waits
    // for a frame that is still to be published, or for the state that goes with it.
    if (!log->HasActiveSegment()) continue;
    if (quiet) {
      log->SealActive();
      ++sealed;
    } else {
      busy.push_back(log);
    }
  }
  if (sealed > 0) return;
  for (size_t i = 0; i < (busy.size() + 3) / 4; ++i) {
    busy[(i + static_cast<size_t>(rounds_ended_.load())) % busy.size()]->SealActive();
  }
}

void EngineImpl::Drain(LogRound* round) {
  const uint64_t block_bytes_max = BlockBytesMax();
  round->end = round->log->committed();
  round->complete = true;
  for (const CutRun& run : round->cut.runs) {
    BlockDraft early;
    uint64_t end = run.end;
    if (early_writer_.Find(*round->log, run, &early)) {
      round->drafts.push_back(early);
    } else {
      end = DraftRun(round->log->id(), run, round->log->boot_starts(), block_bytes_max,
                     kUnpublishedYieldsMax, &round->drafts);
    }
    round->end = std::max(round->end, end);
    if (end < run.end) {
      round->complete = false;
      return;
    }
  }
  if (round->cut.runs.empty()) round->end = std::max(round->end, round->cut.claimed_end);
}

absl::Status EngineImpl::WriteRound(const std::vector<Participant*>& captured, bool with_state,
                                    std::vector<LogRound>* rounds_of_logs) {
  std::vector<LogRound>& rounds = *rounds_of_logs;
  EDDY_RETURN_IF_ERROR(EnsureDatabase());
  // Where files are bounded a small one may go there too.
  if (AnyLarge(rounds) || IsBounded()) EDDY_RETURN_IF_ERROR(SettleBlocks());
  EDDY_ASSIGN_OR_RETURN(sql::Transaction transaction, BeginOrJoin());
  EDDY_RETURN_IF_ERROR(keeper_->WriteDrops());  // first: the blocks use their pages
  if (with_state) EDDY_RETURN_IF_ERROR(thinner_->Write());  // likewise
  const int64_t kept_ms = keeper_->NowMs();
  const uint64_t inside_before = writer_->inside_bytes();
  for (LogRound& round : rounds) {
    if (round.log == journal_) {
      // Folded into the views' tables: only how far matters. Without the state
      // the frames have to stay.
      if (with_state && !round.drafts.empty()) {
        EDDY_RETURN_IF_ERROR(writer_->SetEnd(0, round.end, 0));
      }
      continue;
    }
    for (const BlockDraft& draft : round.drafts) {
      EDDY_ASSIGN_OR_RETURN(const uint64_t stored, writer_->Insert(draft, kept_ms));
      EDDY_RETURN_IF_ERROR(keeper_->Inserted(round.log, draft, stored, kept_ms));
    }
    if (round.reserve != 0) {
      EDDY_RETURN_IF_ERROR(writer_->SetEnd(round.log->id(), round.end, round.reserve));
    }
    if (round.cut.trim_before != 0) EDDY_RETURN_IF_ERROR(Trim(round.end, &round));
  }
  if (with_state) {
    for (Participant* participant : captured) {
      EDDY_RETURN_IF_ERROR(participant->Write(*db_));
    }
  }
  if (transacting_ != nullptr) EDDY_RETURN_IF_ERROR(transacting_->work->Write(*db_));
  EDDY_RETURN_IF_ERROR(MoveLast());       // after the new ones, which need places more
  const bool takes = writer_->BeginEarly();
  BlockWriter* const lent = takes && MayLend() ? writer_.get() : nullptr;
  const EarlyWriter::Loan loan(&early_writer_, lent,
                               lent == nullptr ? std::vector<EarlyWriter::Source>()
                                               : EarlySources(rounds));
  if (lent != nullptr && room_wanted_.load() > 0) committed_.Notify();
  EDDY_RETURN_IF_ERROR(writer_->Sync());  // before whatever refers to it
  EDDY_RETURN_IF_ERROR(transaction.Commit());
  wal_block_bytes_ += writer_->inside_bytes() - inside_before;
  return absl::OkStatus();
}

void EngineImpl::NoteWrites() {
  const uint64_t written = vfs_->Counts().bytes();
  const absl::Duration now = clock_->SinceBoot();
  budget_.Spend(written - std::exchange(disk_bytes_spent_, written), now);
  if (intake_ == nullptr) return;  // while opening
  const absl::Duration debt = budget_.UntilAffordable(now);
  {
    MutexLock lock(&stats_mu_);
    stats_.flush_interval = std::max(options_.store.flush_interval, debt);
  }
  TellLive();
}

void EngineImpl::TellLive() {
  MutexLock lock(&stats_mu_);
  // Relaxed: each is right for itself, and nothing is concluded from two of them.
  intake_->live().disk_bytes_total.store(disk_bytes_before_ + vfs_->Counts().bytes(),
                                         std::memory_order_relaxed);
  intake_->live().payload_bytes_total.store(
      payload_bytes_before_ + stats_.payload_bytes_committed, std::memory_order_relaxed);
  intake_->live().disk_state.store(static_cast<uint64_t>(health_.state()),
                                   std::memory_order_relaxed);
  intake_->live().disk_state_since_ms.store(absl::ToUnixMillis(health_.since()),
                                            std::memory_order_relaxed);
  intake_->live().flush_interval_ms.store(absl::ToInt64Milliseconds(stats_.flush_interval),
                                          std::memory_order_relaxed);
}

// A part of the WAL at a time. The rest is the next round's, which comes soon.
absl::Status EngineImpl::Trim(uint64_t end, LogRound* round) {
  const uint64_t wanted = round->cut.trim_before;
  EDDY_ASSIGN_OR_RETURN(const BlockSum trimmed,
                        writer_->Trim(round->log->id(), end, &round->cut.trim_before,
                                      plan_.wal_bytes_max / kTrimShareOfWal));
  trims_left_ = trims_left_ || round->cut.trim_before != wanted;
  return keeper_->Trimmed(round->log, end, trimmed);
}

// Trims alone: on a full disk they free the pages that the frames then need, at a quota
// the places outside, which serve only once that is committed.
absl::Status EngineImpl::TrimOnly(std::vector<LogRound>* rounds) {
  const auto write = [&]() -> absl::Status {
    commit_mu_.AssertHeld();
    EDDY_RETURN_IF_ERROR(EnsureDatabase());
    EDDY_ASSIGN_OR_RETURN(sql::Transaction transaction, sql::Transaction::Begin(*db_));
    EDDY_RETURN_IF_ERROR(keeper_->WriteDrops());
    for (LogRound& round : *rounds) {
      if (round.cut.trim_before != 0) EDDY_RETURN_IF_ERROR(Trim(round.log->committed(), &round));
    }
    return transaction.Commit();
  };
  const uint64_t wal_before = vfs_->Counts().wal_bytes;
  const absl::Status status = write();
  if (sql::IsSyncFailure(status)) NoteCommit(status);
  if (status.ok() && vfs_->Counts().wal_bytes > wal_before) writer_->Settled();
  writer_->Finish(status.ok());
  keeper_->Finish(status.ok());
  if (!status.ok()) return status;  // the next round tries both again
  for (const LogRound& round : *rounds) {
    if (round.cut.trim_before == 0) continue;
    round.log->Committed(round.log->committed(), 0, round.cut.trim_before);
  }
  return status;
}

EngineImpl::RoundResult EngineImpl::CommitRound(Extent extent) {
  const absl::Duration now = clock_->SinceBoot();
  const bool all = extent == Extent::kEverything;
  const bool release_only = extent == Extent::kRelease;
  if (!release_only) last_round_ = now;
  // That of a transaction moves nothing and thins nothing: one that does is still due.
  if (!release_only && transacting_ == nullptr) last_own_ = now;
  if (!release_only) trims_left_ = false;
  sealed_bytes_.store(0, std::memory_order_relaxed);
  SealQuietLogs();
  PlanThinning(extent == Extent::kDue && transacting_ == nullptr);
  line_.Close();

  std::vector<LogRound> rounds;
  std::vector<Participant*> captured;
  bool work = transacting_ != nullptr;  // something has to be written
  {
    absl::MutexLock cut(&cut_);
    for (SegmentLog* log : LogsWithWork()) {
      LogRound round;
      round.log = log;
      round.cut = log->Cut();
      rounds.push_back(std::move(round));
    }
    for (const auto& [view, participant] : participants_) {
      if (release_only || !participant->Capture()) continue;
      captured.push_back(participant);
      work = work || all || !participant->MayWait();
    }
    work = thinner_->Choose(now) || work;
  }
  bool complete = true;
  bool with_trims = false;
  size_t block_count = 0;
  uint64_t payload_bytes = 0;
  for (LogRound& round : rounds) {
    Drain(&round);
    if (round.holds()) DropUseless(&round);
    with_trims = with_trims || round.cut.trim_before != 0;
  }
  work = work || with_trims;
  if (!all) HoldBack(now, &rounds);
  // State may refer to frames behind one that is still unpublished: it waits for a
  // round in which all logs that take part are drained up to the cut (E1).
  for (const LogRound& round : rounds) complete = complete && (round.held || round.complete);
  if (!complete) WithholdBound(&rounds);
  for (LogRound& round : rounds) {
    if (round.log == journal_) {
      if (round.drafts.empty()) continue;
      round.frames_end = round.end;
      work = work || all || round.log->IsWanted() || JournalIsCrowded(round);
      continue;
    }
    // Only together with the state that says why.
    if (complete && !round.holds()) DropUseless(&round);
    round.frames_end = round.drafts.empty() ? 0 : round.drafts.back().end;
    // L4. Where no block says how far the log went it is told along with what else is
    // written, for a log that holds well ahead; alone only where it has to be.
    const uint64_t seen = round.cut.claimed_end;
    const bool tell = round.holds()
                          ? seen + kReserveBytes / 2 > round.log->reach()
                          : round.end > std::max(round.log->known_end(), round.frames_end);
    if (tell) round.reserve = std::min(seen + kReserveBytes, kPositionMax);
    work = work || round.end > std::max(round.log->reach(), round.frames_end);
    work = work || !round.drafts.empty();
    block_count += round.drafts.size();
    payload_bytes += PayloadBytes(round.drafts);
  }
  absl::Status status;
  if (release_only) {
    work = false;
  } else {
    status = EnsureDatabase();
    if (status.ok()) status = DecideDrops(rounds);
    work = work || keeper_->HasDropsToWrite() || (keeper_->IsCramped() && now >= move_after_);
  }
  const auto write = [&] {
    commit_mu_.AssertHeld();
    const uint64_t wal_before = vfs_->Counts().wal_bytes;
    status = WriteRound(captured, complete, &rounds);
    if (status.ok() && vfs_->Counts().wal_bytes > wal_before) writer_->Settled();
    NoteCommit(status);
    if (!status.ok()) move_after_ = now + kMovePause;  // not again for nothing
    if (!status.ok() && db_open_) db_->StopReading();
    writer_->Finish(status.ok());
    keeper_->Finish(status.ok());
    thinner_->Finish(status.ok() && complete);
  };
  // Places outside are free only once it is committed that nobody refers to them.
  if (!release_only && status.ok() && keeper_->NeedsPlacesFirst() && transacting_ == nullptr &&
      (with_trims || keeper_->HasDropsToWrite())) {
    status = TrimOnly(&rounds);
  }
  if (work && status.ok()) {
    write();
  } else if (!status.ok()) {
    NoteCommit(status);
  }
  // The user's part is rolled back, and is not run again: what is done here for it
  // serves the next try.
  if (!status.ok() && transacting_ != nullptr) transacting_->sql.reset();
  // Only what was to be written and was not, because of it.
  if (!release_only && sql::IsIndexDamage(status) && transacting_ == nullptr &&
      MendIndex().ok()) {
    write();
  }
  if (!release_only && absl::IsResourceExhausted(status)) {
    const bool drops = keeper_->HasDropsToWrite();
    const bool by_itself = transacting_ != nullptr && transacting_->spilled;
    const bool reserve = !by_itself && !sql::IsOutOfMemory(status) && GiveUpReserve();
    const bool trimmed = (drops || with_trims) && TrimOnly(&rounds).ok();
    if ((reserve || (trimmed && drops)) && transacting_ == nullptr) write();
  }
  const bool with_state = status.ok() && work && complete;
  uint64_t spared_bytes = 0;
  for (const LogRound& round : rounds) {
    if (round.log == journal_ && !with_state) continue;
    if (status.ok() && !release_only) {
      if (work) {
        round.log->SetKnown(round.reserve != 0 ? round.end : round.frames_end, round.reserve);
        if (!round.drafts.empty()) round.log->SetWritten(round.drafts.back().last);
      }
      round.log->Committed(round.end, round.frames_end, round.cut.trim_before);
    } else if (round.holds() && round.kept_from() <= round.log->reach()) {
      round.log->Committed(round.kept_from(), 0, 0);  // that needs no disk
    } else {
      continue;
    }
    spared_bytes += round.spared_bytes;
  }
  // After the logs, so that a view can trim below what it now knows committed.
  for (Participant* participant : captured) participant->Finish(with_state);
  {
    MutexLock lock(&stats_mu_);
    stats_.payload_bytes_spared += spared_bytes;
    if (!release_only) stats_.last_commit = status;
    if (work && status.ok()) {
      ++stats_.commits;
      stats_.blocks_written += block_count;
      stats_.payload_bytes_committed += payload_bytes;
    } else if (!status.ok()) {
      ++stats_.commit_failures;
    }
  }
  NoteWrites();
  rounds_ended_.fetch_add(1);
  AdmitAndReport();
  // RunOnce copies the WAL long before it is twice as long, if the host lets it run.
  if (db_open_ && db_->WalBytes() >= WalBytesMax()) Wake();
  CheckpointAbove(2 * WalBytesMax());
  return {status, complete, work};
}

uint64_t EngineImpl::WalBytesMax() const {
  const bool short_copy = db_open_ && wal_block_bytes_ <= db_->WalBytes() / kShortCopyShare;
  return short_copy ? std::min(kShortCopyWalBytes, plan_.wal_bytes_max) : plan_.wal_bytes_max;
}

void EngineImpl::CheckpointAbove(uint64_t wal_bytes) {
  if (!db_open_ || db_->WalBytes() < wal_bytes) return;
  // Passive: copies what readers allow and never waits for them. A reader of
  // another process that stays long lets the WAL grow until it is done.
  const absl::StatusOr<sql::CheckpointResult> copied =
      db_->Checkpoint(sql::CheckpointMode::kPassive);
  NoteCheckpoint(copied.status());
  if (db_->WalBytes() == 0) wal_block_bytes_ = 0;
  // A WAL that could not be copied is still whole, and only longer.
  if (!copied.ok()) {
    MutexLock lock(&stats_mu_);
    stats_.last_commit = copied.status();
  }
}

}  // namespace eddy::log
