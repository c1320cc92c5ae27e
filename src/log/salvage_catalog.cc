#include "src/log/salvage_catalog.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/base/strings.h"
#include "src/log/meta.h"
#include "src/log/intake.h"

namespace eddy::log {
namespace {

using Row = DamagedStore::Row;

// The tables that are taken as they stand. Of each column its type: integer, text, blob,
// or an integer that may be missing.
struct Table {
  const char* name;
  const char* columns;
  const char* types;
};
constexpr char kDeliveries[] = "deliveries";
constexpr Table kTables[] = {
    {"gaps", "log_id, first_position, end_position, frame_count, reason", "iiiii"},
    {"dropped", "log_id, reason, frame_count, bytes", "iiii"},
    {"streams",
     "id, name, created_ms, durability, keep_ms, keep_bytes, keep_records, at_limit, priority, "
     "persist, spill_ms",
     "itiiiiiiiii"},
    {"shards", "stream_id, shard, log_id, starting_hash_key, ending_hash_key", "iiibb"},
    {"cursors", "stream_id, name, shard, position", "itii"},
    {"queues",
     "id, name, created_ms, log_id, visibility_ms, delay_ms, receive_wait_ms, message_bytes_max, "
     "dead_letter_queue, max_receive_count, durability, head_position, scan_position",
     "itiiiiiiiiiii"},
    {kDeliveries, "queue_id, position, receive_count, first_received_ms, deleted", "iiiii"},
    {"clock_boots", "boot, base_ms, offset_ms", "iin"},
    {"clock_starts", "log_id, position, boot", "iii"},
    {"views", "id", "i"},
};

constexpr char kInsertMeta[] = "INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)";
constexpr char kPutLog[] =
    "INSERT OR REPLACE INTO logs (id, oldest_position, end_position, reserved_position) "
    "VALUES (?, ?, ?, ?)";
constexpr char kOwners[] =
    "SELECT 0, stream_id, shard, log_id FROM shards UNION ALL SELECT 1, id, 0, log_id FROM queues "
    "ORDER BY 2, 3, 1";
constexpr char kMoveShard[] = "UPDATE shards SET log_id = ? WHERE stream_id = ? AND shard = ?";
constexpr char kMoveQueue[] = "UPDATE queues SET log_id = ? WHERE id = ?";
constexpr char kHighest[] =
    "SELECT coalesce(max(position), 0) FROM (SELECT c.position FROM cursors c JOIN shards h "
    "ON h.stream_id = c.stream_id AND h.shard = c.shard WHERE h.log_id = ?1 "
    "UNION ALL SELECT scan_position FROM queues WHERE log_id = ?1 "
    "UNION ALL SELECT end_position FROM gaps WHERE log_id = ?1)";
// A message below the scan that has no row is gone: where rows may be missing it is not.
constexpr char kForgetScans[] = "UPDATE queues SET scan_position = head_position";
// A scan above all that the log is known to have held is none, and would swallow what comes.
constexpr char kForgetHigh[] =
    "UPDATE queues SET head_position = 0, scan_position = 0 WHERE log_id = ? AND scan_position > ?";
// Likewise the row of a message up there: one that another message lacks.
constexpr char kForgetScansOfHigh[] =
    "UPDATE queues SET scan_position = head_position WHERE log_id = ?1 AND EXISTS "
    "(SELECT 1 FROM deliveries d WHERE d.queue_id = queues.id AND d.position > ?2)";
constexpr char kForgetHighRows[] =
    "DELETE FROM deliveries WHERE position > ?2 AND queue_id IN "
    "(SELECT id FROM queues WHERE log_id = ?1)";
constexpr char kAddViews[] =
    "INSERT OR IGNORE INTO views (id) SELECT id FROM streams UNION SELECT id FROM queues";
// Rows that belong to nothing.
constexpr char kDropStrays[] = R"sql(
DELETE FROM shards WHERE stream_id NOT IN (SELECT id FROM streams);
DELETE FROM cursors WHERE NOT EXISTS (SELECT 1 FROM shards h
  WHERE h.stream_id = cursors.stream_id AND h.shard = cursors.shard);
DELETE FROM deliveries WHERE queue_id NOT IN (SELECT id FROM queues);
DELETE FROM gaps WHERE first_position < 0 OR first_position >= end_position;
)sql";

// A hundred years. The column has no checksum: what is above is not believed.
constexpr int64_t kKeptMsMax = int64_t{100} * 366 * 24 * 3600 * 1000;

bool HasType(const SqlValue& value, char type) {
  switch (type) {
    case 'i':
      return std::holds_alternative<int64_t>(value);
    case 't':
      return std::holds_alternative<std::string>(value);
    case 'b':
      return std::holds_alternative<SqlBlob>(value);
    default:
      return std::holds_alternative<int64_t>(value) ||
             std::holds_alternative<std::monostate>(value);
  }
}

void Bind(sql::Statement& statement, int parameter, const SqlValue& value) {
  if (const auto* const number = std::get_if<int64_t>(&value)) {
    statement.Bind(parameter, *number);
  } else if (const auto* const text = std::get_if<std::string>(&value)) {
    statement.BindText(parameter, *text);
  } else if (const auto* const blob = std::get_if<SqlBlob>(&value)) {
    statement.BindBlob(parameter, blob->bytes);
  } else {
    statement.BindNull(parameter);
  }
}

int64_t IntOr(const SqlValue& value, int64_t otherwise) {
  const int64_t* const number = std::get_if<int64_t>(&value);
  return number == nullptr ? otherwise : *number;
}

// False: rows may be missing.
absl::StatusOr<bool> CopyTable(SalvageSources& from, const Table& table, sql::Database& db) {
  const size_t columns = std::string_view(table.types).size();
  std::string text = absl::StrCat("INSERT OR IGNORE INTO ", table.name, " (", table.columns,
                                  ") VALUES (?");
  for (size_t i = 1; i < columns; ++i) text += ", ?";
  EDDY_ASSIGN_OR_RETURN(sql::Statement insert, db.Prepare(text + ")"));
  absl::Status status;
  bool all = true;
  const auto copy = [&](const Row& row) {
    bool can_be = row.size() == columns;
    for (size_t i = 0; can_be && i < columns; ++i) can_be = HasType(row[i], table.types[i]);
    all = all && can_be;
    if (!status.ok() || !can_be) return;
    for (size_t i = 0; i < columns; ++i) Bind(insert, static_cast<int>(i + 1), row[i]);
    status = insert.Run();
  };
  EDDY_ASSIGN_OR_RETURN(const bool whole, from.Rows(table.name, copy));
  EDDY_RETURN_IF_ERROR(status);
  return whole && all;
}

absl::Status CopyMeta(SalvageSources& from, sql::Database& db, int64_t store_id) {
  EDDY_ASSIGN_OR_RETURN(sql::Statement insert, db.Prepare(kInsertMeta));
  std::vector<Row> rows;
  EDDY_RETURN_IF_ERROR(
      from.Rows("meta", [&](const Row& row) { rows.push_back(row); }).status());
  std::reverse(rows.begin(), rows.end());  // the newest has the last word
  for (const Row& row : rows) {
    const auto* const name = row.size() == 2 ? std::get_if<std::string>(&row[0]) : nullptr;
    if (name == nullptr) continue;
    const bool is_number = std::holds_alternative<int64_t>(row[1]);
    if (*name == kMetaStoreId && is_number && IntOr(row[1], 0) != 0) {
      store_id = IntOr(row[1], 0);
    } else if (*name == kMetaIntakeDirectory ? std::holds_alternative<std::string>(row[1])
                                             : is_number && (*name == kMetaDiskBytes ||
                                                             *name == kMetaPayloadBytes ||
                                                             (*name == kMetaIntakeBytes &&
                                                              IsIntakeBytes(IntOr(row[1], -1))))) {
      Bind(insert, 1, row[0]);
      Bind(insert, 2, row[1]);
      EDDY_RETURN_IF_ERROR(insert.Run());
    }
  }
  EDDY_RETURN_IF_ERROR(SetMeta(db, kMetaStoreId, store_id));
  EDDY_RETURN_IF_ERROR(SetMeta(db, kMetaByteOrder, kByteOrderMark));
  // Positions are given out beyond all that its intake can have held.
  return SetMeta(db, kMetaClean, kMadeByOpen);
}

struct OldLog {
  bool known = false;
  uint64_t oldest = 0;
  uint64_t end = 0;
  uint64_t reserved = 0;
};

uint64_t PositionOr0(const SqlValue& value) {
  const int64_t number = IntOr(value, -1);
  const bool can_be = number >= 0 && static_cast<uint64_t>(number) <= kPositionMax &&
                      number % int64_t{kFrameAlignment} == 0;
  return can_be ? static_cast<uint64_t>(number) : 0;
}

struct Owner {
  bool queue;
  int64_t id, shard, log;
};

// In the order in which they were created, as their logs were.
absl::StatusOr<std::vector<Owner>> Owners(sql::Database& db) {
  std::vector<Owner> owners;
  EDDY_ASSIGN_OR_RETURN(sql::Statement rows, db.Prepare(kOwners));
  for (;;) {
    EDDY_ASSIGN_OR_RETURN(const bool has_row, rows.Step());
    if (!has_row) return owners;
    owners.push_back({rows.ColumnInt(0) != 0, rows.ColumnInt(1), rows.ColumnInt(2),
                      rows.ColumnInt(3)});
  }
}

bool AreInOrder(const std::vector<Owner>& owners) {
  return std::adjacent_find(owners.begin(), owners.end(), [](const Owner& a, const Owner& b) {
           return a.log >= b.log;
         }) == owners.end();
}

// Two rows name one log: the number in one of them is damaged, and whoever got a log by
// mistake would give out another's records. Which one it is says the order, if with a
// log that no row names in its place, and only so, all logs are in order. Otherwise
// neither gets it (0), and what is in it stays in the old database.
void JudgeClaims(const std::set<LogId>& known, std::vector<Owner>* owners) {
  std::map<int64_t, std::vector<size_t>> claims;
  for (size_t i = 0; i < owners->size(); ++i) claims[(*owners)[i].log].push_back(i);
  for (const auto& [log, claimants] : claims) {
    if (claimants.size() < 2) continue;
    std::vector<std::pair<size_t, int64_t>> possible;  // claimant, its own log
    for (const size_t claimant : claimants) {
      Owner& owner = (*owners)[claimant];
      for (const LogId other : known) {
        if (other == 0 || claims.count(int64_t{other}) != 0) continue;
        owner.log = int64_t{other};
        if (claimants.size() > 2 || !AreInOrder(*owners)) continue;
        possible.emplace_back(claimant, owner.log);
      }
      owner.log = log;
    }
    if (possible.size() == 1) {
      (*owners)[possible[0].first].log = possible[0].second;
    } else {
      for (const size_t claimant : claimants) (*owners)[claimant].log = 0;
    }
  }
}

// No two views share a log, and none has the journal or one that cannot be. `known`: the
// logs that there were.
absl::Status SeparateLogs(sql::Database& db, const std::set<LogId>& known,
                          std::set<LogId>* owned) {
  EDDY_ASSIGN_OR_RETURN(const std::vector<Owner> damaged, Owners(db));
  std::vector<Owner> owners = damaged;
  JudgeClaims(known, &owners);
  LogId first_free = *known.rbegin() + 1;
  for (Owner& owner : owners) {
    const bool can_be = owner.log >= 1 && owner.log <= int64_t{kLogIdMax};
    if (can_be && owned->insert(static_cast<LogId>(owner.log)).second) continue;
    owner.log = 0;
  }
  for (size_t i = 0; i < owners.size(); ++i) {
    Owner& owner = owners[i];
    if (owner.log == 0) {
      while (owned->count(first_free) != 0) ++first_free;
      owner.log = int64_t{first_free};
      owned->insert(first_free);
    }
    if (owner.log == damaged[i].log) continue;
    EDDY_ASSIGN_OR_RETURN(sql::Statement move, db.Prepare(owner.queue ? kMoveQueue : kMoveShard));
    move.Bind(1, owner.log).Bind(2, owner.id);
    if (!owner.queue) move.Bind(3, owner.shard);
    EDDY_RETURN_IF_ERROR(move.Run());
  }
  return absl::OkStatus();
}

// Whether the last owner has closed the store: then the rows of the logs tell their ends.
absl::StatusOr<bool> WasClosed(SalvageSources& sources) {
  int64_t clean = -1;
  const auto look = [&](const Row& row) {
    const auto* const name = row.size() == 2 ? std::get_if<std::string>(&row[0]) : nullptr;
    // The newest database comes first.
    if (name != nullptr && *name == kMetaClean && clean < 0) clean = IntOr(row[1], 0);
  };
  EDDY_RETURN_IF_ERROR(sources.Rows("meta", look).status());
  return clean == 1;
}

absl::Status TakeOverLogs(SalvageSources& sources, sql::Database& db) {
  EDDY_ASSIGN_OR_RETURN(const bool was_closed, WasClosed(sources));
  std::map<LogId, OldLog> logs;
  const auto take = [&](const Row& row) {
    if (row.size() != 8) return;
    const int64_t id = IntOr(row[0], -1);
    if (id < 0 || id > int64_t{kLogIdMax}) return;
    const int64_t oldest = IntOr(row[1], 0);  // any number
    const bool can_be = oldest >= 0 && static_cast<uint64_t>(oldest) <= kPositionMax;
    logs.emplace(static_cast<LogId>(id),
                 OldLog{true, can_be ? static_cast<uint64_t>(oldest) : 0, PositionOr0(row[2]),
                        PositionOr0(row[3])});
  };
  EDDY_RETURN_IF_ERROR(sources.Rows("logs", take).status());
  logs[0];  // the journal
  // Whole blocks of a log in no row: its id and its positions were in use.
  uint64_t orphans = 0;
  uint64_t lost = 0;  // of these, as the old store had counted
  int64_t kept_ms = 0;
  uint64_t highest_position = 0;
  for (const OldBlock& block : sources.blocks()) {
    if (block.log() > kLogIdMax || logs.count(block.log()) != 0) continue;
    const absl::Status read = sources.Read(block).status();
    if (!absl::IsDataLoss(read)) logs[block.log()];  // also if the disk does not read it
  }
  std::set<LogId> known;
  for (const auto& [id, log] : logs) known.insert(id);
  std::set<LogId> owned;
  EDDY_RETURN_IF_ERROR(SeparateLogs(db, known, &owned));
  for (const LogId id : owned) logs[id];
  EDDY_ASSIGN_OR_RETURN(sql::Statement put, db.Prepare(kPutLog));
  EDDY_ASSIGN_OR_RETURN(sql::Statement reached, db.Prepare(kHighest));
  EDDY_ASSIGN_OR_RETURN(sql::Statement forget_high, db.Prepare(kForgetHigh));
  EDDY_ASSIGN_OR_RETURN(sql::Statement forget_scans, db.Prepare(kForgetScansOfHigh));
  EDDY_ASSIGN_OR_RETURN(sql::Statement forget_rows, db.Prepare(kForgetHighRows));
  for (auto& [id, log] : logs) {
    const size_t begin = sources.Begin(id);
    const size_t end = sources.End(id);
    // What a commit is known to have held, and up to where there may have been more.
    bool unread = false;  // by the disk, which may do so later
    uint64_t whole_end = 0;
    uint64_t claimed_end = 0;
    for (size_t i = end; i-- > begin;) {
      const OldBlock& block = sources.blocks()[i];
      claimed_end = std::max(claimed_end, block.end());
      if (whole_end >= block.end()) continue;
      const absl::StatusOr<DamagedStore::Whole> read = sources.Read(block);
      if (read.ok()) {
        whole_end = std::max(whole_end, block.end());
        if (read->kept_ms <= kKeptMsMax) kept_ms = std::max(kept_ms, read->kept_ms);
        break;
      }
      unread = unread || !absl::IsDataLoss(read.status());
    }
    // A number that nobody vouches for does not use up the positions that are left.
    claimed_end = std::min(claimed_end, std::max(whole_end, log.end) + kBeyondUnknownBytes);
    // A log is trimmed up to its end at the most.
    if (log.oldest > std::max({log.end, whole_end, claimed_end})) log.oldest = 0;
    reached.Bind(1, int64_t{id});
    EDDY_RETURN_IF_ERROR(reached.Step().status());
    const uint64_t seen =
        std::min(static_cast<uint64_t>(std::max<int64_t>(reached.ColumnInt(0), 0)),
                 std::max(whole_end, log.end) + kBeyondUnknownBytes);
    reached.Reset();
    const uint64_t held = std::max({whole_end, claimed_end, log.end, log.reserved});
    forget_high.Bind(1, int64_t{id}).Bind(2, static_cast<int64_t>(held));
    EDDY_RETURN_IF_ERROR(forget_high.Run());
    for (sql::Statement* const forget : {&forget_scans, &forget_rows}) {
      forget->Bind(1, int64_t{id}).Bind(2, static_cast<int64_t>(held));
      EDDY_RETURN_IF_ERROR(forget->Run());
    }
    const bool has_owner = owned.count(id) != 0;
    uint64_t salvage_end = std::max(whole_end, claimed_end);
    // Behind the last block that is known there may have been others. Where the store was
    // not closed nothing tells how far they went: a commit does not write the log's end,
    // which its blocks say.
    const bool lacks_tail = unread || sources.MayLack(id, salvage_end, kPositionMax);
    const uint64_t beyond = log.known && !lacks_tail ? kBeyondBytes : kBeyondUnknownBytes;
    const uint64_t reserved =
        std::min((std::max(held, seen) / kFrameAlignment + 1) * kFrameAlignment + beyond,
                 kPositionMax);
    if (lacks_tail) {  // new records come above what is reserved
      salvage_end = log.known && was_closed ? std::max(salvage_end, log.end) : reserved;
    }
    if (salvage_end > log.oldest && id != 0 && has_owner) {
      // The block that the trim horizon lies in begins below it.
      uint64_t salvage_at = log.oldest;
      for (size_t i = begin; i < end && sources.blocks()[i].first() < log.oldest; ++i) {
        const OldBlock& block = sources.blocks()[i];
        if (block.end() > log.oldest) salvage_at = std::min(salvage_at, block.first());
      }
      EDDY_RETURN_IF_ERROR(
          SetMeta(db, SalvageAtName(id).c_str(), static_cast<int64_t>(salvage_at)));
      EDDY_RETURN_IF_ERROR(
          SetMeta(db, SalvageEndName(id).c_str(), static_cast<int64_t>(salvage_end)));
    }
    if (!has_owner && id != 0) {
      uint64_t found = 0;
      for (size_t i = begin; i < end; ++i) found += sources.blocks()[i].frame_count;
      const uint64_t frames = sources.counted(id).frames;
      orphans += end - begin;
      lost += frames - std::min(frames, found);
    }
    highest_position = std::max(highest_position, reserved);
    // Of the journal only its end counts: frames of the intake above it are replayed.
    const uint64_t log_end =
        id == 0 ? log.end
                : (std::max(whole_end, log.oldest) + kFrameAlignment - 1) / kFrameAlignment *
                      kFrameAlignment;
    EDDY_RETURN_IF_ERROR(put.Bind(1, int64_t{id})
                             .Bind(2, static_cast<int64_t>(log.oldest))
                             .Bind(3, static_cast<int64_t>(log_end))
                             .Bind(4, static_cast<int64_t>(reserved))
                             .Run());
  }
  EDDY_RETURN_IF_ERROR(SetMeta(db, kMetaPositionFloor, static_cast<int64_t>(highest_position)));
  // Its blocks and the new ones are of one clock.
  EDDY_RETURN_IF_ERROR(SetMeta(db, kMetaSalvageKept, kept_ms));
  EDDY_RETURN_IF_ERROR(SetMeta(db, kMetaSalvageLost, static_cast<int64_t>(lost)));
  return SetMeta(db, kMetaSalvageOrphans, static_cast<int64_t>(orphans));
}

}  // namespace

absl::Status TakeOverCatalog(SalvageSources& sources, sql::Database& db, int64_t store_id,
                             const std::function<absl::Status(sql::Database&)>& mend) {
  EDDY_RETURN_IF_ERROR(CopyMeta(sources, db, store_id));
  for (const Table& table : kTables) {
    EDDY_ASSIGN_OR_RETURN(const bool whole, CopyTable(sources, table, db));
    if (!whole && table.name == kDeliveries) EDDY_RETURN_IF_ERROR(db.Exec(kForgetScans));
  }
  if (mend) EDDY_RETURN_IF_ERROR(mend(db));
  EDDY_RETURN_IF_ERROR(db.Exec(kDropStrays));  // what nobody could find a place for
  EDDY_RETURN_IF_ERROR(db.Exec(kAddViews));
  EDDY_RETURN_IF_ERROR(TakeOverLogs(sources, db));
  EDDY_RETURN_IF_ERROR(TakeOverAppTables(sources.newest(), db));
  return SetMeta(db, kMetaSalvage, kSalvageRunning);
}

}  // namespace eddy::log
