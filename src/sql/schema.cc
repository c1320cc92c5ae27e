#include "src/sql/schema.h"

#include <sqlite3.h>

#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/sql/error.h"

namespace eddy::sql {
namespace {

// No table or index of eddy's is ever named app_*: those are the user's, see
// app_tables.h.
//
// Big rows keep their blob last, so that the small columns before it are found
// without walking its overflow pages.
constexpr char kTables[] = R"sql(
-- What the store knows of itself: 'store_id', 'byte_order', 'closed_cleanly',
-- and of the last owner's intake: 'intake_bytes', 'intake_path'.
CREATE TABLE meta (
  name  TEXT NOT NULL PRIMARY KEY,
  value NOT NULL
) WITHOUT ROWID;

-- One row a log; id 0 is the journal. The log goes on at the larger of
-- end_position and the end of its last block; below oldest_position nothing is
-- kept. Positions below reserved_position may have been given to frames that were
-- never written: after a death the log goes on above it. The counted_ columns sum
-- up the blocks that begin below counted_position, so that an open has to look at
-- the few behind it only.
CREATE TABLE logs (
  id               INTEGER PRIMARY KEY,
  oldest_position  INTEGER NOT NULL DEFAULT 0,
  end_position     INTEGER NOT NULL DEFAULT 0,
  reserved_position INTEGER NOT NULL DEFAULT 0,
  counted_position INTEGER NOT NULL DEFAULT 0,
  counted_blocks   INTEGER NOT NULL DEFAULT 0,
  counted_frames   INTEGER NOT NULL DEFAULT 0,
  counted_bytes    INTEGER NOT NULL DEFAULT 0
);

-- Runs of frames, packed: see log/block_codec.h and log/block_row.h.
-- id = log id << 47 | first position >> 2 (positions are multiples of 4).
CREATE TABLE blocks (
  id            INTEGER PRIMARY KEY,
  frame_count   INTEGER NOT NULL,
  first_time_ms INTEGER NOT NULL,
  last_time_ms  INTEGER NOT NULL,   -- the latest, not the last one's
  time_trusted  INTEGER NOT NULL,   -- of all frames
  kept_ms       INTEGER NOT NULL,   -- the store's age clock at the commit
  checksum      INTEGER NOT NULL,   -- XXH3-64 of bytes, seeded with id and span
  span          INTEGER NOT NULL,   -- bytes of the frames unpacked: << 32, and again
  bytes         BLOB NOT NULL       -- or an INTEGER, where they lie: log/block_extents.h
);

-- What readers are told of blocks that were dropped or cannot be read: no frame
-- is left in [first_position, end_position). A few rows a log.
CREATE TABLE gaps (
  log_id         INTEGER NOT NULL,
  first_position INTEGER NOT NULL,
  end_position   INTEGER NOT NULL,
  frame_count    INTEGER NOT NULL,
  reason         INTEGER NOT NULL,   -- GapReason
  PRIMARY KEY (log_id, first_position)
) WITHOUT ROWID;

-- What was dropped of a log, ever.
CREATE TABLE dropped (
  log_id      INTEGER NOT NULL,
  reason      INTEGER NOT NULL,      -- GapReason
  frame_count INTEGER NOT NULL,
  bytes       INTEGER NOT NULL,
  PRIMARY KEY (log_id, reason)
) WITHOUT ROWID;

-- The keep_ columns are its Retention; 0: no limit.
CREATE TABLE streams (
  id            INTEGER PRIMARY KEY,   -- also the view's number in the journal
  name          TEXT NOT NULL UNIQUE,
  created_ms    INTEGER NOT NULL,
  durability    INTEGER NOT NULL,
  keep_ms       INTEGER NOT NULL,
  keep_bytes    INTEGER NOT NULL,
  keep_records  INTEGER NOT NULL,
  at_limit      INTEGER NOT NULL,
  priority      INTEGER NOT NULL,
  persist       INTEGER NOT NULL,      -- Persist
  spill_ms      INTEGER NOT NULL       -- 0: the store's flush interval
);

CREATE TABLE shards (
  stream_id         INTEGER NOT NULL,
  shard             INTEGER NOT NULL,
  log_id            INTEGER NOT NULL,
  starting_hash_key BLOB NOT NULL,  -- 16 bytes, big-endian
  ending_hash_key   BLOB NOT NULL,  -- inclusive
  PRIMARY KEY (stream_id, shard)
) WITHOUT ROWID;

-- A durable place of a named reader in a shard: the first position not yet
-- consumed.
CREATE TABLE cursors (
  stream_id INTEGER NOT NULL,
  name      TEXT NOT NULL,
  shard     INTEGER NOT NULL,
  position  INTEGER NOT NULL,
  PRIMARY KEY (stream_id, name, shard)
) WITHOUT ROWID;

CREATE TABLE queues (
  id                 INTEGER PRIMARY KEY,  -- also the view's number in the journal
  name               TEXT NOT NULL UNIQUE,
  created_ms         INTEGER NOT NULL,
  log_id             INTEGER NOT NULL,
  visibility_ms      INTEGER NOT NULL,
  delay_ms           INTEGER NOT NULL,
  receive_wait_ms    INTEGER NOT NULL,
  message_bytes_max  INTEGER NOT NULL,
  dead_letter_queue  INTEGER NOT NULL,     -- id, 0: none
  max_receive_count  INTEGER NOT NULL,
  durability         INTEGER NOT NULL,
  head_position      INTEGER NOT NULL,     -- every message below is gone
  scan_position      INTEGER NOT NULL      -- below: gone, unless it has a row
);

-- Messages at or above the head that somebody has touched and that are not gone.
-- At or above the scan those that are gone have a row as well, with deleted = 1.
CREATE TABLE deliveries (
  queue_id          INTEGER NOT NULL,
  position          INTEGER NOT NULL,
  receive_count     INTEGER NOT NULL,
  first_received_ms INTEGER NOT NULL,
  deleted           INTEGER NOT NULL,
  PRIMARY KEY (queue_id, position)
) WITHOUT ROWID;

-- Boots that began before the wall clock was set: see log/boot_clock.h.
CREATE TABLE clock_boots (
  boot      INTEGER PRIMARY KEY,    -- hash of the boot's id
  base_ms   INTEGER NOT NULL,       -- added to the time since boot
  offset_ms INTEGER                 -- what the times are wrong by, once known
);

-- From which position on the frames of a log belong to which of these; 0: none.
CREATE TABLE clock_starts (
  log_id   INTEGER NOT NULL,
  position INTEGER NOT NULL,
  boot     INTEGER NOT NULL,
  PRIMARY KEY (log_id, position)
) WITHOUT ROWID;

-- Views share one number space, so that a journal frame names its view.
CREATE TABLE views (id INTEGER PRIMARY KEY);

INSERT INTO logs (id) VALUES (0);
)sql";

// Since version kSchemaVersionOldest. Behind the tables, whose roots stay where they were.
constexpr char kAdded[] = R"sql(
-- The blocks whose bytes lie in the file beside the database, by their place in it: an
-- open learns from it what is free there.
CREATE INDEX blocks_outside ON blocks (bytes) WHERE typeof(bytes) = 'integer';
)sql";

}  // namespace

absl::Status PrepareSchema(Database& db) {
  EDDY_ASSIGN_OR_RETURN(const int version, db.SchemaVersion());
  if (version > kSchemaVersion) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the store has schema version ", version, ", this eddy knows up to ",
        kSchemaVersion, ": open it with the newer eddy"));
  }
  if (version != 0 && version < kSchemaVersionOldest) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the store has schema version ", version, " of a time before any release; this eddy knows ",
        kSchemaVersionOldest, " to ", kSchemaVersion, ": empty it with the eddy that made it"));
  }
  if (version == kSchemaVersion) return absl::OkStatus();
  EDDY_ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(db));
  if (version == 0) EDDY_RETURN_IF_ERROR(db.Exec(kTables));
  const absl::Status added = db.Exec(kAdded);
  // It reads all rows. One that cannot be read costs its block, not the store: without the
  // index all goes on as in the version before.
  if (version != 0 && (absl::IsDataLoss(added) || absl::IsUnavailable(added))) {
    return absl::OkStatus();
  }
  EDDY_RETURN_IF_ERROR(added);
  EDDY_RETURN_IF_ERROR(db.SetSchemaVersion(kSchemaVersion));
  return transaction.Commit();
}

absl::StatusOr<std::map<std::string, uint32_t>> TableRoots(uint32_t page_bytes) {
  sqlite3* db = nullptr;
  std::map<std::string, uint32_t> roots;
  int code = sqlite3_open(":memory:", &db);
  const std::string size = absl::StrCat("PRAGMA page_size=", page_bytes);
  if (code == SQLITE_OK) code = sqlite3_exec(db, size.c_str(), nullptr, nullptr, nullptr);
  if (code == SQLITE_OK) code = sqlite3_exec(db, kTables, nullptr, nullptr, nullptr);
  if (code == SQLITE_OK) {
    const auto add = [](void* to, int, char** values, char**) {
      (*static_cast<std::map<std::string, uint32_t>*>(to))[values[0]] =
          static_cast<uint32_t>(std::strtoul(values[1], nullptr, 10));
      return 0;
    };
    code = sqlite3_exec(db, "SELECT name, rootpage FROM sqlite_master WHERE type = 'table'", add,
                        &roots, nullptr);
  }
  const absl::Status status = ToStatus(code, db, "find the roots of the tables");
  sqlite3_close(db);
  if (!status.ok()) return status;
  return roots;
}

}  // namespace eddy::sql
