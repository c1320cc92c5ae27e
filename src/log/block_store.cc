#include "src/log/block_store.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/base/strings.h"
#include "src/log/block_codec.h"

namespace eddy::log {
namespace {

// A reader of each of a few shards goes on where it was; more would only hold
// memory that SQLite's pages and the kernel's cache hold already.
constexpr size_t kCachedBlocksMax = 4;

// The block that holds a position or the next one above it, in one statement and
// so in one snapshot: between two, a commit could put a block in between.
// ?1 the log's first id, ?2 the position's, ?3 the next log's first, ?4 the
// position's offset in the log.
constexpr char kFind[] =
    "SELECT id, frame_count, checksum, " EDDY_BLOCK_SPAN ", bytes FROM blocks WHERE id = coalesce("
    "(SELECT id FROM (SELECT id, " EDDY_BLOCK_SPAN " AS size FROM blocks "
    "  WHERE id >= ?1 AND id <= ?2 ORDER BY id DESC LIMIT 1) "
    "  WHERE ((id - ?1) << 2) + size > ?4), "
    "(SELECT id FROM blocks WHERE id > ?2 AND id < ?3 ORDER BY id LIMIT 1))";
#define EDDY_BY_TIME                                                              \
  "WHERE id >= ?1 AND id < ?2 AND (last_time_ms >= ?3 OR (time_trusted = 0 AND " \
  "last_time_ms >= ?4)) ORDER BY id LIMIT 1"
constexpr char kByTime[] =
    "SELECT id, frame_count, checksum, " EDDY_BLOCK_SPAN ", bytes FROM blocks "
    EDDY_BY_TIME;
// The same without the bytes, which lie on pages of their own: a row is found
// though its bytes cannot be read.
constexpr char kLocate[] =
    "SELECT id, frame_count, " EDDY_BLOCK_SPAN " FROM blocks WHERE id = coalesce("
    "(SELECT id FROM (SELECT id, " EDDY_BLOCK_SPAN " AS size FROM blocks "
    "  WHERE id >= ?1 AND id <= ?2 ORDER BY id DESC LIMIT 1) "
    "  WHERE ((id - ?1) << 2) + size > ?4), "
    "(SELECT id FROM blocks WHERE id > ?2 AND id < ?3 ORDER BY id LIMIT 1))";
constexpr char kLocateByTime[] =
    "SELECT id, frame_count, " EDDY_BLOCK_SPAN " FROM blocks "
    EDDY_BY_TIME;
constexpr char kNext[] =
    "SELECT id FROM blocks WHERE id > ? AND id < ? ORDER BY id LIMIT 1";

// Of the damaged blocks that are told apart; the next one is counted each time.
constexpr size_t kDamagedIdsMax = 4096;

absl::Status NoFile() {
  return absl::UnavailableError("after a failed sync the database is being opened anew");
}

}  // namespace

absl::StatusOr<std::unique_ptr<BlockStore>> BlockStore::Open(const std::string& path,
                                                             const sql::OpenOptions& options) {
  std::unique_ptr<BlockStore> store(new BlockStore());
  EDDY_RETURN_IF_ERROR(store->OpenFile(path, options));
  return store;
}

void BlockStore::CloseFile() {
  MutexLock lock(&mu_);
  for (sql::Statement* statement : {&find_, &by_time_, &locate_, &locate_by_time_, &next_}) {
    *statement = sql::Statement();
  }
  db_.reset();
  extents_.reset();
  cache_.clear();
}

absl::Status BlockStore::OpenFile(const std::string& path, const sql::OpenOptions& options) {
  CloseFile();
  EDDY_ASSIGN_OR_RETURN(sql::Database db, sql::Database::Open(path, options));
  EDDY_ASSIGN_OR_RETURN(sql::Statement find, db.Prepare(kFind));
  EDDY_ASSIGN_OR_RETURN(sql::Statement by_time, db.Prepare(kByTime));
  EDDY_ASSIGN_OR_RETURN(sql::Statement locate, db.Prepare(kLocate));
  EDDY_ASSIGN_OR_RETURN(sql::Statement locate_by_time, db.Prepare(kLocateByTime));
  EDDY_ASSIGN_OR_RETURN(sql::Statement next, db.Prepare(kNext));
  MutexLock lock(&mu_);
  extents_ = std::make_unique<ExtentReader>(path, options.vfs);
  extents_->Open().IgnoreError();
  find_ = std::move(find);
  by_time_ = std::move(by_time);
  locate_ = std::move(locate);
  locate_by_time_ = std::move(locate_by_time);
  next_ = std::move(next);
  db_ = std::move(db);
  return absl::OkStatus();
}

std::shared_ptr<const Block> BlockStore::Cache(std::shared_ptr<const Block> block) {
  cache_.push_front(block);
  return block;
}

absl::StatusOr<std::shared_ptr<const Block>> BlockStore::TakeRow(
    sql::Statement& find, sql::Statement& locate,
    const std::function<void(sql::Statement&)>& bind) {
  // First, so that memory never holds one more.
  if (cache_.size() == kCachedBlocksMax) cache_.pop_back();
  // Until it is there, or has not changed between two looks.
  for (std::optional<std::pair<int64_t, int64_t>> unfit;;) {
    bind(find);
    bind(locate);
    sql::AutoReset reset(find);
    const absl::StatusOr<bool> found = find.Step();
    if (absl::IsDataLoss(found.status())) return TakeDamaged(locate, found.status());
    EDDY_RETURN_IF_ERROR(found.status());
    if (!*found) return std::shared_ptr<const Block>();
    const auto place = std::make_pair(find.ColumnInt(0), find.ColumnInt(4));
    EDDY_ASSIGN_OR_RETURN(std::shared_ptr<const Block> block, Take(find, unfit == place));
    if (block != nullptr) return block;
    unfit = place;
  }
}

absl::StatusOr<std::shared_ptr<const Block>> BlockStore::Take(sql::Statement& row, bool again) {
  const int64_t id = row.ColumnInt(0);
  const int64_t span = row.ColumnInt(3);
  std::unique_ptr<char[]> outside;
  const absl::StatusOr<std::string_view> read = extents_->BytesOf(row, 4, &outside);
  const std::string_view stored = read.ok() ? *read : std::string_view();
  const auto damaged = [&](std::string_view what) {
    mu_.AssertHeld();
    return Damaged(id, row.ColumnInt(1), span,
                   absl::DataLossError(absl::StrCat(
                       "log ", LogOf(id), ": the block at position ", FirstOf(id), " (",
                       stored.size(), " bytes) ", AbslView(what))));
  };
  if (absl::IsUnavailable(read.status())) return read.status();
  if (!read.ok() || BlockChecksum(stored, id, span) != static_cast<uint64_t>(row.ColumnInt(2))) {
    // Between the row and its bytes it may have been dropped, and its place used again.
    if (row.ColumnIsInt(4) && !again) return std::shared_ptr<const Block>();
    return damaged(read.ok() ? std::string("does not match its checksum")
                             : std::string(read.status().message()));
  }
  auto block = std::make_shared<Block>();
  block->log = LogOf(id);
  block->first = FirstOf(id);
  block->frame_count = static_cast<uint64_t>(row.ColumnInt(1));
  const absl::StatusOr<std::string_view> frames = StoredFrames(stored, span, &block->memory);
  if (!frames.ok()) return damaged(absl::StrCat("holds ", frames.status().message()));
  block->frames = *frames;
  if (block->memory == nullptr) {
    block->memory = KeptBytes(stored, std::move(outside));
    block->frames = {block->memory.get(), stored.size()};
  }
  block->end = block->first + block->frames.size();
  return Cache(std::move(block));
}

absl::StatusOr<std::shared_ptr<const Block>> BlockStore::TakeDamaged(sql::Statement& locate,
                                                                     const absl::Status& damage) {
  sql::AutoReset reset(locate);
  const absl::StatusOr<bool> found = locate.Step();
  if (!found.ok() || !*found) {  // not the block alone
    table_is_damaged_.store(true, std::memory_order_relaxed);
    return damage;
  }
  return Damaged(locate.ColumnInt(0), locate.ColumnInt(1), locate.ColumnInt(2), damage);
}

std::shared_ptr<const Block> BlockStore::Damaged(int64_t id, int64_t frame_count, int64_t span,
                                                 const absl::Status& damage) {
  auto block = std::make_shared<Block>();
  block->log = LogOf(id);
  block->first = FirstOf(id);
  // No number of the row is sure: a block holds something, and ends where the next
  // one begins at the latest.
  const uint64_t bytes = AlignFrame(static_cast<size_t>(
      std::clamp<int64_t>(span, kFrameAlignment, int64_t{kBlockSpanMax})));
  block->end = block->first + bytes;
  sql::AutoReset reset(next_);
  next_.Bind(1, id).Bind(2, BlockId(block->log + 1, 0));
  const absl::StatusOr<bool> has_next = next_.Step();
  if (has_next.ok() && *has_next) {
    block->end = std::min(block->end, FirstOf(next_.ColumnInt(0)));
  }
  const uint64_t frames_most = (block->end - block->first) / kFrameHeaderBytes;
  block->frame_count = std::clamp<uint64_t>(
      static_cast<uint64_t>(std::max<int64_t>(frame_count, 1)), 1,
      std::max<uint64_t>(frames_most, 1));
  block->damage = damage;
  if (damaged_.size() >= kDamagedIdsMax || damaged_.insert(id).second) {
    ++damage_counts_.blocks;
    damage_counts_.frames += block->frame_count;
  }
  // Not cached: a read that failed for once is not to be remembered.
  return block;
}

absl::StatusOr<std::shared_ptr<const Block>> BlockStore::Find(LogId log, uint64_t position) {
  MutexLock lock(&mu_);
  for (auto it = cache_.begin(); it != cache_.end(); ++it) {
    if ((*it)->log == log && (*it)->first <= position && position < (*it)->end) {
      cache_.splice(cache_.begin(), cache_, it);
      return cache_.front();
    }
  }
  if (position > kPositionMax) return std::shared_ptr<const Block>();
  if (!db_) return NoFile();
  return TakeRow(find_, locate_, [&](sql::Statement& statement) {
    statement.Bind(1, BlockId(log, 0))
        .Bind(2, BlockId(log, position))
        .Bind(3, BlockId(log + 1, 0))
        .Bind(4, static_cast<int64_t>(position));
  });
}

absl::StatusOr<std::shared_ptr<const Block>> BlockStore::FindTime(LogId log, uint64_t first,
                                                                  uint64_t end, int64_t time_ms,
                                                                  int64_t guessed_ms) {
  MutexLock lock(&mu_);
  if (!db_) return NoFile();
  return TakeRow(by_time_, locate_by_time_, [&](sql::Statement& statement) {
    statement.Bind(1, BlockId(log, first))
        .Bind(2, end > kPositionMax ? BlockId(log + 1, 0) : BlockId(log, end))
        .Bind(3, time_ms)
        .Bind(4, guessed_ms);
  });
}

bool BlockStore::IsLost(LogId log, uint64_t position) {
  if (!is_whole_) table_is_damaged_.store(true, std::memory_order_relaxed);
  MutexLock lock(&mu_);
  const int64_t id = BlockId(log, position);
  if (damaged_.size() >= kDamagedIdsMax || damaged_.insert(id).second) ++damage_counts_.frames;
  return is_whole_;
}

DamageCounts BlockStore::damage() const {
  MutexLock lock(&mu_);
  return damage_counts_;
}

}  // namespace eddy::log
