// Directories, locks and mappings by POSIX, and by Linux where it does better.
//
// No file is ever opened only to look at it: closing a descriptor of a database
// file would drop SQLite's POSIX locks on it.
#ifndef EDDY_PLATFORM_POSIX_POSIX_FILES_H_
#define EDDY_PLATFORM_POSIX_POSIX_FILES_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "eddy/platform.h"

namespace eddy {

// Threads: safe; it has no state.
class PosixFiles : public Files {
 public:
  // Also syncs the parent of a new directory, or a power cut could take the
  // whole store away, synced files and all.
  absl::Status PrepareDirectory(const std::string& path) override;

  // flock(2): a second open of the same process is refused too. The file stays
  // when the lock goes; removing it would let two owners lock two files of the
  // same name. A child forked while the lock is held shares it until it execs
  // or ends.
  absl::StatusOr<std::unique_ptr<FileLock>> Lock(
      const std::string& path) override;

  bool Exists(const std::string& path) override;
  absl::Status Remove(const std::string& path) override;
  absl::Status Rename(const std::string& from, const std::string& to) override;

  // A longer file is mapped in part; holes in an existing one are filled.
  absl::StatusOr<std::unique_ptr<Mapping>> MapShared(const std::string& path,
                                                     size_t bytes) override;

  // sync_file_range(2), which neither waits nor takes an error from the sync to come.
  void StartWriteBack(const std::string& path, uint64_t at, uint64_t bytes) override;

  absl::StatusOr<uint64_t> Size(const std::string& path) override;
  absl::StatusOr<FreeSpace> Free(const std::string& path) override;
};

}  // namespace eddy

#endif  // EDDY_PLATFORM_POSIX_POSIX_FILES_H_
