#include "src/sql/database.h"

#include <sqlite3.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "tests/fakes/crash_vfs.h"

namespace eddy::sql {
namespace {

using testing::CrashDisk;

constexpr char kTable[] =
    "CREATE TABLE t (id INTEGER PRIMARY KEY, bytes BLOB NOT NULL)";
constexpr char kInsert[] = "INSERT INTO t (bytes) VALUES (?)";
constexpr char kCount[] = "SELECT COUNT(*) FROM t";

absl::StatusOr<Database> OpenOn(const CrashDisk& disk, Mode mode = Mode::kOwner,
                                uint64_t wal_bytes_max = 1 << 20) {
  OpenOptions options;
  options.mode = mode;
  options.vfs = disk.name();
  options.wal_bytes_max = wal_bytes_max;
  return Database::Open("db", options);
}

int64_t ReadInt(Database& db, std::string_view text) {
  auto statement = db.Prepare(text);
  REQUIRE(statement.ok());
  const absl::StatusOr<bool> has_row = statement->Step();
  REQUIRE(has_row.ok());
  REQUIRE(*has_row);
  return statement->ColumnInt(0);
}

absl::Status Insert(Database& db, const std::string& bytes) {
  auto insert = db.Prepare(kInsert);
  if (!insert.ok()) return insert.status();
  return insert->BindBlob(1, bytes).Run();
}

// A database made by plain SQLite.
void MakeForeign(const CrashDisk& disk, const char* sql) {
  sqlite3* db = nullptr;
  REQUIRE(sqlite3_open_v2("db", &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
                          disk.name().c_str()) == SQLITE_OK);
  CHECK(sqlite3_exec(db, sql, nullptr, nullptr, nullptr) == SQLITE_OK);
  sqlite3_close(db);
}

// --- Opening -----------------------------------------------------------------

TEST_CASE("a new file becomes an eddy store in WAL mode", "[sql][open]") {
  CrashDisk disk;
  auto db = OpenOn(disk);
  REQUIRE(db.ok());
  CHECK(ReadInt(*db, "PRAGMA application_id") == kApplicationId);
  CHECK(ReadInt(*db, "PRAGMA page_size") == 4096);
  CHECK(ReadInt(*db, "PRAGMA synchronous") == 2);  // FULL
  CHECK(ReadInt(*db, "PRAGMA secure_delete") == 0);
  CHECK(ReadInt(*db, "PRAGMA wal_autocheckpoint") == 0);
  CHECK(ReadInt(*db, "PRAGMA journal_size_limit") == 1 << 20);
  CHECK(ReadInt(*db, "PRAGMA auto_vacuum") == 0);
  CHECK(db->SchemaVersion().value() == 0);
  CHECK(db->Prepare("PRAGMA journal_mode")->Step().value());
  CHECK(db->Close().ok());
  // From the format: "eddy" in big-endian at offset 68.
  CHECK(disk.Content("db").substr(68, 4) == "eddy");
}

TEST_CASE("a store whose turn to WAL mode failed is not open", "[sql][open][fault]") {
  // SQLite says "wal" first and commits the change afterwards: its last step is the
  // deletion of the rollback journal.
  int opened = 0;
  for (uint64_t nth = 1; opened == 0; ++nth) {
    CrashDisk disk;
    disk.FailNth(CrashDisk::Op::kDelete, nth, CrashDisk::Fault::kIoError);
    absl::StatusOr<Database> db = OpenOn(disk);
    if (disk.fault_count() == 0) ++opened;
    INFO("deletion " << nth << ": " << db.status().ToString());
    CHECK(db.ok() == (disk.fault_count() == 0));
    if (!db.ok()) db = OpenOn(disk);
    REQUIRE(db.ok());
    REQUIRE(db->Exec("CREATE TABLE u (id INTEGER PRIMARY KEY)").ok());
    CHECK(disk.Exists("db-wal"));
  }
}

TEST_CASE("options reach a new file", "[sql][open]") {
  CrashDisk disk;
  OpenOptions options;
  options.vfs = disk.name();
  options.page_bytes = 8192;
  options.secure_delete = true;
  auto db = Database::Open("db", options);
  REQUIRE(db.ok());
  CHECK(ReadInt(*db, "PRAGMA page_size") == 8192);
  CHECK(ReadInt(*db, "PRAGMA secure_delete") == 1);
  CHECK(db->FileBytes().value() == 8192);
}

TEST_CASE("what was committed is there at the next open", "[sql][open]") {
  CrashDisk disk;
  {
    auto db = OpenOn(disk);
    REQUIRE(db->Exec(kTable).ok());
    REQUIRE(Insert(*db, "a").ok());
    REQUIRE(db->SetSchemaVersion(7).ok());
  }
  CHECK_FALSE(disk.Exists("db-wal"));  // copied and removed by the last close
  auto db = OpenOn(disk);
  CHECK(ReadInt(*db, kCount) == 1);
  CHECK(db->SchemaVersion().value() == 7);
}

TEST_CASE("a file that eddy did not make is refused and left alone",
          "[sql][open]") {
  const Mode mode = GENERATE(Mode::kOwner, Mode::kReadOnly);
  CrashDisk disk;
  SECTION("another program's application_id") {
    MakeForeign(disk, "PRAGMA application_id=42; CREATE TABLE t (x)");
  }
  SECTION("another program's tables") {
    MakeForeign(disk, "CREATE TABLE t (x)");
  }
  SECTION("another program's schema version") {
    MakeForeign(disk, "PRAGMA user_version=1");
  }
  SECTION("no database at all") {
    disk.SetContent("db", std::string(5000, 'x'));
  }
  SECTION("a short text") { disk.SetContent("db", "hello"); }
  const std::string before = disk.Content("db");
  const absl::Status status = OpenOn(disk, mode).status();
  CHECK(absl::IsFailedPrecondition(status));
  CHECK(std::string(status.message()).find("db is not an eddy store") == 0);
  CHECK(disk.Content("db") == before);
}

TEST_CASE("an empty file is new to the owner and nothing to a reader",
          "[sql][open]") {
  CrashDisk disk;
  SECTION("of no bytes") { disk.SetContent("db", ""); }
  SECTION("of an empty database") {
    MakeForeign(disk, "PRAGMA user_version=1; PRAGMA user_version=0");
  }
  CHECK(absl::IsFailedPrecondition(OpenOn(disk, Mode::kReadOnly).status()));
  CHECK(OpenOn(disk).ok());
}

TEST_CASE("a file that is not there is an error for a reader only",
          "[sql][open]") {
  CrashDisk disk;
  CHECK(absl::IsNotFound(OpenOn(disk, Mode::kReadOnly).status()));
  CHECK_FALSE(disk.Exists("db"));
  CHECK(OpenOn(disk).ok());
}

TEST_CASE("a disk that is full at the first open is told as such",
          "[sql][open][fault]") {
  CrashDisk disk;
  disk.SetCapacity(2000);
  CHECK(absl::IsResourceExhausted(OpenOn(disk).status()));
  disk.SetCapacity(UINT64_MAX);
  CHECK(OpenOn(disk).ok());
}

TEST_CASE("a damaged page is data loss", "[sql][open][fault]") {
  CrashDisk disk;
  {
    auto db = OpenOn(disk);
    REQUIRE(db->Exec(kTable).ok());
    REQUIRE(Insert(*db, "a").ok());
  }
  std::string content = disk.Content("db");
  for (size_t i = 4096; i < content.size(); ++i) content[i] = '\x7f';
  disk.SetContent("db", content);
  auto db = OpenOn(disk);
  REQUIRE(db.ok());
  auto count = db->Prepare(kCount);
  REQUIRE(count.ok());
  const absl::Status status = count->Step().status();
  CHECK(absl::IsDataLoss(status));
  CHECK(SqliteCode(status) % 256 == SQLITE_CORRUPT);
}

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
    const size_t before = disk.Content("db-wal").size();
    for (int i = 0; i < 3; ++i) REQUIRE(CommitReading(*db, "b").ok());
    CHECK(disk.Content("db-wal").size() == before);
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

// --- The WAL -----------------------------------------------------------------

TEST_CASE("WalBytes grows with commits and is 0 after a checkpoint",
          "[sql][wal]") {
  CrashDisk disk;
  auto db = OpenOn(disk);
  REQUIRE(db->Exec(kTable).ok());
  REQUIRE(db->Checkpoint(CheckpointMode::kPassive).ok());
  CHECK(db->WalBytes() == 0);
  REQUIRE(Insert(*db, std::string(100000, 'x')).ok());
  CHECK(db->WalBytes() > 100000);
  CHECK(db->WalBytes() < 130000);
  const auto result = db->Checkpoint(CheckpointMode::kPassive);
  REQUIRE(result.ok());
  CHECK(result->wal_frame_count == result->copied_frame_count);
  CHECK(result->wal_frame_count > 24);
  CHECK(db->WalBytes() == 0);
}

TEST_CASE("a checkpoint copies what a reader allows", "[sql][wal]") {
  CrashDisk disk;
  auto db = OpenOn(disk);
  REQUIRE(db->Exec(kTable).ok());
  auto reader = OpenOn(disk, Mode::kReadOnly);
  auto view = Transaction::Begin(*reader);
  CHECK(ReadInt(*reader, kCount) == 0);
  REQUIRE(Insert(*db, "a").ok());
  const auto passive = db->Checkpoint(CheckpointMode::kPassive);
  REQUIRE(passive.ok());
  CHECK(passive->copied_frame_count < passive->wal_frame_count);
  CHECK(db->WalBytes() > 0);
  CHECK(absl::IsUnavailable(db->Checkpoint(CheckpointMode::kFull).status()));
  REQUIRE(view->Commit().ok());
  CHECK(db->Checkpoint(CheckpointMode::kFull).ok());
  CHECK(db->WalBytes() == 0);
}

TEST_CASE("a WAL that a burst has made shrinks to its limit", "[sql][wal]") {
  constexpr uint64_t kLimit = 64 << 10;
  CrashDisk disk;
  auto db = OpenOn(disk, Mode::kOwner, kLimit);
  REQUIRE(db->Exec(kTable).ok());
  REQUIRE(Insert(*db, std::string(500000, 'x')).ok());
  CHECK(disk.Content("db-wal").size() > 500000);
  REQUIRE(db->Checkpoint(CheckpointMode::kPassive).ok());
  REQUIRE(Insert(*db, "x").ok());  // starts the WAL anew
  CHECK(disk.Content("db-wal").size() <= kLimit);
  CHECK(db->WalBytes() < 20000);
  REQUIRE(db->Checkpoint(CheckpointMode::kTruncate).ok());
  CHECK(disk.Content("db-wal").empty());
}

TEST_CASE("after an open WalBytes is what an earlier life has left",
          "[sql][wal]") {
  CrashDisk disk;
  {
    auto db = OpenOn(disk);
    REQUIRE(db->Exec(kTable).ok());
    REQUIRE(Insert(*db, std::string(50000, 'x')).ok());
    disk.KillProcess();
  }
  auto db = OpenOn(disk);
  REQUIRE(db.ok());
  CHECK(db->WalBytes() == disk.Content("db-wal").size());
  CHECK(db->WalBytes() > 50000);
}

TEST_CASE("deleted pages are free and then used again", "[sql][wal]") {
  CrashDisk disk;
  auto db = OpenOn(disk);
  REQUIRE(db->Exec(kTable).ok());
  REQUIRE(Insert(*db, std::string(100000, 'x')).ok());
  const uint64_t bytes = db->FileBytes().value();
  CHECK(bytes > 100000);
  CHECK(db->FreeBytes().value() == 0);
  REQUIRE(db->Exec("DELETE FROM t").ok());
  CHECK(db->FreeBytes().value() > 90000);
  REQUIRE(Insert(*db, std::string(90000, 'y')).ok());
  CHECK(db->FileBytes().value() == bytes);
}

// --- Closing and moving ----------------------------------------------------

TEST_CASE("Close waits for statements", "[sql][close]") {
  CrashDisk disk;
  auto db = OpenOn(disk);
  REQUIRE(db->Exec(kTable).ok());
  auto count = db->Prepare(kCount);
  CHECK(absl::IsFailedPrecondition(db->Close()));
  CHECK(count->Step().value());  // it is still open
  count = Statement();
  CHECK(db->Close().ok());
  CHECK(db->Close().ok());
}

TEST_CASE("a database moves while it is used", "[sql][close]") {
  CrashDisk disk;
  auto opened = OpenOn(disk);
  Database db = *std::move(opened);
  REQUIRE(db.Exec(kTable).ok());
  auto insert = db.Prepare(kInsert);
  Database moved = std::move(db);
  REQUIRE(insert->BindBlob(1, "a").Run().ok());
  CHECK(ReadInt(moved, kCount) == 1);
  CHECK(moved.WalBytes() > 0);
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
