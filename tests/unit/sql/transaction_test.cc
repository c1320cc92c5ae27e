// Transactions, who reads beside them, and what is left of one that fails.
#include <sqlite3.h>

#include <catch2/catch_test_macros.hpp>
#include <string>

#include "tests/unit/sql/database_fixture.h"

namespace eddy::sql {
namespace {

using namespace database_test;  // NOLINT: the tests' own

// --- Transactions ------------------------------------------------------------

TEST_CASE("a transaction that is not committed is rolled back",
          "[sql][transaction]") {
  CrashDisk disk;
  auto db = OpenOn(disk);
  REQUIRE(db->Exec(kTable).ok());
  {
    auto transaction = Transaction::Begin(*db);
    REQUIRE(transaction.ok());
    CHECK(db->InTransaction());
    REQUIRE(Insert(*db, "a").ok());
    CHECK(ReadInt(*db, kCount) == 1);
  }
  CHECK_FALSE(db->InTransaction());
  CHECK(ReadInt(*db, kCount) == 0);

  auto transaction = Transaction::Begin(*db);
  REQUIRE(Insert(*db, "b").ok());
  REQUIRE(transaction->Commit().ok());
  CHECK(ReadInt(*db, kCount) == 1);
}

TEST_CASE("transactions do not nest", "[sql][transaction]") {
  CrashDisk disk;
  auto db = OpenOn(disk);
  auto outer = Transaction::Begin(*db);
  REQUIRE(outer.ok());
  CHECK(absl::IsFailedPrecondition(Transaction::Begin(*db).status()));
  CHECK(outer->Commit().ok());
}

TEST_CASE("a second writer is told to come back", "[sql][transaction]") {
  CrashDisk disk;
  auto db = OpenOn(disk);
  REQUIRE(db->Exec(kTable).ok());
  auto other = OpenOn(disk);  // a wrong use, and how SQLite answers it
  REQUIRE(other.ok());
  auto transaction = Transaction::Begin(*db);
  CHECK(absl::IsUnavailable(Transaction::Begin(*other).status()));
  REQUIRE(transaction->Commit().ok());
  CHECK(Transaction::Begin(*other).ok());
}

// One row, by a transaction behind which the connection goes on reading.
absl::Status CommitReading(Database& db, const std::string& bytes) {
  auto transaction = Transaction::BeginAsReader(db);
  if (!transaction.ok()) return transaction.status();
  const absl::Status inserted = Insert(db, bytes);
  return inserted.ok() ? transaction->Commit() : inserted;
}

TEST_CASE("an owner that goes on reading commits as before", "[sql][transaction]") {
  CrashDisk disk;
  auto db = OpenOn(disk);
  REQUIRE(db->Exec(kTable).ok());
  auto reader = OpenOn(disk, Mode::kReadOnly);
  for (int64_t i = 1; i <= 5; ++i) {
    REQUIRE(CommitReading(*db, "a").ok());
    CHECK(ReadInt(*db, kCount) == i);
    CHECK(ReadInt(*reader, kCount) == i);
  }

  SECTION("a checkpoint copies all of it, and the WAL begins anew") {
    REQUIRE(db->Checkpoint(CheckpointMode::kPassive).ok());
    CHECK(db->WalBytes() == 0);
    const size_t before = disk.Size("db-wal");
    for (int i = 0; i < 3; ++i) REQUIRE(CommitReading(*db, "b").ok());
    CHECK(disk.Size("db-wal") == before);
    CHECK(ReadInt(*reader, kCount) == 8);
  }
  SECTION("a table can be dropped, and a schema change is no end of it") {
    REQUIRE(db->Exec("DROP TABLE t").ok());
    REQUIRE(db->Exec(kTable).ok());
    REQUIRE(CommitReading(*db, "b").ok());
    CHECK(ReadInt(*db, kCount) == 1);
  }
  SECTION("a statement without a transaction is one of its own") {
    REQUIRE(Insert(*db, "b").ok());
    CHECK_FALSE(db->InTransaction());
    CHECK(ReadInt(*reader, kCount) == 6);
    REQUIRE(CommitReading(*db, "c").ok());
    CHECK(ReadInt(*reader, kCount) == 7);
  }
  SECTION("what is not committed is rolled back") {
    {
      auto transaction = Transaction::BeginAsReader(*db);
      REQUIRE(Insert(*db, "b").ok());
    }
    CHECK(ReadInt(*db, kCount) == 5);
    REQUIRE(CommitReading(*db, "c").ok());
    CHECK(ReadInt(*reader, kCount) == 6);
  }
  SECTION("after a failed commit the next succeeds") {
    disk.FailNth(CrashDisk::Op::kSync, 1, CrashDisk::Fault::kIoError);
    CHECK(IsSyncFailure(CommitReading(*db, "b")));
    CHECK(ReadInt(*db, kCount) == 5);
    REQUIRE(CommitReading(*db, "c").ok());
    CHECK(ReadInt(*reader, kCount) == 6);
  }
  SECTION("what another has written meanwhile is seen") {
    auto other = OpenOn(disk);  // a wrong use, as above
    REQUIRE(Insert(*other, "b").ok());
    REQUIRE(CommitReading(*db, "c").ok());
    CHECK(ReadInt(*reader, kCount) == 7);
    CHECK(ReadInt(*db, "PRAGMA quick_check") == 0);  // it says "ok"
  }
  SECTION("it closes") {
    REQUIRE(db->Close().ok());
    auto again = OpenOn(disk);
    CHECK(ReadInt(*again, kCount) == 5);
  }
}

// --- Readers -------------------------------------------------------------

TEST_CASE("a reader sees what is committed, as it is committed",
          "[sql][reader]") {
  CrashDisk disk;
  auto db = OpenOn(disk);
  REQUIRE(db->Exec(kTable).ok());
  auto reader = OpenOn(disk, Mode::kReadOnly);
  REQUIRE(reader.ok());
  {
    auto transaction = Transaction::Begin(*db);
    REQUIRE(Insert(*db, "a").ok());
    CHECK(ReadInt(*reader, kCount) == 0);
    REQUIRE(transaction->Commit().ok());
  }
  CHECK(ReadInt(*reader, kCount) == 1);

  SECTION("a transaction of the reader is a stable view") {
    auto view = Transaction::Begin(*reader);
    REQUIRE(view.ok());
    CHECK(ReadInt(*reader, kCount) == 1);
    REQUIRE(Insert(*db, "b").ok());
    CHECK(ReadInt(*reader, kCount) == 1);
    CHECK(view->Commit().ok());
    CHECK(ReadInt(*reader, kCount) == 2);
  }
  SECTION("a reader cannot write") {
    CHECK(absl::IsPermissionDenied(Insert(*reader, "b")));
    CHECK(absl::IsPermissionDenied(reader->Exec("DROP TABLE t")));
  }
}

TEST_CASE("a reader never touches the disk, even as the last to close",
          "[sql][reader]") {
  CrashDisk disk;
  {
    auto db = OpenOn(disk);
    REQUIRE(db->Exec(kTable).ok());
    REQUIRE(Insert(*db, "a").ok());
    disk.KillProcess();  // the owner is gone and leaves its WAL
  }
  REQUIRE(disk.Exists("db-wal"));
  const uint64_t steps = disk.step_count();
  const std::string wal = disk.Content("db-wal");
  {
    auto reader = OpenOn(disk, Mode::kReadOnly);
    REQUIRE(reader.ok());
    CHECK(ReadInt(*reader, kCount) == 1);
  }
  CHECK(disk.step_count() == steps);
  CHECK(disk.Content("db-wal") == wal);
}

// --- Faults --------------------------------------------------------------

TEST_CASE("a commit that fails leaves the old state and the next succeeds",
          "[sql][fault]") {
  CrashDisk disk;
  auto db = OpenOn(disk);
  REQUIRE(db->Exec(kTable).ok());
  REQUIRE(Insert(*db, "a").ok());
  absl::Status status;
  {
    auto transaction = Transaction::Begin(*db);
    REQUIRE(Insert(*db, std::string(20000, 'b')).ok());
    SECTION("a disk that fills during commit") {
      disk.FailNth(CrashDisk::Op::kWrite, 3, CrashDisk::Fault::kFull);
      status = transaction->Commit();
      CHECK(absl::IsResourceExhausted(status));
      CHECK_FALSE(IsSyncFailure(status));
    }
    SECTION("an I/O error") {
      disk.FailNth(CrashDisk::Op::kWrite, 3, CrashDisk::Fault::kIoError);
      status = transaction->Commit();
      CHECK(absl::IsUnavailable(status));
      CHECK(SqliteCode(status) == SQLITE_IOERR_WRITE);
      CHECK_FALSE(IsSyncFailure(status));
    }
    SECTION("a sync that fails") {
      disk.FailNth(CrashDisk::Op::kSync, 1, CrashDisk::Fault::kIoError);
      status = transaction->Commit();
      CHECK(absl::IsUnavailable(status));
      CHECK(IsSyncFailure(status));
    }
    CHECK_FALSE(db->InTransaction());
  }
  CAPTURE(status.ToString());
  CHECK(ReadInt(*db, kCount) == 1);
  REQUIRE(Insert(*db, "c").ok());
  CHECK(ReadInt(*db, kCount) == 2);
}

TEST_CASE("a statement whose error ends the transaction is told by Commit",
          "[sql][fault]") {
  CrashDisk disk;
  OpenOptions options;
  options.vfs = disk.name();
  options.cache_kib = 16;  // so that pages spill into the WAL before the commit
  auto db = Database::Open("db", options);
  REQUIRE(db->Exec(kTable).ok());
  auto transaction = Transaction::Begin(*db);
  disk.FailNth(CrashDisk::Op::kWrite, 1, CrashDisk::Fault::kFull, true);
  absl::Status status;
  for (int i = 0; i < 100 && status.ok(); ++i) {
    status = Insert(*db, std::string(10000, 'x'));
  }
  CHECK(absl::IsResourceExhausted(status));
  CHECK_FALSE(db->InTransaction());
  CHECK(absl::IsAborted(transaction->Commit()));
  disk.ClearFaults();
  CHECK(ReadInt(*db, kCount) == 0);
}

}  // namespace
}  // namespace eddy::sql
