// The rows of a stream: what it is (`streams`, `shards`) and how far its named
// readers are (`cursors`). All SQL of this room.
//
// Threads: called inside the engine's transactions only, so one at a time.
// Depends on sql/.
#ifndef EDDY_SRC_STREAM_CATALOG_H_
#define EDDY_SRC_STREAM_CATALOG_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "eddy/retention.h"
#include "eddy/stream.h"
#include "eddy/types.h"
#include "src/log/log.h"
#include "src/sql/database.h"
#include "src/stream/hash_key.h"

namespace eddy::stream {

struct StreamRow {
  uint32_t id = 0;  // also the view's number in the journal
  std::string name;
  int64_t created_ms = 0;
  Durability durability = Durability::kProcess;
  Retention retention;
  Persist persist = Persist::kAll;
  int64_t spill_ms = 0;           // 0: the store's flush interval
  std::vector<HashRange> ranges;  // by shard
  std::vector<log::LogId> logs;   // by shard
};

struct CursorRow {
  std::string name;
  ShardId shard = 0;
  uint64_t position = 0;
};

// Draws the id of a new view.
absl::StatusOr<uint32_t> AddView(sql::Database& db);
//   kAlreadyExists   the name is taken.
absl::Status InsertStream(sql::Database& db, const StreamRow& row);
// By id.
//   kDataLoss   the shards of one do not tile the space of hash keys, or its
//               durability, retention or persistence is none that exists.
absl::StatusOr<std::vector<StreamRow>> SelectStreams(sql::Database& db);

// Makes of rows that came out of a damaged database such as can be loaded. A value that
// cannot be is the default, and keeps all; a name that cannot be is made from the id.
// Where the shards do not tile the hash keys their ranges are drawn anew, and those that
// are missing are new ones.
absl::Status MendStreams(sql::Database& db);

absl::StatusOr<std::vector<CursorRow>> SelectCursors(sql::Database& db,
                                                     uint32_t stream_id);
// Inserts or replaces.
absl::Status WriteCursors(sql::Database& db, uint32_t stream_id,
                          const std::vector<CursorRow>& rows);
// A cursor that has its row; one that stands higher stays there.
absl::Status RaiseCursor(sql::Database& db, uint32_t stream_id,
                         const CursorRow& row);

}  // namespace eddy::stream

#endif  // EDDY_SRC_STREAM_CATALOG_H_
