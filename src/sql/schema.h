// Schema: every table of a store, in one place.
#ifndef EDDY_SRC_SQL_SCHEMA_H_
#define EDDY_SRC_SQL_SCHEMA_H_

#include <cstdint>
#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "src/sql/database.h"

namespace eddy::sql {

// 2: blocks are packed, and their checksum covers the span. Nothing was released
// with version 1, so there is no way from there.
inline constexpr int kSchemaVersion = 3;
inline constexpr int kSchemaVersionOldest = 2;

// Creates the tables of an empty database, or checks the version of an old one.
//   kFailedPrecondition   a newer eddy wrote it, or one older than any release.
absl::Status PrepareSchema(Database& db);

// Where the trees of the tables begin, by name, in every database of such pages that
// PrepareSchema has made: tables are made once, in one order, and nothing moves them. The
// first page of a database, which says it too, may be damaged.
absl::StatusOr<std::map<std::string, uint32_t>> TableRoots(uint32_t page_bytes);

}  // namespace eddy::sql

#endif  // EDDY_SRC_SQL_SCHEMA_H_
