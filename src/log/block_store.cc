#include "src/log/block_store.h"

#include <utility>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "absl/strings/str_cat.h"
#include "src/base/status.h"

namespace eddy::log {
namespace {

// A reader of each of a few shards goes on where it was; more would only hold
// memory that SQLite's pages and the kernel's cache hold already.
constexpr size_t kCachedBlocksMax = 4;

constexpr char kInsert[] =
    "INSERT INTO blocks (id, frame_count, first_time_ms, last_time_ms, time_trusted, kept_ms, "
    "checksum, bytes) VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
// The last block that begins at or below a position: it may reach beyond it.
constexpr char kFindBelow[] =
    "SELECT id, length(bytes) FROM blocks WHERE id >= ? AND id <= ? ORDER BY id DESC LIMIT 1";
constexpr char kSumBelow[] =
    "SELECT count(*), coalesce(sum(frame_count), 0), coalesce(sum(length(bytes)), 0) "
    "FROM blocks WHERE id >= ? AND id < ?";
constexpr char kDeleteBelow[] = "DELETE FROM blocks WHERE id >= ? AND id < ?";
constexpr char kTrimLog[] =
    "UPDATE logs SET oldest_position = max(oldest_position, ?), "
    "end_position = max(end_position, ?) WHERE id = ?";
constexpr char kSetEnd[] = "UPDATE logs SET end_position = max(end_position, ?) WHERE id = ?";
// The block that holds a position or the next one above it, in one statement and
// so in one snapshot: between two, a commit could put a block in between.
// ?1 the log's first id, ?2 the position's, ?3 the next log's first, ?4 the
// position's offset in the log.
constexpr char kFind[] =
    "SELECT id, checksum, bytes FROM blocks WHERE id = coalesce("
    "(SELECT id FROM (SELECT id, length(bytes) AS size FROM blocks "
    "  WHERE id >= ?1 AND id <= ?2 ORDER BY id DESC LIMIT 1) "
    "  WHERE ((id - ?1) << 2) + size > ?4), "
    "(SELECT id FROM blocks WHERE id > ?2 AND id < ?3 ORDER BY id LIMIT 1))";
constexpr char kByTime[] =
    "SELECT id, checksum, bytes FROM blocks WHERE id >= ? AND id < ? AND last_time_ms >= ? "
    "ORDER BY id LIMIT 1";

}  // namespace

uint64_t BlockChecksum(std::string_view bytes, int64_t id) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), static_cast<uint64_t>(id));
}

absl::StatusOr<std::unique_ptr<BlockWriter>> BlockWriter::Create(sql::Database& db) {
  auto writer = std::make_unique<BlockWriter>();
  EDDY_ASSIGN_OR_RETURN(writer->insert_, db.Prepare(kInsert));
  EDDY_ASSIGN_OR_RETURN(writer->find_below_, db.Prepare(kFindBelow));
  EDDY_ASSIGN_OR_RETURN(writer->sum_below_, db.Prepare(kSumBelow));
  EDDY_ASSIGN_OR_RETURN(writer->delete_below_, db.Prepare(kDeleteBelow));
  EDDY_ASSIGN_OR_RETURN(writer->trim_log_, db.Prepare(kTrimLog));
  EDDY_ASSIGN_OR_RETURN(writer->set_end_, db.Prepare(kSetEnd));
  return writer;
}

absl::Status BlockWriter::Insert(const BlockDraft& draft, int64_t kept_ms) {
  EDDY_CHECK(draft.end > draft.first && draft.end <= kPositionMax);
  const int64_t id = BlockId(draft.log, draft.first);
  const std::string_view bytes(draft.frames, static_cast<size_t>(draft.end - draft.first));
  return insert_.Bind(1, id)
      .Bind(2, static_cast<int64_t>(draft.frame_count))
      .Bind(3, draft.first_time_ms)
      .Bind(4, draft.last_time_ms)
      .Bind(5, draft.time_trusted ? 1 : 0)
      .Bind(6, kept_ms)
      .Bind(7, static_cast<int64_t>(BlockChecksum(bytes, id)))
      .BindBlob(8, bytes)
      .Run();
}

absl::StatusOr<BlockSum> BlockWriter::Trim(LogId log, uint64_t before, uint64_t log_end) {
  const int64_t log_first = BlockId(log, 0);
  int64_t keep = BlockId(log, before);
  {
    sql::AutoReset reset(find_below_);
    find_below_.Bind(1, log_first).Bind(2, keep);
    EDDY_ASSIGN_OR_RETURN(const bool found, find_below_.Step());
    if (found) {
      const int64_t id = find_below_.ColumnInt(0);
      const uint64_t end = (static_cast<uint64_t>(id - log_first) << 2) +
                           static_cast<uint64_t>(find_below_.ColumnInt(1));
      keep = end <= before ? id + 1 : id;
    }
  }
  BlockSum sum;
  {
    sql::AutoReset reset(sum_below_);
    sum_below_.Bind(1, log_first).Bind(2, keep);
    EDDY_RETURN_IF_ERROR(sum_below_.Step().status());
    sum = {static_cast<uint64_t>(sum_below_.ColumnInt(0)),
           static_cast<uint64_t>(sum_below_.ColumnInt(1)),
           static_cast<uint64_t>(sum_below_.ColumnInt(2))};
  }
  if (sum.blocks > 0) {
    EDDY_RETURN_IF_ERROR(delete_below_.Bind(1, log_first).Bind(2, keep).Run());
  }
  EDDY_RETURN_IF_ERROR(trim_log_.Bind(1, static_cast<int64_t>(before))
                           .Bind(2, static_cast<int64_t>(log_end))
                           .Bind(3, log)
                           .Run());
  return sum;
}

absl::Status BlockWriter::SetEnd(LogId log, uint64_t end) {
  return set_end_.Bind(1, static_cast<int64_t>(end)).Bind(2, log).Run();
}

absl::StatusOr<std::unique_ptr<BlockStore>> BlockStore::Open(const std::string& path,
                                                             const sql::OpenOptions& options) {
  EDDY_ASSIGN_OR_RETURN(sql::Database db, sql::Database::Open(path, options));
  std::unique_ptr<BlockStore> store(new BlockStore(std::move(db)));
  absl::MutexLock lock(&store->mu_);
  EDDY_ASSIGN_OR_RETURN(store->find_, store->db_.Prepare(kFind));
  EDDY_ASSIGN_OR_RETURN(store->by_time_, store->db_.Prepare(kByTime));
  return store;
}

absl::StatusOr<std::shared_ptr<const Block>> BlockStore::Take(sql::Statement& row) {
  auto block = std::make_shared<Block>();
  const int64_t id = row.ColumnInt(0);
  block->log = static_cast<LogId>(id >> kBlockPositionBits);
  block->first = (static_cast<uint64_t>(id) & ((uint64_t{1} << kBlockPositionBits) - 1)) << 2;
  const std::string_view bytes = row.ColumnBlob(2);
  if (BlockChecksum(bytes, id) != static_cast<uint64_t>(row.ColumnInt(1))) {
    return absl::DataLossError(absl::StrCat("log ", block->log, ": the block at position ",
                                            block->first, " (", bytes.size(),
                                            " bytes) does not match its checksum"));
  }
  block->bytes.assign(bytes);
  block->end = block->first + block->bytes.size();
  cache_.push_front(block);
  if (cache_.size() > kCachedBlocksMax) cache_.pop_back();
  return std::shared_ptr<const Block>(block);
}

absl::StatusOr<std::shared_ptr<const Block>> BlockStore::Find(LogId log, uint64_t position) {
  absl::MutexLock lock(&mu_);
  for (auto it = cache_.begin(); it != cache_.end(); ++it) {
    if ((*it)->log == log && (*it)->first <= position && position < (*it)->end) {
      cache_.splice(cache_.begin(), cache_, it);
      return cache_.front();
    }
  }
  if (position > kPositionMax) return std::shared_ptr<const Block>();
  sql::AutoReset reset(find_);
  find_.Bind(1, BlockId(log, 0))
      .Bind(2, BlockId(log, position))
      .Bind(3, BlockId(log + 1, 0))
      .Bind(4, static_cast<int64_t>(position));
  EDDY_ASSIGN_OR_RETURN(const bool found, find_.Step());
  if (!found) return std::shared_ptr<const Block>();
  return Take(find_);
}

absl::StatusOr<std::shared_ptr<const Block>> BlockStore::FindTime(LogId log, int64_t time_ms) {
  absl::MutexLock lock(&mu_);
  sql::AutoReset reset(by_time_);
  by_time_.Bind(1, BlockId(log, 0)).Bind(2, BlockId(log + 1, 0)).Bind(3, time_ms);
  EDDY_ASSIGN_OR_RETURN(const bool found, by_time_.Step());
  if (!found) return std::shared_ptr<const Block>();
  return Take(by_time_);
}

}  // namespace eddy::log
