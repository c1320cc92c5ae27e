#include "src/sql/counting_vfs.h"

#include <catch2/catch_test_macros.hpp>
#include <string>
#include <utility>

#include "src/sql/database.h"
#include "tests/fakes/crash_vfs.h"

namespace eddy::sql {
namespace {

using testing::CrashDisk;

absl::StatusOr<Database> OpenOn(const CountingVfs& vfs,
                                Mode mode = Mode::kOwner) {
  OpenOptions options;
  options.mode = mode;
  options.vfs = vfs.name();
  return Database::Open("db", options);
}

TEST_CASE("what is counted is what reached the disk", "[sql][counting_vfs]") {
  CrashDisk disk;
  auto vfs = CountingVfs::Register(disk.name());
  REQUIRE(vfs.ok());
  {
    auto db = OpenOn(**vfs);
    REQUIRE(db.ok());
    REQUIRE(
        db->Exec("CREATE TABLE t (id INTEGER PRIMARY KEY, bytes BLOB)").ok());
    REQUIRE(db->Exec("INSERT INTO t (bytes) VALUES (zeroblob(50000))").ok());
    const IoCounts before = (*vfs)->Counts();
    CHECK(before.wal_bytes > 50000);
    REQUIRE(db->Checkpoint(CheckpointMode::kPassive).ok());
    const IoCounts after = (*vfs)->Counts();
    CHECK(after.wal_bytes == before.wal_bytes);
    CHECK(after.database_bytes - before.database_bytes >= 50000);
    CHECK(after.sync_count > before.sync_count);
    CHECK(after.write_count > before.write_count);
  }
  const IoCounts counts = (*vfs)->Counts();
  CHECK(counts.wal_bytes == disk.BytesWritten("-wal"));
  CHECK(counts.other_bytes == disk.BytesWritten("-journal"));
  CHECK(counts.bytes() == disk.BytesWritten());
}

TEST_CASE("an owner and a reader share the memory of the WAL through it",
          "[sql][counting_vfs]") {
  CrashDisk disk;
  auto vfs = CountingVfs::Register(disk.name());
  REQUIRE(vfs.ok());
  auto db = OpenOn(**vfs);
  REQUIRE(db->Exec("CREATE TABLE t (id INTEGER PRIMARY KEY)").ok());
  auto reader = OpenOn(**vfs, Mode::kReadOnly);
  REQUIRE(reader.ok());
  REQUIRE(db->Exec("INSERT INTO t (id) VALUES (42)").ok());
  auto select = reader->Prepare("SELECT id FROM t");
  REQUIRE(select->Step().value());
  CHECK(select->ColumnInt(0) == 42);
}

TEST_CASE("two counters do not count for each other", "[sql][counting_vfs]") {
  CrashDisk disk;
  auto first = CountingVfs::Register(disk.name());
  auto second = CountingVfs::Register(disk.name());
  REQUIRE(first.ok());
  REQUIRE(second.ok());
  CHECK((*first)->name() != (*second)->name());
  REQUIRE(OpenOn(**first).ok());
  CHECK((*first)->Counts().bytes() > 0);
  CHECK((*second)->Counts().bytes() == 0);
}

TEST_CASE("errors pass through and are not counted as written",
          "[sql][counting_vfs][fault]") {
  CrashDisk disk;
  auto vfs = CountingVfs::Register(disk.name());
  auto db = OpenOn(**vfs);
  REQUIRE(db->Exec("CREATE TABLE t (id INTEGER PRIMARY KEY)").ok());
  const uint64_t before = (*vfs)->Counts().bytes();
  disk.FailNth(CrashDisk::Op::kWrite, 1, CrashDisk::Fault::kFull, true);
  CHECK(absl::IsResourceExhausted(db->Exec("INSERT INTO t (id) VALUES (1)")));
  CHECK((*vfs)->Counts().bytes() == before);
}

TEST_CASE("a WAL that is limited refuses as a full disk does, until the limit is gone",
          "[sql][counting_vfs]") {
  CrashDisk disk;
  auto vfs = CountingVfs::Register(disk.name());
  REQUIRE(vfs.ok());
  auto db = OpenOn(**vfs);
  REQUIRE(db->Exec("CREATE TABLE t (id INTEGER PRIMARY KEY, bytes BLOB)").ok());
  constexpr char kMuch[] = "INSERT INTO t (bytes) VALUES (zeroblob(900000))";
  CHECK_FALSE((*vfs)->LimitWal(500'000));
  CHECK(absl::IsResourceExhausted(db->Exec(kMuch)));
  CHECK(disk.Size("db-wal") <= 500'000);
  CHECK((*vfs)->LimitWal(500'000));
  CHECK_FALSE((*vfs)->LimitWal(500'000));  // told once
  CHECK(db->Exec("INSERT INTO t (bytes) VALUES (zeroblob(9000))").ok());
  CHECK_FALSE((*vfs)->LimitWal(UINT64_MAX));
  CHECK(db->Exec(kMuch).ok());
}

// What is spilled waits for more of it, and a read asks for it first: what is lost then was
// told to be written.
TEST_CASE("a read that meets the full disk ends the transaction, and says what was full",
          "[sql][counting_vfs][fault]") {
  CrashDisk disk;
  auto vfs = CountingVfs::Register(disk.name());
  REQUIRE(vfs.ok());
  auto db = OpenOn(**vfs);
  REQUIRE(db->Exec("CREATE TABLE t (id INTEGER PRIMARY KEY, bytes BLOB)").ok());
  {
    auto transaction = Transaction::Begin(*db);
    REQUIRE(transaction.ok());
    for (int i = 0; i < 15; ++i) {
      REQUIRE(db->Exec("INSERT INTO t (bytes) VALUES (randomblob(100000))").ok());
    }
    auto select = db->Prepare("SELECT sum(length(bytes || 'x')) FROM t");
    disk.SetCapacity(1);
    const absl::StatusOr<bool> read = select->Step();
    INFO(read.status().ToString());
    CHECK(absl::IsResourceExhausted(read.status()));
    CHECK_FALSE(db->InTransaction());
    disk.SetCapacity(1 << 30);
    CHECK_FALSE(transaction->Commit().ok());
  }
  auto count = db->Prepare("SELECT count(*) FROM t");
  REQUIRE(count->Step().value());
  CHECK(count->ColumnInt(0) == 0);
}

TEST_CASE("a VFS that is not registered is not found", "[sql][counting_vfs]") {
  CHECK(absl::IsNotFound(CountingVfs::Register("no such VFS").status()));
  CHECK(CountingVfs::Register("").ok());  // SQLite's default
}

}  // namespace
}  // namespace eddy::sql
