// PageCounts: how large a database is, and how much of it is free.
//
// A store whose files are bounded asks several times a round, and each question is a
// statement with a read transaction of its own. Between two commits the answer is the
// same: so it is kept until the connection's version of the data moves, which each commit
// of this or, once it is noticed, of another connection does. Measured: with a quota a small
// commit took 57 thousand instructions and takes 41, with a headroom 82 and 42. (SQLite
// compiles a PRAGMA anew each time it runs: the two of them are 8 of these.)
// Depends on statement.h, database.h.
#ifndef EDDY_SRC_SQL_PAGE_COUNTS_H_
#define EDDY_SRC_SQL_PAGE_COUNTS_H_

#include <cstdint>
#include <memory>
#include <optional>

#include "absl/status/statusor.h"
#include "src/sql/database.h"
#include "src/sql/statement.h"

namespace eddy::sql {

// Threads:  not safe: the connection's user.
// Lifetime: as that of a Statement. Shared by those who ask one connection.
class PageCounts {
 public:
  static constexpr int kStatementCount = 2;

  // `keeps`: nobody but this connection writes. One that reads beside the owner does not
  // notice a commit before it reads.
  static absl::StatusOr<std::shared_ptr<PageCounts>> Prepare(Database& db, uint64_t page_bytes,
                                                             bool keeps);

  // As the current transaction sees them, if there is one.
  absl::StatusOr<FileSizes> Now();

 private:
  PageCounts(sqlite3* db, uint64_t page_bytes, bool keeps)
      : db_(db), page_bytes_(page_bytes), keeps_(keeps) {}
  absl::StatusOr<uint64_t> Ask(Statement& count) const;
  std::optional<uint32_t> Version() const;

  sqlite3* const db_;
  const uint64_t page_bytes_;
  const bool keeps_;
  Statement all_, free_;
  FileSizes kept_;
  std::optional<uint32_t> version_;  // of the data that kept_ is of
};

}  // namespace eddy::sql

#endif  // EDDY_SRC_SQL_PAGE_COUNTS_H_
