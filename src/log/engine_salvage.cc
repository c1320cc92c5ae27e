// A database that cannot be read back: how it is told from a disk that fails, where it
// goes, and how what is intact of it comes into the new one.
//
// The verdict, which Store::Open takes a second time with new descriptors before it acts:
//
//   damage       SQLite finds the file corrupt, or no database at all though it is
//                eddy's; a row that cannot be; a WAL with a damaged frame in its midst; an
//                empty database whose intake was in use, or a WAL without a database
//   no damage    whatever is told while a read fails: SQLite takes some of those errors
//                for corruption. Files of others, newer schemas, rights, full disks
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/base/strings.h"
#include "src/log/damaged_store.h"
#include "src/log/engine_impl.h"
#include "src/log/meta.h"
#include "src/log/salvage_catalog.h"
#include "src/log/set_aside.h"

namespace eddy::log {
namespace {

// Between two steps, so that others get at the commit lock; and after a failure.
constexpr absl::Duration kSalvagePause = absl::Milliseconds(2);
constexpr absl::Duration kSalvageRetryPause = absl::Seconds(1);

// Less of the free space than one in so many leaves enough of it.
constexpr uint64_t kSalvageShareOfFree = 4;

// Of a database up to this size an open looks at every row: a changed id or pointer within
// a tree may hide rows, which nobody who looks for them would notice. It takes a
// millisecond, and the reading of the file.
constexpr uint64_t kCheckedBytesMax = 1 << 20;

}  // namespace

absl::StatusOr<std::string> Engine::SetAside(const EngineOptions& options,
                                             const absl::Status& why) {
  EDDY_CHECK(options.lock != nullptr && *options.lock != nullptr);
  return log::SetAside(options.store.platform.files, options.directory, why.ToString(),
                       options.store.platform.clock->WallNow());
}

absl::Status EngineImpl::TrueCause(const absl::Status& status) {
  const bool foreign = sql::IsForeign(status);
  if (!absl::IsDataLoss(status) && !sql::IsUnknownName(status) && !foreign) return status;
  CommitLock lock(this);
  // It is evidence, and may be all that there is of the newest commits.
  if (db_ != nullptr) db_->KeepWalOnClose();
  const uint64_t failures = vfs_ == nullptr ? 0 : vfs_->ReadFailures();
  if (failures == 0) return foreign ? status : absl::DataLossError(status.message());
  return absl::UnavailableError(absl::StrCat(
      "the disk failed ", failures, " reads, so this is no sign of damage: ", status.message()));
}

// Before SQLite, which would make a new database beside an old WAL, and pass over
// whatever comes behind a damaged frame.
absl::Status EngineImpl::LookAtFiles() {
  Files* const files = platform().files;
  EDDY_RETURN_IF_ERROR(FinishSetAside(files, options_.directory));
  const std::string path = options_.directory + kDatabaseFile;
  const bool exists = files->Exists(path);
  uint64_t bytes = 0;
  if (exists) {
    EDDY_ASSIGN_OR_RETURN(bytes, files->Size(path));
  }
  uint64_t wal_bytes = 0;
  if (files->Exists(path + sql::kWalSuffix)) {
    EDDY_ASSIGN_OR_RETURN(wal_bytes, files->Size(path + sql::kWalSuffix));
  }
  if (bytes == 0 && wal_bytes > 0) {
    return absl::DataLossError(
        absl::StrCat(path, exists ? " is empty" : " is not there", ", but its WAL is"));
  }
  // A new database would write over them.
  if (bytes == 0 && files->Exists(path + kExtentsSuffix)) {
    EDDY_ASSIGN_OR_RETURN(const uint64_t outside_bytes, files->Size(path + kExtentsSuffix));
    if (outside_bytes > 0) {
      return absl::DataLossError(
          absl::StrCat(path, exists ? " is empty" : " is not there", ", but its blocks are"));
    }
  }
  // But an empty one may be the new one that an open before this has begun.
  if (bytes == 0 && exists && IntakeWasUsed() &&
      Unsalvaged(files, options_.directory).empty()) {
    return absl::DataLossError(absl::StrCat(path, " is empty, but the intake beside it was used"));
  }
  wal_was_left_ = wal_bytes > 0;
  if (wal_bytes == 0) return absl::OkStatus();
  EDDY_ASSIGN_OR_RETURN(const std::unique_ptr<sql::PageFile> pages,
                        sql::PageFile::Open(path, vfs_->name()));
  if (pages->wal_is_damaged()) {
    return absl::DataLossError(
        absl::StrCat(path, "-wal: a frame that was synced is damaged, and others come behind it"));
  }
  return absl::OkStatus();
}

bool EngineImpl::IntakeWasUsed() {
  const std::string path = options_.directory + kIntakeFile;
  return platform().files->Exists(path) && Intake::ReadIdentity(platform().files, path).ok();
}

// All of a small database; of a large one that was suspect when it was last in use. Whether
// it was looked at.
absl::StatusOr<bool> EngineImpl::CheckAll() {
  Files* const files = platform().files;
  const std::string suspect = options_.directory + kSuspectFile;
  const bool is_suspect = files->Exists(suspect);
  EDDY_ASSIGN_OR_RETURN(const sql::FileSizes sizes, db_->Sizes());
  if (!is_suspect && sizes.all > kCheckedBytesMax) return false;
  // Not the quick one, which before SQLite 3.41 finds fault with a table WITHOUT ROWID
  // whose key is not its first column.
  EDDY_ASSIGN_OR_RETURN(sql::Statement check, db_->Prepare("PRAGMA integrity_check(1)"));
  const absl::StatusOr<bool> has_row = check.Step();
  // The user's tables may need functions that this SQLite has not: that says nothing.
  if (sql::IsUnknownName(has_row.status())) return false;
  EDDY_RETURN_IF_ERROR(has_row.status());
  if (*has_row && check.ColumnText(0) != "ok") {
    return absl::DataLossError(absl::StrCat(options_.directory, kDatabaseFile, ": ",
                                            AbslView(check.ColumnText(0))));
  }
  if (is_suspect) EDDY_RETURN_IF_ERROR(files->Remove(suspect));
  return true;
}

void EngineImpl::NoteDamage(bool seen) {
  if (!seen || suspect_ || vfs_->ReadFailures() > 0) return;
  // Its being there says it all. If it cannot be made now, it is tried again.
  suspect_ = platform().files->MapShared(options_.directory + kSuspectFile, 1).ok();
}

// Of what SQLite, or the mark in the header, says to be no database of ours.
absl::Status EngineImpl::ForeignOrDamaged(const absl::Status& foreign) {
  EDDY_ASSIGN_OR_RETURN(
      const std::unique_ptr<DamagedStore> store,
      DamagedStore::Open(options_.directory + kDatabaseFile, vfs_->name()));
  EDDY_ASSIGN_OR_RETURN(const bool ours, store->IsOurs());
  if (!ours && !IntakeWasUsed()) return foreign;
  return absl::DataLossError(absl::StrCat(foreign.message(), "; but it was one"));
}

absl::Status EngineImpl::TakeOverDamaged(int64_t store_id) {
  Files* const files = platform().files;
  const bool copies = !options_.salvage_from.empty();
  const std::vector<std::string> places =
      copies ? std::vector<std::string>{options_.salvage_from}
             : Unsalvaged(files, options_.directory);
  if (places.empty()) return absl::OkStatus();
  // Where the old database does not say whose it is, its intake may.
  const std::string path = options_.directory + kIntakeFile;
  if (files->Exists(path)) {
    const absl::StatusOr<IntakeIdentity> identity = Intake::ReadIdentity(files, path);
    if (identity.ok() && identity->store != 0) store_id = static_cast<int64_t>(identity->store);
  }
  EDDY_ASSIGN_OR_RETURN(const std::unique_ptr<SalvageSources> sources,
                        SalvageSources::Open(places, vfs_->name()));
  EDDY_RETURN_IF_ERROR(TakeOverCatalog(*sources, *db_, store_id, options_.mend));
  if (!copies) return absl::OkStatus();
  // Another store, which has nothing to do with the intake of the first.
  EDDY_RETURN_IF_ERROR(SetMeta(*db_, kMetaStoreId, store_id));
  return SetMeta(*db_, kMetaIntakeDirectory, "");
}

absl::Status EngineImpl::LoadSalvage() {
  std::vector<SegmentLog*> logs;
  {
    MutexLock lock(&logs_mu_);
    for (const auto& [id, log] : logs_) {
      if (id != 0) logs.push_back(log.get());
    }
  }
  salvage_ = std::make_unique<Salvage>(db_.get(), writer_.get(), keeper_.get(),
                                       platform().files, options_.directory,
                                       options_.salvage_from, vfs_->name());
  EDDY_RETURN_IF_ERROR(salvage_->Load(logs));
  NoteSalvage(absl::OkStatus());
  return absl::OkStatus();
}

void EngineImpl::NoteSalvage(const absl::Status& cause) {
  MutexLock lock(&stats_mu_);
  stats_.salvage = salvage_->stats();
  if (cause.ok() || !salvage_->running()) return;
  stats_.salvage.state = SalvageState::kPaused;
  stats_.salvage.cause = cause;
}

// A step, if one is due. What it copies is read without the commit lock.
absl::Duration EngineImpl::RunSalvage() {
  if (!salvage_mu_.TryLock()) return kSalvagePause;  // somebody else is at it
  const absl::Duration wait = RunSalvageLocked();
  salvage_mu_.Unlock();
  return wait;
}

absl::Duration EngineImpl::RunSalvageLocked() {
  const absl::Duration now = clock_->SinceBoot();
  {
    CommitLock lock(this);
    if (salvage_ == nullptr || !salvage_->running()) return absl::InfiniteDuration();
    if (now < salvage_due_) return salvage_due_ - now;
    const absl::Duration debt = budget_.UntilAffordable(now);
    if (debt > absl::ZeroDuration()) return debt;
    salvage_->ChooseLog();
  }
  absl::Status status = salvage_->Prepare();
  CommitLock lock(this);
  if (status.ok()) status = EnsureDatabase();
  if (status.ok()) status = DecideSalvage();
  if (status.ok()) {
    status = salvage_->Write();
    NoteCommit(status);
    NoteWrites();
    AdmitAndReport();
    CheckpointAbove(WalBytesMax());
  }
  NoteSalvage(status);
  const absl::Duration pause = status.ok() ? kSalvagePause : kSalvageRetryPause;
  salvage_due_ = now + pause;
  return salvage_->running() ? pause : absl::InfiniteDuration();
}

// Without a quota, too, the disk has to keep room for the commits: what the intake holds,
// and the WAL at its longest. But what takes hardly any of it is not worth a wait.
absl::Status EngineImpl::DecideSalvage() {
  uint64_t disk_bytes = UINT64_MAX;
  const absl::StatusOr<FreeSpace> free = platform().files->Free(options_.directory);
  // What cannot be asked is no limit: the disk itself will say when it is full.
  if (free.ok() && salvage_->left_bytes() > free->bytes / kSalvageShareOfFree) {
    const uint64_t kept = options_.store.intake_bytes + options_.store.headroom_bytes +
                          Less(2 * plan_.wal_bytes_max, db_->WalBytes());
    disk_bytes = Less(free->bytes, kept);
  }
  return salvage_->Decide(GrowBytesMax(), disk_bytes);
}

}  // namespace eddy::log
