#include "src/log/block_store.h"

#include <algorithm>
#include <cstring>
#include <utility>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/base/strings.h"
#include "src/log/block_codec.h"

namespace eddy::log {
namespace {

// A reader of each of a few shards goes on where it was; more would only hold
// memory that SQLite's pages and the kernel's cache hold already.
constexpr size_t kCachedBlocksMax = 4;

constexpr char kInsert[] =
    "INSERT INTO blocks (id, frame_count, first_time_ms, last_time_ms, time_trusted, kept_ms, "
    "checksum, span, bytes) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";
// The last block that begins at or below a position: it may reach beyond it.
constexpr char kFindBelow[] =
    "SELECT id, " EDDY_BLOCK_SPAN " FROM blocks WHERE id >= ? AND id <= ? "
    "ORDER BY id DESC LIMIT 1";
constexpr char kListBelow[] =
    "SELECT frame_count, " EDDY_BLOCK_BYTES ", CASE typeof(bytes) WHEN 'integer' THEN bytes "
    "ELSE 0 END FROM blocks WHERE id >= ? AND id < ?";
constexpr char kDeleteBelow[] = "DELETE FROM blocks WHERE id >= ? AND id < ?";
constexpr char kTrimLog[] =
    "UPDATE logs SET oldest_position = max(oldest_position, ?), "
    "end_position = max(end_position, ?) WHERE id = ?";
constexpr char kSetEnd[] =
    "UPDATE logs SET end_position = max(end_position, ?), "
    "reserved_position = max(reserved_position, ?) WHERE id = ?";
constexpr char kList[] =
    "SELECT id, frame_count, " EDDY_BLOCK_SPAN ", " EDDY_BLOCK_BYTES ", first_time_ms, last_time_ms, "
    "kept_ms FROM blocks WHERE id >= ? AND id < ? ORDER BY id LIMIT ?";
constexpr char kRead[] =
    "SELECT checksum, " EDDY_BLOCK_SPAN ", bytes FROM blocks WHERE id = ?";
constexpr char kPlace[] =
    "SELECT CASE typeof(bytes) WHEN 'integer' THEN bytes ELSE 0 END FROM blocks WHERE id = ?";
constexpr char kDelete[] = "DELETE FROM blocks WHERE id = ?";
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
constexpr char kByTime[] =
    "SELECT id, frame_count, checksum, " EDDY_BLOCK_SPAN ", bytes FROM blocks "
    "WHERE id >= ? AND id < ? AND last_time_ms >= ? ORDER BY id LIMIT 1";
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
    "WHERE id >= ? AND id < ? AND last_time_ms >= ? ORDER BY id LIMIT 1";
constexpr char kNext[] =
    "SELECT id FROM blocks WHERE id > ? AND id < ? ORDER BY id LIMIT 1";

// Of the damaged blocks that are told apart; the next one is counted each time.
constexpr size_t kDamagedIdsMax = 4096;

LogId LogOf(int64_t id) { return static_cast<LogId>(id >> kBlockPositionBits); }
absl::Status NoFile() {
  return absl::UnavailableError("after a failed sync the database is being opened anew");
}
uint64_t FirstOf(int64_t id) {
  return (static_cast<uint64_t>(id) & ((uint64_t{1} << kBlockPositionBits) - 1)) << 2;
}

// The bytes in memory that stays: `outside`, if they lie there, else they are SQLite's.
std::unique_ptr<char[]> KeptBytes(std::string_view bytes, std::unique_ptr<char[]> outside) {
  if (outside != nullptr) return outside;
  std::unique_ptr<char[]> copy(new char[bytes.size()]);
  std::memcpy(copy.get(), bytes.data(), bytes.size());
  return copy;
}

}  // namespace

uint64_t BlockChecksum(std::string_view bytes, int64_t id, int64_t span) {
  const uint64_t seed =
      static_cast<uint64_t>(id) ^ (static_cast<uint64_t>(span) * 0x9e3779b97f4a7c15u);
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

absl::StatusOr<std::unique_ptr<BlockWriter>> BlockWriter::Create(sql::Database& db,
                                                                 const std::string& path,
                                                                 const sql::OpenOptions& options,
                                                                 bool use_extents) {
  auto writer = std::make_unique<BlockWriter>();
  EDDY_ASSIGN_OR_RETURN(writer->extents_, BlockExtents::Open(db, path, options, use_extents));
  writer->reader_ = std::make_unique<ExtentReader>(path, options.vfs);
  writer->reader_->Open().IgnoreError();
  EDDY_ASSIGN_OR_RETURN(writer->insert_, db.Prepare(kInsert));
  EDDY_ASSIGN_OR_RETURN(writer->find_below_, db.Prepare(kFindBelow));
  EDDY_ASSIGN_OR_RETURN(writer->list_below_, db.Prepare(kListBelow));
  EDDY_ASSIGN_OR_RETURN(writer->delete_below_, db.Prepare(kDeleteBelow));
  EDDY_ASSIGN_OR_RETURN(writer->trim_log_, db.Prepare(kTrimLog));
  EDDY_ASSIGN_OR_RETURN(writer->set_end_, db.Prepare(kSetEnd));
  EDDY_ASSIGN_OR_RETURN(writer->list_, db.Prepare(kList));
  EDDY_ASSIGN_OR_RETURN(writer->read_, db.Prepare(kRead));
  EDDY_ASSIGN_OR_RETURN(writer->place_, db.Prepare(kPlace));
  EDDY_ASSIGN_OR_RETURN(writer->delete_, db.Prepare(kDelete));
  return writer;
}

// What is to be stored: in packed_, or as it lies.
std::string_view BlockWriter::Pack(const BlockDraft& draft) {
  const std::string_view frames(draft.frames, static_cast<size_t>(draft.end - draft.first));
  if (!IsWorthPacking(frames.size(), draft.frame_count)) return frames;
  if (packed_bytes_max_ < frames.size()) {
    packed_bytes_max_ = frames.size();
    packed_.reset(new char[packed_bytes_max_]);
  }
  const size_t packed = PackBlock(frames, packed_.get());
  return packed == 0 ? frames : std::string_view(packed_.get(), packed);
}

absl::StatusOr<uint64_t> BlockWriter::Insert(const BlockDraft& draft, int64_t kept_ms) {
  EDDY_CHECK(draft.end > draft.first && draft.end <= kPositionMax);
  const int64_t id = BlockId(draft.log, draft.first);
  const int64_t span = static_cast<int64_t>(draft.end - draft.first);
  const std::string_view bytes = Pack(draft);
  int64_t outside = 0;
  if (extents_->Wants(bytes.size())) {
    EDDY_ASSIGN_OR_RETURN(outside, extents_->Put(bytes));
  }
  insert_.Bind(1, id)
      .Bind(2, static_cast<int64_t>(draft.frame_count))
      .Bind(3, draft.first_time_ms)
      .Bind(4, draft.last_time_ms)
      .Bind(5, draft.time_trusted ? 1 : 0)
      .Bind(6, kept_ms)
      .Bind(7, static_cast<int64_t>(BlockChecksum(bytes, id, span)))
      .Bind(8, SpanColumn(span));
  if (outside != 0) {
    insert_.Bind(9, outside);
  } else {
    insert_.BindBlob(9, bytes);
    inside_bytes_ += bytes.size();
  }
  EDDY_RETURN_IF_ERROR(insert_.Run());
  return bytes.size();
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
    sql::AutoReset reset(list_below_);
    list_below_.Bind(1, log_first).Bind(2, keep);
    for (;;) {
      EDDY_ASSIGN_OR_RETURN(const bool has_row, list_below_.Step());
      if (!has_row) break;
      ++sum.blocks;
      sum.frames += static_cast<uint64_t>(list_below_.ColumnInt(0));
      sum.bytes += static_cast<uint64_t>(list_below_.ColumnInt(1));
      extents_->Give(list_below_.ColumnInt(2));
    }
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

absl::Status BlockWriter::SetEnd(LogId log, uint64_t end, uint64_t reserved) {
  return set_end_.Bind(1, static_cast<int64_t>(end))
      .Bind(2, static_cast<int64_t>(reserved))
      .Bind(3, log)
      .Run();
}

absl::Status BlockWriter::List(LogId log, uint64_t from, uint64_t end, size_t most,
                               std::vector<BlockRow>* rows) {
  sql::AutoReset reset(list_);
  list_.Bind(1, BlockId(log, from)).Bind(2, BlockId(log, end)).Bind(3, static_cast<int64_t>(most));
  for (;;) {
    EDDY_ASSIGN_OR_RETURN(const bool found, list_.Step());
    if (!found) return absl::OkStatus();
    BlockRow& row = rows->emplace_back();
    row.id = list_.ColumnInt(0);
    row.log = log;
    row.first = FirstOf(row.id);
    row.end = row.first + static_cast<uint64_t>(list_.ColumnInt(2));
    row.frame_count = static_cast<uint64_t>(std::max<int64_t>(list_.ColumnInt(1), 0));
    row.bytes = static_cast<uint64_t>(list_.ColumnInt(3));
    row.first_time_ms = list_.ColumnInt(4);
    row.last_time_ms = list_.ColumnInt(5);
    row.kept_ms = list_.ColumnInt(6);
  }
}

absl::StatusOr<std::string_view> BlockWriter::Read(int64_t id, std::unique_ptr<char[]>* memory) {
  sql::AutoReset reset(read_);
  read_.Bind(1, id);
  const absl::StatusOr<bool> found = read_.Step();
  if (absl::IsDataLoss(found.status())) return std::string_view();
  EDDY_RETURN_IF_ERROR(found.status());
  if (!*found) return std::string_view();
  const int64_t span = read_.ColumnInt(1);
  std::unique_ptr<char[]> outside;
  const absl::StatusOr<std::string_view> stored = reader_->BytesOf(read_, 2, &outside);
  if (absl::IsUnavailable(stored.status())) return stored.status();
  if (!stored.ok()) return std::string_view();
  if (BlockChecksum(*stored, id, span) != static_cast<uint64_t>(read_.ColumnInt(0))) {
    return std::string_view();
  }
  const absl::StatusOr<std::string_view> frames = StoredFrames(*stored, span, memory);
  if (!frames.ok()) return std::string_view();
  if (*memory == nullptr) *memory = KeptBytes(*stored, std::move(outside));
  return std::string_view(memory->get(), frames->size());
}

absl::Status BlockWriter::Delete(int64_t id) {
  {
    sql::AutoReset reset(place_);
    place_.Bind(1, id);
    EDDY_ASSIGN_OR_RETURN(const bool is_there, place_.Step());
    if (is_there) extents_->Give(place_.ColumnInt(0));
  }
  return delete_.Bind(1, id).Run();
}

absl::StatusOr<std::unique_ptr<BlockStore>> BlockStore::Open(const std::string& path,
                                                             const sql::OpenOptions& options) {
  std::unique_ptr<BlockStore> store(new BlockStore());
  EDDY_RETURN_IF_ERROR(store->OpenFile(path, options));
  return store;
}

void BlockStore::CloseFile() {
  absl::MutexLock lock(&mu_);
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
  absl::MutexLock lock(&mu_);
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
  if (cache_.size() > kCachedBlocksMax) cache_.pop_back();
  return block;
}

absl::StatusOr<std::shared_ptr<const Block>> BlockStore::TakeRow(
    sql::Statement& find, sql::Statement& locate,
    const std::function<void(sql::Statement&)>& bind) {
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
  absl::MutexLock lock(&mu_);
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

absl::StatusOr<std::shared_ptr<const Block>> BlockStore::FindTime(LogId log, int64_t time_ms) {
  absl::MutexLock lock(&mu_);
  if (!db_) return NoFile();
  return TakeRow(by_time_, locate_by_time_, [&](sql::Statement& statement) {
    statement.Bind(1, BlockId(log, 0)).Bind(2, BlockId(log + 1, 0)).Bind(3, time_ms);
  });
}

DamageCounts BlockStore::damage() const {
  absl::MutexLock lock(&mu_);
  return damage_counts_;
}

}  // namespace eddy::log
