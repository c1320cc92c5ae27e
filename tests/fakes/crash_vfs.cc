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
#include "tests/fakes/crash_vfs.h"

#include <sqlite3.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <map>
#include <mutex>
#include <new>
#include <thread>
#include <utility>

#include "src/base/status.h"
#include "tests/fakes/fake_random.h"

namespace eddy::testing {
namespace {

constexpr size_t kSectorBytes = 512;
constexpr size_t kPageBytes = 4096;  // of the page cache
constexpr int kShmLockCount = SQLITE_SHM_NLOCK;

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

struct FaultRule {
  CrashDisk::Op op;
  uint64_t remaining;
  CrashDisk::Fault fault = CrashDisk::Fault::kIoError;
  bool sticky;
  std::string suffix;
};

bool EndsWith(const std::string& text, const std::string& suffix) {
  return text.size() >= suffix.size() &&
         text.compare(text.size() - suffix.size(), suffix.size(), suffix) == 0;
}

// What a cut does to a write.
enum class Fate { kKeep, kDrop, kTear };

// The decisions of one cut. The kinds of disks take turns, because a fair mix
// of everything almost never shows what each alone does.
class Fates {
 public:
  Fates(uint64_t seed, uint64_t last_write) : random_(seed), seed_(seed) {
    style_ = static_cast<Style>(random_.Below(4));
    cut_write_ = last_write == 0 ? 0 : random_.Below(last_write + 1);
    keep_percent_ = random_.Below(101);
    tear_percent_ = random_.Below(51);
    garbage_ = random_.OneIn(2);
  }

  Fate Of(uint64_t write) const {
    switch (style_) {
      case Style::kNothing:
        return Fate::kDrop;
      case Style::kEverything:
        return Fate::kKeep;
      case Style::kInOrder:
        return write < cut_write_    ? Fate::kKeep
               : write == cut_write_ ? Fate::kTear
                                     : Fate::kDrop;
      case Style::kMixed:
        break;
    }
    // From the seed and the number alone, so that all of a write's sectors meet
    // the same fate.
    FakeRandom random(seed_ ^ (write * 0x9e3779b97f4a7c15u));
    if (random.Below(uint64_t{100}) < tear_percent_) return Fate::kTear;
    return random.Below(uint64_t{100}) < keep_percent_ ? Fate::kKeep : Fate::kDrop;
  }

  bool garbage() const { return garbage_; }
  FakeRandom& random() { return random_; }  // for what is decided one by one

 private:
  enum class Style { kNothing, kEverything, kInOrder, kMixed };
  FakeRandom random_;
  uint64_t seed_;
  Style style_;
  uint64_t cut_write_;
  uint64_t keep_percent_;
  uint64_t tear_percent_;
  bool garbage_;
};

std::string SizeAndBytesAfterCut(const Inode& inode, Fates& fates) {
  size_t size = inode.durable.size();
  for (const SizeChange& change : inode.sizes) {
    const Fate fate = fates.Of(change.write);
    const bool kept =
        fate == Fate::kKeep || (fate == Fate::kTear && fates.random().OneIn(2));
    if (!kept) continue;
    size = change.extends ? std::max(size, change.size) : change.size;
  }
  std::string result = inode.durable;
  result.resize(size, '\0');
  for (const auto& [sector, versions] : inode.dirty) {
    const size_t begin = sector * kSectorBytes;
    if (begin >= size) continue;
    const size_t bytes = std::min(kSectorBytes, size - begin);
    for (const Version& version : versions) {
      Fate fate = fates.Of(version.write);
      bool garbage = false;
      const bool data = version.to > version.from;
      if (fate == Fate::kTear && !data) fate = Fate::kDrop;
      if (fate == Fate::kTear) {
        garbage = fates.garbage() && fates.random().OneIn(4);
        fate = garbage || fates.random().OneIn(2) ? Fate::kKeep : Fate::kDrop;
      }
      if (fate == Fate::kDrop) continue;
      std::memcpy(result.data() + begin, version.bytes.data(), bytes);
      if (!garbage) continue;
      for (size_t i = version.from; i < std::min(version.to, bytes); ++i) {
        result[begin + i] = static_cast<char>(fates.random().Next());
      }
    }
  }
  return result;
}

}  // namespace

struct CrashDisk::Disk {
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

  // --- For the functions that SQLite calls; `mu` is held --------------------

  bool Works(const Handle& handle) {
    if (!power_is_off && handle.generation == generation) return true;
    last_errno = EIO;
    return false;
  }

  // Counts a step. Call Stepped when it is done.
  void Step() { ++step_count; }
  void Stepped() {
    if (step_count >= cut_step) power_is_off = true;
    stepped = true;
  }

  // Whether an injected fault hits this operation, and which.
  bool Hit(Op op, const std::string& file, Fault* fault) {
    bool hit = false;
    for (size_t i = 0; i < rules.size();) {
      FaultRule& rule = rules[i];
      const bool op_matches =
          rule.op == op || (rule.op == Op::kAny && op != Op::kRead);
      if (!op_matches || !EndsWith(file, rule.suffix)) {
        ++i;
        continue;
      }
      if (rule.remaining > 1) {
        --rule.remaining;
        ++i;
        continue;
      }
      hit = true;
      *fault = rule.fault;
      if (rule.sticky) {
        ++i;
      } else {
        rules.erase(rules.begin() + static_cast<std::ptrdiff_t>(i));
      }
    }
    if (hit) {
      ++fault_count;
      last_errno = *fault == Fault::kFull       ? ENOSPC
                   : *fault == Fault::kReadOnly ? EROFS
                                                : EIO;
    }
    return hit;
  }

  uint64_t BytesUsed() const {
    uint64_t bytes = 0;
    for (const auto& [file, entry] : directory) {
      if (entry.visible() != nullptr) bytes += entry.visible()->visible.size();
    }
    return bytes;
  }

  // Records what [from, to) of the visible bytes has become, by a write of data
  // or a truncation.
  void Note(Inode& inode, size_t from, size_t to, bool data) {
    for (size_t at = from; at < to;) {
      const size_t sector = at / kSectorBytes;
      const size_t begin = sector * kSectorBytes;
      const size_t end = std::min(begin + kSectorBytes, to);
      Version version;
      version.write = last_write;
      if (data) {
        version.from = at - begin;
        version.to = end - begin;
      }
      if (begin < inode.visible.size()) {
        std::memcpy(version.bytes.data(), inode.visible.data() + begin,
                    std::min(kSectorBytes, inode.visible.size() - begin));
      }
      inode.dirty[sector].push_back(version);
      at = end;
    }
  }

  void WriteBytes(Inode& inode, const char* from, size_t bytes, size_t offset) {
    ++last_write;
    const size_t end = offset + bytes;
    if (end > inode.visible.size()) {
      inode.visible.resize(end, '\0');
      inode.sizes.push_back({last_write, false, true, end});
    }
    std::memcpy(inode.visible.data() + offset, from, bytes);
    Note(inode, offset, end, /*data=*/true);
    bytes_written[inode.name] += bytes;
  }

  void TruncateTo(Inode& inode, size_t bytes) {
    ++last_write;
    const size_t old = inode.visible.size();
    inode.visible.resize(bytes, '\0');
    inode.sizes.push_back({last_write, false, bytes > old, bytes});
    if (bytes < old) Note(inode, bytes, old, /*data=*/false);
  }

  void SyncBytes(Inode& inode) {
    for (auto it = inode.dirty.begin(); it != inode.dirty.end();) {
      if (it->second.back().poisoned) {
        ++it;
        continue;
      }
      const size_t begin = it->first * kSectorBytes;
      if (begin < inode.visible.size()) {
        const size_t bytes =
            std::min(kSectorBytes, inode.visible.size() - begin);
        if (inode.durable.size() < begin + bytes) {
          inode.durable.resize(begin + bytes, '\0');
        }
        std::memcpy(inode.durable.data() + begin, inode.visible.data() + begin,
                    bytes);
      }
      it = inode.dirty.erase(it);
    }
    if (inode.sizes.empty() || !inode.sizes.back().poisoned) {
      inode.durable.resize(inode.visible.size(), '\0');
      inode.sizes.clear();
    }
  }

  static void Poison(Inode& inode) {
    for (auto& [sector, versions] : inode.dirty) {
      for (Version& version : versions) version.poisoned = true;
    }
    for (SizeChange& change : inode.sizes) change.poisoned = true;
  }

  void SyncDirectory() {
    for (auto it = directory.begin(); it != directory.end();) {
      Entry& entry = it->second;
      entry.durable = entry.visible();
      entry.changes.clear();
      it = entry.durable == nullptr ? directory.erase(it) : std::next(it);
    }
  }

  // The directory as a cut now leaves it, with new inodes.
  std::map<std::string, Entry> DirectoryAfterCut(uint64_t seed) const {
    Fates fates(seed, last_write);
    std::map<std::string, Entry> result;
    for (const auto& [file, entry] : directory) {
      std::shared_ptr<Inode> inode = entry.durable;
      for (const Entry::Change& change : entry.changes) {
        const Fate fate = fates.Of(change.write);
        const bool kept = fate == Fate::kKeep ||
                          (fate == Fate::kTear && (change.renamed || fates.random().OneIn(2)));
        if (!kept) break;  // a file system's journal keeps their order
        inode = change.inode;
      }
      if (inode == nullptr) continue;
      auto after = std::make_shared<Inode>();
      after->name = file;
      after->durable = SizeAndBytesAfterCut(*inode, fates);
      after->visible = after->durable;
      result[file].durable = std::move(after);
    }
    return result;
  }
};

// The functions that SQLite calls.
struct CrashVfsMethods {
  using Disk = CrashDisk::Disk;
  using Op = CrashDisk::Op;
  using Fault = CrashDisk::Fault;

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

  // What SQLite allocates for an open file.
  struct File {
    sqlite3_file head;
    Disk* disk;
    Handle* handle;  // owned
  };

  static Disk& DiskOf(sqlite3_vfs* vfs) {
    return *static_cast<Disk*>(vfs->pAppData);
  }
  static Disk& DiskOf(sqlite3_file* f) {
    return *reinterpret_cast<File*>(f)->disk;
  }
  static Handle& HandleOf(sqlite3_file* f) {
    return *reinterpret_cast<File*>(f)->handle;
  }

  // --- The VFS ---------------------------------------------------------------

  static int Open(sqlite3_vfs* vfs, const char* name, sqlite3_file* file,
                  int flags, int* out_flags) {
    Disk& disk = DiskOf(vfs);
    Lock lock(disk);
    file->pMethods = nullptr;
    if (disk.power_is_off) {
      disk.last_errno = EIO;
      return SQLITE_CANTOPEN;
    }
    auto handle = std::make_unique<Handle>();
    handle->generation = disk.generation;
    handle->flags = flags;
    if (name == nullptr) {  // a temporary file, in no directory
      handle->inode = std::make_shared<Inode>();
    } else {
      const auto found = disk.directory.find(name);
      if (found != disk.directory.end()) {
        handle->inode = found->second.visible();
      }
      if (handle->inode == nullptr) {
        if ((flags & SQLITE_OPEN_CREATE) == 0) {
          disk.last_errno = ENOENT;
          return SQLITE_CANTOPEN;
        }
        disk.Step();
        Fault fault = Fault::kIoError;
        if (disk.Hit(Op::kCreate, name, &fault)) {
          disk.Stepped();
          return SQLITE_CANTOPEN;
        }
        handle->inode = std::make_shared<Inode>();
        handle->inode->name = name;
        disk.directory[name].changes.push_back(
            {++disk.last_write, handle->inode});
        disk.Stepped();
      } else if ((flags & SQLITE_OPEN_EXCLUSIVE) != 0) {
        disk.last_errno = EEXIST;
        return SQLITE_CANTOPEN;
      }
      // Of one that was there as well: its name may never have been synced.
      handle->needs_directory_sync =
          (flags & SQLITE_OPEN_CREATE) != 0 &&
          (flags & (SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_SUPER_JOURNAL | SQLITE_OPEN_WAL)) != 0;
    }
    auto* self = new (file) File();
    self->head.pMethods = &kIoMethods;
    self->disk = &disk;
    self->handle = handle.release();
    ++disk.handle_count;
    if (out_flags != nullptr) *out_flags = flags;
    return SQLITE_OK;
  }

  static int Delete(sqlite3_vfs* vfs, const char* name, int sync_directory) {
    Disk& disk = DiskOf(vfs);
    Lock lock(disk);
    if (disk.power_is_off) {
      disk.last_errno = EIO;
      return SQLITE_IOERR_DELETE;
    }
    const auto found = disk.directory.find(name);
    if (found == disk.directory.end() || found->second.visible() == nullptr) {
      disk.last_errno = ENOENT;
      return SQLITE_IOERR_DELETE_NOENT;
    }
    disk.Step();
    Fault fault = Fault::kIoError;
    if (disk.Hit(Op::kDelete, name, &fault)) {
      disk.Stepped();
      return SQLITE_IOERR_DELETE;
    }
    found->second.changes.push_back({++disk.last_write, nullptr});
    if (sync_directory != 0) {
      ++disk.sync_count;
      if (!disk.lies) disk.SyncDirectory();
    }
    disk.Stepped();
    return SQLITE_OK;
  }

  static int Access(sqlite3_vfs* vfs, const char* name, int flags, int* out) {
    Disk& disk = DiskOf(vfs);
    Lock lock(disk);
    if (disk.power_is_off) {
      disk.last_errno = EIO;
      return SQLITE_IOERR_ACCESS;
    }
    const auto found = disk.directory.find(name);
    const bool exists =
        found != disk.directory.end() && found->second.visible() != nullptr;
    // As the unix VFS: an empty file does not "exist".
    *out = exists && (flags != SQLITE_ACCESS_EXISTS ||
                      !found->second.visible()->visible.empty());
    return SQLITE_OK;
  }

  static int FullPathname(sqlite3_vfs*, const char* name, int bytes,
                          char* out) {
    sqlite3_snprintf(bytes, out, "%s", name);
    return SQLITE_OK;
  }

  static int Randomness(sqlite3_vfs* vfs, int bytes, char* out) {
    Disk& disk = DiskOf(vfs);
    for (int i = 0; i < bytes; ++i) {
      out[i] = static_cast<char>(disk.random.Next());
    }
    return bytes;
  }

  // Nothing sleeps in a test. Other threads get a chance to end what SQLite
  // waits for.
  static int Sleep(sqlite3_vfs*, int us) {
    std::this_thread::yield();
    return us;
  }

  static int CurrentTimeInt64(sqlite3_vfs*, sqlite3_int64* out) {
    constexpr sqlite3_int64 kUnixEpochMs = 210866760000000;  // in Julian days
    constexpr sqlite3_int64 kNowMs = 1700000000000;
    *out = kUnixEpochMs + kNowMs;
    return SQLITE_OK;
  }
  static int CurrentTime(sqlite3_vfs* vfs, double* out) {
    sqlite3_int64 ms = 0;
    CurrentTimeInt64(vfs, &ms);
    *out = static_cast<double>(ms) / 86400000.0;
    return SQLITE_OK;
  }

  static int GetLastError(sqlite3_vfs* vfs, int, char*) {
    Disk& disk = DiskOf(vfs);
    Lock lock(disk);
    return disk.last_errno;
  }

  // --- A file ----------------------------------------------------------------

  static int Close(sqlite3_file* f) {
    Disk& disk = DiskOf(f);
    Lock lock(disk);
    auto* self = reinterpret_cast<File*>(f);
    ShmUnmapLocked(*self->handle);
    UnlockLocked(*self->handle, SQLITE_LOCK_NONE);
    delete self->handle;
    --disk.handle_count;
    return SQLITE_OK;
  }

  static int Read(sqlite3_file* f, void* to, int bytes, sqlite3_int64 offset) {
    Disk& disk = DiskOf(f);
    Lock lock(disk);
    Handle& handle = HandleOf(f);
    if (!disk.Works(handle)) return SQLITE_IOERR_READ;
    Fault fault = Fault::kIoError;
    if (disk.Hit(Op::kRead, handle.inode->name, &fault)) {
      if (fault == Fault::kIoError) return SQLITE_IOERR_READ;
      std::memset(to, 0, static_cast<size_t>(bytes));
      // The unix VFS's answer to EIO, which SQLite passes on as SQLITE_CORRUPT; and a read
      // that brings nothing.
      return fault == Fault::kReadOnly ? SQLITE_IOERR_CORRUPTFS : SQLITE_IOERR_SHORT_READ;
    }
    const std::string& from = handle.inode->visible;
    const auto want = static_cast<size_t>(bytes);
    const auto at = static_cast<size_t>(offset);
    const size_t have =
        at >= from.size() ? 0 : std::min(want, from.size() - at);
    if (have > 0) std::memcpy(to, from.data() + at, have);
    if (have == want) return SQLITE_OK;
    std::memset(static_cast<char*>(to) + have, 0, want - have);
    return SQLITE_IOERR_SHORT_READ;
  }

  // A long write is to the page cache one a page, and the power may go between two. A
  // fault meets it as a whole.
  static int Write(sqlite3_file* f, const void* from, int bytes,
                   sqlite3_int64 offset) {
    const auto* data = static_cast<const char*>(from);
    const auto count = static_cast<size_t>(bytes);
    const auto to = static_cast<size_t>(offset);
    size_t done = 0;
    do {
      const size_t at = to + done;
      const size_t piece = std::min(count - done, kPageBytes - at % kPageBytes);
      const size_t left_on_fault = done == 0 ? count / 2 : 0;  // V4
      const int code = WritePiece(f, data + done, piece, at, done == 0, left_on_fault);
      if (code != SQLITE_OK) return code;
      done += piece;
    } while (done < count);
    return SQLITE_OK;
  }

  static int WritePiece(sqlite3_file* f, const char* data, size_t count, size_t at,
                        bool first, size_t left_on_fault) {
    Disk& disk = DiskOf(f);
    Lock lock(disk);
    Handle& handle = HandleOf(f);
    Inode& inode = *handle.inode;
    if (!disk.Works(handle)) return SQLITE_IOERR_WRITE;
    if ((handle.flags & SQLITE_OPEN_READONLY) != 0) return SQLITE_READONLY;
    disk.Step();
    int code = SQLITE_OK;
    Fault fault = Fault::kIoError;
    if (first && disk.Hit(Op::kWrite, inode.name, &fault)) {
      if (left_on_fault > 0) disk.WriteBytes(inode, data, left_on_fault, at);
      code = fault == Fault::kFull ? SQLITE_FULL : SQLITE_IOERR_WRITE;
    } else if (at + count > inode.visible.size() &&
               disk.BytesUsed() + (at + count - inode.visible.size()) >
                   disk.capacity) {
      disk.last_errno = ENOSPC;
      code = SQLITE_FULL;
    } else {
      disk.WriteBytes(inode, data, count, at);
    }
    disk.Stepped();
    return code;
  }

  static int Truncate(sqlite3_file* f, sqlite3_int64 bytes) {
    Disk& disk = DiskOf(f);
    Lock lock(disk);
    Handle& handle = HandleOf(f);
    if (!disk.Works(handle)) return SQLITE_IOERR_TRUNCATE;
    disk.Step();
    Fault fault = Fault::kIoError;
    const bool hit = disk.Hit(Op::kTruncate, handle.inode->name, &fault);
    if (!hit) disk.TruncateTo(*handle.inode, static_cast<size_t>(bytes));
    disk.Stepped();
    return hit ? SQLITE_IOERR_TRUNCATE : SQLITE_OK;
  }

  static int Sync(sqlite3_file* f, int) {
    Disk& disk = DiskOf(f);
    Lock lock(disk);
    Handle& handle = HandleOf(f);
    if (!disk.Works(handle)) return SQLITE_IOERR_FSYNC;
    disk.Step();
    ++disk.sync_count;
    int code = SQLITE_OK;
    Fault fault = Fault::kIoError;
    if (disk.Hit(Op::kSync, handle.inode->name, &fault)) {
      Disk::Poison(*handle.inode);  // V3
      code = SQLITE_IOERR_FSYNC;    // for ENOSPC too, as in the unix VFS
    } else if (!disk.lies) {
      disk.SyncBytes(*handle.inode);
      if (handle.needs_directory_sync) disk.SyncDirectory();
      handle.needs_directory_sync = false;
    }
    disk.Stepped();
    return code;
  }

  static int FileSize(sqlite3_file* f, sqlite3_int64* bytes) {
    Disk& disk = DiskOf(f);
    Lock lock(disk);
    if (!disk.Works(HandleOf(f))) return SQLITE_IOERR_FSTAT;
    *bytes = static_cast<sqlite3_int64>(HandleOf(f).inode->visible.size());
    return SQLITE_OK;
  }

  // As SQLite's manual has it: SHARED by many, RESERVED by one beside them,
  // PENDING lets no new SHARED in, EXCLUSIVE is alone.
  static int LockFile(sqlite3_file* f, int level) {
    Disk& disk = DiskOf(f);
    Lock lock(disk);
    Handle& handle = HandleOf(f);
    Inode& inode = *handle.inode;
    if (!disk.Works(handle)) return SQLITE_IOERR_LOCK;
    if (handle.lock_level >= level) return SQLITE_OK;
    if (inode.pending != nullptr && inode.pending != &handle) {
      return SQLITE_BUSY;
    }
    if (level == SQLITE_LOCK_SHARED) {
      ++inode.shared_count;
      handle.lock_level = SQLITE_LOCK_SHARED;
      return SQLITE_OK;
    }
    if (inode.reserved != nullptr && inode.reserved != &handle) {
      return SQLITE_BUSY;
    }
    if (level == SQLITE_LOCK_RESERVED) {
      inode.reserved = &handle;
      handle.lock_level = SQLITE_LOCK_RESERVED;
      return SQLITE_OK;
    }
    inode.pending = &handle;
    handle.lock_level = SQLITE_LOCK_PENDING;
    if (inode.shared_count > 1) return SQLITE_BUSY;
    handle.lock_level = level;
    return SQLITE_OK;
  }

  static void UnlockLocked(Handle& handle, int level) {
    Inode& inode = *handle.inode;
    if (handle.lock_level <= level) return;
    if (inode.reserved == &handle) inode.reserved = nullptr;
    if (inode.pending == &handle) inode.pending = nullptr;
    if (level == SQLITE_LOCK_NONE) --inode.shared_count;
    handle.lock_level = level;
  }

  static int UnlockFile(sqlite3_file* f, int level) {
    Disk& disk = DiskOf(f);
    Lock lock(disk);
    UnlockLocked(HandleOf(f), level);
    return SQLITE_OK;
  }

  static int CheckReservedLock(sqlite3_file* f, int* result) {
    Disk& disk = DiskOf(f);
    Lock lock(disk);
    const Inode& inode = *HandleOf(f).inode;
    *result = inode.reserved != nullptr || inode.pending != nullptr;
    return SQLITE_OK;
  }

  static int FileControl(sqlite3_file*, int, void*) { return SQLITE_NOTFOUND; }
  static int SectorSize(sqlite3_file*) { return 4096; }  // as the unix VFS
  static int DeviceCharacteristics(sqlite3_file*) {
    return SQLITE_IOCAP_POWERSAFE_OVERWRITE;  // V2
  }

  // --- The WAL's shared memory ----------------------------------------------

  static int ShmMap(sqlite3_file* f, int region, int bytes, int extend,
                    void volatile** out) {
    Disk& disk = DiskOf(f);
    Lock lock(disk);
    Handle& handle = HandleOf(f);
    Inode& inode = *handle.inode;
    *out = nullptr;
    if (!disk.Works(handle)) return SQLITE_IOERR_SHMMAP;
    if (!handle.uses_shm) {
      handle.uses_shm = true;
      ++inode.shm_user_count;
    }
    const auto index = static_cast<size_t>(region);
    if (index >= inode.regions.size() && extend == 0) return SQLITE_OK;
    while (index >= inode.regions.size()) {
      inode.regions.push_back(
          std::make_unique<char[]>(static_cast<size_t>(bytes)));  // zeros
    }
    *out = inode.regions[index].get();
    return SQLITE_OK;
  }

  static int ShmLock(sqlite3_file* f, int offset, int n, int flags) {
    Disk& disk = DiskOf(f);
    Lock lock(disk);
    Handle& handle = HandleOf(f);
    Inode& inode = *handle.inode;
    const unsigned mask = ((1u << n) - 1) << offset;
    if ((flags & SQLITE_SHM_UNLOCK) != 0) {
      ReleaseShm(handle, mask);
      return SQLITE_OK;
    }
    if (!disk.Works(handle)) return SQLITE_IOERR_SHMLOCK;
    const bool exclusive = (flags & SQLITE_SHM_EXCLUSIVE) != 0;
    for (int i = offset; i < offset + n; ++i) {
      const auto slot = static_cast<size_t>(i);
      const unsigned bit = 1u << i;
      const int others =
          inode.shm_shared[slot] - ((handle.shm_shared & bit) != 0 ? 1 : 0);
      const Handle* owner = inode.shm_exclusive[slot];
      if ((owner != nullptr && owner != &handle) || (exclusive && others > 0)) {
        return SQLITE_BUSY;
      }
    }
    for (int i = offset; i < offset + n; ++i) {
      const auto slot = static_cast<size_t>(i);
      const unsigned bit = 1u << i;
      if (exclusive) {
        inode.shm_exclusive[slot] = &handle;
        handle.shm_exclusive |= bit;
      } else if ((handle.shm_shared & bit) == 0) {
        ++inode.shm_shared[slot];
        handle.shm_shared |= bit;
      }
    }
    return SQLITE_OK;
  }

  static void ReleaseShm(Handle& handle, unsigned mask) {
    Inode& inode = *handle.inode;
    for (size_t slot = 0; slot < kShmLockCount; ++slot) {
      const unsigned bit = 1u << slot;
      if ((mask & bit) == 0) continue;
      if ((handle.shm_exclusive & bit) != 0) {
        inode.shm_exclusive[slot] = nullptr;
      }
      if ((handle.shm_shared & bit) != 0) --inode.shm_shared[slot];
    }
    handle.shm_exclusive &= ~mask;
    handle.shm_shared &= ~mask;
  }

  static void ShmBarrier(sqlite3_file* f) {
    Lock lock(DiskOf(f));  // a barrier that race detectors see
  }

  static void ShmUnmapLocked(Handle& handle) {
    if (!handle.uses_shm) return;
    ReleaseShm(handle, ~0u);
    handle.uses_shm = false;
    Inode& inode = *handle.inode;
    // The last one takes it away, kept or deleted: the next to come would begin
    // by emptying it, as with the unix VFS.
    if (--inode.shm_user_count == 0) inode.regions.clear();
  }

  static int ShmUnmap(sqlite3_file* f, int) {
    Disk& disk = DiskOf(f);
    Lock lock(disk);
    ShmUnmapLocked(HandleOf(f));
    return SQLITE_OK;
  }

  static const sqlite3_io_methods kIoMethods;
};

const sqlite3_io_methods CrashVfsMethods::kIoMethods = {
    /*iVersion=*/2,
    CrashVfsMethods::Close,
    CrashVfsMethods::Read,
    CrashVfsMethods::Write,
    CrashVfsMethods::Truncate,
    CrashVfsMethods::Sync,
    CrashVfsMethods::FileSize,
    CrashVfsMethods::LockFile,
    CrashVfsMethods::UnlockFile,
    CrashVfsMethods::CheckReservedLock,
    CrashVfsMethods::FileControl,
    CrashVfsMethods::SectorSize,
    CrashVfsMethods::DeviceCharacteristics,
    CrashVfsMethods::ShmMap,
    CrashVfsMethods::ShmLock,
    CrashVfsMethods::ShmBarrier,
    CrashVfsMethods::ShmUnmap,
    /*xFetch=*/nullptr,
    /*xUnfetch=*/nullptr,
};

CrashDisk::CrashDisk() : disk_(std::make_unique<Disk>()) { Register(); }

CrashDisk::CrashDisk(const CrashDisk& disk, uint64_t seed) : CrashDisk() {
  std::lock_guard<std::mutex> lock(disk.disk_->mu);
  disk_->directory = disk.disk_->DirectoryAfterCut(seed);
  disk_->capacity = disk.disk_->capacity;
}

void CrashDisk::Register() {
  EDDY_CHECK(sqlite3_initialize() == SQLITE_OK);
  static std::atomic<uint64_t> next_number{1};
  disk_->name = "crash-disk-" + std::to_string(next_number.fetch_add(1));
  sqlite3_vfs& vfs = disk_->vfs;
  vfs.iVersion = 2;
  vfs.szOsFile = sizeof(CrashVfsMethods::File);
  vfs.mxPathname = 512;
  vfs.zName = disk_->name.c_str();
  vfs.pAppData = disk_.get();
  vfs.xOpen = CrashVfsMethods::Open;
  vfs.xDelete = CrashVfsMethods::Delete;
  vfs.xAccess = CrashVfsMethods::Access;
  vfs.xFullPathname = CrashVfsMethods::FullPathname;
  vfs.xRandomness = CrashVfsMethods::Randomness;
  vfs.xSleep = CrashVfsMethods::Sleep;
  vfs.xCurrentTime = CrashVfsMethods::CurrentTime;
  vfs.xGetLastError = CrashVfsMethods::GetLastError;
  vfs.xCurrentTimeInt64 = CrashVfsMethods::CurrentTimeInt64;
  EDDY_CHECK(sqlite3_vfs_register(&vfs, /*makeDflt=*/0) == SQLITE_OK);
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
  std::map<const Inode*, std::shared_ptr<Inode>> moved;
  const auto move = [&moved](std::shared_ptr<Inode>& inode) {
    if (inode == nullptr) return;
    std::shared_ptr<Inode>& to = moved[inode.get()];
    if (to == nullptr) {
      to = std::make_shared<Inode>();
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
    for (Entry::Change& change : entry.changes) move(change.inode);
  }
}

absl::Status CrashDisk::Rename(const std::string& from, const std::string& to) {
  for (const bool syncs : {false, true}) {
    CrashVfsMethods::Lock lock(*disk_);
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
    const std::shared_ptr<Inode> inode = found->second.visible();
    Entry& target = disk_->directory[to];
    if (target.visible() != nullptr) return absl::AlreadyExistsError(to + " is there already");
    disk_->Step();
    ++disk_->last_write;
    disk_->directory[from].changes.push_back({disk_->last_write, nullptr, true});
    target.changes.push_back({disk_->last_write, inode, true});
    inode->name = to;
    disk_->Stepped();
  }
  return disk_->power_is_off ? absl::UnavailableError("the power is off") : absl::OkStatus();
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
    if (EndsWith(file, file_suffix)) bytes += written;
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
  const auto found = disk_->directory.find(file);
  return found != disk_->directory.end() && found->second.visible() != nullptr;
}

std::string CrashDisk::Content(const std::string& file) const {
  std::lock_guard<std::mutex> lock(disk_->mu);
  const auto found = disk_->directory.find(file);
  if (found == disk_->directory.end() || found->second.visible() == nullptr) {
    return {};
  }
  return found->second.visible()->visible;
}

void CrashDisk::SetContent(const std::string& file, const std::string& bytes) {
  std::lock_guard<std::mutex> lock(disk_->mu);
  auto inode = std::make_shared<Inode>();
  inode->name = file;
  inode->visible = bytes;
  inode->durable = bytes;
  Entry& entry = disk_->directory[file];
  entry.durable = std::move(inode);
  entry.changes.clear();
}

}  // namespace eddy::testing
