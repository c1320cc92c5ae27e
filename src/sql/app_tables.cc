#include "src/sql/app_tables.h"

#include <sqlite3.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/base/strings.h"
#include "src/sql/app_guard.h"
#include "src/sql/error.h"

namespace eddy::sql {
namespace {

struct Finalizer {
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
using OwnedStatement = std::unique_ptr<sqlite3_stmt, Finalizer>;

// What comes before a statement and may follow one: blanks, semicolons, comments.
std::string_view SkipBlank(std::string_view text) {
  for (;;) {
    if (!text.empty() && (absl::ascii_isspace(static_cast<unsigned char>(text[0])) ||
                          text[0] == ';')) {
      text.remove_prefix(1);
    } else if (text.substr(0, 2) == "--") {
      text.remove_prefix(std::min(text.find('\n'), text.size()));
    } else if (text.substr(0, 2) == "/*") {
      const size_t end = text.find("*/", 2);
      text.remove_prefix(end == std::string_view::npos ? text.size() : end + 2);
    } else {
      return text;
    }
  }
}

std::string_view FirstWord(std::string_view text) {
  size_t size = 0;
  while (size < text.size() && absl::ascii_isalpha(static_cast<unsigned char>(text[size]))) {
    ++size;
  }
  return text.substr(0, size);
}

struct Refused {
  const char* word;
  const char* why;
};
constexpr char kOwnTransaction[] = "the transaction is that of Store::Transact";
constexpr Refused kRefused[] = {
    {"ALTER", "create a new table, INSERT ... SELECT, and drop the old one"},
    {"ANALYZE", "it writes tables that are not yours"},
    {"ATTACH", "other files are not reached from here"},
    {"BEGIN", kOwnTransaction},
    {"COMMIT", kOwnTransaction},
    {"DETACH", "other files are not reached from here"},
    {"END", kOwnTransaction},
    {"EXPLAIN", "it shows what is eddy's"},
    {"PRAGMA", "the connection is eddy's"},
    {"REINDEX", "drop the index and create it"},
    {"RELEASE", kOwnTransaction},
    {"ROLLBACK", kOwnTransaction},
    {"SAVEPOINT", kOwnTransaction},
    {"VACUUM", "the file is eddy's"},
};

absl::StatusOr<AppGuard::Kind> KindOf(std::string_view text) {
  const std::string_view word = FirstWord(SkipBlank(text));
  for (const char* allowed :
       {"SELECT", "WITH", "VALUES", "INSERT", "REPLACE", "UPDATE", "DELETE"}) {
    if (absl::EqualsIgnoreCase(AbslView(word), allowed)) return AppGuard::Kind::kRows;
  }
  for (const char* allowed : {"CREATE", "DROP"}) {
    if (absl::EqualsIgnoreCase(AbslView(word), allowed)) return AppGuard::Kind::kSchema;
  }
  for (const Refused& refused : kRefused) {
    if (!absl::EqualsIgnoreCase(AbslView(word), refused.word)) continue;
    return absl::PermissionDeniedError(
        absl::StrCat(refused.word, " is not allowed: ", refused.why));
  }
  return absl::InvalidArgumentError(
      absl::StrCat("a statement that begins with \"", AbslView(word),
                   "\": CREATE, DELETE, DROP, INSERT, REPLACE, SELECT, UPDATE, VALUES and "
                   "WITH are allowed"));
}

// The user's statement is being compiled and run: the guard is on, and large values,
// which SQLite would make in memory, are errors.
class Guarded {
 public:
  Guarded(sqlite3* db, AppGuard* guard, AppGuard::Kind kind)
      : db_(db),
        guard_(guard),
        length_(sqlite3_limit(db, SQLITE_LIMIT_LENGTH, static_cast<int>(kSqlRowBytesMax))) {
    guard_->Enter(kind);
  }
  ~Guarded() {
    guard_->Leave();
    sqlite3_limit(db_, SQLITE_LIMIT_LENGTH, length_);
  }
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;

 private:
  sqlite3* const db_;
  AppGuard* const guard_;
  const int length_;
};

// The bytes are the caller's and stay.
int Bind(sqlite3_stmt* statement, int parameter, const SqlValue& value) {
  if (const auto* number = std::get_if<int64_t>(&value)) {
    return sqlite3_bind_int64(statement, parameter, *number);
  }
  if (const auto* number = std::get_if<double>(&value)) {
    return sqlite3_bind_double(statement, parameter, *number);
  }
  if (const auto* text = std::get_if<std::string>(&value)) {
    return sqlite3_bind_text64(statement, parameter, text->data(), text->size(), SQLITE_STATIC,
                               SQLITE_UTF8);
  }
  if (const auto* blob = std::get_if<SqlBlob>(&value)) {
    return sqlite3_bind_blob64(statement, parameter, blob->bytes.data(), blob->bytes.size(),
                               SQLITE_STATIC);
  }
  return sqlite3_bind_null(statement, parameter);
}

// `bytes` grows by what the value takes.
SqlValue Column(sqlite3_stmt* statement, int column, size_t* bytes) {
  *bytes += sizeof(SqlValue);
  switch (sqlite3_column_type(statement, column)) {
    case SQLITE_INTEGER:
      return int64_t{sqlite3_column_int64(statement, column)};
    case SQLITE_FLOAT:
      return sqlite3_column_double(statement, column);
    case SQLITE_TEXT: {
      // In this order: the text first, then its length (SQLite's manual).
      const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement, column));
      const size_t size = static_cast<size_t>(sqlite3_column_bytes(statement, column));
      *bytes += size;
      return text == nullptr ? std::string() : std::string(text, size);
    }
    case SQLITE_BLOB: {
      const auto* blob = static_cast<const char*>(sqlite3_column_blob(statement, column));
      const size_t size = static_cast<size_t>(sqlite3_column_bytes(statement, column));
      *bytes += size;
      return SqlBlob{blob == nullptr ? std::string() : std::string(blob, size)};
    }
    default:
      return std::monostate();
  }
}

}  // namespace

absl::StatusOr<int64_t> AppTables::Run(std::string_view statement,
                                       const std::vector<SqlValue>& parameters) {
  int64_t changed = 0;
  EDDY_RETURN_IF_ERROR(Execute(statement, parameters, nullptr, &changed));
  return changed;
}

absl::StatusOr<std::vector<SqlRow>> AppTables::Query(std::string_view statement,
                                                     const std::vector<SqlValue>& parameters) {
  std::vector<SqlRow> rows;
  int64_t changed = 0;
  EDDY_RETURN_IF_ERROR(Execute(statement, parameters, &rows, &changed));
  return rows;
}

absl::Status AppTables::Execute(std::string_view text, const std::vector<SqlValue>& parameters,
                                std::vector<SqlRow>* rows, int64_t* changed) {
  if (!broken_.ok()) return broken_;
  // Without it each statement would be a transaction of its own.
  EDDY_CHECK(db_->InTransaction());
  if (text.size() > kSqlStatementBytesMax) {
    return absl::InvalidArgumentError(absl::StrCat("a statement of ", text.size(),
                                                   " bytes: at most ", kSqlStatementBytesMax,
                                                   " are allowed"));
  }
  if (text.find('\0') != std::string_view::npos) {
    return absl::InvalidArgumentError("a statement that holds a zero byte");
  }
  EDDY_ASSIGN_OR_RETURN(const AppGuard::Kind kind, KindOf(text));
  sqlite3* const db = db_->handle();
  const Guarded guarded(db, &db_->app_guard(), kind);
  sqlite3_stmt* compiled = nullptr;
  const char* rest = nullptr;
  const int code =
      sqlite3_prepare_v2(db, text.data(), static_cast<int>(text.size()), &compiled, &rest);
  const OwnedStatement statement(compiled);
  if (code != SQLITE_OK) return Judged(Error(code, text), text, false);
  EDDY_CHECK(compiled != nullptr);  // it has a first word
  const size_t used = static_cast<size_t>(rest - text.data());
  if (!SkipBlank(text.substr(used)).empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("one statement a call; after the first follows: ",
                     AbslView(SkipBlank(text.substr(used)).substr(0, 40))));
  }
  const bool writes = sqlite3_stmt_readonly(compiled) == 0;
  if (writes && access_ == Access::kRead) {
    return absl::PermissionDeniedError(
        absl::StrCat(AbslView(text), ": it writes, and here only reading is allowed"));
  }
  const int wanted = sqlite3_bind_parameter_count(compiled);
  if (parameters.size() != static_cast<size_t>(wanted)) {
    return absl::InvalidArgumentError(absl::StrCat(AbslView(text), ": ", parameters.size(),
                                                   " values for ", wanted, " parameters"));
  }
  for (int i = 0; i < wanted; ++i) {
    const int bound = Bind(compiled, i + 1, parameters[static_cast<size_t>(i)]);
    if (bound != SQLITE_OK) return Error(bound, text);
  }
  wrote_ = wrote_ || writes;
  const int64_t before = sqlite3_total_changes64(db);
  const absl::Status status = Step(compiled, text, rows);
  if (kind == AppGuard::Kind::kRows) *changed = sqlite3_total_changes64(db) - before;
  return Judged(status, text, writes);
}

// Whether the transaction may go on after it: see broken().
absl::Status AppTables::Judged(const absl::Status& status, std::string_view text, bool writes) {
  if (!db_->InTransaction()) {
    const bool by_disk = absl::IsResourceExhausted(status) || absl::IsUnavailable(status) ||
                         absl::IsDataLoss(status);
    broken_ = by_disk ? status
                      : absl::AbortedError(absl::StrCat(
                            "SQLite has rolled the transaction back at ", AbslView(text)));
  } else if (absl::IsResourceExhausted(status)) {
    broken_ = status;  // what the statements before have written may not be there either
  } else if (writes && absl::IsOutOfRange(status)) {
    broken_ = status;  // its rows are changed, and the caller does not know which
  }
  return status;
}

absl::Status AppTables::Step(sqlite3_stmt* statement, std::string_view text,
                             std::vector<SqlRow>* rows) {
  size_t bytes = 0;
  for (;;) {
    const int code = sqlite3_step(statement);
    if (code == SQLITE_DONE) return absl::OkStatus();
    if (code != SQLITE_ROW) return Error(code, text);
    if (rows == nullptr) continue;
    SqlRow& row = rows->emplace_back();
    const int columns = sqlite3_column_count(statement);
    row.reserve(static_cast<size_t>(columns));
    bytes += sizeof(SqlRow);
    for (int i = 0; i < columns; ++i) row.push_back(Column(statement, i, &bytes));
    if (rows->size() > kSqlResultRowsMax || bytes > kSqlResultBytesMax) {
      return absl::OutOfRangeError(absl::StrCat(
          AbslView(text), ": more than ", kSqlResultRowsMax, " rows or ", kSqlResultBytesMax,
          " bytes in memory; use LIMIT"));
    }
  }
}

absl::Status AppTables::Error(int code, std::string_view text) const {
  const absl::Status status = ToStatus(code, db_->handle(), text);
  // SQLITE_AUTH, or of a function SQLITE_ERROR.
  const std::string& refusal = db_->app_guard().refusal();
  if (!refusal.empty()) {
    return absl::PermissionDeniedError(
        absl::StrCat(AbslView(text), ": not allowed: ", refusal));
  }
  switch (code & 0xff) {
    case SQLITE_ERROR:  // which elsewhere is a bug of ours
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
    case SQLITE_RANGE:
    case SQLITE_TOOBIG:
      if (absl::IsAlreadyExists(status)) return status;
      return absl::InvalidArgumentError(status.message());
    default:
      return status;
  }
}

}  // namespace eddy::sql
