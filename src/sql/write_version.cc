#include "src/sql/write_version.h"

#include <cstdint>

#include "absl/strings/str_cat.h"

namespace eddy::sql {

absl::Status CheckWriteVersion(sqlite3* db, const std::string& path) {
  constexpr int kWriteVersionAt = 18;  // of SQLite's header
  constexpr int kWriteVersionMax = 2;
  if (sqlite3_db_readonly(db, "main") != 1) return absl::OkStatus();
  sqlite3_file* file = nullptr;
  if (sqlite3_file_control(db, "main", SQLITE_FCNTL_FILE_POINTER, &file) != SQLITE_OK ||
      file == nullptr || file->pMethods == nullptr) {
    return absl::OkStatus();
  }
  uint8_t version = 0;
  if (file->pMethods->xRead(file, &version, 1, kWriteVersionAt) != SQLITE_OK ||
      version <= kWriteVersionMax) {
    return absl::OkStatus();
  }
  return absl::DataLossError(absl::StrCat(path, ": its first page is damaged: a write version of ",
                                          version, ", at most ", kWriteVersionMax, " exists"));
}

}  // namespace eddy::sql
