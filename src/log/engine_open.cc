// Opening and closing: the database, its logs, the catalog's transactions. What
// a dead process left is taken over in engine_recover.cc.
#include <algorithm>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/base/strings.h"
#include "src/log/engine_impl.h"
#include "src/log/meta.h"
#include "src/log/set_aside.h"
#include "src/sql/schema.h"

namespace eddy::log {
namespace {

constexpr char kLogRows[] =
    "SELECT id, oldest_position, end_position, reserved_position FROM logs ORDER BY id";
constexpr char kLastBlock[] =
    "SELECT id, " EDDY_BLOCK_SPAN " FROM blocks WHERE id >= ? AND id < ? "
    "ORDER BY id DESC LIMIT 1";
// Their records would be taken for each other's.
constexpr char kSharedLog[] =
    "SELECT log_id FROM (SELECT log_id FROM shards UNION ALL SELECT log_id FROM queues) "
    "GROUP BY log_id HAVING count(*) > 1 OR log_id = 0 LIMIT 1";
constexpr char kAddLog[] =
    "INSERT INTO logs (id, oldest_position, end_position) "
    "VALUES ((SELECT max(id) + 1 FROM logs), 0, ?)";

bool IsPosition(int64_t number) {
  return number >= 0 && static_cast<uint64_t>(number) <= kPositionMax;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Engine>> Engine::Open(EngineOptions options) {
  auto engine = std::make_unique<EngineImpl>(std::move(options));
  const absl::Status opened = engine->OpenFiles();
  if (!opened.ok()) return engine->TrueCause(opened);
  return std::unique_ptr<Engine>(std::move(engine));
}

EngineImpl::EngineImpl(EngineOptions options)
    : options_(std::move(options)),
      clock_(options_.store.platform.clock),
      plan_(PlanSpace(options_.store)),
      boot_clock_(clock_),
      committed_(clock_),
      line_(clock_),
      space_(platform().files, clock_, options_.directory, options_.store),
      budget_(options_.store.write_budget_bytes_per_day, clock_->SinceBoot()) {
  stats_.flush_interval = options_.store.flush_interval;
}

std::string EngineImpl::IntakePath(const std::string& directory) const {
  return log::IntakePath(options_.directory, directory, identity_.store);
}

sql::OpenOptions EngineImpl::ConnectionOptions(sql::Mode mode) const {
  const SpacePlan plan = PlanSpace(options_.store);
  sql::OpenOptions open;
  open.mode = mode;
  // A reader passes over a block's pages once: only the tree above them is worth
  // keeping, and that is a page for some hundred blocks.
  if (mode == sql::Mode::kReadOnly) open.cache_kib = 128;
  open.vfs = vfs_->name();
  open.page_bytes = plan.page_bytes;
  open.wal_bytes_max = plan.wal_bytes_max;
  open.secure_delete = options_.store.secure_delete;
  return open;
}

absl::Status EngineImpl::OpenFiles() {
  Turns::Calibrate(clock_);
  Files* const files = platform().files;
  if (!options_.salvage_from.empty() && files->Exists(options_.directory + kDatabaseFile)) {
    return absl::AlreadyExistsError(absl::StrCat(options_.directory, " holds a store already"));
  }
  if (!options_.store.create_if_missing &&
      !files->Exists(options_.directory + kDatabaseFile) &&
      SetAsides(files, options_.directory).empty()) {
    return absl::NotFoundError(
        absl::StrCat(options_.directory, " holds no store, and create_if_missing is false"));
  }
  std::unique_ptr<FileLock>* const held = options_.lock == nullptr ? &lock_ : options_.lock;
  if (options_.without_reserve) {
    if (*held == nullptr) {  // first: it may be another's
      EDDY_ASSIGN_OR_RETURN(*held, files->Lock(options_.directory + kLockFile));
    }
    EDDY_RETURN_IF_ERROR(Space::GiveUpUnopened(files, options_.directory));
  }
  EDDY_RETURN_IF_ERROR(files->PrepareDirectory(options_.directory));
  if (*held == nullptr) {
    EDDY_ASSIGN_OR_RETURN(*held, files->Lock(options_.directory + kLockFile));
  }
  EDDY_RETURN_IF_ERROR(OpenDatabase());
  EDDY_RETURN_IF_ERROR(FindIntake());
  EDDY_RETURN_IF_ERROR(ProveDatabase());
  EDDY_RETURN_IF_ERROR(LoadLogs());
  {
    CommitLock lock(this);
    EDDY_RETURN_IF_ERROR(LoadSalvage());
  }
  return RecoverIntake();
}

absl::Status EngineImpl::OpenDatabase() {
  EDDY_ASSIGN_OR_RETURN(vfs_, sql::CountingVfs::Register(platform().sqlite_vfs));
  const std::string path = options_.directory + kDatabaseFile;
  EDDY_RETURN_IF_ERROR(LookAtFiles());
  CommitLock lock(this);
  absl::StatusOr<sql::Database> db =
      sql::Database::Open(path, ConnectionOptions(sql::Mode::kOwner));
  if (sql::IsForeign(db.status())) return ForeignOrDamaged(db.status());
  EDDY_RETURN_IF_ERROR(db.status());
  db_ = std::make_unique<sql::Database>(*std::move(db));
  EDDY_RETURN_IF_ERROR(sql::PrepareSchema(*db_));
  EDDY_ASSIGN_OR_RETURN(
      writer_, BlockWriter::Create(*db_, path, ConnectionOptions(sql::Mode::kOwner),
                                   UsesExtents(), options_.store.platform.files));
  keeper_ = std::make_unique<Keeper>(
      db_.get(), writer_.get(), clock_,
      Keeper::Limits{plan_.database_bytes, db_->PageBytes(), BlockBytesMax(),
                     options_.store.intake_bytes, options_.store.at_quota});
  thinner_ = std::make_unique<Thinner>(writer_.get(), keeper_.get());

  EDDY_ASSIGN_OR_RETURN(int64_t store_id, MetaInt(*db_, kMetaStoreId, 0));
  is_new_ = store_id == 0;
  EDDY_RETURN_IF_ERROR(space_.Open(is_new_, options_.without_reserve));
  if (is_new_) {
    store_id = static_cast<int64_t>(platform().random->Next() | 1);
    EDDY_ASSIGN_OR_RETURN(sql::Transaction transaction, sql::Transaction::Begin(*db_));
    EDDY_RETURN_IF_ERROR(SetMeta(*db_, kMetaStoreId, store_id));
    EDDY_RETURN_IF_ERROR(SetMeta(*db_, kMetaByteOrder, kByteOrderMark));
    EDDY_RETURN_IF_ERROR(SetMeta(*db_, kMetaClean, 1));
    EDDY_RETURN_IF_ERROR(TakeOverDamaged(store_id));
    EDDY_RETURN_IF_ERROR(transaction.Commit());
    EDDY_ASSIGN_OR_RETURN(store_id, MetaInt(*db_, kMetaStoreId, store_id));
  }
  EDDY_ASSIGN_OR_RETURN(const int64_t order, MetaInt(*db_, kMetaByteOrder, kByteOrderMark));
  if (order == kOtherByteOrder) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, " was written on a machine of another byte order"));
  }
  if (order != kByteOrderMark) {
    return absl::DataLossError(absl::StrCat(path, ": meta: ", kMetaByteOrder, " is ", order));
  }
  EDDY_ASSIGN_OR_RETURN(const int64_t floor, MetaInt(*db_, kMetaPositionFloor, 0));
  if (!IsPosition(floor) || floor % int64_t{kFrameAlignment} != 0) {
    return absl::DataLossError(absl::StrCat(path, ": meta: ", kMetaPositionFloor, " is ", floor));
  }
  position_floor_ = std::max(kFirstPosition, static_cast<uint64_t>(floor));
  EDDY_ASSIGN_OR_RETURN(const std::string salvage, MetaText(*db_, kMetaSalvage));
  salvaged_ = !salvage.empty();
  EDDY_ASSIGN_OR_RETURN(const bool is_whole, CheckAll());
  const std::string boot = clock_->BootId();
  identity_ = {XXH3_64bits(boot.data(), boot.size()), static_cast<uint64_t>(store_id)};
  EDDY_RETURN_IF_ERROR(boot_clock_.Load(*db_, identity_.boot));
  EDDY_ASSIGN_OR_RETURN(
      blocks_,
      BlockStore::Open(path, ConnectionOptions(sql::Mode::kReadOnly)));
  if (is_whole) blocks_->SetWhole();
  return absl::OkStatus();
}

absl::Status EngineImpl::LoadLogs() {
  CommitLock lock(this);
  EDDY_ASSIGN_OR_RETURN(sql::Statement rows, db_->Prepare(kLogRows));
  EDDY_ASSIGN_OR_RETURN(sql::Statement last, db_->Prepare(kLastBlock));
  MutexLock logs(&logs_mu_);
  for (;;) {
    EDDY_ASSIGN_OR_RETURN(const bool has_row, rows.Step());
    if (!has_row) break;
    // Pages of the database carry no checksum: believe no number unseen.
    if (rows.ColumnInt(0) < 0 || rows.ColumnInt(0) > int64_t{kLogIdMax} ||
        !IsPosition(rows.ColumnInt(1)) || !IsPosition(rows.ColumnInt(2)) ||
        rows.ColumnInt(2) % int64_t{kFrameAlignment} != 0 || !IsPosition(rows.ColumnInt(3)) ||
        rows.ColumnInt(3) % int64_t{kFrameAlignment} != 0) {
      return absl::DataLossError(absl::StrCat(
          "logs: the row of log ", rows.ColumnInt(0), " holds positions ", rows.ColumnInt(1), ", ",
          rows.ColumnInt(2), " and ", rows.ColumnInt(3), ", which cannot be"));
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
    // A clean close has told the end: above it nothing was given out.
    if (died_) logs_[id]->SetKnown(end, static_cast<uint64_t>(rows.ColumnInt(3)));
    logs_[id]->SetBootStarts(boot_clock_.StartsOf(id));
    if (id != 0) EDDY_RETURN_IF_ERROR(keeper_->Load(logs_[id].get()));
  }
  EDDY_ASSIGN_OR_RETURN(const int64_t kept_ms, MetaInt(*db_, kMetaSalvageKept, 0));
  keeper_->Loaded(kept_ms);
  EDDY_ASSIGN_OR_RETURN(sql::Statement shared, db_->Prepare(kSharedLog));
  EDDY_ASSIGN_OR_RETURN(const bool is_shared, shared.Step());
  if (is_shared) {
    return absl::DataLossError(
        absl::StrCat("log ", shared.ColumnInt(0), " belongs to two shards or queues"));
  }
  const auto journal = logs_.find(0);
  if (journal == logs_.end()) return absl::DataLossError("the journal's row is missing in logs");
  journal_ = journal->second.get();
  return absl::OkStatus();
}

void EngineImpl::AddParticipant(uint32_t view, Participant* participant) {
  absl::MutexLock lock(&cut_);
  participants_.emplace_back(view, participant);
}

absl::Status EngineImpl::Close() {
  // Nothing may call a store closed cleanly that was never opened: what its last
  // owner left in the intake is still to be taken over.
  if (intake_ == nullptr) return absl::FailedPreconditionError("the store was not opened");
  const absl::Status flushed = Flush();
  CommitLock lock(this);
  NoteDamage(blocks_->table_is_damaged());
  if (flushed.ok()) {
    EDDY_RETURN_IF_ERROR(CommitRound(Extent::kEverything).status);
    EDDY_RETURN_IF_ERROR(EnsureDatabase());
    EDDY_ASSIGN_OR_RETURN(sql::Transaction transaction, sql::Transaction::Begin(*db_));
    EDDY_RETURN_IF_ERROR(keeper_->WriteTotals());
    {
      MutexLock logs(&logs_mu_);
      for (const auto& [id, log] : logs_) {
        if (log->known_end() >= log->committed()) continue;
        EDDY_RETURN_IF_ERROR(writer_->SetEnd(id, log->committed(), 0));
      }
    }
    EDDY_RETURN_IF_ERROR(SetMeta(*db_, kMetaClean, 1));
    const StoreStats stats = Stats();
    EDDY_RETURN_IF_ERROR(
        SetMeta(*db_, kMetaDiskBytes, static_cast<int64_t>(stats.disk_bytes_total)));
    EDDY_RETURN_IF_ERROR(
        SetMeta(*db_, kMetaPayloadBytes, static_cast<int64_t>(stats.payload_bytes_total)));
    const absl::Status committed = transaction.Commit();
    NoteCommit(committed);
    EDDY_RETURN_IF_ERROR(committed);
    // Here and not by SQLite as it closes, which would tell nobody that a sync has failed.
    CheckpointAbove(1);
  }
  {
    absl::MutexLock cut(&cut_);
    participants_.clear();
    MutexLock logs(&logs_mu_);
    for (const auto& [id, log] : logs_) log->SetDiscard(nullptr);  // owned by the views
  }
  return flushed;
}

absl::StatusOr<Log*> EngineImpl::AddLog(sql::Database& db) {
  EDDY_ASSIGN_OR_RETURN(sql::Statement add, db.Prepare(kAddLog));
  EDDY_RETURN_IF_ERROR(add.Bind(1, static_cast<int64_t>(position_floor_)).Run());
  const LogId id = static_cast<LogId>(db.LastInsertRowid());
  if (id > kLogIdMax) {
    return absl::ResourceExhaustedError(absl::StrCat("a store holds at most ", kLogIdMax, " logs"));
  }
  MutexLock logs(&logs_mu_);
  auto& log = logs_[id];
  log = std::make_unique<SegmentLog>(id, 0, position_floor_, 0, intake_.get(), blocks_.get(), this,
                                     clock_);
  EDDY_RETURN_IF_ERROR(boot_clock_.BeginLog(db, id));
  log->SetBootStarts(boot_clock_.StartsOf(id));
  commit_mu_.AssertHeld();  // by WithDatabase, whose work this is
  keeper_->Add(log.get());
  return static_cast<Log*>(log.get());
}

absl::StatusOr<Log*> EngineImpl::OpenLog(LogId id) {
  SegmentLog* const log = FindLog(id);
  if (log == nullptr) return absl::NotFoundError(absl::StrCat("no log ", id));
  return static_cast<Log*>(log);
}

SegmentLog* EngineImpl::FindLog(LogId id) {
  MutexLock lock(&logs_mu_);
  const auto log = logs_.find(id);
  return log == logs_.end() ? nullptr : log->second.get();
}

std::vector<SegmentLog*> EngineImpl::LogsWithWork() {
  std::vector<SegmentLog*> logs;
  MutexLock lock(&logs_mu_);
  for (const auto& [id, log] : logs_) {
    if (log->HasWork()) logs.push_back(log.get());
  }
  return logs;
}

absl::Status EngineImpl::WithDatabase(
    const std::function<absl::Status(sql::Database&)>& work) {
  EDDY_RETURN_IF_ERROR(CheckMayCommit());
  CommitLock lock(this);
  EDDY_RETURN_IF_ERROR(EnsureDatabase());
  EDDY_ASSIGN_OR_RETURN(sql::Transaction transaction, sql::Transaction::Begin(*db_));
  EDDY_RETURN_IF_ERROR(work(*db_));
  const absl::Status committed = transaction.Commit();
  NoteCommit(committed);
  return committed;
}

StoreStats EngineImpl::Stats() {
  const sql::IoCounts io = vfs_->Counts();
  const DamageCounts damage = blocks_->damage();
  MutexLock lock(&stats_mu_);
  StoreStats stats = stats_;
  stats.blocks_damaged = damage.blocks;
  stats.records_damaged = damage.frames;
  stats.disk_state = health_.state();
  stats.disk_state_since = health_.since();
  stats.disk_state_cause = health_.cause();
  stats.disk_bytes_written = io.bytes();
  stats.disk_bytes_total = disk_bytes_before_ + stats.disk_bytes_written;
  stats.payload_bytes_total = payload_bytes_before_ + stats.payload_bytes_committed;
  stats.disk_syncs = io.sync_count;
  if (intake_ == nullptr) return stats;  // not yet opened
  stats.intake_segments = intake_->geometry().segment_count;
  stats.intake_segments_free = intake_->free_count();
  return stats;
}

}  // namespace eddy::log
