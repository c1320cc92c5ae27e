#include "src/log/space.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/log/intake.h"
#include "src/log/meta.h"

namespace eddy::log {
namespace {

constexpr absl::Duration kLookInterval = absl::Seconds(1);

// Below it a page of 4 KiB for each of the tables is too much of the whole.
constexpr uint64_t kSmallQuota = 1 << 20;
constexpr int kSmallPageBytes = 1024;
constexpr uint64_t kWalBytesMin = 16 << 10;
constexpr uint64_t kWalShare = 16;        // of the quota
constexpr uint64_t kWalShareOfReserve = 8;
constexpr uint64_t kRoundStatePages = 16;  // beside the frames

}  // namespace

SpacePlan PlanSpace(const StoreOptions& options) {
  SpacePlan plan;
  if (options.reserve_bytes != 0) {
    plan.wal_bytes_max = std::clamp(options.reserve_bytes / kWalShareOfReserve, kWalBytesMin,
                                    plan.wal_bytes_max);
  }
  if (options.quota_bytes == 0) return plan;
  if (options.quota_bytes < kSmallQuota) plan.page_bytes = kSmallPageBytes;
  plan.wal_bytes_max =
      std::min(std::max(options.quota_bytes / kWalShare, kWalBytesMin), plan.wal_bytes_max);
  const uint64_t intake = PlanIntake(options.intake_bytes).FileBytes();
  const uint64_t round = options.intake_bytes + options.intake_bytes / 8 +
                         kRoundStatePages * static_cast<uint64_t>(plan.page_bytes);
  const uint64_t taken = (options.intake_directory.empty() ? intake : 0) +
                         options.reserve_bytes + 2 * plan.wal_bytes_max + round;
  plan.database_bytes = options.quota_bytes > taken ? options.quota_bytes - taken : 0;
  // The tables, and what the intake may hold when the store begins to reject.
  const uint64_t least = 32 * static_cast<uint64_t>(plan.page_bytes) + options.intake_bytes;
  if (plan.database_bytes < least) plan.database_bytes = 0;
  return plan;
}

Space::Space(Files* files, Clock* clock, std::string directory, const StoreOptions& options)
    : files_(files),
      clock_(clock),
      directory_(std::move(directory)),
      reserve_bytes_(options.reserve_bytes),
      headroom_bytes_(options.headroom_bytes),
      headroom_inodes_(options.headroom_inodes),
      intake_bytes_(options.intake_bytes) {}

absl::Status Space::Open(bool is_new, bool without_reserve) {
  if (is_new && headroom_inodes_ != 0) {
    EDDY_ASSIGN_OR_RETURN(const FreeSpace free, files_->Free(directory_));
    if (free.inodes < headroom_inodes_) {
      return absl::ResourceExhaustedError(
          absl::StrCat(directory_, ": ", free.inodes, " inodes are free, headroom_inodes asks for ",
                       headroom_inodes_));
    }
  }
  tried_ = clock_->SinceBoot();
  if (reserve_bytes_ != 0 && !without_reserve) {
    // One of another size, or of a disk that was full, is made anew.
    const absl::StatusOr<uint64_t> size = files_->Size(directory_ + kReserveFile);
    if (size.ok() && *size != reserve_bytes_) (void)files_->Remove(directory_ + kReserveFile);
    held_ = files_->MapShared(directory_ + kReserveFile, static_cast<size_t>(reserve_bytes_)).ok();
    return absl::OkStatus();
  }
  return GiveUpUnopened(files_, directory_);
}

absl::Status Space::GiveUpUnopened(Files* files, const std::string& directory) {
  const std::string path = directory + kReserveFile;
  return files->Exists(path) ? files->Remove(path) : absl::OkStatus();
}

uint64_t Space::GrowBytesMax(uint64_t database_bytes, uint64_t outside_bytes) {
  if (headroom_bytes_ == 0) return UINT64_MAX;
  const uint64_t file_bytes = database_bytes + outside_bytes;
  const absl::Duration now = clock_->SinceBoot();
  if (now - looked_ >= kLookInterval) {
    looked_ = now;
    const absl::StatusOr<FreeSpace> free = files_->Free(directory_);
    // What is in the WAL only takes its part of the disk when it is copied.
    const uint64_t on_disk = files_->Size(directory_ + kDatabaseFile).value_or(database_bytes);
    const uint64_t unpaid = database_bytes > on_disk ? database_bytes - on_disk : 0;
    const uint64_t kept = headroom_bytes_ + unpaid;
    // What cannot be asked is no limit: the disk itself will say when it is full.
    file_bytes_max_ = !free.ok()           ? UINT64_MAX
                      : free->bytes > kept ? std::max(file_bytes, file_bytes + (free->bytes - kept))
                                           : file_bytes;
  }
  if (file_bytes_max_ == UINT64_MAX) return UINT64_MAX;
  return file_bytes_max_ > file_bytes ? file_bytes_max_ - file_bytes : 0;
}

bool Space::GiveUp() {
  if (!held_) return false;
  held_ = false;
  tried_ = clock_->SinceBoot();
  return files_->Remove(directory_ + kReserveFile).ok();
}

bool Space::TakeBackIsDue() {
  if (held_ || reserve_bytes_ == 0 || clock_->SinceBoot() - tried_ < kLookInterval) return false;
  tried_ = clock_->SinceBoot();
  return true;
}

void Space::TakeBack() {
  const absl::StatusOr<FreeSpace> free = files_->Free(directory_);
  // Twice: what it gave free itself does not count as room.
  if (!free.ok() || free->bytes < 2 * reserve_bytes_ + headroom_bytes_) return;
  held_ = files_->MapShared(directory_ + kReserveFile, static_cast<size_t>(reserve_bytes_)).ok();
  if (!held_) (void)files_->Remove(directory_ + kReserveFile);
}

}  // namespace eddy::log
