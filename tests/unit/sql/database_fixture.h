// A small database on a CrashDisk.
#ifndef EDDY_TESTS_UNIT_SQL_DATABASE_FIXTURE_H_
#define EDDY_TESTS_UNIT_SQL_DATABASE_FIXTURE_H_

#include <catch2/catch_test_macros.hpp>
#include <cstdint>
#include <string>
#include <string_view>

#include "src/sql/database.h"
#include "tests/fakes/crash_vfs.h"

namespace eddy::sql::database_test {

using testing::CrashDisk;

inline constexpr char kTable[] =
    "CREATE TABLE t (id INTEGER PRIMARY KEY, bytes BLOB NOT NULL)";
inline constexpr char kInsert[] = "INSERT INTO t (bytes) VALUES (?)";
inline constexpr char kCount[] = "SELECT COUNT(*) FROM t";

inline absl::StatusOr<Database> OpenOn(const CrashDisk& disk, Mode mode = Mode::kOwner,
                                uint64_t wal_bytes_max = 1 << 20) {
  OpenOptions options;
  options.mode = mode;
  options.vfs = disk.name();
  options.wal_bytes_max = wal_bytes_max;
  return Database::Open("db", options);
}

inline int64_t ReadInt(Database& db, std::string_view text) {
  auto statement = db.Prepare(text);
  REQUIRE(statement.ok());
  const absl::StatusOr<bool> has_row = statement->Step();
  REQUIRE(has_row.ok());
  REQUIRE(*has_row);
  return statement->ColumnInt(0);
}

inline absl::Status Insert(Database& db, const std::string& bytes) {
  auto insert = db.Prepare(kInsert);
  if (!insert.ok()) return insert.status();
  return insert->BindBlob(1, bytes).Run();
}

}  // namespace eddy::sql::database_test

#endif  // EDDY_TESTS_UNIT_SQL_DATABASE_FIXTURE_H_
