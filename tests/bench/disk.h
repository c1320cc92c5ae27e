// Bytes that reach the disk: as SQLite writes them, eddy's or a peer's alike, and as
// the kernel counts them for the whole process.
#ifndef EDDY_TESTS_BENCH_DISK_H_
#define EDDY_TESTS_BENCH_DISK_H_

#include <memory>
#include <string>

#include "src/sql/counting_vfs.h"

namespace eddy::bench {

// A VFS below the store or the peer that is measured: it counts to the very end,
// with the WAL checkpoint that closing makes.
class DiskCount {
 public:
  DiskCount();
  const std::string& vfs() const { return vfs_->name(); }
  double bytes() const { return static_cast<double>(vfs_->Counts().bytes()); }

 private:
  std::unique_ptr<sql::CountingVfs> vfs_;
};

// What the kernel counts as dirtied by this process and so to be written, the
// intake's pages included.
double KernelWriteBytes();

// Dies where the kernel does not count what is written to the parent of `directory`
// (a tmpfs): a ratio of zero would hold every bar.
void RequireCountedDisk(const std::string& directory);

// Writes the file's dirty pages to the disk, as the kernel does on its own when they
// have been dirty for 30 s.
void WriteBack(const std::string& path);

double FileBytes(const std::string& path);  // 0 if it is not there

}  // namespace eddy::bench

#endif  // EDDY_TESTS_BENCH_DISK_H_
