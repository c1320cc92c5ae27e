// Opening: the database, the intake that a dead process left, the positions.
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

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/base/strings.h"
#include "src/log/engine_impl.h"
#include "src/sql/schema.h"

namespace eddy::log {
namespace {

constexpr char kDatabaseFile[] = "/eddy.db";
constexpr char kLockFile[] = "/eddy.lock";

constexpr char kMetaStoreId[] = "store_id";
constexpr char kMetaByteOrder[] = "byte_order";
constexpr char kMetaIntakeBytes[] = "intake_bytes";
constexpr char kMetaIntakeDirectory[] = "intake_directory";
constexpr char kMetaClean[] = "closed_cleanly";
constexpr int64_t kByteOrderMark = 0x0102030405060708;

constexpr char kGetMeta[] = "SELECT value FROM meta WHERE name = ?";
constexpr char kSetMeta[] = "INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)";
constexpr char kLogRows[] = "SELECT id, oldest_position, end_position FROM logs ORDER BY id";
constexpr char kLastBlock[] =
    "SELECT id, length(bytes) FROM blocks WHERE id >= ? AND id < ? ORDER BY id DESC LIMIT 1";
constexpr char kJump[] = "UPDATE logs SET end_position = ? WHERE id = ?";
constexpr char kAddLog[] =
    "INSERT INTO logs (id, oldest_position, end_position) "
    "VALUES ((SELECT max(id) + 1 FROM logs), 0, 0)";

// Position 0 comes before every record.
constexpr uint64_t kFirstPosition = 64;

bool IsPosition(int64_t number) {
  return number >= 0 && static_cast<uint64_t>(number) <= kPositionMax;
}

sql::OpenOptions ConnectionOptions(const EngineOptions& options, const std::string& vfs,
                                   sql::Mode mode) {
  sql::OpenOptions open;
  open.mode = mode;
  open.vfs = vfs;
  open.secure_delete = options.store.secure_delete;
  return open;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Engine>> Engine::Open(EngineOptions options) {
  auto engine = std::make_unique<EngineImpl>(std::move(options));
  EDDY_RETURN_IF_ERROR(engine->OpenFiles());
  return std::unique_ptr<Engine>(std::move(engine));
}

EngineImpl::EngineImpl(EngineOptions options)
    : options_(std::move(options)),
      clock_(options_.store.platform.clock),
      committed_(clock_) {}

std::string EngineImpl::IntakePath(const std::string& directory) const {
  if (directory.empty()) return options_.directory + "/eddy.intake";
  // Several stores may share a tmpfs: the name tells whose it is.
  return absl::StrCat(directory, "/eddy-",
                      absl::Hex(identity_.store, absl::kZeroPad16), ".intake");
}

absl::Status EngineImpl::OpenFiles() {
  Files* const files = platform().files;
  if (!options_.store.create_if_missing &&
      !files->Exists(options_.directory + kDatabaseFile)) {
    return absl::NotFoundError(
        absl::StrCat(options_.directory, " holds no store, and create_if_missing is false"));
  }
  EDDY_RETURN_IF_ERROR(files->PrepareDirectory(options_.directory));
  EDDY_ASSIGN_OR_RETURN(lock_, files->Lock(options_.directory + kLockFile));
  EDDY_RETURN_IF_ERROR(OpenDatabase());
  EDDY_RETURN_IF_ERROR(FindIntake());
  EDDY_RETURN_IF_ERROR(ProveDatabase());
  EDDY_RETURN_IF_ERROR(LoadLogs());
  return RecoverIntake();
}

absl::Status EngineImpl::OpenDatabase() {
  EDDY_ASSIGN_OR_RETURN(vfs_, sql::CountingVfs::Register(platform().sqlite_vfs));
  const std::string path = options_.directory + kDatabaseFile;
  CommitLock lock(this);
  EDDY_ASSIGN_OR_RETURN(
      sql::Database db,
      sql::Database::Open(path, ConnectionOptions(options_, vfs_->name(), sql::Mode::kOwner)));
  db_ = std::make_unique<sql::Database>(std::move(db));
  EDDY_RETURN_IF_ERROR(sql::PrepareSchema(*db_));
  EDDY_ASSIGN_OR_RETURN(writer_, BlockWriter::Create(*db_));

  EDDY_ASSIGN_OR_RETURN(int64_t store_id, Meta(kMetaStoreId, 0));
  is_new_ = store_id == 0;
  if (is_new_) {
    store_id = static_cast<int64_t>(platform().random->Next() | 1);
    EDDY_ASSIGN_OR_RETURN(sql::Transaction transaction, sql::Transaction::Begin(*db_));
    EDDY_RETURN_IF_ERROR(SetMeta(kMetaStoreId, store_id));
    EDDY_RETURN_IF_ERROR(SetMeta(kMetaByteOrder, kByteOrderMark));
    EDDY_RETURN_IF_ERROR(SetMeta(kMetaClean, 1));
    EDDY_RETURN_IF_ERROR(transaction.Commit());
  }
  EDDY_ASSIGN_OR_RETURN(const int64_t order, Meta(kMetaByteOrder, kByteOrderMark));
  if (order != kByteOrderMark) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, " was written on a machine of another byte order"));
  }
  const std::string boot = clock_->BootId();
  identity_ = {XXH3_64bits(boot.data(), boot.size()), static_cast<uint64_t>(store_id)};
  EDDY_ASSIGN_OR_RETURN(
      blocks_,
      BlockStore::Open(path, ConnectionOptions(options_, vfs_->name(), sql::Mode::kReadOnly)));
  return absl::OkStatus();
}

absl::StatusOr<int64_t> EngineImpl::Meta(const char* name, int64_t otherwise) {
  EDDY_ASSIGN_OR_RETURN(sql::Statement get, db_->Prepare(kGetMeta));
  get.BindText(1, name);
  EDDY_ASSIGN_OR_RETURN(const bool found, get.Step());
  return found ? get.ColumnInt(0) : otherwise;
}

absl::StatusOr<std::string> EngineImpl::MetaText(const char* name) {
  EDDY_ASSIGN_OR_RETURN(sql::Statement get, db_->Prepare(kGetMeta));
  get.BindText(1, name);
  EDDY_ASSIGN_OR_RETURN(const bool found, get.Step());
  return found ? std::string(get.ColumnText(0)) : std::string();
}

absl::Status EngineImpl::SetMetaText(const char* name, std::string_view value) {
  EDDY_ASSIGN_OR_RETURN(sql::Statement set, db_->Prepare(kSetMeta));
  return set.BindText(1, name).BindText(2, value).Run();
}

absl::Status EngineImpl::SetMeta(const char* name, int64_t value) {
  EDDY_ASSIGN_OR_RETURN(sql::Statement set, db_->Prepare(kSetMeta));
  return set.BindText(1, name).Bind(2, value).Run();
}

absl::Status EngineImpl::LoadLogs() {
  CommitLock lock(this);
  EDDY_ASSIGN_OR_RETURN(sql::Statement rows, db_->Prepare(kLogRows));
  EDDY_ASSIGN_OR_RETURN(sql::Statement last, db_->Prepare(kLastBlock));
  absl::MutexLock logs(&logs_mu_);
  for (;;) {
    EDDY_ASSIGN_OR_RETURN(const bool has_row, rows.Step());
    if (!has_row) break;
    // Pages of the database carry no checksum: believe no number unseen.
    if (rows.ColumnInt(0) < 0 || rows.ColumnInt(0) > int64_t{kLogIdMax} ||
        !IsPosition(rows.ColumnInt(1)) || !IsPosition(rows.ColumnInt(2)) ||
        rows.ColumnInt(2) % int64_t{kFrameAlignment} != 0) {
      return absl::DataLossError(absl::StrCat(
          "logs: the row of log ", rows.ColumnInt(0), " holds positions ", rows.ColumnInt(1),
          " and ", rows.ColumnInt(2), ", which cannot be"));
    }
    const LogId id = static_cast<LogId>(rows.ColumnInt(0));
    const uint64_t oldest = static_cast<uint64_t>(rows.ColumnInt(1));
    uint64_t end = std::max(kFirstPosition, static_cast<uint64_t>(rows.ColumnInt(2)));
    uint64_t blocks_end = 0;
    last.Bind(1, BlockId(id, 0)).Bind(2, BlockId(id + 1, 0));
    EDDY_ASSIGN_OR_RETURN(const bool has_block, last.Step());
    if (has_block) {
      blocks_end = (static_cast<uint64_t>(last.ColumnInt(0) - BlockId(id, 0)) << 2) +
                   static_cast<uint64_t>(last.ColumnInt(1));
      end = std::max(end, blocks_end);
    }
    last.Reset();
    logs_[id] = std::make_unique<SegmentLog>(id, oldest, end, blocks_end, nullptr,
                                             blocks_.get(), this, clock_);
  }
  const auto journal = logs_.find(0);
  if (journal == logs_.end()) return absl::DataLossError("the journal's row is missing in logs");
  journal_ = journal->second.get();
  return absl::OkStatus();
}

// The intake that the last owner used, which may lie elsewhere than ours will.
absl::Status EngineImpl::FindIntake() {
  Files* const files = platform().files;
  CommitLock lock(this);
  EDDY_ASSIGN_OR_RETURN(const int64_t clean, Meta(kMetaClean, 0));
  died_ = clean == 0;
  EDDY_ASSIGN_OR_RETURN(const std::string directory, MetaText(kMetaIntakeDirectory));
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
  if (absl::IsNotFound(geometry.status())) return absl::OkStatus();
  EDDY_RETURN_IF_ERROR(geometry.status());
  EDDY_ASSIGN_OR_RETURN(old_intake_, Intake::Map(files, old_intake_path_, *geometry));
  old_intake_is_ours_ = old_intake_->BelongsTo(identity_);
  return absl::OkStatus();
}

// After a failed sync the kernel shows pages that the disk may not hold, until it
// forgets them. If the process that saw the failure dies before it has written
// them again, its successor would believe in commits that the next power cut
// takes away, and with them all that was synced behind them. A checkpoint writes
// all of it anew, through the database file and its own sync. After a boot there
// is nothing to prove: what is read came from the disk.
absl::Status EngineImpl::ProveDatabase() {
  if (!died_) return absl::OkStatus();
  if (old_intake_ != nullptr &&
      (old_intake_->IsOfEarlierBoot(identity_) ||
       (old_intake_is_ours_ && !old_intake_->IsSuspect()))) {
    return absl::OkStatus();
  }
  CommitLock lock(this);
  const absl::Status proved = db_->Checkpoint(sql::CheckpointMode::kFull).status();
  // A disk that is full, or a reader in the way, is no reason not to open: the
  // checkpoints to come do the same. A sync that fails again is.
  return sql::IsSyncFailure(proved) ? proved : absl::OkStatus();
}

absl::Status EngineImpl::RecoverIntake() {
  if (!old_intake_is_ours_) {
    absl::MutexLock lock(&stats_mu_);
    stats_.intake_distrusted = died_;
    return absl::OkStatus();
  }
  std::vector<std::pair<uint32_t, uint64_t>> ends;
  {
    absl::MutexLock logs(&logs_mu_);
    for (const auto& [id, log] : logs_) ends.emplace_back(id, log->committed());
  }
  uint64_t recovered = 0;
  for (LeftRun& run : old_intake_->Leftovers(ends)) {
    recovered += run.frame_count;
    FindLog(run.log)->Restore(run.first, run.frames);
    if (run.log == 0) journal_leftovers_.push_back(std::move(run));
  }
  absl::MutexLock lock(&stats_mu_);
  stats_.frames_recovered = recovered;
  return absl::OkStatus();
}

// What a dead process claimed and did not publish (and, after a power cut, all
// that it did not commit) is lost, but its positions may have been handed out:
// to callers, to readers, perhaps to the cloud. All lie below the committed end
// plus what the intake can hold plus kAheadBytesMax. The jump is committed before
// anything is appended, so that the next one starts beyond it.
absl::Status EngineImpl::JumpPositions() {
  constexpr int64_t kMost = kIntakeBytesMax + kIntakeHeaderBytes;
  EDDY_ASSIGN_OR_RETURN(const int64_t intake_bytes, Meta(kMetaIntakeBytes, kMost));
  if (intake_bytes < 0 || intake_bytes > kMost) {
    return absl::DataLossError(
        absl::StrCat("meta: ", kMetaIntakeBytes, " is ", intake_bytes, ", which cannot be"));
  }
  const uint64_t jump = AlignFrame(static_cast<size_t>(intake_bytes)) + kAheadBytesMax;
  static_assert(kAheadBytesMax % kFrameAlignment == 0);
  EDDY_ASSIGN_OR_RETURN(sql::Statement update, db_->Prepare(kJump));
  absl::MutexLock logs(&logs_mu_);
  for (auto& [id, log] : logs_) {
    const uint64_t end = std::min(log->committed() + jump, kPositionMax);
    EDDY_RETURN_IF_ERROR(update.Bind(1, static_cast<int64_t>(end)).Bind(2, id).Run());
    log->JumpTo(end);
  }
  return absl::OkStatus();
}

void EngineImpl::AddParticipant(uint32_t view, Participant* participant) {
  absl::MutexLock lock(&cut_);
  participants_.emplace_back(view, participant);
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
      EDDY_RETURN_IF_ERROR(participant->Replay(frame.body.substr(sizeof(view))));
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
  EDDY_RETURN_IF_ERROR(CommitRound().status);
  EDDY_ASSIGN_OR_RETURN(sql::Transaction transaction, sql::Transaction::Begin(*db_));
  if (died_) EDDY_RETURN_IF_ERROR(JumpPositions());  // by the old size of the intake
  const std::string path = IntakePath(options_.store.intake_directory);
  EDDY_RETURN_IF_ERROR(SetMeta(kMetaIntakeBytes, static_cast<int64_t>(geometry.FileBytes())));
  EDDY_RETURN_IF_ERROR(SetMetaText(kMetaIntakeDirectory, options_.store.intake_directory));
  EDDY_RETURN_IF_ERROR(SetMeta(kMetaClean, 0));
  const bool moves = path != old_intake_path_;
  if (old_intake_ != nullptr && !moves && old_intake_is_ours_ &&
      old_intake_->geometry() == geometry) {
    intake_ = std::move(old_intake_);
  } else {
    // Only now, with everything of value in the tables. A file that is removed
    // cannot be half new and half old.
    if (!moves) old_intake_.reset();
    const absl::Status removed = files->Remove(path);
    if (!removed.ok() && !absl::IsNotFound(removed)) return removed;
    EDDY_ASSIGN_OR_RETURN(intake_, Intake::Map(files, path, geometry));
  }
  const absl::Status committed = transaction.Commit();
  NoteSync(committed);
  EDDY_RETURN_IF_ERROR(committed);
  intake_->Reset(identity_, platform().random->Next());
  const bool had_old = old_intake_ != nullptr;
  old_intake_.reset();
  // Nobody looks for it there again.
  if (moves && had_old) files->Remove(old_intake_path_).IgnoreError();
  absl::MutexLock logs(&logs_mu_);
  for (auto& [id, log] : logs_) log->SetIntake(intake_.get());
  return absl::OkStatus();
}

absl::Status EngineImpl::Close() {
  const absl::Status flushed = Flush();
  CommitLock lock(this);
  if (flushed.ok()) {
    EDDY_RETURN_IF_ERROR(CommitRound().status);
    EDDY_ASSIGN_OR_RETURN(sql::Transaction transaction, sql::Transaction::Begin(*db_));
    EDDY_RETURN_IF_ERROR(SetMeta(kMetaClean, 1));
    EDDY_RETURN_IF_ERROR(transaction.Commit());
  }
  {
    absl::MutexLock cut(&cut_);
    participants_.clear();
  }
  return flushed;
}

absl::StatusOr<Log*> EngineImpl::AddLog(sql::Database& db) {
  EDDY_ASSIGN_OR_RETURN(sql::Statement add, db.Prepare(kAddLog));
  EDDY_RETURN_IF_ERROR(add.Run());
  const LogId id = static_cast<LogId>(db.LastInsertRowid());
  if (id > kLogIdMax) {
    return absl::ResourceExhaustedError(absl::StrCat("a store holds at most ", kLogIdMax, " logs"));
  }
  absl::MutexLock logs(&logs_mu_);
  auto& log = logs_[id];
  log = std::make_unique<SegmentLog>(id, 0, kFirstPosition, 0, intake_.get(), blocks_.get(), this,
                                     clock_);
  return static_cast<Log*>(log.get());
}

absl::StatusOr<Log*> EngineImpl::OpenLog(LogId id) {
  SegmentLog* const log = FindLog(id);
  if (log == nullptr) return absl::NotFoundError(absl::StrCat("no log ", id));
  return static_cast<Log*>(log);
}

SegmentLog* EngineImpl::FindLog(LogId id) {
  absl::MutexLock lock(&logs_mu_);
  const auto log = logs_.find(id);
  return log == logs_.end() ? nullptr : log->second.get();
}

std::vector<SegmentLog*> EngineImpl::LogsWithWork() {
  std::vector<SegmentLog*> logs;
  absl::MutexLock lock(&logs_mu_);
  for (const auto& [id, log] : logs_) {
    if (log->HasWork()) logs.push_back(log.get());
  }
  return logs;
}

absl::Status EngineImpl::WithDatabase(
    const std::function<absl::Status(sql::Database&)>& work) {
  CommitLock lock(this);
  EDDY_ASSIGN_OR_RETURN(sql::Transaction transaction, sql::Transaction::Begin(*db_));
  EDDY_RETURN_IF_ERROR(work(*db_));
  const absl::Status committed = transaction.Commit();
  NoteSync(committed);
  return committed;
}

StoreStats EngineImpl::Stats() {
  const sql::IoCounts io = vfs_->Counts();
  absl::MutexLock lock(&stats_mu_);
  StoreStats stats = stats_;
  stats.disk_bytes_written = io.bytes();
  stats.disk_syncs = io.sync_count;
  stats.intake_segments = intake_->geometry().segment_count;
  stats.intake_segments_free = intake_->free_count();
  return stats;
}

}  // namespace eddy::log
