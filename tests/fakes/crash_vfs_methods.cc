// SQLite's view of the disk: the VFS and the file, but for locks and shared memory; and the
// tables of functions by which SQLite finds them.
#include "tests/fakes/crash_vfs_methods.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <memory>
#include <new>
#include <string>

#include "absl/time/time.h"
#include "eddy/platform.h"
#include "src/base/status.h"

namespace eddy::testing {
namespace {

constexpr size_t kPageBytes = 4096;  // of the page cache

}  // namespace

// --- The VFS -----------------------------------------------------------------

int CrashVfsMethods::Open(sqlite3_vfs* vfs, const char* name, sqlite3_file* file, int flags,
                          int* out_flags) {
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
      disk.directory[name].changes.push_back({++disk.last_write, handle->inode});
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

int CrashVfsMethods::Delete(sqlite3_vfs* vfs, const char* name, int sync_directory) {
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

int CrashVfsMethods::Access(sqlite3_vfs* vfs, const char* name, int flags, int* out) {
  Disk& disk = DiskOf(vfs);
  Lock lock(disk);
  if (disk.power_is_off) {
    disk.last_errno = EIO;
    return SQLITE_IOERR_ACCESS;
  }
  const auto found = disk.directory.find(name);
  const bool exists = found != disk.directory.end() && found->second.visible() != nullptr;
  // As the unix VFS: an empty file does not "exist".
  *out = exists && (flags != SQLITE_ACCESS_EXISTS || !found->second.visible()->visible.empty());
  return SQLITE_OK;
}

int CrashVfsMethods::FullPathname(sqlite3_vfs*, const char* name, int bytes, char* out) {
  sqlite3_snprintf(bytes, out, "%s", name);
  return SQLITE_OK;
}

int CrashVfsMethods::Randomness(sqlite3_vfs* vfs, int bytes, char* out) {
  Disk& disk = DiskOf(vfs);
  for (int i = 0; i < bytes; ++i) {
    out[i] = static_cast<char>(disk.random.Next());
  }
  return bytes;
}

// SQLite counts its sleeps to know when its patience is over: one that only
// yielded would spend a minute's patience before a thread that holds the lock, and
// has lost the processor, gets it back. A test need not wait a whole second either.
int CrashVfsMethods::Sleep(sqlite3_vfs*, int us) {
  const std::atomic<uint32_t> never{0};
  DefaultPlatform().clock->WaitOn(never, 0,
                                  absl::Microseconds(std::min(us, 1000)));
  return us;
}

int CrashVfsMethods::CurrentTimeInt64(sqlite3_vfs*, sqlite3_int64* out) {
  constexpr sqlite3_int64 kUnixEpochMs = 210866760000000;  // in Julian days
  constexpr sqlite3_int64 kNowMs = 1700000000000;
  *out = kUnixEpochMs + kNowMs;
  return SQLITE_OK;
}
int CrashVfsMethods::CurrentTime(sqlite3_vfs* vfs, double* out) {
  sqlite3_int64 ms = 0;
  CurrentTimeInt64(vfs, &ms);
  *out = static_cast<double>(ms) / 86400000.0;
  return SQLITE_OK;
}

int CrashVfsMethods::GetLastError(sqlite3_vfs* vfs, int, char*) {
  Disk& disk = DiskOf(vfs);
  Lock lock(disk);
  return disk.last_errno;
}

// --- A file ------------------------------------------------------------------

int CrashVfsMethods::Close(sqlite3_file* f) {
  Disk& disk = DiskOf(f);
  Lock lock(disk);
  auto* self = reinterpret_cast<File*>(f);
  ShmUnmapLocked(*self->handle);
  UnlockLocked(*self->handle, SQLITE_LOCK_NONE);
  delete self->handle;
  --disk.handle_count;
  return SQLITE_OK;
}

int CrashVfsMethods::Read(sqlite3_file* f, void* to, int bytes, sqlite3_int64 offset) {
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
  const size_t have = at >= from.size() ? 0 : std::min(want, from.size() - at);
  if (have > 0) std::memcpy(to, from.data() + at, have);
  if (have == want) return SQLITE_OK;
  std::memset(static_cast<char*>(to) + have, 0, want - have);
  return SQLITE_IOERR_SHORT_READ;
}

// A long write is to the page cache one a page, and the power may go between two. A
// fault meets it as a whole.
int CrashVfsMethods::Write(sqlite3_file* f, const void* from, int bytes, sqlite3_int64 offset) {
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

int CrashVfsMethods::WritePiece(sqlite3_file* f, const char* data, size_t count, size_t at,
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
             disk.BytesUsed() + (at + count - inode.visible.size()) > disk.capacity) {
    disk.last_errno = ENOSPC;
    code = SQLITE_FULL;
  } else {
    disk.WriteBytes(inode, data, count, at);
  }
  disk.Stepped();
  return code;
}

int CrashVfsMethods::Truncate(sqlite3_file* f, sqlite3_int64 bytes) {
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

int CrashVfsMethods::Sync(sqlite3_file* f, int) {
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

int CrashVfsMethods::FileSize(sqlite3_file* f, sqlite3_int64* bytes) {
  Disk& disk = DiskOf(f);
  Lock lock(disk);
  if (!disk.Works(HandleOf(f))) return SQLITE_IOERR_FSTAT;
  *bytes = static_cast<sqlite3_int64>(HandleOf(f).inode->visible.size());
  return SQLITE_OK;
}

int CrashVfsMethods::FileControl(sqlite3_file*, int, void*) { return SQLITE_NOTFOUND; }
int CrashVfsMethods::SectorSize(sqlite3_file*) { return 4096; }  // as the unix VFS
int CrashVfsMethods::DeviceCharacteristics(sqlite3_file*) {
  return SQLITE_IOCAP_POWERSAFE_OVERWRITE;  // V2
}

// --- Where SQLite finds them ---------------------------------------------------

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

}  // namespace eddy::testing
