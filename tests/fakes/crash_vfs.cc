// What a test says to its disk: power, faults, counters and contents. Under these
// calls lies the disk itself (crash_disk_state.h); what SQLite says to it is in
// crash_vfs_methods.h.
#include "tests/fakes/crash_vfs.h"

#include <sqlite3.h>

#include <map>
#include <mutex>
#include <utility>

#include "absl/strings/match.h"
#include "src/base/status.h"
#include "tests/fakes/crash_disk_state.h"

namespace eddy::testing {

CrashDisk::CrashDisk() : disk_(std::make_unique<Disk>()) { Register(); }

CrashDisk::CrashDisk(const CrashDisk& disk, uint64_t seed) : CrashDisk() {
  std::lock_guard<std::mutex> lock(disk.disk_->mu);
  disk_->directory = disk.disk_->DirectoryAfterCut(seed);
  disk_->capacity = disk.disk_->capacity;
}

CrashDisk::~CrashDisk() {
  sqlite3_vfs_unregister(&disk_->vfs);
  EDDY_CHECK(disk_->handle_count == 0);  // a connection is still open
}

const std::string& CrashDisk::name() const { return disk_->name; }

void CrashDisk::SeedSqlite(uint32_t seed) {
  EDDY_CHECK(seed != 0);
  sqlite3_test_control(SQLITE_TESTCTRL_PRNG_SEED, static_cast<int>(seed),
                       static_cast<sqlite3*>(nullptr));
}

void CrashDisk::CutAt(uint64_t step) {
  std::lock_guard<std::mutex> lock(disk_->mu);
  disk_->cut_step = disk_->step_count + step;
  disk_->power_is_off = step == 0;
}

bool CrashDisk::PowerIsOff() const {
  std::lock_guard<std::mutex> lock(disk_->mu);
  return disk_->power_is_off;
}

void CrashDisk::Cut(uint64_t seed) {
  std::lock_guard<std::mutex> lock(disk_->mu);
  disk_->directory = disk_->DirectoryAfterCut(seed);
  ++disk_->generation;
  disk_->power_is_off = false;
  disk_->cut_step = UINT64_MAX;
}

std::unique_ptr<CrashDisk> CrashDisk::AfterCut(uint64_t seed) const {
  return std::make_unique<CrashDisk>(*this, seed);
}

void CrashDisk::OnStep(std::function<void()> seen) { disk_->on_step = std::move(seen); }

void CrashDisk::KillProcess() {
  std::lock_guard<std::mutex> lock(disk_->mu);
  ++disk_->generation;
  // The same bytes in new inodes, which no dead connection has locked.
  std::map<const Disk::Inode*, std::shared_ptr<Disk::Inode>> moved;
  const auto move = [&moved](std::shared_ptr<Disk::Inode>& inode) {
    if (inode == nullptr) return;
    std::shared_ptr<Disk::Inode>& to = moved[inode.get()];
    if (to == nullptr) {
      to = std::make_shared<Disk::Inode>();
      to->name = inode->name;
      to->visible = inode->visible;
      to->durable = inode->durable;
      to->dirty = inode->dirty;
      to->sizes = inode->sizes;
    }
    inode = to;
  };
  for (auto& [file, entry] : disk_->directory) {
    move(entry.durable);
    for (Disk::Entry::Change& change : entry.changes) move(change.inode);
  }
}

absl::Status CrashDisk::Rename(const std::string& from, const std::string& to) {
  for (const bool syncs : {false, true}) {
    Disk::Lock lock(*disk_);
    if (disk_->power_is_off) return absl::UnavailableError("the power is off");
    if (syncs) {
      disk_->Step();
      ++disk_->sync_count;
      if (!disk_->lies) disk_->SyncDirectory();
      disk_->Stepped();
      continue;
    }
    const auto found = disk_->directory.find(from);
    if (found == disk_->directory.end() || found->second.visible() == nullptr) {
      return absl::NotFoundError("no file " + from);
    }
    const std::shared_ptr<Disk::Inode> inode = found->second.visible();
    Disk::Entry& target = disk_->directory[to];
    if (target.visible() != nullptr) return absl::AlreadyExistsError(to + " is there already");
    disk_->Step();
    ++disk_->last_write;
    disk_->directory[from].changes.push_back({disk_->last_write, nullptr, true});
    target.changes.push_back({disk_->last_write, inode, true});
    inode->name = to;
    disk_->Stepped();
  }
  return PowerIsOff() ? absl::UnavailableError("the power is off") : absl::OkStatus();
}

void CrashDisk::FailNth(Op op, uint64_t nth, Fault fault, bool sticky,
                        const std::string& file_suffix) {
  std::lock_guard<std::mutex> lock(disk_->mu);
  disk_->rules.push_back({op, nth, fault, sticky, file_suffix});
}

void CrashDisk::ClearFaults() {
  std::lock_guard<std::mutex> lock(disk_->mu);
  disk_->rules.clear();
}

uint64_t CrashDisk::fault_count() const {
  std::lock_guard<std::mutex> lock(disk_->mu);
  return disk_->fault_count;
}

void CrashDisk::SetCapacity(uint64_t bytes) {
  std::lock_guard<std::mutex> lock(disk_->mu);
  disk_->capacity = bytes;
}

void CrashDisk::LieAboutSyncs(bool lie) {
  std::lock_guard<std::mutex> lock(disk_->mu);
  disk_->lies = lie;
}

uint64_t CrashDisk::step_count() const {
  std::lock_guard<std::mutex> lock(disk_->mu);
  return disk_->step_count;
}

uint64_t CrashDisk::sync_count() const {
  std::lock_guard<std::mutex> lock(disk_->mu);
  return disk_->sync_count;
}

uint64_t CrashDisk::BytesWritten(const std::string& file_suffix) const {
  std::lock_guard<std::mutex> lock(disk_->mu);
  uint64_t bytes = 0;
  for (const auto& [file, written] : disk_->bytes_written) {
    if (absl::EndsWith(file, file_suffix)) bytes += written;
  }
  return bytes;
}

std::vector<std::string> CrashDisk::List() const {
  std::lock_guard<std::mutex> lock(disk_->mu);
  std::vector<std::string> files;
  for (const auto& [file, entry] : disk_->directory) {
    if (entry.visible() != nullptr) files.push_back(file);
  }
  return files;
}

bool CrashDisk::Exists(const std::string& file) const {
  std::lock_guard<std::mutex> lock(disk_->mu);
  return disk_->Visible(file) != nullptr;
}

std::string CrashDisk::Content(const std::string& file) const {
  std::lock_guard<std::mutex> lock(disk_->mu);
  const Disk::Inode* const inode = disk_->Visible(file);
  return inode == nullptr ? std::string() : inode->visible;
}

size_t CrashDisk::Size(const std::string& file) const {
  std::lock_guard<std::mutex> lock(disk_->mu);
  const Disk::Inode* const inode = disk_->Visible(file);
  return inode == nullptr ? 0 : inode->visible.size();
}

void CrashDisk::SetContent(const std::string& file, const std::string& bytes) {
  std::lock_guard<std::mutex> lock(disk_->mu);
  auto inode = std::make_shared<Disk::Inode>();
  inode->name = file;
  inode->visible = bytes;
  inode->durable = bytes;
  Disk::Entry& entry = disk_->directory[file];
  entry.durable = std::move(inode);
  entry.changes.clear();
}

}  // namespace eddy::testing
