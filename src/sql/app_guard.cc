#include "src/sql/app_guard.h"

#include <sqlite3.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "src/base/strings.h"

namespace eddy::sql {
namespace {

constexpr std::string_view kPrefix = "app_";
// What SQLite calls the index of a UNIQUE or PRIMARY KEY of such a table.
constexpr std::string_view kAutoIndexPrefix = "sqlite_autoindex_app_";
constexpr std::string_view kRule = "only tables and indexes named app_* are yours";

bool StartsWith(std::string_view name, std::string_view prefix) {
  return absl::StartsWithIgnoreCase(AbslView(name), AbslView(prefix));
}

bool Is(std::string_view a, std::string_view b) {
  return absl::EqualsIgnoreCase(AbslView(a), AbslView(b));
}

bool IsSchemaTable(std::string_view name) {
  return Is(name, "sqlite_master") || Is(name, "sqlite_schema");
}

bool IsAppIndex(std::string_view name) {
  return IsAppName(name) || StartsWith(name, kAutoIndexPrefix);
}

// SQLite's shells and extensions have the named ones; those called sqlite_* are for
// its own use.
bool IsFunctionAllowed(std::string_view name) {
  for (const std::string_view banned :
       {"load_extension", "fts3_tokenizer", "readfile", "writefile", "edit", "zipfile"}) {
    if (Is(name, banned)) return false;
  }
  return !StartsWith(name, "sqlite_");
}

}  // namespace

bool IsAppName(std::string_view name) { return StartsWith(name, kPrefix); }

void AppGuard::Install(sqlite3* db) { sqlite3_set_authorizer(db, &AppGuard::Authorize, this); }

void AppGuard::Enter(Kind kind) {
  on_ = true;
  kind_ = kind;
  refusal_.clear();
}

int AppGuard::Authorize(void* self, int action, const char* first, const char* second,
                        const char* database, const char*) {
  AppGuard& guard = *static_cast<AppGuard*>(self);
  if (!guard.on_) return SQLITE_OK;
  const auto view = [](const char* text) {
    return text == nullptr ? std::string_view() : std::string_view(text);
  };
  const std::string why = guard.Refuse(action, view(first), view(second), view(database));
  if (why.empty()) return SQLITE_OK;
  if (guard.refusal_.empty()) guard.refusal_ = why;  // the first one says most
  return SQLITE_DENY;
}

std::string AppGuard::RefuseTable(std::string_view verb, std::string_view table,
                                  std::string_view database) const {
  // No database is named where no column is read, as in SELECT count(*) FROM t.
  if (database.empty() || Is(database, "main")) {
    if (IsAppName(table)) return "";
    if (kind_ == Kind::kSchema && IsSchemaTable(table)) return "";
  } else if (Is(database, "temp")) {
    return absl::StrCat(AbslView(verb), " ", AbslView(table), ": nothing temporary is allowed");
  }
  return absl::StrCat(AbslView(verb), " ", AbslView(table), ": ", AbslView(kRule));
}

std::string AppGuard::Refuse(int action, std::string_view first, std::string_view second,
                             std::string_view database) const {
  switch (action) {
    case SQLITE_SELECT:
      if (kind_ == Kind::kRows) return "";
      return "CREATE TABLE ... AS SELECT: create the table, then INSERT ... SELECT";
    case SQLITE_RECURSIVE:
      return "";
    case SQLITE_READ:
      return RefuseTable("read", first, database);
    case SQLITE_INSERT:
      return RefuseTable("insert into", first, database);
    case SQLITE_UPDATE:
      return RefuseTable("update", first, database);
    case SQLITE_DELETE:
      return RefuseTable("delete from", first, database);
    case SQLITE_CREATE_TABLE:
      if (Is(first, "sqlite_sequence")) return "AUTOINCREMENT: INTEGER PRIMARY KEY counts too";
      if (IsSchemaTable(first)) return "create sqlite_master";
      return RefuseTable("create table", first, database);
    case SQLITE_DROP_TABLE:
      if (IsSchemaTable(first)) return "drop sqlite_master";
      return RefuseTable("drop table", first, database);
    case SQLITE_CREATE_INDEX:
    case SQLITE_DROP_INDEX: {
      const char* const verb = action == SQLITE_CREATE_INDEX ? "create index" : "drop index";
      if (!IsAppIndex(first)) return RefuseTable(verb, first, database);
      return RefuseTable(absl::StrCat(verb, " ", AbslView(first), " on"), second, database);
    }
    case SQLITE_REINDEX:  // a part of CREATE INDEX
      return IsAppIndex(first) ? "" : RefuseTable("reindex", first, database);
    case SQLITE_FUNCTION:
      if (IsFunctionAllowed(second)) return "";
      return absl::StrCat("function ", AbslView(second),
                          ": none that loads code, reaches files or is SQLite's own");
    case SQLITE_CREATE_TEMP_TABLE:
    case SQLITE_CREATE_TEMP_INDEX:
      return absl::StrCat("temporary table ", AbslView(first), ": nothing temporary is allowed");
    case SQLITE_CREATE_VIEW:
    case SQLITE_CREATE_TEMP_VIEW:
      return absl::StrCat("view ", AbslView(first), ": none are allowed");
    case SQLITE_CREATE_TRIGGER:
    case SQLITE_CREATE_TEMP_TRIGGER:
      return absl::StrCat("trigger ", AbslView(first), ": none are allowed");
    case SQLITE_CREATE_VTABLE:
      return absl::StrCat("virtual table ", AbslView(first), ": none are allowed");
    case SQLITE_PRAGMA:
      return absl::StrCat("PRAGMA ", AbslView(first), ": the connection is eddy's");
    default:
      return absl::StrCat("SQLite's action ", action, " on ", AbslView(first),
                          ": not a part of what is allowed");
  }
}

}  // namespace eddy::sql
