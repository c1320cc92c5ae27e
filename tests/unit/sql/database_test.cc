#include "src/sql/database.h"

#include <sqlite3.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "tests/unit/sql/database_fixture.h"

namespace eddy::sql {
namespace {

using namespace database_test;  // NOLINT: the tests' own

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
  CHECK(db->Sizes().value().all == 8192);
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
  CHECK(disk.Size("db-wal") > 500000);
  REQUIRE(db->Checkpoint(CheckpointMode::kPassive).ok());
  REQUIRE(Insert(*db, "x").ok());  // starts the WAL anew
  CHECK(disk.Size("db-wal") <= kLimit);
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
  CHECK(db->WalBytes() == disk.Size("db-wal"));
  CHECK(db->WalBytes() > 50000);
}

TEST_CASE("deleted pages are free and then used again", "[sql][wal]") {
  CrashDisk disk;
  auto db = OpenOn(disk);
  REQUIRE(db->Exec(kTable).ok());
  REQUIRE(Insert(*db, std::string(100000, 'x')).ok());
  const uint64_t bytes = db->Sizes().value().all;
  CHECK(bytes > 100000);
  CHECK(db->Sizes().value().free == 0);
  REQUIRE(db->Exec("DELETE FROM t").ok());
  CHECK(db->Sizes().value().free > 90000);
  REQUIRE(Insert(*db, std::string(90000, 'y')).ok());
  CHECK(db->Sizes().value().all == bytes);
}

TEST_CASE("the sizes are those of now, in a transaction and after each change", "[sql]") {
  CrashDisk disk;
  auto db = OpenOn(disk);
  REQUIRE(db->Exec(kTable).ok());
  auto reader = OpenOn(disk, Mode::kReadOnly);
  REQUIRE(reader.ok());
  // The reader asks anew each time.
  const auto agree = [&] {
    const FileSizes mine = db->Sizes().value();
    const FileSizes seen = reader->Sizes().value();
    return mine.all == seen.all && mine.free == seen.free;
  };
  const bool asks_each_time = GENERATE(true, false);
  const uint64_t empty = db->Sizes().value().all;
  for (const bool commits : {false, true}) {
    {
      auto transaction = Transaction::Begin(*db);
      REQUIRE(Insert(*db, std::string(100000, 'x')).ok());
      if (asks_each_time) CHECK(db->Sizes().value().all > empty + 90000);
      CHECK(reader->Sizes().value().all == empty);
      if (commits) REQUIRE(transaction->Commit().ok());
    }
    CHECK((db->Sizes().value().all > empty + 90000) == commits);
    CHECK(agree());
  }
  const uint64_t full = db->Sizes().value().all;
  CHECK(db->Sizes().value().free == 0);
  REQUIRE(db->Exec("DELETE FROM t").ok());  // without a Transaction
  CHECK(db->Sizes().value().free > 90000);
  CHECK(agree());
  REQUIRE(db->Exec("CREATE TABLE more (what BLOB)").ok());
  CHECK(db->Sizes().value().all == full);
  CHECK(agree());
  for (int i = 0; i < 5; ++i) {
    // As the committer: its connection goes on reading between two transactions.
    auto transaction = Transaction::BeginAsReader(*db);
    REQUIRE(Insert(*db, std::string(200000, 'x')).ok());
    REQUIRE(transaction->Commit().ok());
    if (asks_each_time) CHECK(agree());
  }
  CHECK(agree());
  CHECK(db->Sizes().value().all > full + 900000);
  db->StopReading();
  REQUIRE(db->Checkpoint(CheckpointMode::kTruncate).ok());
  CHECK(db->Sizes().value().all == disk.Size("db"));
}

TEST_CASE("a commit that fails leaves the sizes as they were", "[sql][fault]") {
  CrashDisk disk;
  auto db = OpenOn(disk);
  REQUIRE(db->Exec(kTable).ok());
  const uint64_t empty = db->Sizes().value().all;
  {
    auto transaction = Transaction::Begin(*db);
    REQUIRE(Insert(*db, std::string(100000, 'x')).ok());
    disk.FailNth(CrashDisk::Op::kWrite, 1, CrashDisk::Fault::kFull, /*sticky=*/true, "-wal");
    CHECK_FALSE(transaction->Commit().ok());
  }
  CHECK(db->Sizes().value().all == empty);
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

}  // namespace
}  // namespace eddy::sql
