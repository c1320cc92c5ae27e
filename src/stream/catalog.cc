#include "src/stream/catalog.h"

#include <string_view>

#include "absl/strings/str_cat.h"
#include "src/base/status.h"

namespace eddy::stream {
namespace {

constexpr char kInsertView[] = "INSERT INTO views (id) VALUES (NULL)";

constexpr char kFindStream[] = "SELECT id FROM streams WHERE name = ?";

constexpr char kInsertStream[] =
    "INSERT INTO streams (id, name, created_ms, durability, keep_ms, keep_bytes,"
    " keep_records, at_limit, priority, persist, spill_ms)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

constexpr char kInsertShard[] =
    "INSERT INTO shards (stream_id, shard, log_id, starting_hash_key,"
    " ending_hash_key) VALUES (?, ?, ?, ?, ?)";

constexpr char kSelectStreams[] =
    "SELECT id, name, created_ms, durability, keep_ms, keep_bytes, keep_records,"
    " at_limit, priority, persist, spill_ms FROM streams ORDER BY id";

constexpr char kSelectShards[] =
    "SELECT shard, log_id, starting_hash_key, ending_hash_key FROM shards"
    " WHERE stream_id = ? ORDER BY shard";

constexpr char kSelectCursors[] =
    "SELECT name, shard, position FROM cursors WHERE stream_id = ?"
    " ORDER BY name, shard";

constexpr char kRaiseCursor[] =
    "UPDATE cursors SET position = max(position, ?) "
    "WHERE stream_id = ? AND name = ? AND shard = ?";
constexpr char kWriteCursor[] =
    "INSERT OR REPLACE INTO cursors (stream_id, name, shard, position)"
    " VALUES (?, ?, ?, ?)";

// Damage must not delete records: what cannot be is refused.
absl::StatusOr<Retention> ReadRetention(const std::string& name,
                                        sql::Statement& select) {
  const int64_t at_limit = select.ColumnInt(7);
  const int64_t priority = select.ColumnInt(8);
  if (select.ColumnInt(4) < 0 || select.ColumnInt(5) < 0 ||
      select.ColumnInt(6) < 0 ||
      (at_limit != static_cast<int64_t>(AtLimit::kRejectNew) &&
       at_limit != static_cast<int64_t>(AtLimit::kDropOldest)) ||
      priority != static_cast<int32_t>(priority)) {
    return absl::DataLossError(absl::StrCat(
        "stream ", name, ": its retention of ", select.ColumnInt(4), " ms, ",
        select.ColumnInt(5), " bytes, ", select.ColumnInt(6),
        " records, at the limit ", at_limit, ", priority ", priority,
        " cannot be"));
  }
  Retention retention;
  retention.age = absl::Milliseconds(select.ColumnInt(4));
  retention.bytes = static_cast<uint64_t>(select.ColumnInt(5));
  retention.records = static_cast<uint64_t>(select.ColumnInt(6));
  retention.at_limit = static_cast<AtLimit>(at_limit);
  retention.priority = static_cast<int32_t>(priority);
  return retention;
}

absl::Status ReadPersist(sql::Statement& select, StreamRow* row) {
  const int64_t persist = select.ColumnInt(9);
  row->spill_ms = select.ColumnInt(10);
  if ((persist != static_cast<int64_t>(Persist::kAll) &&
       persist != static_cast<int64_t>(Persist::kSpill)) ||
      row->spill_ms < 0) {
    return absl::DataLossError(
        absl::StrCat("stream ", row->name, ": its persistence ", persist,
                     " with ", row->spill_ms, " ms cannot be"));
  }
  row->persist = static_cast<Persist>(persist);
  return absl::OkStatus();
}

// Adds the stream's shards, read through `select`.
absl::Status ReadShards(sql::Statement& select, StreamRow* row) {
  sql::AutoReset reset(select);
  select.Bind(1, row->id);
  const auto damaged = [&](const char* what) {
    return absl::DataLossError(absl::StrCat("stream ", row->name, ", shard ",
                                            row->ranges.size(), ": ", what));
  };
  for (;;) {
    EDDY_ASSIGN_OR_RETURN(const bool has_row, select.Step());
    if (!has_row) break;
    const std::string_view starting = select.ColumnBlob(2);
    const std::string_view ending = select.ColumnBlob(3);
    if (select.ColumnInt(0) != static_cast<int64_t>(row->ranges.size())) {
      return damaged("its row is missing");
    }
    if (starting.size() != kHashKeyBytes || ending.size() != kHashKeyBytes) {
      return damaged("a hash key is not 16 bytes long");
    }
    row->logs.push_back(static_cast<log::LogId>(select.ColumnInt(1)));
    row->ranges.push_back(
        {LoadHashKey(starting.data()), LoadHashKey(ending.data())});
  }
  if (!TilesTheSpace(row->ranges)) {
    return absl::DataLossError(
        absl::StrCat("stream ", row->name, ": its ", row->ranges.size(),
                     " shards do not cover every hash key exactly once"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<uint32_t> AddView(sql::Database& db) {
  EDDY_ASSIGN_OR_RETURN(sql::Statement insert, db.Prepare(kInsertView));
  EDDY_RETURN_IF_ERROR(insert.Run());
  return static_cast<uint32_t>(db.LastInsertRowid());
}

absl::Status InsertStream(sql::Database& db, const StreamRow& row) {
  // Asked first, for a message that people understand.
  EDDY_ASSIGN_OR_RETURN(sql::Statement find, db.Prepare(kFindStream));
  find.BindText(1, row.name);
  EDDY_ASSIGN_OR_RETURN(const bool taken, find.Step());
  if (taken) {
    return absl::AlreadyExistsError(
        absl::StrCat("stream ", row.name, " exists already"));
  }
  EDDY_ASSIGN_OR_RETURN(sql::Statement insert, db.Prepare(kInsertStream));
  EDDY_RETURN_IF_ERROR(insert.Bind(1, row.id)
                           .BindText(2, row.name)
                           .Bind(3, row.created_ms)
                           .Bind(4, static_cast<int64_t>(row.durability))
                           .Bind(5, absl::ToInt64Milliseconds(row.retention.age))
                           .Bind(6, static_cast<int64_t>(row.retention.bytes))
                           .Bind(7, static_cast<int64_t>(row.retention.records))
                           .Bind(8, static_cast<int64_t>(row.retention.at_limit))
                           .Bind(9, row.retention.priority)
                           .Bind(10, static_cast<int64_t>(row.persist))
                           .Bind(11, row.spill_ms)
                           .Run());
  EDDY_ASSIGN_OR_RETURN(sql::Statement shard, db.Prepare(kInsertShard));
  for (size_t i = 0; i < row.ranges.size(); ++i) {
    char starting[kHashKeyBytes];
    char ending[kHashKeyBytes];
    StoreHashKey(row.ranges[i].starting, starting);
    StoreHashKey(row.ranges[i].ending, ending);
    EDDY_RETURN_IF_ERROR(shard.Bind(1, row.id)
                             .Bind(2, static_cast<int64_t>(i))
                             .Bind(3, row.logs[i])
                             .BindBlob(4, {starting, kHashKeyBytes})
                             .BindBlob(5, {ending, kHashKeyBytes})
                             .Run());
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<StreamRow>> SelectStreams(sql::Database& db) {
  EDDY_ASSIGN_OR_RETURN(sql::Statement select, db.Prepare(kSelectStreams));
  EDDY_ASSIGN_OR_RETURN(sql::Statement shards, db.Prepare(kSelectShards));
  std::vector<StreamRow> rows;
  for (;;) {
    EDDY_ASSIGN_OR_RETURN(const bool has_row, select.Step());
    if (!has_row) return rows;
    StreamRow& row = rows.emplace_back();
    row.id = static_cast<uint32_t>(select.ColumnInt(0));
    row.name = std::string(select.ColumnText(1));
    row.created_ms = select.ColumnInt(2);
    const int64_t durability = select.ColumnInt(3);
    if (durability != static_cast<int64_t>(Durability::kProcess) &&
        durability != static_cast<int64_t>(Durability::kPower)) {
      return absl::DataLossError(absl::StrCat("stream ", row.name,
                                              ": its durability ", durability,
                                              " is none that exists"));
    }
    row.durability = static_cast<Durability>(durability);
    EDDY_ASSIGN_OR_RETURN(row.retention, ReadRetention(row.name, select));
    EDDY_RETURN_IF_ERROR(ReadPersist(select, &row));
    EDDY_RETURN_IF_ERROR(ReadShards(shards, &row));
  }
}

absl::StatusOr<std::vector<CursorRow>> SelectCursors(sql::Database& db,
                                                     uint32_t stream_id) {
  EDDY_ASSIGN_OR_RETURN(sql::Statement select, db.Prepare(kSelectCursors));
  select.Bind(1, stream_id);
  std::vector<CursorRow> rows;
  for (;;) {
    EDDY_ASSIGN_OR_RETURN(const bool has_row, select.Step());
    if (!has_row) return rows;
    rows.push_back({std::string(select.ColumnText(0)),
                    static_cast<ShardId>(select.ColumnInt(1)),
                    static_cast<uint64_t>(select.ColumnInt(2))});
  }
}

absl::Status WriteCursors(sql::Database& db, uint32_t stream_id,
                          const std::vector<CursorRow>& rows) {
  EDDY_ASSIGN_OR_RETURN(sql::Statement write, db.Prepare(kWriteCursor));
  for (const CursorRow& row : rows) {
    EDDY_RETURN_IF_ERROR(write.Bind(1, stream_id)
                             .BindText(2, row.name)
                             .Bind(3, row.shard)
                             .Bind(4, static_cast<int64_t>(row.position))
                             .Run());
  }
  return absl::OkStatus();
}

absl::Status RaiseCursor(sql::Database& db, uint32_t stream_id,
                         const CursorRow& row) {
  EDDY_ASSIGN_OR_RETURN(sql::Statement raise, db.Prepare(kRaiseCursor));
  return raise.Bind(1, static_cast<int64_t>(row.position))
      .Bind(2, stream_id)
      .BindText(3, row.name)
      .Bind(4, row.shard)
      .Run();
}

}  // namespace eddy::stream
