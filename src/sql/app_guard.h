// AppGuard: SQLite's authorizer, which keeps the user's statements to the user's
// tables (app_*). SQLite asks it, while it compiles a statement, for everything that
// this will touch; what the guard does not know it refuses.
//
// It is installed when the connection is opened and stays: to install an authorizer
// makes SQLite compile all prepared statements anew. While no user's statement runs
// it allows everything at once.
//
// sqlite_master is read and written by CREATE and DROP themselves, within the same
// compilation; in such a statement it is allowed, and no SELECT is, so that a user
// cannot read it there. Elsewhere it is refused like any other table. (SQLite itself
// refuses statements that write to it directly.)
//
// Depends on nothing.
#ifndef EDDY_SRC_SQL_APP_GUARD_H_
#define EDDY_SRC_SQL_APP_GUARD_H_

#include <string>
#include <string_view>

struct sqlite3;

namespace eddy::sql {

// Whether a table or index of this name is the user's. ASCII case does not count, as
// in SQLite.
bool IsAppName(std::string_view name);

// Threads: not safe: its connection's user.
class AppGuard {
 public:
  enum class Kind { kRows, kSchema };  // SELECT, INSERT, ...; CREATE, DROP

  // The guard stays where it is for as long as the connection lives.
  void Install(sqlite3* db);

  // From here to Leave whatever is compiled is a user's statement.
  void Enter(Kind kind);
  void Leave() { on_ = false; }

  // Why something was refused since Enter; empty: nothing was.
  const std::string& refusal() const { return refusal_; }

 private:
  static int Authorize(void* self, int action, const char* first, const char* second,
                       const char* database, const char* inner);
  std::string Refuse(int action, std::string_view first, std::string_view second,
                     std::string_view database) const;
  std::string RefuseTable(std::string_view verb, std::string_view table,
                          std::string_view database) const;

  bool on_ = false;
  Kind kind_ = Kind::kRows;
  std::string refusal_;
};

}  // namespace eddy::sql

#endif  // EDDY_SRC_SQL_APP_GUARD_H_
