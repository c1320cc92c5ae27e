// The user's tables of a damaged database: made anew from their definitions, as a
// user's statements, for a damaged one might say anything; then row by row. Tables with
// generated columns keep their definition only.
#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/log/salvage_catalog.h"
#include "src/sql/app_tables.h"

namespace eddy::log {
namespace {

constexpr char kColumns[] =
    "SELECT name, upper(type), pk, hidden FROM pragma_table_xinfo(?) ORDER BY cid";

constexpr char kHasRowid[] =
    "SELECT wr FROM pragma_table_list WHERE schema = 'main' AND name = ?";

struct Column {
  std::string name;
  bool is_integer = false;
  int64_t key = 0;  // its place in the primary key, from 1; 0: none
  bool generated = false;
};

std::string Quoted(const std::string& name) {
  std::string quoted = "\"";
  for (const char c : name) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

absl::StatusOr<std::vector<Column>> ColumnsOf(const std::string& table, sql::Database& db) {
  EDDY_ASSIGN_OR_RETURN(sql::Statement rows, db.Prepare(kColumns));
  rows.BindText(1, table);
  std::vector<Column> columns;
  for (;;) {
    EDDY_ASSIGN_OR_RETURN(const bool has_row, rows.Step());
    if (!has_row) return columns;
    columns.push_back({std::string(rows.ColumnText(0)), rows.ColumnText(1) == "INTEGER",
                       rows.ColumnInt(2), rows.ColumnInt(3) != 0});
  }
}

// Whether the disk is to blame, and not the row.
bool IsFatal(const absl::Status& status, const sql::AppTables& app) {
  return !app.broken().ok() || absl::IsUnavailable(status) || absl::IsResourceExhausted(status);
}

absl::Status CopyRows(DamagedStore& from, const DamagedStore::AppTable& table,
                      sql::Database& db) {
  EDDY_ASSIGN_OR_RETURN(std::vector<Column> columns, ColumnsOf(table.name, db));
  if (std::any_of(columns.begin(), columns.end(), [](const Column& c) { return c.generated; })) {
    return absl::OkStatus();
  }
  EDDY_ASSIGN_OR_RETURN(sql::Statement kind, db.Prepare(kHasRowid));
  kind.BindText(1, table.name);
  EDDY_ASSIGN_OR_RETURN(const bool is_there, kind.Step());
  const bool has_rowid = is_there && kind.ColumnInt(0) == 0;
  kind.Reset();
  size_t keys = 0;
  for (const Column& column : columns) keys += column.key != 0;
  if (!has_rowid) {  // the key's columns come first there
    std::stable_sort(columns.begin(), columns.end(), [](const Column& a, const Column& b) {
      const int64_t last = INT64_MAX;
      return (a.key == 0 ? last : a.key) < (b.key == 0 ? last : b.key);
    });
  }
  std::string text = absl::StrCat("INSERT OR IGNORE INTO ", Quoted(table.name), " (");
  std::string places;
  for (const Column& column : columns) {
    absl::StrAppend(&text, places.empty() ? "" : ", ", Quoted(column.name));
    absl::StrAppend(&places, places.empty() ? "?" : ", ?");
  }
  absl::StrAppend(&text, ") VALUES (", places, ")");
  sql::AppTables app(&db, sql::AppTables::Access::kWrite);
  absl::Status status;
  EDDY_RETURN_IF_ERROR(
      from.AppRows(table, has_rowid,
                   [&](int64_t rowid, const DamagedStore::Row& row) {
                     if (!status.ok() || row.size() != columns.size()) return;
                     DamagedStore::Row values = row;
                     for (size_t i = 0; i < columns.size() && has_rowid && keys == 1; ++i) {
                       const bool is_rowid = columns[i].key == 1 && columns[i].is_integer;
                       if (is_rowid) values[i] = rowid;  // stored as NULL
                     }
                     const absl::Status inserted = app.Run(text, values).status();
                     if (IsFatal(inserted, app)) status = inserted;
                   })
          .status());
  return status;
}

}  // namespace

absl::Status TakeOverAppTables(DamagedStore& from, sql::Database& db) {
  EDDY_ASSIGN_OR_RETURN(const std::vector<DamagedStore::AppTable> tables, from.AppTables());
  // Indexes last: their names stand for no rows of their own.
  for (const bool indexes : {false, true}) {
    for (const DamagedStore::AppTable& table : tables) {
      if (table.is_index != indexes || !absl::StartsWithIgnoreCase(table.sql, "CREATE")) continue;
      sql::AppTables app(&db, sql::AppTables::Access::kWrite);
      const absl::Status made = app.Run(table.sql, {}).status();
      if (!made.ok() && IsFatal(made, app)) return made;
      if (made.ok() && !indexes) EDDY_RETURN_IF_ERROR(CopyRows(from, table, db));
    }
  }
  return absl::OkStatus();
}

}  // namespace eddy::log
