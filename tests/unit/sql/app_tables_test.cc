#include "src/sql/app_tables.h"

#include <catch2/catch_test_macros.hpp>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "src/sql/schema.h"
#include "tests/fakes/crash_vfs.h"

namespace eddy::sql {
namespace {

// A store's database, with a transaction of the user's in it.
class UserTransaction {
 public:
  explicit UserTransaction(AppTables::Access access = AppTables::Access::kWrite) {
    OpenOptions options;
    options.vfs = disk_.name();
    db_.emplace(*Database::Open("/eddy.db", options));
    REQUIRE(PrepareSchema(*db_).ok());
    Begin(access);
    if (access == AppTables::Access::kRead) return;
    REQUIRE(sql().Run("CREATE TABLE app_t (id INTEGER PRIMARY KEY, v UNIQUE, w NOT NULL DEFAULT 0)",
                      {}).ok());
    REQUIRE(sql().Run("INSERT INTO app_t (id, v) VALUES (1, 'one'), (2, 'two')", {}).ok());
  }

  void Begin(AppTables::Access access = AppTables::Access::kWrite) {
    transaction_.emplace(*Transaction::Begin(*db_));
    sql_.emplace(&*db_, access);
  }
  absl::Status Commit() {
    const absl::Status status = transaction_->Commit();
    transaction_.reset();
    return status;
  }
  void Rollback() { transaction_.reset(); }

  AppTables& sql() { return *sql_; }
  Database& db() { return *db_; }
  testing::CrashDisk& disk() { return disk_; }

 private:
  testing::CrashDisk disk_;
  std::optional<Database> db_;
  std::optional<Transaction> transaction_;
  std::optional<AppTables> sql_;
};

TEST_CASE("values go to the user's tables and come back as they were", "[sql][app]") {
  UserTransaction user;
  REQUIRE(user.sql().Run("CREATE TABLE app_values (a, b, c, d, e)", {}).ok());
  const std::string bytes("\0\xff\0", 3);
  const absl::StatusOr<int64_t> changed =
      user.sql().Run("INSERT INTO app_values VALUES (?, ?, ?, ?, ?)",
                     {7, 0.5, "text", SqlBlob{bytes}, std::monostate()});
  REQUIRE(changed.ok());
  CHECK(*changed == 1);
  const auto rows = user.sql().Query("SELECT * FROM app_values -- all", {});
  REQUIRE(rows.ok());
  REQUIRE(rows->size() == 1);
  const SqlRow& row = rows->front();
  REQUIRE(row.size() == 5);
  CHECK(std::get<int64_t>(row[0]) == 7);
  CHECK(std::get<double>(row[1]) == 0.5);
  CHECK(std::get<std::string>(row[2]) == "text");
  CHECK(std::get<SqlBlob>(row[3]).bytes == bytes);
  CHECK(std::holds_alternative<std::monostate>(row[4]));
  CHECK(user.sql().wrote());
}

TEST_CASE("what a user's table may be used for", "[sql][app]") {
  UserTransaction user;
  const char* const allowed = "allowed statements";
  for (const char* statement : {
           "CREATE TABLE App_Other (a INTEGER PRIMARY KEY, b TEXT CHECK (length(b) < 9)) STRICT",
           "CREATE TABLE IF NOT EXISTS app_t (a)",
           "CREATE TABLE app_pairs (a, b, PRIMARY KEY (a, b)) WITHOUT ROWID",
           "CREATE INDEX app_by_w ON app_t (w)",
           "CREATE UNIQUE INDEX IF NOT EXISTS app_by_w2 ON app_t (lower(v)) WHERE v NOTNULL",
           "INSERT INTO app_t (id, v) VALUES (3, 'three') ON CONFLICT DO UPDATE SET v = 'more'",
           "REPLACE INTO app_t (id, v) VALUES (1, upper('one'))",
           "UPDATE APP_T SET w = w + 1 WHERE id IN (SELECT id FROM app_t)",
           "/* why */ WITH big AS (SELECT id FROM app_t) DELETE FROM app_t WHERE id IN big",
           "WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 9) "
           "INSERT INTO app_t (v) SELECT i FROM n",
           "SELECT a.v, count(*), random() FROM app_t a JOIN main.app_t b USING (id) GROUP BY 1",
           "VALUES (1, 2)",
           ";; SELECT 1 ; ",
           "DROP INDEX app_by_w",
           "DROP TABLE app_t",
       }) {
    const absl::Status status = user.sql().Run(statement, {}).status();
    INFO(allowed << ": " << statement << ": " << status.ToString());
    CHECK(status.ok());
  }
  CHECK(user.Commit().ok());
}

struct Forbidden {
  const char* statement;
  const char* message;  // a part of it
  absl::StatusCode code = absl::StatusCode::kPermissionDenied;
};
constexpr absl::StatusCode kInvalid = absl::StatusCode::kInvalidArgument;

constexpr Forbidden kForbidden[] = {
    // eddy's tables, wherever they stand
    {"SELECT * FROM blocks", "read blocks: only tables and indexes named app_* are yours"},
    {"SELECT count(*) FROM blocks", "read blocks"},
    {"SELECT 1 FROM app_t, meta", "read meta"},
    {"SELECT (SELECT name FROM streams) FROM app_t", "read streams"},
    {"WITH q AS (SELECT * FROM queues) SELECT 1 FROM q", "read queues"},
    {"VALUES (1), ((SELECT max(id) FROM views))", "read views"},
    {"SELECT 1 UNION SELECT position FROM cursors", "read cursors"},
    {"SELECT 1 WHERE EXISTS (SELECT 1 FROM deliveries)", "read deliveries"},
    {"SELECT rowid FROM main.logs", "read logs"},
    {"INSERT INTO app_t (v) SELECT value FROM meta", "read meta"},
    {"INSERT INTO blocks (id) VALUES (1)", "insert into blocks"},
    {"REPLACE INTO meta VALUES ('store_id', 1)", "insert into meta"},
    {"UPDATE logs SET end_position = 0", "update logs"},
    {"UPDATE app_t SET v = name FROM streams", "read streams"},
    {"DELETE FROM blocks", "delete from blocks"},
    {"DELETE FROM app_t WHERE id IN (SELECT log_id FROM gaps)", "read gaps"},
    {"DELETE FROM app_t RETURNING (SELECT value FROM meta)", "read meta"},
    // other names
    {"CREATE TABLE mine (a)", "create table mine"},
    {"CREATE TABLE application (a)", "create table application"},
    {"CREATE TABLE app_x AS SELECT * FROM app_t", "CREATE TABLE ... AS SELECT"},
    {"CREATE TABLE app_x AS SELECT * FROM sqlite_master", "CREATE TABLE ... AS SELECT"},
    {"CREATE TABLE app_x (a INTEGER PRIMARY KEY AUTOINCREMENT)", "AUTOINCREMENT"},
    {"CREATE INDEX app_i ON blocks (checksum)", "create index app_i on blocks"},
    {"CREATE INDEX other ON app_t (w)", "create index other"},
    {"DROP TABLE blocks", "drop table blocks"},
    {"DROP TABLE IF EXISTS meta", "drop table meta"},
    {"CREATE TEMP TABLE app_x (a)", "nothing temporary is allowed"},
    {"CREATE TABLE temp.app_x (a)", "nothing temporary is allowed"},
    {"CREATE VIEW app_x AS SELECT * FROM app_t", "view app_x"},
    {"CREATE TEMP VIEW app_x AS SELECT 1", "nothing temporary is allowed"},
    {"CREATE TRIGGER app_x AFTER INSERT ON app_t BEGIN SELECT 1; END", "trigger app_x"},
    {"CREATE VIRTUAL TABLE app_x USING fts5 (a)", "virtual table app_x"},
    {"ALTER TABLE app_t RENAME TO blocks2", "ALTER is not allowed"},
    {"ALTER TABLE app_t ADD COLUMN x", "ALTER is not allowed"},
    // the schema
    {"SELECT * FROM sqlite_master", "read sqlite_master"},
    {"SELECT count(*) FROM sqlite_schema", "read sqlite_schema"},
    {"SELECT sql FROM temp.sqlite_master", "sqlite_temp_master"},
    {"INSERT INTO sqlite_master VALUES ('table', 'x', 'x', 0, '')", "insert into sqlite_master"},
    {"UPDATE sqlite_master SET sql = ''", "sqlite_master may not be modified", kInvalid},
    {"DELETE FROM sqlite_master", "sqlite_master may not be modified", kInvalid},
    {"DROP TABLE sqlite_master", "drop sqlite_master"},
    {"SELECT * FROM pragma_table_info('blocks')", "pragma_table_info"},
    {"SELECT * FROM sqlite_dbpage", "sqlite_dbpage", kInvalid},  // where it is built in: denied
    // the connection
    {"PRAGMA synchronous=OFF", "PRAGMA is not allowed: the connection is eddy's"},
    {"pragma writable_schema = 1", "PRAGMA is not allowed"},
    {"/**/ PRAGMA wal_checkpoint", "PRAGMA is not allowed"},
    {"ATTACH '/tmp/x.db' AS x", "ATTACH is not allowed: other files are not reached"},
    {"DETACH main", "DETACH is not allowed"},
    {"VACUUM", "VACUUM is not allowed"},
    {"VACUUM INTO '/tmp/x.db'", "VACUUM is not allowed"},
    {"ANALYZE", "ANALYZE is not allowed"},
    {"REINDEX", "REINDEX is not allowed"},
    {"EXPLAIN SELECT 1", "EXPLAIN is not allowed"},
    // the transaction
    {"BEGIN", "BEGIN is not allowed: the transaction is that of Store::Transact"},
    {"COMMIT", "COMMIT is not allowed"},
    {"END TRANSACTION", "END is not allowed"},
    {"ROLLBACK", "ROLLBACK is not allowed"},
    {"SAVEPOINT s", "SAVEPOINT is not allowed"},
    {"RELEASE s", "RELEASE is not allowed"},
    // functions
    {"SELECT load_extension('/tmp/x.so')", "load_extension"},
    {"SELECT sqlite_log(1, 'x')", "function sqlite_log"},
    {"SELECT sqlite_compileoption_get(0)", "function sqlite_compileoption_get"},
    {"INSERT INTO app_t (v) VALUES (load_extension('x'))", "load_extension"},
    // no statement, or more than one
    {"SELECT 1; DELETE FROM app_t", "one statement a call; after the first follows: DELETE",
     kInvalid},
    {"", "a statement that begins with \"\"", kInvalid},
    {"-- nothing", "a statement that begins with \"\"", kInvalid},
    {"SELEKT 1", "begins with \"SELEKT\"", kInvalid},
    {"SELECT * FROM app_none", "no such table: app_none", kInvalid},
    {"SELECT none FROM app_t", "no such column: none", kInvalid},
    {"INSERT INTO app_t (v, w) VALUES ('x', NULL)", "NOT NULL constraint", kInvalid},
    {"INSERT INTO app_t (id) VALUES ('text')", "datatype mismatch", kInvalid},
    {"INSERT INTO app_t (id) VALUES (?)", "0 values for 1 parameters", kInvalid},
    {"INSERT INTO app_t (v) VALUES ('one')", "UNIQUE constraint",
     absl::StatusCode::kAlreadyExists},
    {"SELECT zeroblob(1048577)", "too big", kInvalid},
};

TEST_CASE("a forbidden statement says why, and changes nothing", "[sql][app]") {
  UserTransaction user;
  for (const Forbidden& forbidden : kForbidden) {
    INFO(forbidden.statement);
    const absl::Status status = user.sql().Run(forbidden.statement, {}).status();
    INFO(status.ToString());
    if (status.code() != forbidden.code) {
      CHECK(absl::IsPermissionDenied(status));
      CHECK(std::string_view(forbidden.statement).find("sqlite_dbpage") != std::string_view::npos);
    }
    CHECK(std::string(status.message()).find(forbidden.message) != std::string::npos);
    CHECK(user.sql().broken().ok());
  }
  const auto rows = user.sql().Query("SELECT id, v, w FROM app_t ORDER BY id", {});
  REQUIRE(rows.ok());
  CHECK(rows->size() == 2);
  CHECK(user.Commit().ok());
}

TEST_CASE("eddy's own statements are not guarded, before and after the user's", "[sql][app]") {
  UserTransaction user;
  Statement count = *user.db().Prepare("SELECT count(*) FROM logs");
  CHECK(*count.Step());
  count.Reset();
  REQUIRE(user.sql().Run("CREATE TABLE app_more (a)", {}).ok());
  CHECK(absl::IsPermissionDenied(user.sql().Run("SELECT * FROM logs", {}).status()));
  CHECK(*count.Step());  // compiled anew: the schema has changed
  count.Reset();
  CHECK(user.db().Prepare("SELECT value FROM meta").ok());
  user.Rollback();
  CHECK_FALSE(user.db().Prepare("SELECT 1 FROM app_more").ok());
}

TEST_CASE("a statement that makes SQLite roll back ends the transaction", "[sql][app]") {
  UserTransaction user;
  REQUIRE(user.Commit().ok());
  user.Begin();
  REQUIRE(user.sql().Run("INSERT INTO app_t (v) VALUES ('three')", {}).ok());
  CHECK(absl::IsAlreadyExists(
      user.sql().Run("INSERT OR ROLLBACK INTO app_t (v) VALUES ('one')", {}).status()));
  CHECK(absl::IsAborted(user.sql().broken()));
  // It would be a transaction of its own.
  CHECK(absl::IsAborted(user.sql().Run("INSERT INTO app_t (v) VALUES ('four')", {}).status()));
  CHECK(absl::IsAborted(user.Commit()));
  user.Begin();
  CHECK(user.sql().Query("SELECT * FROM app_t", {})->size() == 2);
}

TEST_CASE("what a query brings is bounded", "[sql][app]") {
  UserTransaction user;
  constexpr char kCount[] =
      "WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
      "SELECT i, zeroblob(?) FROM n";
  CHECK(user.sql().Query(kCount, {int64_t{kSqlResultRowsMax}, 1})->size() == kSqlResultRowsMax);
  CHECK(absl::IsOutOfRange(
      user.sql().Query(kCount, {int64_t{kSqlResultRowsMax} + 1, 1}).status()));
  CHECK(absl::IsOutOfRange(user.sql().Query(kCount, {12, 1000000}).status()));
  CHECK(user.sql().broken().ok());
  CHECK(absl::IsInvalidArgument(
      user.sql().Run(absl::StrCat("SELECT 1 --", std::string(kSqlStatementBytesMax, 'x')), {})
          .status()));
  CHECK(absl::IsInvalidArgument(
      user.sql().Run("INSERT INTO app_t (v) VALUES (?)", {std::string(kSqlRowBytesMax + 1, 'x')})
          .status()));
  // Its rows are changed already, and the caller has not seen which.
  REQUIRE(user.sql()
              .Run("WITH RECURSIVE n (i) AS (VALUES (10) UNION ALL SELECT i + 1 FROM n "
                   "WHERE i < 12000) INSERT INTO app_t (id) SELECT i FROM n",
                   {})
              .ok());
  CHECK(absl::IsOutOfRange(user.sql().Query("DELETE FROM app_t RETURNING id", {}).status()));
  CHECK(absl::IsOutOfRange(user.sql().broken()));
}

TEST_CASE("a reader of the user's tables cannot write", "[sql][app]") {
  UserTransaction user(AppTables::Access::kRead);
  CHECK(user.sql().Query("SELECT 1", {}).ok());
  for (const char* statement : {"CREATE TABLE app_t (a)", "DROP TABLE app_t"}) {
    INFO(statement);
    CHECK_FALSE(user.sql().Query(statement, {}).ok());
  }
  const absl::Status status = user.sql().Query("CREATE TABLE app_t (a)", {}).status();
  CHECK(absl::IsPermissionDenied(status));
  CHECK(std::string(status.message()).find("only reading") != std::string::npos);
  CHECK_FALSE(user.sql().wrote());
}

// The schema is read anew, and what the full disk has swallowed has to be there first.
TEST_CASE("a statement that meets the full disk while it is prepared ends the transaction",
          "[sql][app][fault]") {
  UserTransaction user;
  for (int i = 0; i < 15; ++i) {
    REQUIRE(user.sql().Run("INSERT INTO app_t (v) VALUES (randomblob(100000))", {}).ok());
  }
  REQUIRE(user.db().Exec("PRAGMA writable_schema=RESET").ok());
  user.disk().SetCapacity(1);
  const absl::Status met = user.sql().Run("INSERT INTO app_t (v) VALUES ('x')", {}).status();
  INFO(met.ToString());
  CHECK(absl::IsResourceExhausted(met));
  CHECK(user.sql().broken() == met);
  user.disk().SetCapacity(1 << 30);
  CHECK(user.sql().Run("INSERT INTO app_t (v) VALUES ('y')", {}).status() == met);
  CHECK_FALSE(user.Commit().ok());
  user.Begin();
  CHECK(absl::IsInvalidArgument(user.sql().Query("SELECT * FROM app_t", {}).status()));
}

}  // namespace
}  // namespace eddy::sql
