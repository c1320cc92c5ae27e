// Who may read and write: the locks of a file, and the WAL's shared memory with its own.
// They keep the connections of this process apart, as the unix VFS does (V5).
#include <cstddef>
#include <memory>

#include "tests/fakes/crash_vfs_methods.h"

namespace eddy::testing {

// --- Locks of rollback mode, of which WAL mode uses the shared one ---------------

// As SQLite's manual has it: SHARED by many, RESERVED by one beside them,
// PENDING lets no new SHARED in, EXCLUSIVE is alone.
int CrashVfsMethods::LockFile(sqlite3_file* f, int level) {
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

void CrashVfsMethods::UnlockLocked(Handle& handle, int level) {
  Inode& inode = *handle.inode;
  if (handle.lock_level <= level) return;
  if (inode.reserved == &handle) inode.reserved = nullptr;
  if (inode.pending == &handle) inode.pending = nullptr;
  if (level == SQLITE_LOCK_NONE) --inode.shared_count;
  handle.lock_level = level;
}

int CrashVfsMethods::UnlockFile(sqlite3_file* f, int level) {
  Disk& disk = DiskOf(f);
  Lock lock(disk);
  UnlockLocked(HandleOf(f), level);
  return SQLITE_OK;
}

int CrashVfsMethods::CheckReservedLock(sqlite3_file* f, int* result) {
  Disk& disk = DiskOf(f);
  Lock lock(disk);
  const Inode& inode = *HandleOf(f).inode;
  *result = inode.reserved != nullptr || inode.pending != nullptr;
  return SQLITE_OK;
}

// --- The WAL's shared memory ---------------------------------------------------

int CrashVfsMethods::ShmMap(sqlite3_file* f, int region, int bytes, int extend,
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
    inode.regions.push_back(std::make_unique<char[]>(static_cast<size_t>(bytes)));  // zeros
  }
  *out = inode.regions[index].get();
  return SQLITE_OK;
}

int CrashVfsMethods::ShmLock(sqlite3_file* f, int offset, int n, int flags) {
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
    const int others = inode.shm_shared[slot] - ((handle.shm_shared & bit) != 0 ? 1 : 0);
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

void CrashVfsMethods::ReleaseShm(Handle& handle, unsigned mask) {
  Inode& inode = *handle.inode;
  for (size_t slot = 0; slot < Disk::kShmLockCount; ++slot) {
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

void CrashVfsMethods::ShmBarrier(sqlite3_file* f) {
  Lock lock(DiskOf(f));  // a barrier that race detectors see
}

void CrashVfsMethods::ShmUnmapLocked(Handle& handle) {
  if (!handle.uses_shm) return;
  ReleaseShm(handle, ~0u);
  handle.uses_shm = false;
  Inode& inode = *handle.inode;
  // The last one takes it away, kept or deleted: the next to come would begin
  // by emptying it, as with the unix VFS.
  if (--inode.shm_user_count == 0) inode.regions.clear();
}

int CrashVfsMethods::ShmUnmap(sqlite3_file* f, int) {
  Disk& disk = DiskOf(f);
  Lock lock(disk);
  ShmUnmapLocked(HandleOf(f));
  return SQLITE_OK;
}

}  // namespace eddy::testing
