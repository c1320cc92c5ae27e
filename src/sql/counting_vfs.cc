#include "src/sql/counting_vfs.h"

#include <sqlite3.h>

#include <atomic>
#include <cstddef>
#include <new>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/sql/error.h"
#include "src/sql/read_ahead.h"
#include "src/sql/write_gather.h"

namespace eddy::sql {

struct CountingVfs::Vfs {
  sqlite3_vfs vfs = {};  // pAppData is this object
  sqlite3_vfs* base = nullptr;
  std::string name;

  // Relaxed: they are statistics and order nothing.
  std::atomic<uint64_t> database_bytes{0};
  std::atomic<uint64_t> wal_bytes{0};
  std::atomic<uint64_t> other_bytes{0};
  std::atomic<uint64_t> sync_count{0};
  std::atomic<uint64_t> write_count{0};
  std::atomic<int> write_errno{0};
  std::atomic<uint64_t> read_failures{0};
  // Relaxed: set and asked by the thread that writes the WAL meanwhile.
  std::atomic<uint64_t> wal_end_max{UINT64_MAX};
  std::atomic<bool> wal_refused{false};
  // Odd while a connection of this VFS reads a WAL from end to end, because another
  // process has left it: see ShmLock.
  std::atomic<uint64_t> recovery{0};
};

namespace {

// What SQLite allocates for an open file: this, then the file of the VFS below,
// which follows at kFileBytes, aligned for anything.
struct File {
  sqlite3_file head;
  std::atomic<uint64_t>* bytes;
  std::atomic<uint64_t>* sync_count;
  std::atomic<uint64_t>* write_count;
  std::atomic<int>* write_errno;
  std::atomic<uint64_t>* read_failures;
  std::atomic<uint64_t>* wal_end_max;
  std::atomic<bool>* wal_refused;
  std::atomic<uint64_t>* recovery;
  sqlite3_vfs* base;
  // Of a WAL always; of a database while a checkpoint copies, see ShmLock. Else each
  // write is handed on at once.
  bool gathers;
  WriteGather gather;
  // Of a database; and of a WAL from its first write on, since only the owner, who is
  // the only one to change it, hears of each change. Before that while it is recovered.
  bool reads_ahead;
  bool is_wal;
  uint64_t recovery_seen;
  ReadAhead ahead;
};
constexpr size_t kAlign = alignof(std::max_align_t);
constexpr size_t kFileBytes = (sizeof(File) + kAlign - 1) / kAlign * kAlign;

File* Self(sqlite3_file* file) { return reinterpret_cast<File*>(file); }
sqlite3_file* Base(sqlite3_file* file) {
  return reinterpret_cast<sqlite3_file*>(reinterpret_cast<char*>(file) +
                                         kFileBytes);
}
const sqlite3_io_methods* BaseMethods(sqlite3_file* file) {
  return Base(file)->pMethods;
}

// Passes the outcome of a change on, and keeps the errno of a failure, which
// SQLite forgets on the way out of a COMMIT. At once, on the same thread: the
// unix VFS answers with the thread's errno.
int Noted(sqlite3_file* f, int code) {
  sqlite3_vfs* const base = Self(f)->base;
  if (code != SQLITE_OK && base->xGetLastError != nullptr) {
    Self(f)->write_errno->store(base->xGetLastError(base, 0, nullptr), std::memory_order_relaxed);
  }
  return code;
}
int ReadBelow(sqlite3_file* f, void* to, int bytes, sqlite3_int64 offset) {
  return BaseMethods(f)->xRead(Base(f), to, bytes, offset);
}
int WriteBelow(sqlite3_file* f, const void* from, int bytes, sqlite3_int64 offset) {
  Self(f)->ahead.Forget();
  if (Self(f)->is_wal && static_cast<uint64_t>(offset) + static_cast<uint64_t>(bytes) >
                             Self(f)->wal_end_max->load(std::memory_order_relaxed)) {
    Self(f)->wal_refused->store(true, std::memory_order_relaxed);
    return SQLITE_FULL;
  }
  const int code = BaseMethods(f)->xWrite(Base(f), from, bytes, offset);
  if (code == SQLITE_OK) {
    Self(f)->bytes->fetch_add(static_cast<uint64_t>(bytes),
                              std::memory_order_relaxed);
    Self(f)->write_count->fetch_add(1, std::memory_order_relaxed);
  }
  return Noted(f, code);
}
int Flush(sqlite3_file* f) { return Self(f)->gather.Flush(); }
// Before a read. What was held is lost if it fails, and with it the transaction: but after
// SQLITE_FULL SQLite may take back the statement only. After an error of the disk it takes
// back all.
int FlushToRead(sqlite3_file* f) {
  const int code = Flush(f);
  return code == SQLITE_FULL ? kFullAtRead : code;
}

bool ReadsAhead(sqlite3_file* f) {
  File* const self = Self(f);
  if (self->reads_ahead || !self->is_wal) return self->reads_ahead;
  const uint64_t recovery = self->recovery->load(std::memory_order_relaxed);
  if (recovery % 2 == 0) return false;
  // What was kept in another recovery is of another time.
  if (std::exchange(self->recovery_seen, recovery) != recovery) self->ahead.Forget();
  return true;
}

int Close(sqlite3_file* f) {
  // What no sync has asked for nobody relies on.
  Flush(f);
  const int code = BaseMethods(f)->xClose(Base(f));
  Self(f)->~File();
  return code;
}
int Read(sqlite3_file* f, void* to, int bytes, sqlite3_int64 offset) {
  const int flushed = FlushToRead(f);
  if (flushed != SQLITE_OK) return flushed;
  const int code = ReadsAhead(f) ? Self(f)->ahead.Read(to, bytes, offset)
                                 : ReadBelow(f, to, bytes, offset);
  bool failed = code != SQLITE_OK;
  if (code == SQLITE_IOERR_SHORT_READ) {  // the usual end of a file, or a disk that fails?
    sqlite3_int64 size = 0;
    failed = BaseMethods(f)->xFileSize(Base(f), &size) != SQLITE_OK || size >= offset + bytes;
  }
  if (failed) Self(f)->read_failures->fetch_add(1, std::memory_order_relaxed);
  return code;
}
int Write(sqlite3_file* f, const void* from, int bytes, sqlite3_int64 offset) {
  if (!std::exchange(Self(f)->reads_ahead, true)) Self(f)->ahead.Forget();
  return Self(f)->gathers ? Self(f)->gather.Write(from, bytes, offset)
                          : WriteBelow(f, from, bytes, offset);
}
int Truncate(sqlite3_file* f, sqlite3_int64 bytes) {
  Self(f)->ahead.Forget();
  const int flushed = Flush(f);
  return flushed != SQLITE_OK ? flushed
                              : Noted(f, BaseMethods(f)->xTruncate(Base(f), bytes));
}
int Sync(sqlite3_file* f, int flags) {
  // A write that fails here is no sync that failed: nothing was told durable by it.
  const int flushed = Flush(f);
  if (flushed != SQLITE_OK) return flushed;
  Self(f)->sync_count->fetch_add(1, std::memory_order_relaxed);
  return Noted(f, BaseMethods(f)->xSync(Base(f), flags));
}
int FileSize(sqlite3_file* f, sqlite3_int64* bytes) {
  const int flushed = FlushToRead(f);
  return flushed != SQLITE_OK ? flushed : BaseMethods(f)->xFileSize(Base(f), bytes);
}
int Lock(sqlite3_file* f, int level) {
  Self(f)->ahead.Forget();
  return BaseMethods(f)->xLock(Base(f), level);
}
int Unlock(sqlite3_file* f, int level) {
  Self(f)->gather.FlushAndRemember();
  return BaseMethods(f)->xUnlock(Base(f), level);
}
int CheckReservedLock(sqlite3_file* f, int* result) {
  return BaseMethods(f)->xCheckReservedLock(Base(f), result);
}
int FileControl(sqlite3_file* f, int op, void* arg) {
  Self(f)->gather.FlushAndRemember();
  return BaseMethods(f)->xFileControl(Base(f), op, arg);
}
int SectorSize(sqlite3_file* f) {
  // SQLite allows null here and takes 4096 then.
  return BaseMethods(f)->xSectorSize == nullptr
             ? 4096
             : BaseMethods(f)->xSectorSize(Base(f));
}
int DeviceCharacteristics(sqlite3_file* f) {
  return BaseMethods(f)->xDeviceCharacteristics == nullptr
             ? 0
             : BaseMethods(f)->xDeviceCharacteristics(Base(f));
}
int ShmMap(sqlite3_file* f, int region, int bytes, int extend,
           void volatile** to) {
  return BaseMethods(f)->xShmMap(Base(f), region, bytes, extend, to);
}
// A reader's transaction begins and ends here. Within it the pages that it reads from
// the database do not change: a checkpoint copies only pages that it would find in the
// WAL. Between two of them they may.
//
// A checkpoint copies pages into the database under SQLite's lock for it. Where it
// copies all of the WAL it syncs the database before it says so to the readers. Where
// a reader is in the way it copies less, does not sync, and says so at once: from then
// on other processes read those pages. It finds the reader by its lock, here; then
// nothing is gathered.
//
// The WAL that a dead process has left is read once from end to end, under a lock that
// keeps all others from it: nobody writes there meanwhile.
constexpr int kCheckpointLock = 1;
constexpr int kRecoverLock = 2;
constexpr int kFirstReadLock = 3;
int ShmLock(sqlite3_file* f, int offset, int n, int flags) {
  Self(f)->gather.FlushAndRemember();
  Self(f)->ahead.Forget();
  const int code = BaseMethods(f)->xShmLock(Base(f), offset, n, flags);
  const bool exclusive = (flags & SQLITE_SHM_EXCLUSIVE) != 0;
  if (exclusive && offset <= kRecoverLock && offset + n > kRecoverLock) {
    // Changed by one connection at a time; however giving the lock back ends, it is over.
    const uint64_t in_it = Self(f)->recovery->load(std::memory_order_relaxed) | 1;
    const bool begins = (flags & SQLITE_SHM_LOCK) != 0;
    if (!begins) Self(f)->recovery->store(in_it + 1, std::memory_order_relaxed);
    if (begins && code == SQLITE_OK) Self(f)->recovery->store(in_it, std::memory_order_relaxed);
  }
  if (exclusive && offset == kCheckpointLock) {
    Self(f)->gathers = code == SQLITE_OK && (flags & SQLITE_SHM_LOCK) != 0;
  } else if (exclusive && offset >= kFirstReadLock && code != SQLITE_OK) {
    Self(f)->gathers = false;
  }
  return code;
}
void ShmBarrier(sqlite3_file* f) {
  Self(f)->gather.FlushAndRemember();
  BaseMethods(f)->xShmBarrier(Base(f));
}
int ShmUnmap(sqlite3_file* f, int delete_file) {
  return BaseMethods(f)->xShmUnmap(Base(f), delete_file);
}
int Fetch(sqlite3_file* f, sqlite3_int64 offset, int bytes, void** to) {
  const int flushed = FlushToRead(f);
  if (flushed != SQLITE_OK) return flushed;
  return BaseMethods(f)->xFetch(Base(f), offset, bytes, to);
}
int Unfetch(sqlite3_file* f, sqlite3_int64 offset, void* page) {
  return BaseMethods(f)->xUnfetch(Base(f), offset, page);
}

// A file is passed on with the version of the file below: one without shared
// memory (1) must not claim to have it (2), nor mapped reads (3).
constexpr sqlite3_io_methods Methods(int version) {
  sqlite3_io_methods m = {};
  m.iVersion = version;
  m.xClose = Close;
  m.xRead = Read;
  m.xWrite = Write;
  m.xTruncate = Truncate;
  m.xSync = Sync;
  m.xFileSize = FileSize;
  m.xLock = Lock;
  m.xUnlock = Unlock;
  m.xCheckReservedLock = CheckReservedLock;
  m.xFileControl = FileControl;
  m.xSectorSize = SectorSize;
  m.xDeviceCharacteristics = DeviceCharacteristics;
  if (version >= 2) {
    m.xShmMap = ShmMap;
    m.xShmLock = ShmLock;
    m.xShmBarrier = ShmBarrier;
    m.xShmUnmap = ShmUnmap;
  }
  if (version >= 3) {
    m.xFetch = Fetch;
    m.xUnfetch = Unfetch;
  }
  return m;
}
constexpr sqlite3_io_methods kMethods1 = Methods(1);
constexpr sqlite3_io_methods kMethods2 = Methods(2);
constexpr sqlite3_io_methods kMethods3 = Methods(3);

}  // namespace

// The VFS's own methods: the base must be handed its own sqlite3_vfs.
struct CountingVfsMethods {
  static CountingVfs::Vfs* Owner(sqlite3_vfs* vfs) {
    return static_cast<CountingVfs::Vfs*>(vfs->pAppData);
  }
  static sqlite3_vfs* Base(sqlite3_vfs* vfs) { return Owner(vfs)->base; }

  static int Open(sqlite3_vfs* vfs, const char* name, sqlite3_file* file,
                  int flags, int* out_flags) {
    CountingVfs::Vfs* owner = Owner(vfs);
    File* self = new (file) File{
        {}, nullptr, nullptr, nullptr, nullptr, nullptr, &owner->wal_end_max,
        &owner->wal_refused, &owner->recovery, owner->base,
        (flags & SQLITE_OPEN_WAL) != 0,
        WriteGather([file](const void* from, int bytes, int64_t offset) {
          return WriteBelow(file, from, bytes, offset);
        }),
        (flags & SQLITE_OPEN_MAIN_DB) != 0,
        (flags & SQLITE_OPEN_WAL) != 0,
        0,
        ReadAhead([file](void* to, int bytes, int64_t offset) {
          return ReadBelow(file, to, bytes, offset);
        })};
    self->bytes = (flags & SQLITE_OPEN_MAIN_DB) != 0 ? &owner->database_bytes
                  : (flags & SQLITE_OPEN_WAL) != 0   ? &owner->wal_bytes
                                                     : &owner->other_bytes;
    self->sync_count = &owner->sync_count;
    self->write_count = &owner->write_count;
    self->write_errno = &owner->write_errno;
    self->read_failures = &owner->read_failures;
    sqlite3_file* below = eddy::sql::Base(file);
    const int code =
        owner->base->xOpen(owner->base, name, below, flags, out_flags);
    // SQLite calls xClose exactly when pMethods is set, even after an error.
    if (below->pMethods != nullptr) {
      const int version = below->pMethods->iVersion;
      file->pMethods = version >= 3   ? &kMethods3
                       : version == 2 ? &kMethods2
                                      : &kMethods1;
    } else {
      self->~File();
    }
    return code;
  }
  static int Delete(sqlite3_vfs* vfs, const char* name, int sync_directory) {
    return Base(vfs)->xDelete(Base(vfs), name, sync_directory);
  }
  static int Access(sqlite3_vfs* vfs, const char* name, int flags, int* out) {
    return Base(vfs)->xAccess(Base(vfs), name, flags, out);
  }
  static int FullPathname(sqlite3_vfs* vfs, const char* name, int bytes,
                          char* out) {
    return Base(vfs)->xFullPathname(Base(vfs), name, bytes, out);
  }
  static void* DlOpen(sqlite3_vfs* vfs, const char* name) {
    return Base(vfs)->xDlOpen(Base(vfs), name);
  }
  static void DlError(sqlite3_vfs* vfs, int bytes, char* message) {
    Base(vfs)->xDlError(Base(vfs), bytes, message);
  }
  static void (*DlSym(sqlite3_vfs* vfs, void* handle,
                      const char* symbol))(void) {
    return Base(vfs)->xDlSym(Base(vfs), handle, symbol);
  }
  static void DlClose(sqlite3_vfs* vfs, void* handle) {
    Base(vfs)->xDlClose(Base(vfs), handle);
  }
  static int Randomness(sqlite3_vfs* vfs, int bytes, char* out) {
    return Base(vfs)->xRandomness(Base(vfs), bytes, out);
  }
  static int Sleep(sqlite3_vfs* vfs, int us) {
    return Base(vfs)->xSleep(Base(vfs), us);
  }
  static int CurrentTime(sqlite3_vfs* vfs, double* out) {
    return Base(vfs)->xCurrentTime(Base(vfs), out);
  }
  static int GetLastError(sqlite3_vfs* vfs, int bytes, char* out) {
    return Base(vfs)->xGetLastError(Base(vfs), bytes, out);
  }
  static int CurrentTimeInt64(sqlite3_vfs* vfs, sqlite3_int64* out) {
    return Base(vfs)->xCurrentTimeInt64(Base(vfs), out);
  }
  static int SetSystemCall(sqlite3_vfs* vfs, const char* name,
                           sqlite3_syscall_ptr call) {
    return Base(vfs)->xSetSystemCall(Base(vfs), name, call);
  }
  static sqlite3_syscall_ptr GetSystemCall(sqlite3_vfs* vfs, const char* name) {
    return Base(vfs)->xGetSystemCall(Base(vfs), name);
  }
  static const char* NextSystemCall(sqlite3_vfs* vfs, const char* name) {
    return Base(vfs)->xNextSystemCall(Base(vfs), name);
  }
};

absl::StatusOr<std::unique_ptr<CountingVfs>> CountingVfs::Register(
    const std::string& base) {
  EDDY_CHECK(sqlite3_initialize() == SQLITE_OK);
  static std::atomic<uint64_t> next_number{1};

  auto owned = std::make_unique<Vfs>();
  owned->base = sqlite3_vfs_find(base.empty() ? nullptr : base.c_str());
  if (owned->base == nullptr) {
    return absl::NotFoundError(
        absl::StrCat("no SQLite VFS named \"", base, "\""));
  }
  owned->name = absl::StrCat("eddy-count-", next_number.fetch_add(1));

  using M = CountingVfsMethods;
  const sqlite3_vfs& below = *owned->base;
  sqlite3_vfs& vfs = owned->vfs;
  vfs.iVersion = below.iVersion < 3 ? below.iVersion : 3;
  vfs.szOsFile = static_cast<int>(kFileBytes) + below.szOsFile;
  vfs.mxPathname = below.mxPathname;
  vfs.zName = owned->name.c_str();
  vfs.pAppData = owned.get();
  vfs.xOpen = M::Open;
  vfs.xDelete = M::Delete;
  vfs.xAccess = M::Access;
  vfs.xFullPathname = M::FullPathname;
  // What the VFS below leaves out, this one must leave out too.
  if (below.xDlOpen != nullptr) vfs.xDlOpen = M::DlOpen;
  if (below.xDlError != nullptr) vfs.xDlError = M::DlError;
  if (below.xDlSym != nullptr) vfs.xDlSym = M::DlSym;
  if (below.xDlClose != nullptr) vfs.xDlClose = M::DlClose;
  vfs.xRandomness = M::Randomness;
  vfs.xSleep = M::Sleep;
  if (below.xCurrentTime != nullptr) vfs.xCurrentTime = M::CurrentTime;
  if (below.xGetLastError != nullptr) vfs.xGetLastError = M::GetLastError;
  if (vfs.iVersion >= 2 && below.xCurrentTimeInt64 != nullptr) {
    vfs.xCurrentTimeInt64 = M::CurrentTimeInt64;
  }
  if (vfs.iVersion >= 3) {
    if (below.xSetSystemCall != nullptr) vfs.xSetSystemCall = M::SetSystemCall;
    if (below.xGetSystemCall != nullptr) vfs.xGetSystemCall = M::GetSystemCall;
    if (below.xNextSystemCall != nullptr) {
      vfs.xNextSystemCall = M::NextSystemCall;
    }
  }
  const int code = sqlite3_vfs_register(&vfs, /*makeDflt=*/0);
  EDDY_CHECK(code == SQLITE_OK);
  return std::unique_ptr<CountingVfs>(new CountingVfs(std::move(owned)));
}

CountingVfs::CountingVfs(std::unique_ptr<Vfs> vfs) : vfs_(std::move(vfs)) {}

CountingVfs::~CountingVfs() { sqlite3_vfs_unregister(&vfs_->vfs); }

const std::string& CountingVfs::name() const { return vfs_->name; }

IoCounts CountingVfs::Counts() const {
  IoCounts counts;
  counts.database_bytes = vfs_->database_bytes.load(std::memory_order_relaxed);
  counts.wal_bytes = vfs_->wal_bytes.load(std::memory_order_relaxed);
  counts.other_bytes = vfs_->other_bytes.load(std::memory_order_relaxed);
  counts.sync_count = vfs_->sync_count.load(std::memory_order_relaxed);
  counts.write_count = vfs_->write_count.load(std::memory_order_relaxed);
  return counts;
}

bool CountingVfs::LimitWal(uint64_t end) {
  vfs_->wal_end_max.store(end, std::memory_order_relaxed);
  return vfs_->wal_refused.exchange(false, std::memory_order_relaxed);
}

uint64_t CountingVfs::ReadFailures() const {
  return vfs_->read_failures.load(std::memory_order_relaxed);
}

int CountingVfs::WriteErrno() const { return vfs_->write_errno.load(std::memory_order_relaxed); }

}  // namespace eddy::sql
