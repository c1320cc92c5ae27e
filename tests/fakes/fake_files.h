// Files in memory: directories, locks and mappings that outlive the "process"
// and that a power cut can scramble.
//
// Fault model (promises to the code above)
//   F1  What was stored through a mapping is there for every later mapping of
//       the file, after the mapping's destruction and after process death.
//   F2  PowerCut leaves of each 4 KiB page of each mapped file the content at
//       the last Sync (or at the last cut, or at its creation), the newest one,
//       or zeros: each page for itself, chosen by the seed. Nothing else is
//       invented: no page mixes two states. All locks are free after it.
//   F3  Directories, file names and sizes are durable at once. (Files made
//       within a crash window of a real disk may vanish; eddy must then treat
//       them as new, which tests reach by Remove.)
//   F4  Faults are injected by operation and count, once or for good.
#ifndef EDDY_TESTS_FAKES_FAKE_FILES_H_
#define EDDY_TESTS_FAKES_FAKE_FILES_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "eddy/platform.h"
#include "tests/fakes/crash_vfs.h"
#include "tests/fakes/fake_random.h"

namespace eddy::testing {

// Threads:  safe, but PowerCut wants no thread to write to a mapping.
// Lifetime: outlives its locks and mappings.
class FakeFiles : public Files {
 public:
  enum class Op { kPrepareDirectory, kLock, kRemove, kRename, kMapShared, kSize, kFree };
  static constexpr size_t kPageBytes = 4096;

  FakeFiles();
  // Other files, as `files` would be after PowerCut(seed) now, its mappings
  // nonetheless; those go on.
  FakeFiles(FakeFiles& files, uint64_t seed);
  ~FakeFiles() override;

  // "/" exists; PrepareDirectory makes others, with a parent that exists. Paths
  // are taken as they are written.
  absl::Status PrepareDirectory(const std::string& path) override;
  absl::StatusOr<std::unique_ptr<FileLock>> Lock(
      const std::string& path) override;
  bool Exists(const std::string& path) override;
  absl::Status Remove(const std::string& path) override;
  // Of a file of the disk (see ShareWith) too.
  absl::Status Rename(const std::string& from, const std::string& to) override;
  // One mapping of a file at a time (else EDDY_CHECK): eddy needs no more, and
  // a growing file could not move under a second one. Remove, too, wants none.
  absl::StatusOr<std::unique_ptr<Mapping>> MapShared(const std::string& path,
                                                     size_t bytes) override;
  absl::StatusOr<uint64_t> Size(const std::string& path) override;
  absl::StatusOr<FreeSpace> Free(const std::string& path) override;

  // The files of `disk` lie in the same directories: they exist, have a size and can
  // be renamed. It outlives this object's last call. Null: none.
  void ShareWith(CrashDisk* disk) { disk_ = disk; }

  // A test cannot stop a process in the middle; it can only destroy objects,
  // whose destructors go on working. So it calls Freeze at the moment of death,
  // destroys the objects, and then goes on with the state at the Freeze:
  //
  //   files.Freeze();  store.reset();  files.KillProcess();  // or PowerCut
  //
  // While frozen every operation fails with kUnavailable, and what is stored
  // through mappings will be gone. KillProcess and PowerCut want all mappings
  // destroyed, free all locks, and may come without Freeze.
  void Freeze();
  void KillProcess();            // F1
  void PowerCut(uint64_t seed);  // F2

  // Makes all content of all files durable, as the kernel does now and then.
  void Sync();

  // Lets `op` fail with `status`: after `skip` good calls, once or for good.
  void FailNext(Op op, absl::Status status, int skip = 0, bool sticky = false);
  void ClearFaults();

  // Space left for new file bytes; MapShared beyond it is kResourceExhausted.
  void SetFreeBytes(uint64_t bytes);
  void SetFreeInodes(uint64_t inodes);  // what Free says; nothing uses them up

  // For tests that look at, damage or make a file; "" if there is none.
  std::string Content(const std::string& path);
  void SetContent(const std::string& path, const std::string& bytes);

  // As if another process, `pid`, held the lock (until ReleaseForeignLock).
  void HoldForeignLock(const std::string& path, int pid);
  void ReleaseForeignLock(const std::string& path);

 private:
  struct File {
    char* data = nullptr;  // owned by the FakeFiles; starts on a page
    size_t size = 0;
    std::string durable;  // content at the last Sync
    std::string frozen;   // content at the Freeze
    int mapping_count = 0;
  };
  struct Fault {
    Op op;
    absl::Status status;
    int skip;
    bool sticky;
  };
  class FakeMapping;
  class FakeLock;
  struct Holder {
    int pid;
    uint64_t number;  // of the locking: an old FakeLock frees no newer one
  };
  void ThawLocked();
  static void LoseAtPowerCut(File& file, FakeRandom& random);
  absl::Status TakeFaultLocked(Op op);
  absl::Status CheckParentLocked(const std::string& path) const;
  absl::Status GrowLocked(File& file, const std::string& path, size_t bytes);

  std::mutex mu_;
  std::set<std::string> directories_;
  std::map<std::string, std::unique_ptr<File>> files_;
  std::map<std::string, Holder> locks_;
  uint64_t lock_count_ = 0;
  bool frozen_ = false;
  std::vector<Fault> faults_;
  uint64_t free_bytes_ = UINT64_MAX;
  uint64_t free_inodes_ = UINT64_MAX;
  CrashDisk* disk_ = nullptr;
};

}  // namespace eddy::testing

#endif  // EDDY_TESTS_FAKES_FAKE_FILES_H_
