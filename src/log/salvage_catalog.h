// The catalog of a damaged database, taken over into a new one: streams, shards, cursors,
// queues, deliveries, logs, clocks, gaps, and the user's tables. Row by row: a row that
// cannot be read, or cannot be, costs itself only.
//
// The logs go on beyond everything that can have been handed out: beyond what their rows
// and blocks say and kBeyondBytes more; a log whose row is lost, or whose last blocks may
// be, kBeyondUnknownBytes more.
// Ids of logs and views are not used again.
// Depends on salvage_sources.h.
#ifndef EDDY_SRC_LOG_SALVAGE_CATALOG_H_
#define EDDY_SRC_LOG_SALVAGE_CATALOG_H_

#include <cstdint>
#include <functional>

#include "absl/status/status.h"
#include "src/log/salvage_sources.h"
#include "src/sql/database.h"

namespace eddy::log {

inline constexpr uint64_t kBeyondBytes = uint64_t{1} << 30;
inline constexpr uint64_t kBeyondUnknownBytes = uint64_t{1} << 40;

// Into the empty tables of `db`, in the caller's transaction. `store_id`: of the store,
// where the old one does not say. `mend`: makes of the rows of views what can be loaded.
absl::Status TakeOverCatalog(SalvageSources& sources, sql::Database& db, int64_t store_id,
                             const std::function<absl::Status(sql::Database&)>& mend);

// A part of it.
absl::Status TakeOverAppTables(DamagedStore& from, sql::Database& db);

}  // namespace eddy::log

#endif  // EDDY_SRC_LOG_SALVAGE_CATALOG_H_
