// What a CrashDisk is made of: its files, their names, and who has them open. Only the
// files that make the CrashDisk include it; what it promises is in crash_vfs.h (V1 ...).
//
// How it is held: each file keeps its durable bytes, the bytes that the process
// sees, and for each 512-byte sector that differs, or may, every version since
// the last good sync. A version is the whole sector, as in a page cache, and
// bears the number of the write that made it:
//
//   durable  |  old   |  old   |  old   |
//   write 7  |        |  v7    |  v7    |      a cut decides for 7 and for 8
//   write 8  |        |        |  v8    |      (keep, drop, tear), then takes
//   visible  |  old   |  v7    |  v8    |      the last kept version of each
//
// A sync makes the visible bytes durable and forgets the versions, but for
// sectors whose last version was under a sync that failed (V3). Sizes and names
// keep histories in the same way.
//
// All types are members of the disk, so that no other fake or test meets their short
// names. Depends on SQLite and fake_random.h.
#ifndef EDDY_TESTS_FAKES_CRASH_DISK_STATE_H_
#define EDDY_TESTS_FAKES_CRASH_DISK_STATE_H_

#include <sqlite3.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "tests/fakes/crash_vfs.h"
#include "tests/fakes/fake_random.h"

namespace eddy::testing {

struct CrashDisk::Disk {
  static constexpr size_t kSectorBytes = 512;
  static constexpr int kShmLockCount = SQLITE_SHM_NLOCK;

  // --- Files, names and who has them open -----------------------------------

  // Of a sector, what a write or a truncation has made of it.
  struct Version {
    uint64_t write = 0;
    bool poisoned = false;  // V3
    // The bytes of the sector that the write covered. None for a truncation: what
    // it took away reads as zeros, and it is never torn.
    size_t from = 0;
    size_t to = 0;
    std::array<char, kSectorBytes> bytes = {};
  };

  struct SizeChange {
    uint64_t write = 0;
    bool poisoned = false;
    bool extends = false;  // at least `size`; else exactly
    size_t size = 0;
  };

  struct Handle;

  // A file, whatever its name is.
  struct Inode {
    std::string name;
    std::string visible;
    std::string durable;
    std::map<size_t, std::vector<Version>> dirty;  // by sector
    std::vector<SizeChange> sizes;

    // Locks of SQLite's rollback mode, of which WAL mode uses the shared one.
    int shared_count = 0;
    const Handle* reserved = nullptr;
    const Handle* pending = nullptr;  // or exclusive

    // The WAL's shared memory and its locks.
    std::vector<std::unique_ptr<char[]>> regions;
    int shm_user_count = 0;
    std::array<int, kShmLockCount> shm_shared = {};
    std::array<const Handle*, kShmLockCount> shm_exclusive = {};
  };

  // A name and the changes to what it means since the last directory sync.
  struct Entry {
    struct Change {
      uint64_t write = 0;
      std::shared_ptr<Inode> inode;  // null: deleted
      bool renamed = false;          // one of two that stand and fall together
    };
    std::shared_ptr<Inode> durable;
    std::vector<Change> changes;

    const std::shared_ptr<Inode>& visible() const {
      return changes.empty() ? durable : changes.back().inode;
    }
  };

  // A file as somebody has opened it.
  struct Handle {
    std::shared_ptr<Inode> inode;
    uint64_t generation = 0;
    int flags = 0;
    bool needs_directory_sync = false;
    int lock_level = SQLITE_LOCK_NONE;
    bool uses_shm = false;
    unsigned shm_shared = 0;  // bit masks of the slots it holds
    unsigned shm_exclusive = 0;
  };

  // What FailNth asked for.
  struct FaultRule {
    CrashDisk::Op op;
    uint64_t remaining;
    CrashDisk::Fault fault = CrashDisk::Fault::kIoError;
    bool sticky;
    std::string suffix;
  };

  // Holds the disk. Whoever watches the steps is told of one after the unlock.
  class Lock {
   public:
    explicit Lock(Disk& disk) : disk_(disk) { disk_.mu.lock(); }
    ~Lock() {
      const bool tell = std::exchange(disk_.stepped, false) && disk_.on_step != nullptr;
      disk_.mu.unlock();
      if (tell) disk_.on_step();
    }
    Lock(const Lock&) = delete;
    Lock& operator=(const Lock&) = delete;

   private:
    Disk& disk_;
  };

  // --- The disk --------------------------------------------------------------

  sqlite3_vfs vfs = {};  // pAppData is this object
  std::string name;

  mutable std::mutex mu;  // guards all below
  std::map<std::string, Entry> directory;
  uint64_t generation = 1;  // of the handles that still work
  int handle_count = 0;
  uint64_t last_write = 0;  // numbers of changes, for Fates
  int last_errno = 0;

  bool power_is_off = false;
  uint64_t cut_step = UINT64_MAX;
  uint64_t step_count = 0;
  uint64_t sync_count = 0;
  std::map<std::string, uint64_t> bytes_written;

  std::vector<FaultRule> rules;
  uint64_t fault_count = 0;
  uint64_t capacity = UINT64_MAX;
  bool lies = false;
  FakeRandom random{1};

  std::function<void()> on_step;  // set while nobody else is here
  bool stepped = false;           // and on_step has not been told

  // --- What steps and faults do, see crash_disk_state.cc; `mu` is held -------

  // Whether I/O of `handle` works: the power is on, and neither a cut nor the death of
  // the process has come since it was opened.
  bool Works(const Handle& handle);

  // Counts a step. Call Stepped when it is done.
  void Step() { ++step_count; }
  void Stepped();

  // Whether an injected fault hits this operation, and which.
  bool Hit(Op op, const std::string& file, Fault* fault);

  uint64_t BytesUsed() const;
  const Inode* Visible(const std::string& file) const;  // nullptr: there is none

  void WriteBytes(Inode& inode, const char* from, size_t bytes, size_t offset);
  void TruncateTo(Inode& inode, size_t bytes);
  void SyncBytes(Inode& inode);
  static void Poison(Inode& inode);  // V3
  void SyncDirectory();

  // Records what [from, to) of the visible bytes has become, by a write of data
  // or a truncation.
  void Note(Inode& inode, size_t from, size_t to, bool data);

  // --- What a cut leaves, see crash_disk_cut.cc; `mu` is held ---------------

  enum class Fate { kKeep, kDrop, kTear };  // of a write
  class Fates;                              // the decisions of one cut

  // The directory as a cut now leaves it, with new inodes.
  std::map<std::string, Entry> DirectoryAfterCut(uint64_t seed) const;
  static std::string SizeAndBytesAfterCut(const Inode& inode, Fates& fates);
};

}  // namespace eddy::testing

#endif  // EDDY_TESTS_FAKES_CRASH_DISK_STATE_H_
