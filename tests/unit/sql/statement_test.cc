#include "src/sql/statement.h"

#include <sqlite3.h>

#include <catch2/catch_test_macros.hpp>
#include <string>
#include <string_view>
#include <utility>

#include "src/sql/database.h"
#include "tests/fakes/crash_vfs.h"

namespace eddy::sql {
namespace {

class Fixture {
 public:
  Fixture() : db_(Open(disk_)) {
    REQUIRE(db_.Exec("CREATE TABLE t (id INTEGER PRIMARY KEY, value) STRICT")
                .code() == absl::StatusCode::kInternal);  // no type: an error
    REQUIRE(db_.Exec("CREATE TABLE t (id INTEGER PRIMARY KEY, value)").ok());
  }
  Statement Prepare(std::string_view text) {
    auto statement = db_.Prepare(text);
    REQUIRE(statement.ok());
    return *std::move(statement);
  }
  Database& db() { return db_; }

 private:
  static Database Open(const testing::CrashDisk& disk) {
    OpenOptions options;
    options.vfs = disk.name();
    auto db = Database::Open("db", options);
    REQUIRE(db.ok());
    return *std::move(db);
  }
  testing::CrashDisk disk_;
  Database db_;
};

constexpr char kInsert[] = "INSERT INTO t (id, value) VALUES (?, ?)";
constexpr char kSelect[] = "SELECT id, value FROM t ORDER BY id";

TEST_CASE("what was bound is read back", "[sql][statement]") {
  Fixture fixture;
  Statement insert = fixture.Prepare(kInsert);
  constexpr std::string_view kBytes("a\0b", 3);
  REQUIRE(insert.Bind(1, 1).BindBlob(2, kBytes).Run().ok());
  REQUIRE(insert.Bind(1, 2).BindText(2, "text").Run().ok());
  REQUIRE(insert.Bind(1, 3).BindNull(2).Run().ok());
  REQUIRE(insert.Bind(1, 4).BindBlob(2, {}).Run().ok());
  REQUIRE(insert.Bind(1, INT64_MIN).Bind(2, INT64_MAX).Run().ok());
  CHECK(fixture.db().LastInsertRowid() == INT64_MIN);
  CHECK(fixture.db().ChangedRowCount() == 1);

  Statement select = fixture.Prepare(kSelect);
  REQUIRE(select.Step().value());
  CHECK(select.ColumnInt(0) == INT64_MIN);
  CHECK(select.ColumnInt(1) == INT64_MAX);
  REQUIRE(select.Step().value());
  CHECK(select.ColumnBlob(1) == kBytes);
  REQUIRE(select.Step().value());
  CHECK(select.ColumnText(1) == "text");
  REQUIRE(select.Step().value());
  CHECK(select.ColumnIsNull(1));
  CHECK(select.ColumnBlob(1).empty());
  CHECK(select.ColumnInt(1) == 0);
  REQUIRE(select.Step().value());
  CHECK_FALSE(select.ColumnIsNull(1));  // empty is not NULL
  CHECK(select.ColumnBlob(1).empty());
  CHECK_FALSE(select.Step().value());
  CHECK(select.Step().value());  // and from the start again
}

TEST_CASE("a bind that fails is told by the step after it",
          "[sql][statement]") {
  Fixture fixture;
  Statement insert = fixture.Prepare(kInsert);
  CHECK(absl::IsInternal(insert.Bind(1, 1).Bind(7, 1).Run()));
  CHECK(insert.Bind(1, 1).Bind(2, 1).Run().ok());  // and is then over
}

TEST_CASE("a statement works again after an error", "[sql][statement]") {
  Fixture fixture;
  Statement insert = fixture.Prepare(kInsert);
  REQUIRE(insert.Bind(1, 1).Bind(2, 1).Run().ok());
  CHECK(absl::IsAlreadyExists(insert.Bind(1, 1).Bind(2, 2).Run()));
  CHECK(insert.Bind(1, 2).Bind(2, 2).Run().ok());
}

TEST_CASE("Reset forgets the bindings", "[sql][statement]") {
  Fixture fixture;
  Statement insert = fixture.Prepare(kInsert);
  insert.Bind(1, 5).BindText(2, "gone");
  insert.Reset();
  REQUIRE(insert.Bind(1, 6).Run().ok());
  Statement select = fixture.Prepare(kSelect);
  REQUIRE(select.Step().value());
  CHECK(select.ColumnInt(0) == 6);
  CHECK(select.ColumnIsNull(1));
}

TEST_CASE("Run refuses a statement that returns rows", "[sql][statement]") {
  Fixture fixture;
  REQUIRE(fixture.Prepare(kInsert).Bind(1, 1).Run().ok());
  Statement select = fixture.Prepare(kSelect);
  CHECK(absl::IsInternal(select.Run()));
  REQUIRE(fixture.Prepare("DELETE FROM t").Run().ok());
  CHECK(select.Run().ok());
}

TEST_CASE("no read transaction outlives its rows", "[sql][statement]") {
  Fixture fixture;
  REQUIRE(fixture.Prepare(kInsert).Bind(1, 1).Run().ok());
  REQUIRE(fixture.Prepare(kInsert).Bind(1, 2).Run().ok());
  Statement select = fixture.Prepare(kSelect);
  // A checkpoint that must restart the WAL fails while someone reads.
  const auto someone_reads = [&fixture] {
    return absl::IsUnavailable(
        fixture.db().Checkpoint(CheckpointMode::kTruncate).status());
  };
  REQUIRE(select.Step().value());
  CHECK(someone_reads());

  SECTION("read to the end") {
    REQUIRE(select.Step().value());
    REQUIRE_FALSE(select.Step().value());
  }
  SECTION("Reset") { select.Reset(); }
  SECTION("the end of an AutoReset's scope") { AutoReset reset(select); }
  SECTION("destruction") { select = Statement(); }
  CHECK_FALSE(someone_reads());
}

TEST_CASE("a statement moves with its bindings", "[sql][statement]") {
  Fixture fixture;
  Statement insert = fixture.Prepare(kInsert);
  insert.Bind(1, 1);
  Statement moved = std::move(insert);
  REQUIRE(moved.BindText(2, "x").Run().ok());
  moved = fixture.Prepare(kSelect);
  REQUIRE(moved.Step().value());
  CHECK(moved.ColumnText(1) == "x");
}

TEST_CASE("an error names the statement", "[sql][statement]") {
  Fixture fixture;
  const absl::Status status = fixture.db().Prepare("SELECT x FROM y").status();
  CHECK(absl::IsInternal(status));
  const std::string message(status.message());
  CHECK(message.find("SELECT x FROM y: no such table: y") == 0);
}

}  // namespace
}  // namespace eddy::sql
