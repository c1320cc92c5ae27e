#include "src/cli/check.h"

#include <algorithm>
#include <cinttypes>
#include <cstdio>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/base/strings.h"
#include "src/cli/commands.h"
#include "src/log/block_codec.h"
#include "src/log/damaged_store.h"
#include "src/log/frame.h"
#include "src/log/meta.h"
#include "src/queue/message_frame.h"
#include "src/sql/counting_vfs.h"
#include "src/sql/error.h"
#include "src/stream/record_frame.h"

namespace eddy::cli {
namespace {

// Not the quick one, which before SQLite 3.41 finds fault with a table WITHOUT ROWID whose
// key is not its first column.
constexpr char kDatabaseCheck[] = "PRAGMA integrity_check(100)";
constexpr char kViewLogs[] =
    "SELECT log_id, 1 FROM shards UNION ALL SELECT log_id, 0 FROM queues";
constexpr char kNextBlock[] =
    "SELECT id, frame_count, first_time_ms, last_time_ms, checksum, bytes, "
    "(id >> 47) IN (SELECT id FROM logs), " EDDY_BLOCK_SPAN
    " FROM blocks WHERE id > ? ORDER BY id LIMIT 1";
constexpr char kShards[] =
    "SELECT s.name, h.shard, h.starting_hash_key, h.ending_hash_key, "
    "h.log_id IN (SELECT id FROM logs) "
    "FROM streams s JOIN shards h ON h.stream_id = s.id ORDER BY s.id, h.starting_hash_key";
constexpr char kStreamsWithoutShards[] =
    "SELECT 'stream ' || name || ' has no shards' FROM streams "
    "WHERE id NOT IN (SELECT stream_id FROM shards)";
constexpr char kShardsOfNoStream[] =
    "SELECT DISTINCT 'shards of stream id ' || stream_id || ', which does not exist' FROM shards "
    "WHERE stream_id NOT IN (SELECT id FROM streams)";
constexpr char kShardNumbers[] =
    "SELECT 'stream id ' || stream_id || ': ' || count(*) || ' shards, the last of them ' "
    "|| max(shard) FROM shards GROUP BY stream_id HAVING max(shard) <> count(*) - 1";
constexpr char kSharedLogs[] =
    "SELECT 'log ' || log_id || ' belongs to ' || count(*) || ' shards and queues' FROM "
    "(SELECT log_id FROM shards UNION ALL SELECT log_id FROM queues) "
    "GROUP BY log_id HAVING count(*) > 1";
constexpr char kCursorsOfNoShard[] =
    "SELECT 'cursor ' || name || ' of stream id ' || stream_id || ', shard ' || shard || "
    "', which does not exist' FROM cursors c WHERE NOT EXISTS "
    "(SELECT 1 FROM shards h WHERE h.stream_id = c.stream_id AND h.shard = c.shard)";
constexpr char kCursors[] =
    "SELECT c.name, c.shard, c.position, h.log_id, l.end_position, s.name FROM cursors c "
    "JOIN streams s ON s.id = c.stream_id "
    "JOIN shards h ON h.stream_id = c.stream_id AND h.shard = c.shard "
    "JOIN logs l ON l.id = h.log_id ORDER BY c.name, c.shard";
constexpr char kQueuesOfNoLog[] =
    "SELECT 'queue ' || name || ': its log ' || log_id || ' does not exist' FROM queues "
    "WHERE log_id NOT IN (SELECT id FROM logs)";
constexpr char kDeadLetterQueues[] =
    "SELECT 'queue ' || name || ': its dead-letter queue, id ' || dead_letter_queue || "
    "', does not exist' FROM queues WHERE dead_letter_queue <> 0 "
    "AND dead_letter_queue NOT IN (SELECT id FROM queues)";
constexpr char kDeliveriesOfNoQueue[] =
    "SELECT DISTINCT 'deliveries of queue id ' || queue_id || ', which does not exist' "
    "FROM deliveries WHERE queue_id NOT IN (SELECT id FROM queues)";
// Those of deleted messages may outlive the message, and those of lost ones.
constexpr char kNextDelivery[] =
    "SELECT d.queue_id, d.position, q.log_id, q.name, d.receive_count FROM deliveries d "
    "JOIN queues q ON q.id = d.queue_id "
    "WHERE d.deleted = 0 AND d.position >= q.head_position AND (d.queue_id, d.position) > (?, ?) "
    "AND NOT EXISTS (SELECT 1 FROM gaps g WHERE g.log_id = q.log_id "
    "AND d.position >= g.first_position AND d.position < g.end_position) "
    "ORDER BY d.queue_id, d.position LIMIT 1";
constexpr char kBlockAt[] =
    "SELECT id, bytes, " EDDY_BLOCK_SPAN ", checksum FROM blocks WHERE id >= ? AND id <= ? "
    "ORDER BY id DESC LIMIT 1";
#define EDDY_LOG_END                                                            \
  "max(l.end_position, l.reserved_position, "                                   \
  "coalesce((SELECT ((b.id & ((1 << 47) - 1)) << 2) + " EDDY_BLOCK_SPAN         \
  " FROM blocks b WHERE b.id >= l.id << 47 AND b.id < (l.id + 1) << 47 "        \
  "ORDER BY b.id DESC LIMIT 1), 0))"
constexpr char kLogEnd[] = "SELECT " EDDY_LOG_END " FROM logs l WHERE l.id = ?";
constexpr char kPlaces[] =
    "SELECT 'queue ' || q.name || ': its head ' || q.head_position || ' and scan ' || "
    "q.scan_position || ' cannot be' FROM queues q JOIN logs l ON l.id = q.log_id "
    "WHERE q.head_position < 0 OR q.head_position > q.scan_position OR q.head_position % 4 <> 0 "
    "OR q.scan_position % 4 <> 0 OR q.scan_position > " EDDY_LOG_END;

static_assert(log::kBlockPositionBits == 47, "the statements above know it");

uint64_t LogOf(int64_t block_id) {
  return static_cast<uint64_t>(block_id) >> log::kBlockPositionBits;
}

uint64_t PositionOf(int64_t block_id) {
  return (static_cast<uint64_t>(block_id) & ((uint64_t{1} << log::kBlockPositionBits) - 1)) << 2;
}

std::string Hex(std::string_view bytes) { return absl::BytesToHexString(AbslView(bytes)); }

// The number after a 16-byte big-endian one; all zeros after the last.
std::string Successor(std::string number) {
  for (auto digit = number.rbegin(); digit != number.rend(); ++digit) {
    *digit = static_cast<char>(static_cast<unsigned char>(*digit) + 1);
    if (*digit != 0) break;
  }
  return number;
}

}  // namespace

absl::Status Checker::Run() {
  if (deep_) EDDY_RETURN_IF_ERROR(CheckDatabase());
  EDDY_RETURN_IF_ERROR(LoadViews());
  EDDY_RETURN_IF_ERROR(CheckBlocks());
  EDDY_RETURN_IF_ERROR(CheckStreams());
  EDDY_RETURN_IF_ERROR(CheckCursors());
  EDDY_RETURN_IF_ERROR(CheckQueues());
  return CheckDeliveries();
}

void Checker::Damage(const std::string& what) {
  ++damage_count_;
  found_(what);
}

absl::Status Checker::NoRows(const char* query) {
  EDDY_ASSIGN_OR_RETURN(sql::Statement rows, db_.Prepare(query));
  for (;;) {
    EDDY_ASSIGN_OR_RETURN(const bool has_row, rows.Step());
    if (!has_row) return absl::OkStatus();
    Damage(std::string(rows.ColumnText(0)));
  }
}

absl::Status Checker::CheckDatabase() {
  EDDY_ASSIGN_OR_RETURN(sql::Statement rows, db_.Prepare(kDatabaseCheck));
  for (;;) {
    const absl::StatusOr<bool> has_row = rows.Step();
    if (absl::IsDataLoss(has_row.status())) {
      Damage(std::string(has_row.status().message()));
      return absl::OkStatus();
    }
    if (!has_row.ok()) return has_row.status();
    if (!*has_row) return absl::OkStatus();
    if (rows.ColumnText(0) != "ok") {
      Damage(absl::StrCat("database: ", AbslView(rows.ColumnText(0))));
    }
  }
}

absl::Status Checker::LoadViews() {
  EDDY_ASSIGN_OR_RETURN(sql::Statement rows, db_.Prepare(kViewLogs));
  for (;;) {
    EDDY_ASSIGN_OR_RETURN(const bool has_row, rows.Step());
    if (!has_row) return absl::OkStatus();
    auto& logs = rows.ColumnInt(1) != 0 ? stream_logs_ : queue_logs_;
    logs.insert(static_cast<uint64_t>(rows.ColumnInt(0)));
  }
}

absl::Status Checker::CheckBlocks() {
  EDDY_ASSIGN_OR_RETURN(sql::Statement next, db_.Prepare(kNextBlock));
  int64_t again = INT64_MIN;
  for (int64_t id = INT64_MIN;;) {
    sql::AutoReset reset(next);
    next.Bind(1, id);
    const absl::StatusOr<bool> has_row = next.Step();
    if (absl::IsDataLoss(has_row.status())) {
      // The tree itself is broken here: where the next block lies, no one knows.
      Damage(absl::StrCat("behind block ", id, ": ", has_row.status().message()));
      return absl::OkStatus();
    }
    if (!has_row.ok()) return has_row.status();
    if (!*has_row) return absl::OkStatus();
    EDDY_ASSIGN_OR_RETURN(const bool looked, CheckBlock(next, next.ColumnInt(0) == again));
    if (looked) {
      id = next.ColumnInt(0);
    } else {
      again = next.ColumnInt(0);
    }
  }
}

absl::StatusOr<bool> Checker::CheckBlock(sql::Statement& row, bool again) {
  const int64_t id = row.ColumnInt(0);
  const uint64_t log = LogOf(id);
  const uint64_t first = PositionOf(id);
  const int64_t span = row.ColumnInt(7);
  std::unique_ptr<char[]> outside;
  const absl::StatusOr<std::string_view> read = extents_.BytesOf(row, 5, &outside);
  if (absl::IsUnavailable(read.status())) return read.status();
  const std::string_view stored = read.value_or("");
  const uint64_t checksum = log::BlockChecksum(stored, id, span);
  const bool matches = read.ok() && checksum == static_cast<uint64_t>(row.ColumnInt(4));
  // An owner may have dropped it meanwhile, and used its place again.
  if (!matches && row.ColumnIsInt(5) && !again) return false;
  const std::string name = absl::StrCat("log ", log, ", block at ", first, " (", stored.size(),
                                        " bytes)");
  ++block_count_;
  if (row.ColumnInt(6) == 0 && strange_logs_.insert(log).second) {
    Damage(absl::StrCat("blocks of log ", log, ", which is not in logs"));
  }
  if (log == block_log_ && first < block_end_) {
    Damage(absl::StrCat(name, ": the block before it ends at ", block_end_));
  }
  block_log_ = log;
  block_end_ = first;  // of a damaged one no more is sure

  if (!matches) {
    Damage(read.ok() ? absl::StrCat(name, ": checksum ", absl::Hex(checksum), ", stored ",
                                    absl::Hex(static_cast<uint64_t>(row.ColumnInt(4))))
                     : absl::StrCat(name, ": ", read.status().message()));
    return true;  // its frames would only say the same again
  }
  block_end_ += static_cast<uint64_t>(span);
  std::unique_ptr<char[]> memory;
  const absl::StatusOr<std::string_view> unpacked = log::StoredFrames(stored, span, &memory);
  if (!unpacked.ok()) {
    Damage(absl::StrCat(name, ": ", unpacked.status().message()));
    return true;
  }
  const std::string_view bytes = *unpacked;
  uint64_t frames = 0;
  int64_t first_ms = 0;
  int64_t last_ms = 0;
  bool trusted = true;  // else the row's times may have been repaired: see boot_clock.h
  log::FrameView frame;
  for (size_t at = 0; at < bytes.size(); at += static_cast<size_t>(frame.end - frame.position)) {
    if (!log::ParseFrame(bytes.data() + at, bytes.size() - at, first + at, &frame)) {
      Damage(absl::StrCat(name, ": no whole frame at ", first + at));
      return true;
    }
    absl::Status content;
    if (stream_logs_.count(log) != 0) content = stream::DecodeRecord(frame).status();
    if (queue_logs_.count(log) != 0) content = queue::DecodeMessage(frame).status();
    if (!content.ok()) Damage(absl::StrCat(name, ": ", content.message()));
    if (frames == 0) first_ms = frame.time_ms;
    last_ms = std::max(last_ms, frame.time_ms);
    trusted = trusted && frame.time_trusted;
    ++frames;
  }
  frame_count_ += frames;
  if (frames != static_cast<uint64_t>(row.ColumnInt(1))) {
    Damage(absl::StrCat(name, ": ", frames, " frames, the row says ", row.ColumnInt(1)));
  }
  if (trusted && (first_ms != row.ColumnInt(2) || last_ms != row.ColumnInt(3))) {
    Damage(absl::StrCat(name, ": arrival from ", first_ms, " to ", last_ms, " ms, the row says ",
                        row.ColumnInt(2), " to ", row.ColumnInt(3)));
  }
  return true;
}

absl::Status Checker::CheckStreams() {
  EDDY_RETURN_IF_ERROR(NoRows(kStreamsWithoutShards));
  EDDY_RETURN_IF_ERROR(NoRows(kShardsOfNoStream));
  EDDY_RETURN_IF_ERROR(NoRows(kShardNumbers));
  EDDY_RETURN_IF_ERROR(NoRows(kSharedLogs));

  const std::string zero(16, '\0');
  std::string stream;
  std::string expected = zero;  // where the next range has to begin
  const auto end_stream = [&] {
    if (expected != zero) {
      Damage(absl::StrCat("stream ", stream, ": no shard for hash keys from ", Hex(expected)));
    }
    expected = zero;
  };
  EDDY_ASSIGN_OR_RETURN(sql::Statement rows, db_.Prepare(kShards));
  for (;;) {
    EDDY_ASSIGN_OR_RETURN(const bool has_row, rows.Step());
    if (!has_row) break;
    if (rows.ColumnText(0) != stream) {
      end_stream();
      stream = std::string(rows.ColumnText(0));
    }
    const std::string name = absl::StrCat("stream ", stream, ", shard ", rows.ColumnInt(1));
    if (rows.ColumnBlob(2) != expected) {
      Damage(absl::StrCat(name, ": its hash range begins at ", Hex(rows.ColumnBlob(2)), ", not ",
                          Hex(expected)));
    }
    expected = Successor(std::string(rows.ColumnBlob(3)));
    if (rows.ColumnInt(4) == 0) Damage(absl::StrCat(name, ": its log does not exist"));
  }
  end_stream();
  return absl::OkStatus();
}

absl::Status Checker::CheckCursors() {
  EDDY_RETURN_IF_ERROR(NoRows(kCursorsOfNoShard));
  // One view of cursors and logs: the owner moves both.
  EDDY_ASSIGN_OR_RETURN(sql::Transaction view, sql::Transaction::Begin(db_));
  {
    EDDY_ASSIGN_OR_RETURN(sql::Statement rows, db_.Prepare(kCursors));
    EDDY_ASSIGN_OR_RETURN(sql::Statement log_end, db_.Prepare(kLogEnd));
    for (;;) {
      EDDY_ASSIGN_OR_RETURN(const bool has_row, rows.Step());
      if (!has_row) break;
      sql::AutoReset reset(log_end);
      log_end.Bind(1, rows.ColumnInt(3));
      EDDY_ASSIGN_OR_RETURN(const bool found, log_end.Step());
      if (found && rows.ColumnInt(2) > log_end.ColumnInt(0)) {
        Damage(absl::StrCat("stream ", AbslView(rows.ColumnText(5)), ", shard ",
                            rows.ColumnInt(1), ": cursor ", AbslView(rows.ColumnText(0)), " at ",
                            rows.ColumnInt(2), ", but the log ends at ", log_end.ColumnInt(0)));
      }
    }
  }
  return view.Commit();
}

absl::Status Checker::CheckQueues() {
  EDDY_RETURN_IF_ERROR(NoRows(kQueuesOfNoLog));
  EDDY_RETURN_IF_ERROR(NoRows(kDeadLetterQueues));
  EDDY_RETURN_IF_ERROR(NoRows(kPlaces));
  return NoRows(kDeliveriesOfNoQueue);
}

// A row and the message it speaks of are looked at in one view; between two
// rows the owner may do what it likes.
absl::Status Checker::CheckDeliveries() {
  // Until a salvage is done, not all messages are there.
  EDDY_ASSIGN_OR_RETURN(const std::string salvage, log::MetaText(db_, log::kMetaSalvage));
  if (salvage == log::kSalvageRunning) return absl::OkStatus();
  EDDY_ASSIGN_OR_RETURN(sql::Statement next, db_.Prepare(kNextDelivery));
  EDDY_ASSIGN_OR_RETURN(sql::Statement block, db_.Prepare(kBlockAt));
  constexpr int kLooksMax = 3;
  int looks = 0;
  for (int64_t queue = 0, position = -1;;) {
    EDDY_ASSIGN_OR_RETURN(sql::Transaction view, sql::Transaction::Begin(db_));
    const int64_t queue_before = queue;
    const int64_t position_before = position;
    {
      sql::AutoReset reset_next(next);
      sql::AutoReset reset_block(block);
      next.Bind(1, queue).Bind(2, position);
      EDDY_ASSIGN_OR_RETURN(const bool has_row, next.Step());
      if (!has_row) return absl::OkStatus();
      queue = next.ColumnInt(0);
      position = next.ColumnInt(1);
      const log::LogId log = static_cast<log::LogId>(next.ColumnInt(2));
      block.Bind(1, log::BlockId(log, 0))
          .Bind(2, log::BlockId(log, static_cast<uint64_t>(position)));
      EDDY_ASSIGN_OR_RETURN(const bool has_block, block.Step());
      bool found = false;
      bool changed = false;  // its bytes lie outside, and are others already
      if (has_block) {
        std::unique_ptr<char[]> outside;
        std::unique_ptr<char[]> memory;
        const absl::StatusOr<std::string_view> stored = extents_.BytesOf(block, 1, &outside);
        if (absl::IsUnavailable(stored.status())) return stored.status();
        changed = block.ColumnIsInt(1) &&
                  log::BlockChecksum(stored.value_or(""), block.ColumnInt(0),
                                     block.ColumnInt(2)) !=
                      static_cast<uint64_t>(block.ColumnInt(3));
        const std::string_view bytes =
            log::StoredFrames(stored.value_or(""), block.ColumnInt(2), &memory).value_or("");
        const uint64_t first = PositionOf(block.ColumnInt(0));
        log::FrameView frame;
        for (size_t at = 0; !found && first + at <= static_cast<uint64_t>(position) &&
                            log::ParseFrame(bytes.data() + at, bytes.size() - at, first + at,
                                            &frame);) {
          found = frame.position == static_cast<uint64_t>(position);
          at += static_cast<size_t>(frame.end - frame.position);
        }
      }
      if (changed && ++looks < kLooksMax) {
        queue = queue_before;
        position = position_before;
        continue;
      }
      looks = 0;
      if (!found && !changed) {  // of the block's damage CheckBlocks has told
        Damage(absl::StrCat("queue ", AbslView(next.ColumnText(3)), ": received ",
                            next.ColumnInt(4), " times, but no message at ", position));
      }
    }
    EDDY_RETURN_IF_ERROR(view.Commit());
  }
}

namespace {

// Whether the error of a look says that the store is damaged, and not that it cannot be
// looked at.
bool SaysDamage(const std::string& directory, const absl::Status& status,
                const sql::CountingVfs& vfs) {
  if (vfs.ReadFailures() > 0) return false;  // SQLite takes some for damage
  if (absl::IsDataLoss(status) || sql::IsUnknownName(status)) return true;
  if (!sql::IsForeign(status)) return false;
  const auto store = log::DamagedStore::Open(directory + log::kDatabaseFile, vfs.name());
  return store.ok() && (*store)->IsOurs().value_or(false);
}

}  // namespace

int RunCheck(const Words& words) {
  ArgumentRules rules;
  rules.flags = {"--quiet", "--deep"};
  rules.positional_min = rules.positional_max = 1;
  const absl::StatusOr<Arguments> arguments = Arguments::Parse(words, rules);
  if (!arguments.ok()) return Fail(arguments.status(), kExitUsage);
  const std::string& directory = (*arguments)[0];
  // Before the store, whose connections it outlives.
  const absl::StatusOr<std::unique_ptr<sql::CountingVfs>> vfs = sql::CountingVfs::Register("");
  if (!vfs.ok()) return Fail(vfs.status(), kExitUsage);
  const auto failed = [&](const absl::Status& status) {
    return Fail(status, SaysDamage(directory, status, **vfs) ? kExitFailed : kExitUsage);
  };
  absl::StatusOr<ReadOnlyStore> store = ReadOnlyStore::Open(directory, (*vfs)->name());
  if (!store.ok()) return failed(store.status());

  const bool owned = store->OwnerPid() != 0;
  const bool deep = !owned || arguments->Has("--deep");
  Checker checker(*store, deep, [](const std::string& what) {
    std::printf("damaged: %s\n", what.c_str());
  });
  const absl::Status checked = checker.Run();
  if (!checked.ok()) return failed(checked);
  if (!arguments->Has("--quiet")) {
    std::printf("%" PRIu64 " blocks, %" PRIu64 " frames, %" PRIu64 " damaged%s%s\n",
                checker.block_count(), checker.frame_count(), checker.damage_count(),
                owned ? " (of what the living owner has committed)" : "",
                deep ? "" : "; without --deep, SQLite's own check of the file was left out");
  }
  return checker.damage_count() == 0 ? kExitOk : kExitFailed;
}

}  // namespace eddy::cli
