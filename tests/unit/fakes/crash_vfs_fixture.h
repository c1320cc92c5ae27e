// A file of a CrashDisk, handled without SQLite, and its contents as one letter a sector.
#ifndef EDDY_TESTS_UNIT_FAKES_CRASH_VFS_FIXTURE_H_
#define EDDY_TESTS_UNIT_FAKES_CRASH_VFS_FIXTURE_H_

#include <sqlite3.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "tests/fakes/crash_vfs.h"

namespace eddy::testing {

// A file of a CrashDisk, opened as SQLite opens it.
class RawFile {
 public:
  RawFile(const CrashDisk& disk, const char* name, int kind) {
    sqlite3_vfs* const vfs = sqlite3_vfs_find(disk.name().c_str());
    memory_ = std::make_unique<char[]>(static_cast<size_t>(vfs->szOsFile));
    opened_ =
        vfs->xOpen(vfs, name, file(),
                   kind | SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, nullptr);
  }
  ~RawFile() {
    if (file()->pMethods != nullptr) file()->pMethods->xClose(file());
  }

  int opened() const { return opened_; }
  int Write(const std::string& bytes, int64_t offset) {
    return file()->pMethods->xWrite(file(), bytes.data(),
                                    static_cast<int>(bytes.size()), offset);
  }
  int Sync() { return file()->pMethods->xSync(file(), SQLITE_SYNC_NORMAL); }
  int Truncate(int64_t bytes) {
    return file()->pMethods->xTruncate(file(), bytes);
  }
  int Read(int bytes) {
    std::string to(static_cast<size_t>(bytes), '\0');
    return file()->pMethods->xRead(file(), to.data(), bytes, 0);
  }
  int Lock(int level) { return file()->pMethods->xLock(file(), level); }
  int Unlock(int level) { return file()->pMethods->xUnlock(file(), level); }

 private:
  sqlite3_file* file() {
    return reinterpret_cast<sqlite3_file*>(memory_.get());
  }
  std::unique_ptr<char[]> memory_;
  int opened_ = SQLITE_ERROR;
};

inline std::string Sectors(const std::string& letters) {
  std::string bytes;
  for (char letter : letters) bytes.append(512, letter);
  return bytes;
}

// One letter for each sector that is all one letter, '?' for others.
inline std::string Letters(const std::string& bytes) {
  std::string letters;
  for (size_t at = 0; at < bytes.size(); at += 512) {
    const std::string sector = bytes.substr(at, 512);
    const bool uniform = sector == std::string(sector.size(), sector[0]);
    letters += !uniform ? '?' : sector[0] == '\0' ? '0' : sector[0];
  }
  return letters;
}

inline constexpr uint64_t kSeedCount = 400;

}  // namespace eddy::testing

#endif  // EDDY_TESTS_UNIT_FAKES_CRASH_VFS_FIXTURE_H_
