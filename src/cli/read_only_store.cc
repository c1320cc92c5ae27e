#include "src/cli/read_only_store.h"

#include <signal.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "eddy/types.h"
#include "src/base/status.h"
#include "src/base/strings.h"
#include "src/log/block_codec.h"
#include "src/log/frame.h"
#include "src/log/meta.h"
#include "src/sql/schema.h"

namespace eddy::cli {
namespace {

constexpr char kLogRow[] = "SELECT oldest_position, end_position FROM logs WHERE id = ?";
// Of the bytes only the length is read, which costs no page of them.
constexpr char kLogBlocks[] =
    "SELECT count(*), coalesce(sum(frame_count), 0), coalesce(sum(" EDDY_BLOCK_BYTES "), 0), "
    "coalesce(max(last_time_ms), 0) FROM blocks WHERE id >= ? AND id < ?";
constexpr char kLastBlock[] =
    "SELECT id, " EDDY_BLOCK_SPAN " FROM blocks WHERE id >= ? AND id < ? "
    "ORDER BY id DESC LIMIT 1";
constexpr char kDropped[] =
    "SELECT reason, frame_count, bytes FROM dropped WHERE log_id = ? AND reason BETWEEN 0 AND ?";
constexpr char kFramesAbove[] =
    "SELECT coalesce(sum(frame_count), 0) FROM blocks WHERE id > ? AND id < ?";
constexpr char kAtOrBelow[] =
    "SELECT id, bytes, " EDDY_BLOCK_SPAN ", checksum FROM blocks WHERE id >= ? AND id <= ? "
    "ORDER BY id DESC LIMIT 1";
constexpr char kUsedOutside[] =
    "SELECT coalesce(sum(((bytes & 268435455) + 4095) >> 12 << 12), 0) FROM blocks "
    "WHERE typeof(bytes) = 'integer'";
constexpr char kStreams[] =
    "SELECT id, name, created_ms, durability, keep_ms, keep_bytes, keep_records, at_limit, "
    "priority, persist FROM streams ORDER BY name";
constexpr char kStreamId[] = "SELECT id FROM streams WHERE name = ?";
constexpr char kShards[] = "SELECT log_id FROM shards WHERE stream_id = ? ORDER BY shard";
constexpr char kCursors[] =
    "SELECT name, shard, position FROM cursors WHERE stream_id = ? ORDER BY name, shard";
constexpr char kQueues[] =
    "SELECT q.id, q.name, q.created_ms, q.log_id, q.visibility_ms, q.durability, "
    "q.scan_position, q.max_receive_count, coalesce(d.name, ''), "
    "(SELECT coalesce(sum(CASE WHEN position < q.scan_position THEN 1 - deleted ELSE -deleted "
    " END), 0) FROM deliveries WHERE queue_id = q.id AND position >= q.head_position) "
    "FROM queues q LEFT JOIN queues d ON d.id = q.dead_letter_queue ORDER BY q.name";

uint64_t PositionOf(int64_t block_id) {
  return (static_cast<uint64_t>(block_id) & ((uint64_t{1} << log::kBlockPositionBits) - 1)) << 2;
}

bool IsPower(int64_t durability) {
  return durability == static_cast<int64_t>(Durability::kPower);
}

}  // namespace

absl::StatusOr<StoreSummary> ReadOnlyStore::Look(const std::string& directory) {
  // Each owner writes its pid into the lock's file when it comes, and empties it
  // when it goes; while it lives, there is a WAL, or soon will be.
  using Time = std::filesystem::file_time_type;
  const auto traces = [&]() -> std::optional<Time> {
    std::error_code error;
    const std::string lock = directory + log::kLockFile;
    if (std::filesystem::file_size(lock, error) != 0 || error) return std::nullopt;
    const Time changed = std::filesystem::last_write_time(lock, error);
    if (error || std::filesystem::exists(directory + log::kDatabaseFile + sql::kWalSuffix, error)) {
      return std::nullopt;
    }
    return changed;
  };
  const std::optional<Time> before = traces();
  EDDY_ASSIGN_OR_RETURN(ReadOnlyStore store, Open(directory, before.has_value(), ""));
  const absl::StatusOr<StoreSummary> summary = store.Summary();
  if (!before.has_value()) return summary;
  if (traces() == before) return summary;
  return absl::UnavailableError(absl::StrCat(directory, ": an owner came meanwhile"));
}

absl::StatusOr<ReadOnlyStore> ReadOnlyStore::Open(const std::string& directory, bool immutable,
                                                  const std::string& vfs) {
  sql::OpenOptions options;
  options.vfs = vfs;
  options.mode = sql::Mode::kReadOnly;
  options.immutable = immutable;
  const std::string path = directory + log::kDatabaseFile;
  absl::StatusOr<sql::Database> db = sql::Database::Open(path, options);
  if (absl::IsNotFound(db.status())) {
    return absl::NotFoundError(absl::StrCat("no store in ", directory));
  }
  if (!db.ok()) return db.status();
  EDDY_ASSIGN_OR_RETURN(const int version, db->SchemaVersion());
  if (version < sql::kSchemaVersionOldest || version > sql::kSchemaVersion) {
    return absl::FailedPreconditionError(absl::StrCat(
        path, ": schema version ", version, ", this eddy reads ", sql::kSchemaVersionOldest, " to ",
        sql::kSchemaVersion));
  }
  EDDY_ASSIGN_OR_RETURN(std::unique_ptr<log::BlockStore> blocks,
                        log::BlockStore::Open(path, options));
  return ReadOnlyStore(directory, *std::move(db), std::move(blocks),
                       std::make_unique<log::ExtentReader>(path, vfs));
}

int ReadOnlyStore::OwnerPidOf(const std::string& directory) {
  // The owner writes its pid into the lock's file and empties it when it closes.
  // To ask the lock itself we would have to take it.
  std::FILE* const file = std::fopen((directory + log::kLockFile).c_str(), "re");
  if (file == nullptr) return 0;
  int pid = 0;
  if (std::fscanf(file, "%d", &pid) != 1) pid = 0;
  std::fclose(file);
  const bool lives = pid > 0 && (kill(pid, 0) == 0 || errno == EPERM);
  return lives ? pid : 0;
}

absl::StatusOr<StoreSummary> ReadOnlyStore::Summary() {
  StoreSummary summary;
  summary.owner_pid = OwnerPid();
  EDDY_ASSIGN_OR_RETURN(sql::Transaction view, sql::Transaction::Begin(db_));
  EDDY_ASSIGN_OR_RETURN(summary.schema_version, db_.SchemaVersion());
  EDDY_ASSIGN_OR_RETURN(const sql::FileSizes sizes, db_.Sizes());
  summary.file_bytes = sizes.all;
  summary.free_bytes = sizes.free;
  std::error_code none;
  const auto outside = std::filesystem::file_size(
      directory_ + log::kDatabaseFile + log::kExtentsSuffix, none);
  if (!none) {
    EDDY_ASSIGN_OR_RETURN(sql::Statement used, db_.Prepare(kUsedOutside));
    EDDY_RETURN_IF_ERROR(used.Step().status());
    const uint64_t used_bytes = static_cast<uint64_t>(used.ColumnInt(0));
    summary.file_bytes += outside;
    summary.free_bytes += outside > used_bytes ? outside - used_bytes : 0;
  }
  EDDY_ASSIGN_OR_RETURN(const int64_t clean, log::MetaInt(db_, log::kMetaClean, 0));
  summary.closed_cleanly = clean == 1;
  EDDY_ASSIGN_OR_RETURN(summary.health,
                        LookAtHealth(directory_, db_, summary.owner_pid != 0));
  EDDY_ASSIGN_OR_RETURN(summary.streams, Streams());
  EDDY_ASSIGN_OR_RETURN(summary.queues, Queues());
  EDDY_RETURN_IF_ERROR(view.Commit());
  return summary;
}

absl::StatusOr<std::vector<LogSummary>> ReadOnlyStore::Shards(std::string_view stream) {
  EDDY_ASSIGN_OR_RETURN(sql::Transaction view, sql::Transaction::Begin(db_));
  int64_t id;
  {
    EDDY_ASSIGN_OR_RETURN(sql::Statement find, db_.Prepare(kStreamId));
    find.BindText(1, stream);
    EDDY_ASSIGN_OR_RETURN(const bool found, find.Step());
    if (!found) {
      return absl::NotFoundError(
          absl::StrCat("no stream ", AbslView(stream), " in ", directory_));
    }
    id = find.ColumnInt(0);
  }
  EDDY_ASSIGN_OR_RETURN(std::vector<LogSummary> shards, ShardsOf(id));
  EDDY_RETURN_IF_ERROR(view.Commit());
  return shards;
}

absl::StatusOr<LogSummary> ReadOnlyStore::Log(int64_t id) {
  LogSummary summary;
  summary.id = static_cast<log::LogId>(id);
  const int64_t first = log::BlockId(summary.id, 0);
  const int64_t beyond = log::BlockId(summary.id + 1, 0);

  EDDY_ASSIGN_OR_RETURN(sql::Statement row, db_.Prepare(kLogRow));
  row.Bind(1, id);
  EDDY_ASSIGN_OR_RETURN(const bool found, row.Step());
  if (!found) return absl::DataLossError(absl::StrCat("log ", id, " has no row in logs"));
  summary.oldest = static_cast<uint64_t>(row.ColumnInt(0));
  summary.end = static_cast<uint64_t>(row.ColumnInt(1));

  EDDY_ASSIGN_OR_RETURN(sql::Statement blocks, db_.Prepare(kLogBlocks));
  blocks.Bind(1, first).Bind(2, beyond);
  EDDY_ASSIGN_OR_RETURN(const bool has_sums, blocks.Step());
  EDDY_CHECK(has_sums);  // an aggregate always has a row
  summary.block_count = static_cast<uint64_t>(blocks.ColumnInt(0));
  summary.frame_count = static_cast<uint64_t>(blocks.ColumnInt(1));
  summary.bytes = static_cast<uint64_t>(blocks.ColumnInt(2));
  summary.last_time_ms = blocks.ColumnInt(3);

  EDDY_ASSIGN_OR_RETURN(sql::Statement last, db_.Prepare(kLastBlock));
  last.Bind(1, first).Bind(2, beyond);
  EDDY_ASSIGN_OR_RETURN(const bool has_block, last.Step());
  if (has_block) {
    summary.end = std::max(summary.end, PositionOf(last.ColumnInt(0)) +
                                            static_cast<uint64_t>(last.ColumnInt(1)));
  }
  EDDY_ASSIGN_OR_RETURN(sql::Statement dropped, db_.Prepare(kDropped));
  dropped.Bind(1, id).Bind(2, kGapReasonCount - 1);
  for (;;) {
    EDDY_ASSIGN_OR_RETURN(const bool has_drops, dropped.Step());
    if (!has_drops) return summary;
    summary.dropped[static_cast<size_t>(dropped.ColumnInt(0))] = {
        static_cast<uint64_t>(dropped.ColumnInt(1)), static_cast<uint64_t>(dropped.ColumnInt(2))};
  }
}

// Whole blocks are counted by their rows; only the one that `position` cuts is
// looked into.
absl::StatusOr<uint64_t> ReadOnlyStore::FramesFrom(log::LogId log, uint64_t position) {
  const int64_t at = log::BlockId(log, position);
  EDDY_ASSIGN_OR_RETURN(sql::Statement above, db_.Prepare(kFramesAbove));
  above.Bind(1, at).Bind(2, log::BlockId(log + 1, 0));
  EDDY_ASSIGN_OR_RETURN(const bool has_sum, above.Step());
  EDDY_CHECK(has_sum);
  uint64_t frames = static_cast<uint64_t>(above.ColumnInt(0));

  EDDY_ASSIGN_OR_RETURN(sql::Statement cut, db_.Prepare(kAtOrBelow));
  cut.Bind(1, log::BlockId(log, 0)).Bind(2, at);
  EDDY_ASSIGN_OR_RETURN(const bool found, cut.Step());
  if (!found) return frames;
  std::unique_ptr<char[]> memory;
  std::unique_ptr<char[]> outside;
  const absl::StatusOr<std::string_view> stored = extents_->BytesOf(cut, 1, &outside);
  // The check tells of it; or the owner has used its place again, and it is no more.
  if (!stored.ok() || log::BlockChecksum(*stored, cut.ColumnInt(0), cut.ColumnInt(2)) !=
                          static_cast<uint64_t>(cut.ColumnInt(3))) {
    return frames;
  }
  const absl::StatusOr<std::string_view> unpacked =
      log::StoredFrames(*stored, cut.ColumnInt(2), &memory);
  if (!unpacked.ok()) return frames;  // the check tells of it
  const std::string_view bytes = *unpacked;
  uint64_t frame_at = PositionOf(cut.ColumnInt(0));
  log::FrameView frame;
  for (size_t offset = 0; log::ParseFrame(bytes.data() + offset, bytes.size() - offset,
                                          frame_at, &frame);) {
    if (frame.position >= position) ++frames;
    offset += static_cast<size_t>(frame.end - frame.position);
    frame_at = frame.end;
  }
  return frames;
}

absl::StatusOr<std::vector<LogSummary>> ReadOnlyStore::ShardsOf(int64_t stream_id) {
  std::vector<LogSummary> shards;
  EDDY_ASSIGN_OR_RETURN(sql::Statement rows, db_.Prepare(kShards));
  rows.Bind(1, stream_id);
  for (;;) {
    EDDY_ASSIGN_OR_RETURN(const bool has_row, rows.Step());
    if (!has_row) return shards;
    EDDY_ASSIGN_OR_RETURN(LogSummary log, Log(rows.ColumnInt(0)));
    shards.push_back(log);
  }
}

absl::StatusOr<std::vector<CursorSummary>> ReadOnlyStore::CursorsOf(
    int64_t stream_id, const std::vector<LogSummary>& shards) {
  std::vector<CursorSummary> cursors;
  EDDY_ASSIGN_OR_RETURN(sql::Statement rows, db_.Prepare(kCursors));
  rows.Bind(1, stream_id);
  for (;;) {
    EDDY_ASSIGN_OR_RETURN(const bool has_row, rows.Step());
    if (!has_row) return cursors;
    CursorSummary cursor;
    cursor.name = std::string(rows.ColumnText(0));
    cursor.shard = static_cast<uint32_t>(rows.ColumnInt(1));
    cursor.position = static_cast<uint64_t>(rows.ColumnInt(2));
    if (cursor.shard < shards.size()) {
      EDDY_ASSIGN_OR_RETURN(cursor.records_behind,
                            FramesFrom(shards[cursor.shard].id, cursor.position));
    }
    cursors.push_back(std::move(cursor));
  }
}

absl::StatusOr<std::vector<StreamSummary>> ReadOnlyStore::Streams() {
  std::vector<StreamSummary> streams;
  EDDY_ASSIGN_OR_RETURN(sql::Statement rows, db_.Prepare(kStreams));
  for (;;) {
    EDDY_ASSIGN_OR_RETURN(const bool has_row, rows.Step());
    if (!has_row) return streams;
    const int64_t id = rows.ColumnInt(0);
    StreamSummary stream;
    stream.name = std::string(rows.ColumnText(1));
    stream.created_ms = rows.ColumnInt(2);
    stream.power = IsPower(rows.ColumnInt(3));
    stream.retention.age = absl::Milliseconds(rows.ColumnInt(4));
    stream.retention.bytes = static_cast<uint64_t>(rows.ColumnInt(5));
    stream.retention.records = static_cast<uint64_t>(rows.ColumnInt(6));
    stream.retention.at_limit = static_cast<AtLimit>(rows.ColumnInt(7));
    stream.retention.priority = static_cast<int32_t>(rows.ColumnInt(8));
    stream.spills = static_cast<Persist>(rows.ColumnInt(9)) == Persist::kSpill;
    EDDY_ASSIGN_OR_RETURN(stream.shards, ShardsOf(id));
    EDDY_ASSIGN_OR_RETURN(stream.cursors, CursorsOf(id, stream.shards));
    streams.push_back(std::move(stream));
  }
}

absl::StatusOr<std::vector<QueueSummary>> ReadOnlyStore::Queues() {
  std::vector<QueueSummary> queues;
  EDDY_ASSIGN_OR_RETURN(sql::Statement rows, db_.Prepare(kQueues));
  for (;;) {
    EDDY_ASSIGN_OR_RETURN(const bool has_row, rows.Step());
    if (!has_row) return queues;
    QueueSummary queue;
    queue.name = std::string(rows.ColumnText(1));
    queue.created_ms = rows.ColumnInt(2);
    queue.visibility_ms = rows.ColumnInt(4);
    queue.power = IsPower(rows.ColumnInt(5));
    queue.max_receive_count = rows.ColumnInt(7);
    queue.dead_letter_queue = std::string(rows.ColumnText(8));
    EDDY_ASSIGN_OR_RETURN(queue.log, Log(rows.ColumnInt(3)));
    EDDY_ASSIGN_OR_RETURN(
        const uint64_t frames,
        FramesFrom(queue.log.id, static_cast<uint64_t>(rows.ColumnInt(6))));
    // From the scan on those that are not marked as gone, below it those with a row.
    queue.messages = static_cast<uint64_t>(
        std::max<int64_t>(static_cast<int64_t>(frames) + rows.ColumnInt(9), 0));
    queues.push_back(std::move(queue));
  }
}

}  // namespace eddy::cli
