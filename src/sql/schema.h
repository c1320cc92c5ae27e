// Schema: every table of a store, in one place.
#ifndef EDDY_SRC_SQL_SCHEMA_H_
#define EDDY_SRC_SQL_SCHEMA_H_

#include "absl/status/status.h"
#include "src/sql/database.h"

namespace eddy::sql {

inline constexpr int kSchemaVersion = 1;

// Creates the tables of an empty database, or checks the version of an old one.
//   kFailedPrecondition   a newer eddy wrote it.
absl::Status PrepareSchema(Database& db);

}  // namespace eddy::sql

#endif  // EDDY_SRC_SQL_SCHEMA_H_
