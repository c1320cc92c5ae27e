// The functions that SQLite calls: the VFS of a CrashDisk, its files, their locks and the
// WAL's shared memory. They answer as SQLite's unix VFS would; what they work on is in
// crash_disk_state.h. Those that touch the disk hold its mutex; those named *Locked, and
// ReleaseShm, are called with it held.
#ifndef EDDY_TESTS_FAKES_CRASH_VFS_METHODS_H_
#define EDDY_TESTS_FAKES_CRASH_VFS_METHODS_H_

#include <sqlite3.h>

#include <cstddef>

#include "tests/fakes/crash_disk_state.h"
#include "tests/fakes/crash_vfs.h"

namespace eddy::testing {

struct CrashVfsMethods {
  using Disk = CrashDisk::Disk;
  using Op = CrashDisk::Op;
  using Fault = CrashDisk::Fault;
  using Inode = Disk::Inode;
  using Handle = Disk::Handle;
  using Lock = Disk::Lock;

  // What SQLite allocates for an open file.
  struct File {
    sqlite3_file head;
    Disk* disk;
    Handle* handle;  // owned
  };

  static Disk& DiskOf(sqlite3_vfs* vfs) { return *static_cast<Disk*>(vfs->pAppData); }
  static Disk& DiskOf(sqlite3_file* f) { return *reinterpret_cast<File*>(f)->disk; }
  static Handle& HandleOf(sqlite3_file* f) { return *reinterpret_cast<File*>(f)->handle; }

  // --- The VFS ---------------------------------------------------------------

  static int Open(sqlite3_vfs* vfs, const char* name, sqlite3_file* file, int flags,
                  int* out_flags);
  static int Delete(sqlite3_vfs* vfs, const char* name, int sync_directory);
  static int Access(sqlite3_vfs* vfs, const char* name, int flags, int* out);
  static int FullPathname(sqlite3_vfs*, const char* name, int bytes, char* out);
  static int Randomness(sqlite3_vfs* vfs, int bytes, char* out);
  static int Sleep(sqlite3_vfs*, int us);
  static int CurrentTimeInt64(sqlite3_vfs*, sqlite3_int64* out);
  static int CurrentTime(sqlite3_vfs* vfs, double* out);
  static int GetLastError(sqlite3_vfs* vfs, int, char*);

  // --- A file ----------------------------------------------------------------

  static int Close(sqlite3_file* f);
  static int Read(sqlite3_file* f, void* to, int bytes, sqlite3_int64 offset);
  static int Write(sqlite3_file* f, const void* from, int bytes, sqlite3_int64 offset);
  static int WritePiece(sqlite3_file* f, const char* data, size_t count, size_t at, bool first,
                        size_t left_on_fault);
  static int Truncate(sqlite3_file* f, sqlite3_int64 bytes);
  static int Sync(sqlite3_file* f, int);
  static int FileSize(sqlite3_file* f, sqlite3_int64* bytes);
  static int FileControl(sqlite3_file*, int, void*);
  static int SectorSize(sqlite3_file*);
  static int DeviceCharacteristics(sqlite3_file*);

  // --- Its locks of rollback mode, see crash_vfs_locks.cc --------------------

  static int LockFile(sqlite3_file* f, int level);
  static void UnlockLocked(Handle& handle, int level);
  static int UnlockFile(sqlite3_file* f, int level);
  static int CheckReservedLock(sqlite3_file* f, int* result);

  // --- The WAL's shared memory, see crash_vfs_locks.cc -----------------------

  static int ShmMap(sqlite3_file* f, int region, int bytes, int extend, void volatile** out);
  static int ShmLock(sqlite3_file* f, int offset, int n, int flags);
  static void ReleaseShm(Handle& handle, unsigned mask);
  static void ShmBarrier(sqlite3_file* f);
  static void ShmUnmapLocked(Handle& handle);
  static int ShmUnmap(sqlite3_file* f, int);

  static const sqlite3_io_methods kIoMethods;
};

}  // namespace eddy::testing

#endif  // EDDY_TESTS_FAKES_CRASH_VFS_METHODS_H_
