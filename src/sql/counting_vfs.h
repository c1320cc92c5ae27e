// A SQLite VFS that counts what reaches the disk, for the store's statistics
// and the benchmarks' write amplification, and makes one write, or one read, of those
// that follow one another (write_gather.h, read_ahead.h). Everything is passed on to the
// VFS below, shared memory and mapped reads included, but what would take the WAL beyond
// a limit that is set.
//
// Counted are writes and syncs of database, WAL and journal files. The -shm
// file is not: it is memory that SQLite never syncs.
// Depends on read_ahead.h, write_gather.h, error.h and base/.
#ifndef EDDY_SRC_SQL_COUNTING_VFS_H_
#define EDDY_SRC_SQL_COUNTING_VFS_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace eddy::sql {

struct IoCounts {
  uint64_t database_bytes = 0;  // written to the database file
  uint64_t wal_bytes = 0;       // written to the WAL
  uint64_t other_bytes = 0;     // journals and temporary files
  uint64_t sync_count = 0;      // of any file
  uint64_t write_count = 0;     // of any file

  uint64_t bytes() const { return database_bytes + wal_bytes + other_bytes; }
};

// One registered VFS, one set of counters: make one for each store.
//
// Threads:  safe.
// Lifetime: outlives every connection opened through it.
class CountingVfs {
 public:
  // Registers over the VFS called `base`; empty is SQLite's default.
  //   kNotFound  no such VFS.
  static absl::StatusOr<std::unique_ptr<CountingVfs>> Register(
      const std::string& base);
  CountingVfs(const CountingVfs&) = delete;
  CountingVfs& operator=(const CountingVfs&) = delete;
  ~CountingVfs();

  const std::string& name() const;  // unique, for OpenOptions::vfs
  IoCounts Counts() const;          // each number exact, the set not atomic
  // From now on the WAL takes nothing at `end` bytes and behind: such a write fails as on a
  // disk that is full. UINT64_MAX: no limit, as at first. Returns whether a write has
  // failed so since the last call. What has been taken and not yet handed on may still
  // come, up to kGatherBytesMax of it.
  bool LimitWal(uint64_t end);

  // errno of the last write, truncation or sync that failed; 0: none did.
  int WriteErrno() const;
  // How many reads have failed so far, or brought less than there is: SQLite takes
  // some of them for damage.
  uint64_t ReadFailures() const;

 private:
  friend struct CountingVfsMethods;  // the functions that SQLite calls
  struct Vfs;
  explicit CountingVfs(std::unique_ptr<Vfs> vfs);
  std::unique_ptr<Vfs> vfs_;
};

}  // namespace eddy::sql

#endif  // EDDY_SRC_SQL_COUNTING_VFS_H_
