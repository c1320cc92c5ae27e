// Rows of streams and shards that came out of a damaged database: see MendStreams.
#include <algorithm>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/base/strings.h"
#include "src/stream/catalog.h"
#include "src/stream/record_rules.h"

namespace eddy::stream {
namespace {

// A stream whose id alone is damaged, if it is the only one.
constexpr char kReunite[] = R"sql(
UPDATE streams SET id = (SELECT min(stream_id) FROM shards
                         WHERE stream_id NOT IN (SELECT id FROM streams))
WHERE id NOT IN (SELECT stream_id FROM shards)
  AND (SELECT count(*) FROM streams WHERE id NOT IN (SELECT stream_id FROM shards)) = 1
  AND (SELECT count(DISTINCT stream_id) FROM shards
       WHERE stream_id NOT IN (SELECT id FROM streams)) = 1;
DELETE FROM streams WHERE id < 1 OR id > 4294967295;
)sql";

constexpr char kMendValues[] = R"sql(
UPDATE streams SET durability = 1 WHERE durability NOT IN (1, 2);
UPDATE streams SET keep_ms = 0, keep_bytes = 0, keep_records = 0, at_limit = 1, priority = 0
  WHERE keep_ms < 0 OR keep_bytes < 0 OR keep_records < 0 OR at_limit NOT IN (0, 1)
     OR priority NOT BETWEEN -2147483648 AND 2147483647;
UPDATE streams SET persist = 0, spill_ms = 0
  WHERE persist NOT IN (0, 1) OR spill_ms NOT BETWEEN 0 AND 3600000;
)sql";
static_assert(static_cast<int>(Durability::kProcess) == 1 &&
              static_cast<int>(Durability::kPower) == 2 &&
              static_cast<int>(AtLimit::kDropOldest) == 1 &&
              static_cast<int>(Persist::kSpill) == 1, "the text above knows them");

constexpr char kNames[] = "SELECT id, name FROM streams ORDER BY id";
// No row: another bears that name.
constexpr char kRename[] = "UPDATE OR IGNORE streams SET name = ? WHERE id = ? RETURNING id";
constexpr char kShards[] =
    "SELECT shard, log_id, starting_hash_key, ending_hash_key FROM shards WHERE stream_id = ? "
    "ORDER BY shard";
constexpr char kForgetShards[] = "DELETE FROM shards WHERE stream_id = ?";
constexpr char kPutShard[] =
    "INSERT INTO shards (stream_id, shard, log_id, starting_hash_key, ending_hash_key) "
    "VALUES (?, ?, ?, ?, ?)";

absl::Status MendShards(sql::Database& db, int64_t stream) {
  std::map<int64_t, int64_t> logs;  // by shard
  std::vector<HashRange> ranges;
  bool whole = true;
  {
    EDDY_ASSIGN_OR_RETURN(sql::Statement rows, db.Prepare(kShards));
    rows.Bind(1, stream);
    for (;;) {
      EDDY_ASSIGN_OR_RETURN(const bool has_row, rows.Step());
      if (!has_row) break;
      const std::string_view starting = rows.ColumnBlob(2);
      const std::string_view ending = rows.ColumnBlob(3);
      whole = whole && rows.ColumnInt(0) == static_cast<int64_t>(logs.size()) &&
              starting.size() == kHashKeyBytes && ending.size() == kHashKeyBytes;
      logs[rows.ColumnInt(0)] = rows.ColumnInt(1);
      if (whole) ranges.push_back({LoadHashKey(starting.data()), LoadHashKey(ending.data())});
    }
  }
  if (whole && TilesTheSpace(ranges)) return absl::OkStatus();
  // As many as the highest number says, if that is not the damaged one.
  const int64_t highest = logs.empty() ? 0 : logs.rbegin()->first;
  const auto rows = static_cast<int64_t>(logs.size());
  const bool believed = highest >= 0 && highest < int64_t{kShardCountMax} && highest < 2 * rows + 8;
  const int64_t count = std::clamp<int64_t>(believed ? highest + 1 : rows, 1, kShardCountMax);
  EDDY_ASSIGN_OR_RETURN(sql::Statement forget, db.Prepare(kForgetShards));
  EDDY_RETURN_IF_ERROR(forget.Bind(1, stream).Run());
  std::vector<int64_t> strays;  // logs whose shard's number cannot be
  for (const auto& [shard, log] : logs) {
    if (shard < 0 || shard >= count) strays.push_back(log);
  }
  const std::vector<HashRange> even = SplitEvenly(static_cast<uint32_t>(count));
  EDDY_ASSIGN_OR_RETURN(sql::Statement put, db.Prepare(kPutShard));
  for (int64_t shard = 0; shard < count; ++shard) {
    const auto known = logs.find(shard);
    int64_t log = 0;  // none that can be: it gets a new one
    if (known != logs.end()) {
      log = known->second;
    } else if (!strays.empty()) {
      log = strays.back();
      strays.pop_back();
    }
    char starting[kHashKeyBytes];
    char ending[kHashKeyBytes];
    StoreHashKey(even[static_cast<size_t>(shard)].starting, starting);
    StoreHashKey(even[static_cast<size_t>(shard)].ending, ending);
    EDDY_RETURN_IF_ERROR(put.Bind(1, stream)
                             .Bind(2, shard)
                             .Bind(3, log)
                             .BindBlob(4, {starting, kHashKeyBytes})
                             .BindBlob(5, {ending, kHashKeyBytes})
                             .Run());
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status MendStreams(sql::Database& db) {
  EDDY_RETURN_IF_ERROR(db.Exec(kReunite));
  EDDY_RETURN_IF_ERROR(db.Exec(kMendValues));
  std::vector<int64_t> ids;
  std::vector<int64_t> nameless;
  {
    EDDY_ASSIGN_OR_RETURN(sql::Statement names, db.Prepare(kNames));
    for (;;) {
      EDDY_ASSIGN_OR_RETURN(const bool has_row, names.Step());
      if (!has_row) break;
      ids.push_back(names.ColumnInt(0));
      if (!CheckName("stream name", names.ColumnText(1)).ok()) nameless.push_back(ids.back());
    }
  }
  for (const int64_t id : nameless) {
    EDDY_ASSIGN_OR_RETURN(sql::Statement rename, db.Prepare(kRename));
    std::string name = absl::StrCat("damaged-", id);
    for (bool renamed = false; !renamed; name += "-") {
      sql::AutoReset reset(rename);
      rename.BindText(1, name).Bind(2, id);
      EDDY_ASSIGN_OR_RETURN(renamed, rename.Step());
    }
  }
  for (const int64_t id : ids) EDDY_RETURN_IF_ERROR(MendShards(db, id));
  return absl::OkStatus();
}

}  // namespace eddy::stream
