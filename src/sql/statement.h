// One prepared statement.
//
// Invariants
//   S1  A statement that is not in the middle of its rows holds no lock and no
//       read transaction: Step resets at the last row and at an error.
// Depends on error.h.
#ifndef EDDY_SRC_SQL_STATEMENT_H_
#define EDDY_SRC_SQL_STATEMENT_H_

#include <cstdint>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

struct sqlite3;
struct sqlite3_stmt;

namespace eddy::sql {

// Prepared once, then used again and again: bind, step, read columns, Reset.
//
//   EDDY_RETURN_IF_ERROR(insert_.Bind(1, key).BindBlob(2, bytes).Run());
//
//   sql::AutoReset reset(select_);     // frees the read transaction on return
//   select_.Bind(1, first);
//   for (;;) {
//     EDDY_ASSIGN_OR_RETURN(const bool has_row, select_.Step());
//     if (!has_row) break;
//     Use(select_.ColumnInt(0), select_.ColumnBlob(1));
//   }
//
// Threads:  not safe; used under the lock of its Database's user.
// Lifetime: dies before its Database is closed. Movable while no rows are read.
class Statement {
 public:
  Statement() = default;  // empty: only assignment and destruction are allowed
  Statement(Statement&& other) noexcept
      : stmt_(std::exchange(other.stmt_, nullptr)),
        bind_code_(std::exchange(other.bind_code_, 0)) {}
  Statement& operator=(Statement&& other) noexcept;
  ~Statement();

  // Parameters count from 1, as in SQL. A failure to bind is returned by the
  // Step that follows, so that calls can be chained.
  Statement& Bind(int parameter, int64_t value);
  Statement& BindNull(int parameter);
  // The bytes are not copied: they must stay as they are until Reset, Run, or
  // the Step that returns false or an error. Empty is an empty value, not NULL.
  Statement& BindText(int parameter, std::string_view text);
  Statement& BindBlob(int parameter, std::string_view bytes);

  // Goes to the next row; false after the last, which also resets. After an
  // error the statement is reset, its bindings are gone, and it may be used
  // again. Codes as ToStatus.
  absl::StatusOr<bool> Step();

  // Steps a statement that returns no rows. A row is a bug (kInternal).
  absl::Status Run();

  // Ends the rows and forgets the bindings. Does nothing on a reset statement.
  void Reset();

  // Columns of the current row count from 0, as in SQLite. Views live until the
  // next Step or Reset. NULL reads as 0 or empty.
  int64_t ColumnInt(int column) const;
  std::string_view ColumnText(int column) const;
  std::string_view ColumnBlob(int column) const;
  bool ColumnIsNull(int column) const;
  bool ColumnIsInt(int column) const;

 private:
  friend class Database;
  explicit Statement(sqlite3_stmt* stmt) : stmt_(stmt) {}
  absl::Status Error(int code) const;

  sqlite3_stmt* stmt_ = nullptr;  // owned
  int bind_code_ = 0;             // the first failed bind since the last Reset
};

// Resets a borrowed statement at the end of a scope.
class AutoReset {
 public:
  explicit AutoReset(Statement& statement) : statement_(statement) {}
  AutoReset(const AutoReset&) = delete;
  AutoReset& operator=(const AutoReset&) = delete;
  ~AutoReset() { statement_.Reset(); }

 private:
  Statement& statement_;
};

}  // namespace eddy::sql

#endif  // EDDY_SRC_SQL_STATEMENT_H_
