// A transaction of the user: its rows, frames and state go into one round.
//
//   1  begin     the SQLite transaction, under the commit lock
//   2  run       the user's part writes its rows; frames and state are only noted
//   3  append    the frames, hidden: after this what others append comes behind them
//   4  round     cut, drain, write, sync as always, within the same transaction
//   5  finish    memory: what was noted holds now, or is forgotten; who waits is told
//
// A death before the sync of 4 has ended leaves nothing: the rows are rolled back,
// and hidden frames lie on the heap, never in the intake or the journal. A death after
// it leaves everything, in the tables. If a step fails the frames are taken out of
// their logs again, which leaves a hole in the positions.
//
// The round also commits what others have accepted. That stays accepted if the
// transaction fails, and comes with the next round.
#include <algorithm>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/log/engine_impl.h"
#include "src/log/meta.h"
#include "src/sql/app_tables.h"

namespace eddy::log {
namespace {

// A frame that another thread has claimed before the transaction's is published
// within the time of a copy, unless that thread was preempted.
constexpr int kYieldsMax = 200;
constexpr absl::Duration kPublishPause = absl::Milliseconds(1);
constexpr absl::Duration kPublishWaitMax = absl::Seconds(30);

// So many pages a delete may take: a tree that is split, a list of free pages.
constexpr uint64_t kSplitPages = 8;
// And so many the rows that go along with a delete of messages or a cursor's move: see
// TransactionWork::MakesRoom.
constexpr uint64_t kNotePages = 16;
// Rows of more than that do not wait in the connection's cache for the commit.
constexpr uint64_t kSpilledBytes = uint64_t{sql::kCacheKib} << 10;

}  // namespace

absl::Status EngineImpl::CheckMayCommit() const {
  if (transact_thread_.load(std::memory_order_relaxed) != std::this_thread::get_id()) {
    return absl::OkStatus();
  }
  return absl::FailedPreconditionError(
      "within Store::Transact nothing else is committed, so nothing may be done that waits "
      "for a commit: use the Transaction's own calls, or do it afterwards");
}

absl::Status EngineImpl::Transact(TransactionWork* work) {
  EDDY_RETURN_IF_ERROR(CheckMayCommit());
  CommitLock lock(this);
  transact_thread_.store(std::this_thread::get_id(), std::memory_order_relaxed);
  const uint64_t written = vfs_->Counts().bytes();
  const absl::Status status = RunTransaction(work);
  work->Finish(status.ok());
  if (!status.ok()) CutSpill(written);
  if (std::exchange(refused_rows_, false)) MakeRoomForRows();
  transact_thread_.store({}, std::memory_order_relaxed);
  return status;
}

// Rows that do not fit into the connection's cache go to the WAL before the commit, and make
// its file, or a disk that is full, as long until it is cut. `written`: what was, before.
void EngineImpl::CutSpill(uint64_t written) {
  if (!db_open_ || reopen_wanted_) return;
  // First: the copying may need what it gives back. Always: some may wait in memory, to be
  // written by whoever comes next.
  const absl::Status cut = db_->CutWal();
  if (!HasSpilled(written)) return;
  if (!cut.ok()) NoteCheckpoint(cut);  // that it was cut heals no checkpoint that has failed
  TruncateWal();
}

bool EngineImpl::HasSpilled(uint64_t written) const {
  return vfs_->Counts().bytes() - written > kSpilledBytes;
}

// For the next try.
void EngineImpl::MakeRoomForRows() {
  if (db_->WalBytes() > plan_.wal_bytes_max / 2) TruncateWal();
  if (keeper_->IsWanted() && budget_.UntilAffordable(clock_->SinceBoot()) == absl::ZeroDuration()) {
    CommitRound();  // drops and moves
  }
}

absl::Status EngineImpl::ReadTables(const std::function<absl::Status(Sql&)>& work) {
  EDDY_RETURN_IF_ERROR(CheckMayCommit());
  CommitLock lock(this);
  EDDY_RETURN_IF_ERROR(EnsureDatabase());
  EDDY_ASSIGN_OR_RETURN(const sql::Transaction transaction, sql::Transaction::Begin(*db_));
  sql::AppTables tables(db_.get(), sql::AppTables::Access::kRead);
  return work(tables);
}

absl::StatusOr<sql::Transaction> EngineImpl::BeginOrJoin() {
  if (transacting_ == nullptr) return sql::Transaction::BeginAsReader(*db_);
  if (!db_->InTransaction()) {
    return absl::AbortedError("an error has rolled the transaction back");
  }
  sql::Transaction joined = *std::move(transacting_->sql);
  transacting_->sql.reset();
  return joined;
}

absl::Status EngineImpl::RunTransaction(TransactionWork* work) {
  EDDY_RETURN_IF_ERROR(EnsureDatabase());
  if (IsBounded()) {  // within the transaction it cannot; without it, blocks go inside
    const absl::Status settled = SettleBlocks();
    if (!settled.ok()) NoteCommit(settled);
    if (sql::IsSyncFailure(settled)) return settled;
  }
  Transacting transacting;
  transacting.work = work;
  EDDY_ASSIGN_OR_RETURN(sql::Transaction begun, sql::Transaction::Begin(*db_));
  transacting.sql.emplace(std::move(begun));
  EDDY_RETURN_IF_ERROR(RunUsersPart(&transacting));
  if (!transacting.sql) return absl::OkStatus();  // nothing has changed
  return CommitFrames(&transacting);
}

// OK without a transaction: there is nothing to commit.
absl::Status EngineImpl::RunUsersPart(Transacting* transacting) {
  const bool limited =
      keeper_->store_room() != UINT64_MAX || options_.store.reserve_bytes != 0;
  sql::FileSizes before;
  if (limited) {
    EDDY_ASSIGN_OR_RETURN(before, db_->Sizes());
  }
  sql::AppTables tables(db_.get(), sql::AppTables::Access::kWrite);
  const uint64_t written = vfs_->Counts().bytes();
  const uint64_t wal_most = limited ? WalBytesMost(before.all) : UINT64_MAX;
  vfs_->LimitWal(wal_most);
  const absl::Status run = transacting->work->Run(tables);
  const bool too_much = vfs_->LimitWal(UINT64_MAX);
  transacting->spilled = HasSpilled(written);
  if (too_much) {  // whatever the function has made of that
    transacting->sql.reset();
    return RefuseSpill(wal_most);
  }
  if (!tables.broken().ok()) {
    transacting->sql.reset();
    // Of the disk, as if it was the commit that failed.
    const bool by_disk =
        !absl::IsAborted(tables.broken()) && !sql::IsOutOfMemory(tables.broken());
    if (by_disk) NoteCommit(tables.broken());
    // What has filled the disk by itself is gone with the rollback.
    const bool full = by_disk && absl::IsResourceExhausted(tables.broken());
    if (full && !transacting->spilled) GiveUpReserve();
    return run.ok() ? tables.broken() : run;
  }
  EDDY_RETURN_IF_ERROR(run);
  if (!tables.wrote() && !transacting->work->HasChanges()) {
    transacting->sql.reset();
    return absl::OkStatus();
  }
  if (!limited || !tables.wrote()) return absl::OkStatus();
  return AdmitRows(*transacting, before);
}

// What the user's part has made of the database.
absl::Status EngineImpl::AdmitRows(const Transacting& transacting,
                                   const sql::FileSizes& before) {
  EDDY_ASSIGN_OR_RETURN(const sql::FileSizes now, db_->Sizes());
  const uint64_t page_bytes = static_cast<uint64_t>(db_->PageBytes());
  const uint64_t rows = Less(Less(now.all, now.free), Less(before.all, before.free));
  const uint64_t grown = Less(now.all, before.all);
  if (rows == 0 && grown <= kSplitPages * page_bytes) return absl::OkStatus();  // it makes room
  const uint64_t made = std::max(rows, grown);  // rows that are gone again grew it too
  EDDY_RETURN_IF_ERROR(AdmitWal(made, now.all));
  if (keeper_->store_room() == UINT64_MAX) return absl::OkStatus();
  uint64_t coming = rows;
  for (const LogFrames& frames : transacting.work->frames()) {
    for (const FrameParts& parts : frames.frames) coming += AlignFrame(parts.Bytes());
  }
  // A note of what was done, along with the delete that makes room for the next.
  const bool is_note = transacting.work->MakesRoom() && rows <= kNotePages * page_bytes;
  const uint64_t room = is_note ? keeper_->room_at_all() : keeper_->store_room();
  // Until the WAL is copied they are there twice.
  const uint64_t twice = is_note ? 0 : Less(rows, Less(WalBytesKept(), db_->WalBytes()));
  const uint64_t growth = grown + twice;
  if ((rows == 0 || coming <= room) && growth <= keeper_->growth_room()) {
    keeper_->HadRoom(coming);
    return absl::OkStatus();
  }
  keeper_->WantRoom(coming, growth, twice);
  refused_rows_ = true;
  return absl::ResourceExhaustedError(absl::StrCat(
      "the transaction is not committed, nothing of it is there: it needs ", coming,
      " bytes, and the files to grow by ", growth,
      "; the store, at its limit or on a full disk, has room for ", room, ", and to grow by ",
      keeper_->growth_room(), ". Fewer rows may fit, or all of them once something is deleted, "
      "trimmed or, for some minutes, moved in the background"));
}

// How long the WAL may get while a user's part runs, in a store whose files are bounded: by
// what AdmitRows could let pass, and by the whole database of `file` bytes, all of whose rows
// may be deleted or changed: SQLite writes each page once there, however often it spills.
uint64_t EngineImpl::WalBytesMost(uint64_t file) {
  if (keeper_->store_room() == UINT64_MAX) return UINT64_MAX;
  const uint64_t pages = Sum(Sum(file, keeper_->growth_room()), kSpilledBytes);
  // With a header each: 24 bytes to a page of 1024 or more.
  return Sum(std::max(WalBytesKept(), db_->WalEnd()), Sum(pages, pages / 40));
}

absl::Status EngineImpl::RefuseSpill(uint64_t wal_most) {
  refused_rows_ = true;
  return absl::ResourceExhaustedError(absl::StrCat(
      "the transaction is not committed, nothing of it is there: it has changed so many rows "
      "that the WAL would have passed ", wal_most, " bytes, which is what the quota or the "
      "headroom leave for it; smaller transactions may fit"));
}

// What the WAL may hold without its file growing: at a quota a part of it is kept free for
// that, at a headroom it is what the file has reached.
uint64_t EngineImpl::WalBytesKept() {
  if (keeper_->is_at_quota()) return 2 * plan_.wal_bytes_max;
  return platform().files->Size(options_.directory + kDatabaseFile + sql::kWalSuffix).value_or(0);
}

// The reserve is kept for those who make room: what waits in the WAL must find its place in
// the database without it. See space.h.
absl::Status EngineImpl::AdmitWal(uint64_t rows, uint64_t file_now) {
  if (options_.store.reserve_bytes == 0) return absl::OkStatus();
  if (db_->WalBytes() + rows <= 2 * plan_.wal_bytes_max) return absl::OkStatus();
  Files* const files = options_.store.platform.files;
  const absl::StatusOr<FreeSpace> free = files->Free(options_.directory);
  const absl::StatusOr<uint64_t> on_disk = files->Size(options_.directory + kDatabaseFile);
  // What cannot be asked is no limit: the disk itself will say when it is full.
  if (!free.ok() || !on_disk.ok()) return absl::OkStatus();
  // What is not yet in the WAL, and what the file is to grow by when that is copied.
  const uint64_t needed = std::min(rows, kSpilledBytes) + Less(file_now, *on_disk);
  const uint64_t has = Less(free->bytes, space_.reserve_held() ? 0 : options_.store.reserve_bytes);
  if (has >= needed) return absl::OkStatus();
  refused_rows_ = true;
  return absl::ResourceExhaustedError(absl::StrCat(
      "the transaction is not committed, nothing of it is there: its rows of ", rows,
      " bytes need ", needed, " bytes more on the disk until they are copied out of the WAL, "
      "which has ", has, " beside reserve_bytes; smaller transactions may fit"));
}

absl::Status EngineImpl::WaitPublished(SegmentLog* log, uint64_t end) {
  const absl::Duration deadline = clock_->SinceBoot() + kPublishWaitMax;
  for (int yields = 0; !log->PublishedBelow(end); ++yields) {
    if (yields < kYieldsMax) {
      std::this_thread::yield();
      continue;
    }
    if (clock_->SinceBoot() >= deadline) {
      return absl::UnavailableError(
          absl::StrCat("log ", log->id(), ": a frame before those of the transaction is still "
                       "being written after ", absl::FormatDuration(kPublishWaitMax).c_str()));
    }
    committed_.Wait(committed_.Epoch(), kPublishPause);
  }
  return absl::OkStatus();
}

absl::Status EngineImpl::CommitFrames(Transacting* transacting) {
  absl::Status status;
  std::vector<std::pair<SegmentLog*, uint64_t>> placed;
  for (LogFrames& frames : transacting->work->frames()) {
    SegmentLog* const log = FindLog(frames.log->id());
    status = log->AppendHidden(frames.frames, &frames.appended);
    if (!status.ok()) break;
    placed.emplace_back(log, frames.appended.front().position);
    log->Want(frames.appended.back().end);  // E1: a log that holds back must not
    status = WaitPublished(log, placed.back().second);
    if (!status.ok()) break;
  }
  if (status.ok()) {
    transacting_ = transacting;
    status = CommitRound().status;
    transacting_ = nullptr;
  }
  for (const auto& [log, first] : placed) {
    if (!status.ok()) log->TakeBackHidden(first);
    log->NotifyHidden();
  }
  if (status.ok()) return status;
  return Retold(absl::Status(status.code(),
                             absl::StrCat("the transaction is not committed, nothing of it is "
                                          "there: ", status.message())),
                status);
}

}  // namespace eddy::log
