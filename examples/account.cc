#include "examples/account.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

namespace {

constexpr size_t kRowsMax = 4096;
constexpr size_t kFileBytes = kRowsMax * sizeof(Account::Row);  // sparse

}  // namespace

absl::StatusOr<std::unique_ptr<Account>> Account::Create(const std::string& directory, int run,
                                                         std::string_view kind) {
  char name[32];
  std::snprintf(name, sizeof(name), "/run-%06d.", run);
  const std::string path = directory + name + std::string(kind);
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
  if (fd < 0) return absl::ErrnoToStatus(errno, path);
  void* rows = MAP_FAILED;
  if (ftruncate(fd, static_cast<off_t>(kFileBytes)) == 0) {
    rows = mmap(nullptr, kFileBytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  }
  const absl::Status mapped =
      rows == MAP_FAILED ? absl::ErrnoToStatus(errno, path) : absl::OkStatus();
  close(fd);
  if (!mapped.ok()) return mapped;
  return std::unique_ptr<Account>(new Account(static_cast<Row*>(rows)));
}

int Account::NextRun(const std::string& directory) {
  int highest = 0;
  if (DIR* const dir = opendir(directory.c_str())) {
    while (const dirent* entry = readdir(dir)) {
      int run = 0;
      if (std::sscanf(entry->d_name, "run-%d.", &run) == 1) highest = std::max(highest, run);
    }
    closedir(dir);
  }
  return highest + 1;
}

Account::~Account() { munmap(rows_, kFileBytes); }

Account::Row* Account::Of(std::string_view key) {
  const auto [at, is_new] = by_key_.try_emplace(std::string(key), nullptr);
  if (is_new && row_count_ < kRowsMax - 1 && key.size() < sizeof(Row::key)) at->second = Add(key);
  return at->second;
}

void Account::Refuse() {
  if (no_row_ == nullptr) no_row_ = Add("(no row)");
  no_row_->Capture();
  no_row_->Settle(false);
}

Account::Row* Account::Add(std::string_view key) {
  Row* const row = &rows_[row_count_++];
  std::memcpy(row->key, key.data(), key.size());  // the rest is zero already
  return row;
}

Account::Totals Account::Sum() const {
  Totals totals;
  for (size_t i = 0; i < row_count_; ++i) {
    totals.captured += rows_[i].captured;
    totals.accepted += rows_[i].accepted;
    totals.refused += rows_[i].refused;
  }
  return totals;
}
