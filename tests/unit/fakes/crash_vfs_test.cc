// A disk on which no power is cut: its locks, its faults, its capacity and its counters.
#include "tests/fakes/crash_vfs.h"

#include <sqlite3.h>

#include <catch2/catch_test_macros.hpp>
#include <string>
#include <vector>

#include "tests/unit/fakes/crash_vfs_fixture.h"

namespace eddy::testing {
namespace {

using Op = CrashDisk::Op;
using Fault = CrashDisk::Fault;

TEST_CASE("locks exclude each other as in SQLite's manual",
          "[fakes][crash_vfs]") {
  CrashDisk disk;
  RawFile a(disk, "x", SQLITE_OPEN_MAIN_DB);
  RawFile b(disk, "x", SQLITE_OPEN_MAIN_DB);
  REQUIRE(a.Lock(SQLITE_LOCK_SHARED) == SQLITE_OK);
  REQUIRE(b.Lock(SQLITE_LOCK_SHARED) == SQLITE_OK);
  CHECK(a.Lock(SQLITE_LOCK_RESERVED) == SQLITE_OK);
  CHECK(b.Lock(SQLITE_LOCK_RESERVED) == SQLITE_BUSY);
  CHECK(a.Lock(SQLITE_LOCK_EXCLUSIVE) == SQLITE_BUSY);
  CHECK(b.Unlock(SQLITE_LOCK_NONE) == SQLITE_OK);
  CHECK(b.Lock(SQLITE_LOCK_SHARED) == SQLITE_BUSY);  // a is PENDING
  CHECK(a.Lock(SQLITE_LOCK_EXCLUSIVE) == SQLITE_OK);
  CHECK(a.Unlock(SQLITE_LOCK_SHARED) == SQLITE_OK);
  CHECK(b.Lock(SQLITE_LOCK_SHARED) == SQLITE_OK);
}

TEST_CASE("a fault hits the nth operation of its kind and file",
          "[fakes][crash_vfs]") {
  CrashDisk disk;
  RawFile wal(disk, "x-wal", SQLITE_OPEN_WAL);
  RawFile db(disk, "x", SQLITE_OPEN_MAIN_DB);

  SECTION("once") {
    disk.FailNth(Op::kWrite, 2, Fault::kFull, false, "-wal");
    CHECK(wal.Write("a", 0) == SQLITE_OK);
    CHECK(db.Write("a", 0) == SQLITE_OK);
    CHECK(wal.Sync() == SQLITE_OK);
    CHECK(wal.Write("1234", 0) == SQLITE_FULL);
    CHECK(disk.Content("x-wal") == "12");  // half of it
    CHECK(wal.Write("b", 0) == SQLITE_OK);
    CHECK(disk.fault_count() == 1);
  }
  SECTION("for good, until cleared") {
    disk.FailNth(Op::kAny, 1, Fault::kIoError, true);
    CHECK(wal.Write("a", 0) == SQLITE_IOERR_WRITE);
    CHECK(wal.Sync() == SQLITE_IOERR_FSYNC);
    CHECK(wal.Truncate(0) == SQLITE_IOERR_TRUNCATE);
    CHECK(wal.Read(0) == SQLITE_OK);
    disk.ClearFaults();
    CHECK(wal.Sync() == SQLITE_OK);
  }
}

TEST_CASE("a disk with a capacity is full beyond it", "[fakes][crash_vfs]") {
  CrashDisk disk;
  disk.SetCapacity(1024);
  RawFile a(disk, "a", SQLITE_OPEN_MAIN_DB);
  RawFile b(disk, "b", SQLITE_OPEN_MAIN_DB);
  CHECK(a.Write(Sectors("a"), 0) == SQLITE_OK);
  CHECK(b.Write(Sectors("bb"), 0) == SQLITE_FULL);
  CHECK(b.Write(Sectors("b"), 0) == SQLITE_OK);
  CHECK(a.Write(Sectors("c"), 0) == SQLITE_OK);  // grows nothing
  CHECK(b.Truncate(0) == SQLITE_OK);
  CHECK(a.Write(Sectors("d"), 512) == SQLITE_OK);
}

TEST_CASE("steps, syncs and bytes are counted", "[fakes][crash_vfs]") {
  CrashDisk disk;
  RawFile wal(disk, "x-wal", SQLITE_OPEN_WAL);
  RawFile db(disk, "x", SQLITE_OPEN_MAIN_DB);
  wal.Write(Sectors("ab"), 0);
  db.Write(Sectors("a"), 0);
  wal.Sync();
  db.Truncate(0);
  CHECK(disk.step_count() == 6);  // two creations among them
  CHECK(disk.sync_count() == 1);
  CHECK(disk.BytesWritten() == 1536);
  CHECK(disk.BytesWritten("-wal") == 1024);
  CHECK(disk.List() == std::vector<std::string>{"x", "x-wal"});
}

}  // namespace
}  // namespace eddy::testing
