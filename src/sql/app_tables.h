// AppTables: the user's SQL on the writing connection (Sql of eddy/transaction.h).
//
// A statement is looked at twice: its first word must be one that is allowed, which
// gives the better message, and AppGuard has the last word on all that it touches.
//
// Depends on app_guard.h, database.h, eddy/transaction.h.
#ifndef EDDY_SRC_SQL_APP_TABLES_H_
#define EDDY_SRC_SQL_APP_TABLES_H_

#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "eddy/transaction.h"
#include "src/sql/database.h"

struct sqlite3_stmt;

namespace eddy::sql {

// Threads:  not safe: the connection's user.
// Lifetime: within one Transaction of `db`.
class AppTables final : public Sql {
 public:
  enum class Access { kRead, kWrite };

  AppTables(Database* db, Access access) : db_(db), access_(access) {}

  absl::StatusOr<int64_t> Run(std::string_view statement,
                              const std::vector<SqlValue>& parameters) override;
  absl::StatusOr<std::vector<SqlRow>> Query(std::string_view statement,
                                            const std::vector<SqlValue>& parameters) override;

  // Whether a statement ran that may have changed something.
  bool wrote() const { return wrote_; }

  // Not OK: the transaction must not be committed, whatever else there is.
  const absl::Status& broken() const { return broken_; }

 private:
  // `rows` null: dropped.
  absl::Status Execute(std::string_view text, const std::vector<SqlValue>& parameters,
                       std::vector<SqlRow>* rows, int64_t* changed);
  absl::Status Step(sqlite3_stmt* statement, std::string_view text, std::vector<SqlRow>* rows);
  absl::Status Judged(const absl::Status& status, std::string_view text, bool writes);
  absl::Status Error(int code, std::string_view text) const;

  Database* const db_;
  const Access access_;
  bool wrote_ = false;
  absl::Status broken_;
};

}  // namespace eddy::sql

#endif  // EDDY_SRC_SQL_APP_TABLES_H_
