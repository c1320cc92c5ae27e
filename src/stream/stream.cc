#include "src/stream/stream.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/stream/record_rules.h"

namespace eddy::stream {
namespace {

log::KeepLimits ToLimits(const Retention& retention) {
  log::KeepLimits limits;
  limits.age_ms = absl::ToInt64Milliseconds(retention.age);
  limits.bytes = retention.bytes;
  limits.frames = retention.records;
  limits.droppable = retention.at_limit == AtLimit::kDropOldest;
  limits.priority = retention.priority;
  return limits;
}

}  // namespace

absl::StatusOr<std::unique_ptr<StreamImpl>> StreamImpl::Create(
    log::Engine& engine, std::string_view name, const StreamOptions& options) {
  EDDY_RETURN_IF_ERROR(CheckName("stream name", name));
  EDDY_RETURN_IF_ERROR(CheckStreamOptions(options));
  StreamRow row;
  row.name = std::string(name);
  row.created_ms = absl::ToUnixMillis(engine.platform().clock->WallNow());
  row.durability = options.durability == Durability::kDefault
                       ? Durability::kProcess
                       : options.durability;
  row.retention = options.retention;
  row.persist = options.persist;
  row.spill_ms = absl::ToInt64Milliseconds(options.spill_after);
  row.ranges = SplitEvenly(options.shard_count);
  std::vector<CursorRow> readers;
  for (const std::string& reader : options.readers) {
    for (ShardId shard = 0; shard < options.shard_count; ++shard) {
      readers.push_back({reader, shard, 0});
    }
  }
  std::vector<log::Log*> logs;
  EDDY_RETURN_IF_ERROR(
      engine.WithDatabase([&](sql::Database& db) -> absl::Status {
        EDDY_ASSIGN_OR_RETURN(row.id, AddView(db));
        for (uint32_t shard = 0; shard < options.shard_count; ++shard) {
          EDDY_ASSIGN_OR_RETURN(log::Log* const log, engine.AddLog(db));
          logs.push_back(log);
          row.logs.push_back(log->id());
        }
        const absl::Status inserted = InsertStream(db, row);
        return inserted.ok() ? WriteCursors(db, row.id, readers) : inserted;
      }));
  auto stream = std::unique_ptr<StreamImpl>(
      new StreamImpl(engine, std::move(row), std::move(logs)));
  EDDY_RETURN_IF_ERROR(stream->cursors_.Load(readers));
  stream->Join();
  return stream;
}

void StreamImpl::Join() {
  engine_.AddParticipant(row_.id, &cursors_);
  engine_.SetRetention(row_.logs, ToLimits(row_.retention));
  if (row_.persist != Persist::kSpill) return;
  cursors_.Spill(row_.spill_ms == 0 ? engine_.options().flush_interval
                                    : absl::Milliseconds(row_.spill_ms));
}

absl::StatusOr<std::vector<std::unique_ptr<StreamImpl>>> StreamImpl::LoadAll(
    log::Engine& engine) {
  std::vector<StreamRow> rows;
  std::vector<std::vector<CursorRow>> cursors;
  EDDY_RETURN_IF_ERROR(
      engine.WithDatabase([&](sql::Database& db) -> absl::Status {
        EDDY_ASSIGN_OR_RETURN(rows, SelectStreams(db));
        for (const StreamRow& row : rows) {
          EDDY_ASSIGN_OR_RETURN(std::vector<CursorRow> of_stream,
                                SelectCursors(db, row.id));
          cursors.push_back(std::move(of_stream));
        }
        return absl::OkStatus();
      }));
  std::vector<std::unique_ptr<StreamImpl>> streams;
  for (size_t i = 0; i < rows.size(); ++i) {
    std::vector<log::Log*> logs;
    for (const log::LogId id : rows[i].logs) {
      const absl::StatusOr<log::Log*> log = engine.OpenLog(id);
      if (!log.ok()) {
        return absl::DataLossError(absl::StrCat("stream ", rows[i].name,
                                                ", shard ", logs.size(), ": ",
                                                log.status().ToString()));
      }
      logs.push_back(*log);
    }
    streams.push_back(std::unique_ptr<StreamImpl>(
        new StreamImpl(engine, std::move(rows[i]), std::move(logs))));
    StreamImpl& stream = *streams.back();
    EDDY_RETURN_IF_ERROR(stream.cursors_.Load(cursors[i]));
  }
  // Last, so that an error above leaves the engine with no dangling view.
  for (const auto& stream : streams) stream->Join();
  return streams;
}

StreamImpl::StreamImpl(log::Engine& engine, StreamRow row,
                       std::vector<log::Log*> logs)
    : engine_(engine),
      clock_(engine.platform().clock),
      append_timeout_(engine.options().append_timeout),
      row_(std::move(row)),
      router_(row_.ranges),
      iterators_(row_.id, row_.name, row_.created_ms),
      reader_(engine, &iterators_, std::move(logs)),
      arrival_(clock_, engine.boot_base_ms()),
      cursors_(engine, row_.id, &reader_) {}

StreamDescription StreamImpl::Describe() {
  StreamDescription description;
  description.name = row_.name;
  description.created = absl::FromUnixMillis(row_.created_ms);
  description.durability = row_.durability;
  description.retention = row_.retention;
  description.persist = row_.persist;
  description.spill_after = absl::Milliseconds(row_.spill_ms);
  for (ShardId i = 0; i < shard_count(); ++i) {
    const log::Log& log = reader_.shard_log(i);
    ShardDescription& shard = description.shards.emplace_back();
    shard.shard = i;
    shard.shard_id = absl::StrCat("shardId-", absl::Dec(i, absl::kZeroPad12));
    shard.starting_hash_key = FormatHashKey(row_.ranges[i].starting);
    shard.ending_hash_key = FormatHashKey(row_.ranges[i].ending);
    // In this order, so that oldest <= committed <= next whatever happens
    // meanwhile: all three only grow.
    shard.oldest = log.oldest();
    shard.committed = log.committed();
    shard.next = log.tail();
  }
  return description;
}

absl::StatusOr<Cursor*> StreamImpl::OpenCursor(std::string_view name) {
  return cursors_.Open(name);
}

std::vector<std::string> StreamImpl::ListCursors() { return cursors_.List(); }

absl::Status StreamImpl::Trim(ShardId shard, SequenceNumber before) {
  EDDY_RETURN_IF_ERROR(reader_.CheckShard(shard));
  return reader_.shard_log(shard).Trim(before);
}

}  // namespace eddy::stream
