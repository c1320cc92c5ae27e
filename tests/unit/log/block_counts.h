// The sums that a log's row carries of its blocks. The next open starts from them instead of
// reading every row, and a quota that drops by a wrong sum drops too much or too little.
#ifndef EDDY_TESTS_UNIT_LOG_BLOCK_COUNTS_H_
#define EDDY_TESTS_UNIT_LOG_BLOCK_COUNTS_H_

#include <catch2/catch_test_macros.hpp>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "src/log/block_store.h"
#include "src/sql/database.h"
#include "tests/fakes/crash_vfs.h"

namespace eddy::log {

// As another process sees the store, while this one is at work.
inline sql::Database OpenReader(const testing::CrashDisk& disk) {
  sql::OpenOptions options;
  options.vfs = disk.name();
  options.mode = sql::Mode::kReadOnly;
  absl::StatusOr<sql::Database> db = sql::Database::Open("/store/eddy.db", options);
  INFO(db.status().ToString());
  REQUIRE(db.ok());
  return *std::move(db);
}

// The logs whose sums are not those of the rows they stand for, with both; "" if none.
inline std::string WrongCounts(sql::Database& db) {
  absl::StatusOr<sql::Statement> counts = db.Prepare(
      "SELECT l.id, counted_blocks, counted_frames, counted_bytes, "
      "count(b.id), coalesce(sum(frame_count), 0), coalesce(sum(" EDDY_BLOCK_BYTES "), 0) "
      "FROM logs l LEFT JOIN blocks b ON b.id >= l.id << 47 AND "
      "b.id < (l.id << 47) + (counted_position >> 2) WHERE l.id > 0 GROUP BY l.id ORDER BY l.id");
  INFO(counts.status().ToString());
  REQUIRE(counts.ok());
  std::string wrong;
  for (;;) {
    const absl::StatusOr<bool> row = counts->Step();
    INFO(row.status().ToString());
    REQUIRE(row.ok());
    if (!*row) return wrong;
    for (int i = 1; i <= 3; ++i) {
      if (counts->ColumnInt(i) == counts->ColumnInt(i + 3)) continue;
      absl::StrAppend(&wrong, "log ", counts->ColumnInt(0), ": ",
                      i == 1 ? "blocks " : i == 2 ? "frames " : "bytes ", counts->ColumnInt(i),
                      ", in rows ", counts->ColumnInt(i + 3), "\n");
    }
  }
}

}  // namespace eddy::log

#endif  // EDDY_TESTS_UNIT_LOG_BLOCK_COUNTS_H_
