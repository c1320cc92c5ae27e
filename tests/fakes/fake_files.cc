#include "tests/fakes/fake_files.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#include "absl/strings/str_cat.h"
#include "src/base/status.h"

namespace eddy::testing {
namespace {

constexpr std::align_val_t kAlign{FakeFiles::kPageBytes};

char* NewBytes(size_t bytes) { return static_cast<char*>(::operator new(bytes, kAlign)); }

char* NewZeros(size_t bytes) {
  char* data = NewBytes(bytes);
  std::memset(data, 0, bytes);
  return data;
}

}  // namespace

class FakeFiles::FakeMapping : public Mapping {
 public:
  FakeMapping(FakeFiles& files, File& file, size_t bytes)
      : files_(files), file_(file), bytes_(bytes) {}
  ~FakeMapping() override {
    std::lock_guard<std::mutex> lock(files_.mu_);
    --file_.mapping_count;
  }
  char* data() override { return file_.data; }
  size_t size() const override { return bytes_; }

 private:
  FakeFiles& files_;
  File& file_;
  const size_t bytes_;
};

class FakeFiles::FakeLock : public FileLock {
 public:
  FakeLock(FakeFiles& files, std::string path, uint64_t number)
      : files_(files), path_(std::move(path)), number_(number) {}
  ~FakeLock() override {
    std::lock_guard<std::mutex> lock(files_.mu_);
    const auto held = files_.locks_.find(path_);
    if (held != files_.locks_.end() && held->second.number == number_) {
      files_.locks_.erase(held);
    }
  }

 private:
  FakeFiles& files_;
  const std::string path_;
  const uint64_t number_;
};

FakeFiles::FakeFiles() { directories_.insert("/"); }

FakeFiles::FakeFiles(FakeFiles& files, uint64_t seed) {
  FakeRandom random(seed);
  std::lock_guard<std::mutex> lock(files.mu_);
  directories_ = files.directories_;
  free_bytes_ = files.free_bytes_;
  free_inodes_ = files.free_inodes_;
  for (const auto& [path, file] : files.files_) {
    std::unique_ptr<File>& copy = files_[path] = std::make_unique<File>();
    if (file->size == 0) continue;
    copy->data = NewBytes(file->size);
    copy->size = file->size;
    std::memcpy(copy->data, file->data, file->size);
    copy->durable = file->durable;
    LoseAtPowerCut(*copy, random);
  }
}

FakeFiles::~FakeFiles() {
  for (auto& [path, file] : files_) {
    EDDY_CHECK(file->mapping_count == 0);
    ::operator delete(file->data, kAlign);
  }
}

absl::Status FakeFiles::TakeFaultLocked(Op op) {
  if (frozen_) return absl::UnavailableError("the process is dead");
  for (auto fault = faults_.begin(); fault != faults_.end(); ++fault) {
    if (fault->op != op) continue;
    if (fault->skip > 0) {
      --fault->skip;
      continue;
    }
    absl::Status status = fault->status;
    if (!fault->sticky) faults_.erase(fault);
    return status;
  }
  return absl::OkStatus();
}

absl::Status FakeFiles::CheckParentLocked(const std::string& path) const {
  const size_t slash = path.find_last_of('/');
  if (slash == std::string::npos) return absl::OkStatus();
  const std::string parent = slash == 0 ? "/" : path.substr(0, slash);
  if (directories_.count(parent) != 0) return absl::OkStatus();
  if (files_.count(parent) != 0) {
    return absl::FailedPreconditionError(absl::StrCat(parent, " is a file"));
  }
  return absl::NotFoundError(absl::StrCat("no directory ", parent));
}

absl::Status FakeFiles::GrowLocked(File& file, const std::string& path,
                                   size_t bytes) {
  if (bytes <= file.size) return absl::OkStatus();
  const size_t more = bytes - file.size;
  if (more > free_bytes_) {
    return absl::ResourceExhaustedError(absl::StrCat(
        path, ": ", more, " bytes wanted, ", free_bytes_, " free"));
  }
  char* const data = NewZeros(bytes);
  if (file.size > 0) std::memcpy(data, file.data, file.size);
  ::operator delete(file.data, kAlign);
  file.data = data;
  file.size = bytes;
  file.durable.resize(bytes, '\0');
  if (free_bytes_ != UINT64_MAX) free_bytes_ -= more;
  return absl::OkStatus();
}

absl::Status FakeFiles::PrepareDirectory(const std::string& path) {
  std::lock_guard<std::mutex> lock(mu_);
  EDDY_RETURN_IF_ERROR(TakeFaultLocked(Op::kPrepareDirectory));
  if (files_.count(path) != 0) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, " is a file, not a directory"));
  }
  EDDY_RETURN_IF_ERROR(CheckParentLocked(path));
  directories_.insert(path);
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<FileLock>> FakeFiles::Lock(
    const std::string& path) {
  std::lock_guard<std::mutex> lock(mu_);
  EDDY_RETURN_IF_ERROR(TakeFaultLocked(Op::kLock));
  EDDY_RETURN_IF_ERROR(CheckParentLocked(path));
  constexpr int kOwnPid = 1;
  const auto [held, taken] =
      locks_.emplace(path, Holder{kOwnPid, lock_count_ + 1});
  if (!taken) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, " is locked by process ", held->second.pid));
  }
  ++lock_count_;
  return std::unique_ptr<FileLock>(new FakeLock(*this, path, lock_count_));
}

bool FakeFiles::Exists(const std::string& path) {
  std::lock_guard<std::mutex> lock(mu_);
  return files_.count(path) != 0 || directories_.count(path) != 0 ||
         (disk_ != nullptr && disk_->Exists(path));
}

absl::Status FakeFiles::Rename(const std::string& from, const std::string& to) {
  std::lock_guard<std::mutex> lock(mu_);
  EDDY_RETURN_IF_ERROR(TakeFaultLocked(Op::kRename));
  EDDY_RETURN_IF_ERROR(CheckParentLocked(to));
  if (files_.count(to) != 0 || directories_.count(to) != 0) {
    return absl::AlreadyExistsError(absl::StrCat(to, " is there already"));
  }
  const auto found = files_.find(from);
  if (found == files_.end()) {
    if (disk_ == nullptr) return absl::NotFoundError(absl::StrCat("no file ", from));
    return disk_->Rename(from, to);
  }
  EDDY_CHECK(found->second->mapping_count == 0);
  files_[to] = std::move(found->second);
  files_.erase(found);
  return absl::OkStatus();
}

absl::Status FakeFiles::Remove(const std::string& path) {
  std::lock_guard<std::mutex> lock(mu_);
  EDDY_RETURN_IF_ERROR(TakeFaultLocked(Op::kRemove));
  const auto found = files_.find(path);
  if (found == files_.end()) {
    return absl::NotFoundError(absl::StrCat("no file ", path));
  }
  EDDY_CHECK(found->second->mapping_count == 0);
  if (free_bytes_ != UINT64_MAX) free_bytes_ += found->second->size;
  ::operator delete(found->second->data, kAlign);
  files_.erase(found);
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Mapping>> FakeFiles::MapShared(
    const std::string& path, size_t bytes) {
  std::lock_guard<std::mutex> lock(mu_);
  EDDY_RETURN_IF_ERROR(TakeFaultLocked(Op::kMapShared));
  EDDY_RETURN_IF_ERROR(CheckParentLocked(path));
  if (bytes == 0) return absl::InvalidArgumentError("an empty mapping");
  std::unique_ptr<File>& file = files_[path];
  if (file == nullptr) file = std::make_unique<File>();
  EDDY_CHECK(file->mapping_count == 0);
  EDDY_RETURN_IF_ERROR(GrowLocked(*file, path, bytes));
  ++file->mapping_count;
  return std::unique_ptr<Mapping>(new FakeMapping(*this, *file, bytes));
}

absl::StatusOr<uint64_t> FakeFiles::Size(const std::string& path) {
  std::lock_guard<std::mutex> lock(mu_);
  EDDY_RETURN_IF_ERROR(TakeFaultLocked(Op::kSize));
  const auto found = files_.find(path);
  if (found == files_.end()) {
    if (disk_ != nullptr && disk_->Exists(path)) return uint64_t{disk_->Size(path)};
    return absl::NotFoundError(absl::StrCat("no file ", path));
  }
  return uint64_t{found->second->size};
}

void FakeFiles::Freeze() {
  std::lock_guard<std::mutex> lock(mu_);
  if (frozen_) return;
  frozen_ = true;
  for (auto& [path, file] : files_) file->frozen.assign(file->data, file->size);
}

void FakeFiles::ThawLocked() {
  locks_.clear();
  for (auto& [path, file] : files_) {
    EDDY_CHECK(file->mapping_count == 0);
    if (!frozen_ || file->size == 0) continue;
    std::memcpy(file->data, file->frozen.data(), file->size);
    file->frozen.clear();
  }
  frozen_ = false;
}

void FakeFiles::KillProcess() {
  std::lock_guard<std::mutex> lock(mu_);
  ThawLocked();
}

void FakeFiles::PowerCut(uint64_t seed) {
  FakeRandom random(seed);
  std::lock_guard<std::mutex> lock(mu_);
  ThawLocked();
  for (auto& [path, file] : files_) LoseAtPowerCut(*file, random);
}

void FakeFiles::LoseAtPowerCut(File& file, FakeRandom& random) {
  for (size_t at = 0; at < file.size; at += kPageBytes) {
    const size_t bytes = std::min(kPageBytes, file.size - at);
    // A page that nobody has changed since the last sync cannot be lost.
    if (std::memcmp(file.data + at, file.durable.data() + at, bytes) == 0) continue;
    switch (random.Below(3)) {
      case 0:
        std::memcpy(file.data + at, file.durable.data() + at, bytes);
        break;
      case 1:
        break;  // the newest
      default:
        std::memset(file.data + at, 0, bytes);
        break;
    }
  }
  file.durable.assign(file.data, file.size);
}

void FakeFiles::Sync() {
  std::lock_guard<std::mutex> lock(mu_);
  for (auto& [path, file] : files_) {
    file->durable.assign(file->data, file->size);
  }
}

void FakeFiles::FailNext(Op op, absl::Status status, int skip, bool sticky) {
  std::lock_guard<std::mutex> lock(mu_);
  faults_.push_back({op, std::move(status), skip, sticky});
}

void FakeFiles::ClearFaults() {
  std::lock_guard<std::mutex> lock(mu_);
  faults_.clear();
}

absl::StatusOr<FreeSpace> FakeFiles::Free(const std::string&) {
  std::lock_guard<std::mutex> lock(mu_);
  EDDY_RETURN_IF_ERROR(TakeFaultLocked(Op::kFree));
  return FreeSpace{free_bytes_, free_inodes_};
}

void FakeFiles::SetFreeInodes(uint64_t inodes) {
  std::lock_guard<std::mutex> lock(mu_);
  free_inodes_ = inodes;
}

void FakeFiles::SetFreeBytes(uint64_t bytes) {
  std::lock_guard<std::mutex> lock(mu_);
  free_bytes_ = bytes;
}

std::string FakeFiles::Content(const std::string& path) {
  std::lock_guard<std::mutex> lock(mu_);
  const auto found = files_.find(path);
  if (found == files_.end() || found->second->size == 0) return {};
  return std::string(found->second->data, found->second->size);
}

void FakeFiles::SetContent(const std::string& path, const std::string& bytes) {
  std::lock_guard<std::mutex> lock(mu_);
  std::unique_ptr<File>& file = files_[path];
  if (file == nullptr) file = std::make_unique<File>();
  EDDY_CHECK(file->mapping_count == 0);
  ::operator delete(file->data, kAlign);
  file->data = nullptr;
  file->size = bytes.size();
  if (!bytes.empty()) {
    file->data = NewZeros(bytes.size());
    std::memcpy(file->data, bytes.data(), bytes.size());
  }
  file->durable = bytes;
}

void FakeFiles::HoldForeignLock(const std::string& path, int pid) {
  std::lock_guard<std::mutex> lock(mu_);
  locks_[path] = Holder{pid, ++lock_count_};
}

void FakeFiles::ReleaseForeignLock(const std::string& path) {
  std::lock_guard<std::mutex> lock(mu_);
  locks_.erase(path);
}

}  // namespace eddy::testing
