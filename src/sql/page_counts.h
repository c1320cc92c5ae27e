// PageCounts: how many pages a database has, and how many of them are free.
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
#include "src/sql/statement.h"

namespace eddy::sql {

class Database;

// Threads:  not safe: the connection's user.
// Lifetime: as that of a Statement. Shared by those who ask one connection.
class PageCounts {
 public:
  static constexpr int kStatementCount = 2;

  struct Counts {
    uint64_t all = 0;
    uint64_t free = 0;
  };

  // `keeps`: nobody but this connection writes. One that reads beside the owner does not
  // notice a commit before it reads.
  static absl::StatusOr<std::shared_ptr<PageCounts>> Prepare(Database& db, bool keeps);

  // As the current transaction sees them, if there is one.
  absl::StatusOr<Counts> Now();

 private:
  PageCounts(sqlite3* db, bool keeps) : db_(db), keeps_(keeps) {}
  std::optional<uint32_t> Version() const;

  sqlite3* const db_;
  const bool keeps_;
  Statement all_, free_;
  Counts kept_;
  std::optional<uint32_t> version_;  // of the data that kept_ is of
};

}  // namespace eddy::sql

#endif  // EDDY_SRC_SQL_PAGE_COUNTS_H_
