// A database of ours whose first page says that it is of a version to come.
//
// SQLite opens such a one read-only, so that each write would be refused for ever: one
// changed bit and the store is stuck. There is no such version, so it is damage. Asked of
// the file, since what lies on a read-only file system is something else.
// Depends on SQLite.
#ifndef EDDY_SRC_SQL_WRITE_VERSION_H_
#define EDDY_SRC_SQL_WRITE_VERSION_H_

#include <sqlite3.h>

#include <string>

#include "absl/status/status.h"

namespace eddy::sql {

// After the first read. kDataLoss: that is what it says.
absl::Status CheckWriteVersion(sqlite3* db, const std::string& path);

}  // namespace eddy::sql

#endif  // EDDY_SRC_SQL_WRITE_VERSION_H_
