#include "src/sql/statement.h"

#include <sqlite3.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/sql/error.h"

namespace eddy::sql {

Statement& Statement::operator=(Statement&& other) noexcept {
  if (this != &other) {
    sqlite3_finalize(stmt_);
    stmt_ = std::exchange(other.stmt_, nullptr);
    bind_code_ = std::exchange(other.bind_code_, 0);
  }
  return *this;
}

// The result repeats the last Step's error, which was returned then.
Statement::~Statement() { sqlite3_finalize(stmt_); }

Statement& Statement::Bind(int parameter, int64_t value) {
  const int code = sqlite3_bind_int64(stmt_, parameter, value);
  if (bind_code_ == SQLITE_OK) bind_code_ = code;
  return *this;
}

Statement& Statement::BindNull(int parameter) {
  const int code = sqlite3_bind_null(stmt_, parameter);
  if (bind_code_ == SQLITE_OK) bind_code_ = code;
  return *this;
}

Statement& Statement::BindText(int parameter, std::string_view text) {
  // A null pointer would bind NULL.
  const char* data = text.data() == nullptr ? "" : text.data();
  const int code = sqlite3_bind_text64(stmt_, parameter, data, text.size(),
                                       SQLITE_STATIC, SQLITE_UTF8);
  if (bind_code_ == SQLITE_OK) bind_code_ = code;
  return *this;
}

Statement& Statement::BindBlob(int parameter, std::string_view bytes) {
  const char* data = bytes.data() == nullptr ? "" : bytes.data();
  const int code =
      sqlite3_bind_blob64(stmt_, parameter, data, bytes.size(), SQLITE_STATIC);
  if (bind_code_ == SQLITE_OK) bind_code_ = code;
  return *this;
}

absl::StatusOr<bool> Statement::Step() {
  EDDY_CHECK(stmt_ != nullptr);
  const int code = bind_code_ == SQLITE_OK ? sqlite3_step(stmt_) : bind_code_;
  if (code == SQLITE_ROW) return true;
  absl::Status status = Error(code);  // before Reset: it clears the message
  Reset();
  if (!status.ok()) return status;
  return false;
}

absl::Status Statement::Run() {
  EDDY_ASSIGN_OR_RETURN(const bool has_row, Step());
  if (!has_row) return absl::OkStatus();
  absl::Status status = absl::InternalError(absl::StrCat(
      "a statement that should return no rows did: ", sqlite3_sql(stmt_)));
  Reset();
  return status;
}

void Statement::Reset() {
  if (stmt_ == nullptr) return;
  sqlite3_reset(stmt_);  // repeats the last Step's error, returned then
  sqlite3_clear_bindings(stmt_);  // the bound bytes are the caller's again
  bind_code_ = SQLITE_OK;
}

int64_t Statement::ColumnInt(int column) const {
  return sqlite3_column_int64(stmt_, column);
}

std::string_view Statement::ColumnText(int column) const {
  // In this order: the text first, then its length (SQLite's manual).
  const auto* text =
      reinterpret_cast<const char*>(sqlite3_column_text(stmt_, column));
  if (text == nullptr) return {};
  return {text, static_cast<size_t>(sqlite3_column_bytes(stmt_, column))};
}

std::string_view Statement::ColumnBlob(int column) const {
  const auto* bytes =
      static_cast<const char*>(sqlite3_column_blob(stmt_, column));
  if (bytes == nullptr) return {};
  return {bytes, static_cast<size_t>(sqlite3_column_bytes(stmt_, column))};
}

bool Statement::ColumnIsInt(int column) const {
  return sqlite3_column_type(stmt_, column) == SQLITE_INTEGER;
}

bool Statement::ColumnIsNull(int column) const {
  return sqlite3_column_type(stmt_, column) == SQLITE_NULL;
}

absl::Status Statement::Error(int code) const {
  return ToStatus(code, sqlite3_db_handle(stmt_), sqlite3_sql(stmt_));
}

}  // namespace eddy::sql
