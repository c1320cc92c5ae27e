#include "src/log/block_writer.h"

#include <algorithm>
#include <utility>

#include "src/base/status.h"
#include "src/log/meta.h"

namespace eddy::log {
namespace {

constexpr uint64_t kTrimmedRowBytes = 96;  // and what the index of places holds of it; about

constexpr char kInsert[] =
    "INSERT INTO blocks (id, frame_count, first_time_ms, last_time_ms, time_trusted, kept_ms, "
    "checksum, span, bytes) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";
// The last block that begins at or below a position: it may reach beyond it.
constexpr char kFindBelow[] =
    "SELECT id, " EDDY_BLOCK_SPAN " FROM blocks WHERE id >= ? AND id <= ? "
    "ORDER BY id DESC LIMIT 1";
constexpr char kListBelow[] =
    "SELECT frame_count, " EDDY_BLOCK_BYTES ", " EDDY_BLOCK_PLACE ", id"
    " FROM blocks WHERE id >= ? AND id < ? ORDER BY id";
constexpr char kDeleteBelow[] = "DELETE FROM blocks WHERE id >= ? AND id < ?";
constexpr char kTrimLog[] =
    "UPDATE logs SET oldest_position = max(oldest_position, ?), "
    "end_position = max(end_position, ?) WHERE id = ?";
constexpr char kSetEnd[] =
    "UPDATE logs SET end_position = max(end_position, ?), "
    "reserved_position = max(reserved_position, ?) WHERE id = ?";
constexpr char kList[] =
    "SELECT id, frame_count, " EDDY_BLOCK_SPAN ", " EDDY_BLOCK_BYTES ", first_time_ms, "
    "last_time_ms, kept_ms FROM blocks WHERE id >= ? AND id < ? ORDER BY id LIMIT ?";
constexpr char kRead[] =
    "SELECT checksum, " EDDY_BLOCK_SPAN ", bytes FROM blocks WHERE id = ?";
constexpr char kPlace[] = "SELECT " EDDY_BLOCK_PLACE " FROM blocks WHERE id = ?";
constexpr char kDelete[] = "DELETE FROM blocks WHERE id = ?";
constexpr char kLastOutside[] =
    "SELECT id, bytes FROM blocks INDEXED BY blocks_outside WHERE typeof(bytes) = 'integer' "
    "ORDER BY bytes DESC LIMIT ?";
constexpr char kMove[] = "UPDATE blocks SET bytes = ? WHERE id = ?";

// The file beside the database is cut where it becomes shorter by so much; where files
// are bounded, and nearly as large as they may be, always.
constexpr uint64_t kCutBytesMin = 1 << 20;

// Of one MoveLast.
constexpr uint64_t kMovedBytesMax = 1 << 20;
constexpr int64_t kLookedAtMax = 64;

}  // namespace

absl::StatusOr<std::unique_ptr<BlockWriter>> BlockWriter::Create(sql::Database& db,
                                                                 const std::string& path,
                                                                 const sql::OpenOptions& options,
                                                                 bool use_extents, Files* files) {
  auto writer = std::make_unique<BlockWriter>();
  writer->pages_ = db.page_counts();
  EDDY_ASSIGN_OR_RETURN(writer->extents_,
                        BlockExtents::Open(db, path, options, use_extents, files));
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
  absl::StatusOr<sql::Statement> last_outside = db.Prepare(kLastOutside);
  if (last_outside.ok()) writer->last_outside_ = *std::move(last_outside);
  EDDY_ASSIGN_OR_RETURN(writer->move_, db.Prepare(kMove));
  return writer;
}

absl::StatusOr<RoomPlan> BlockWriter::PlanWith(const ExtentMap& outside) {
  EDDY_ASSIGN_OR_RETURN(const sql::FileSizes sizes, pages_->Now());
  return RoomPlan(bounds_, sizes.all, sizes.free, outside, extents_->IsUsed());
}

absl::StatusOr<RoomPlan> BlockWriter::Plan() {
  if (extents_->IsUsed()) return PlanWith(extents_->map().Planned());
  ExtentMap full;  // nothing of it is free to be used
  full.AddTaken(0, extents_->file_bytes());
  return PlanWith(full);
}

absl::StatusOr<int64_t> BlockWriter::Place(std::string_view bytes) {
  const bool bounded = bounds_.most_bytes != UINT64_MAX;
  const bool large = bytes.size() >= kExtentBytesMin;
  if (!(large || (bounded && bytes.size() >= kExtentAlignment)) || !extents_->Takes()) return 0;
  uint64_t most = UINT64_MAX;
  if (bounded) {
    EDDY_ASSIGN_OR_RETURN(const RoomPlan plan, PlanWith(extents_->map()));
    if (plan.Find(bytes.size()) != RoomPlan::Where::kOutside) return 0;
    most = large ? plan.OutsideMost() : 0;
  }
  absl::StatusOr<int64_t> place = extents_->Put(bytes, most);
  if (!absl::IsResourceExhausted(place.status())) return place;
  EDDY_ASSIGN_OR_RETURN(const sql::FileSizes sizes, pages_->Now());
  if (sizes.free >= bytes.size() + BlockOverhead(bounds_.page_bytes)) return 0;
  return place;
}

absl::Status BlockWriter::Settle(sql::Database& db) {
  if (extents_ == nullptr || !extents_->in_doubt()) return absl::OkStatus();
  EDDY_RETURN_IF_ERROR(CountUp(db));
  extents_->Settle();
  return absl::OkStatus();
}

absl::StatusOr<uint64_t> BlockWriter::MoveLast() {
  if (!last_outside_ || !extents_->Takes()) return uint64_t{0};
  struct Outside {
    int64_t id = 0;
    int64_t ref = 0;
  };
  std::vector<Outside> last;
  {
    sql::AutoReset reset(*last_outside_);
    last_outside_->Bind(1, kLookedAtMax);
    for (;;) {
      EDDY_ASSIGN_OR_RETURN(const bool found, last_outside_->Step());
      if (!found) break;
      last.push_back({last_outside_->ColumnInt(0), last_outside_->ColumnInt(1)});
    }
  }
  uint64_t moved = 0;
  for (const Outside& block : last) {
    if (moved >= kMovedBytesMax) break;
    // As they are: the checksum is of the bytes, wherever they lie. What cannot be read or
    // fits nowhere stays; those before it may go all the same.
    if (extents_->IsStrange(block.ref)) continue;
    if (!extents_->map().HasPlace(ExtentBytes(block.ref))) continue;
    std::unique_ptr<char[]> memory;
    const absl::StatusOr<std::string_view> bytes = reader_->Read(block.ref, &memory);
    if (!bytes.ok()) continue;
    const absl::StatusOr<int64_t> place = extents_->PutBefore(block.ref, *bytes);
    if (!place.ok()) break;  // nobody needs it
    if (*place == 0) continue;
    EDDY_RETURN_IF_ERROR(move_.Bind(1, *place).Bind(2, block.id).Run());
    extents_->Give(block.ref);
    moved += bytes->size();
  }
  return moved;
}

bool BlockWriter::BeginEarly() {
  if (extents_ == nullptr) return false;
  extents_->BeginEarly();
  return extents_->Takes();
}

absl::StatusOr<bool> BlockWriter::PutEarly(BlockDraft* draft) {
  const std::string_view bytes = packer_.Pack(draft->Frames(), draft->frame_count);
  if (bytes.size() < kExtentBytesMin) return false;
  const int64_t id = BlockId(draft->log, draft->first);
  EDDY_ASSIGN_OR_RETURN(draft->early_ticket, extents_->PutEarly(id, bytes));
  draft->early_checksum =
      BlockChecksum(bytes, id, static_cast<int64_t>(draft->end - draft->first));
  return true;
}

void BlockWriter::Finish(bool committed) {
  if (extents_ == nullptr) return;
  bool is_tight = false;
  if (committed && bounds_.is_quota) {
    const absl::StatusOr<sql::FileSizes> sizes = pages_->Now();
    const uint64_t most = bounds_.most_bytes - bounds_.most_bytes / 16;
    is_tight = sizes.ok() && sizes->all + extents_->file_bytes() > most;
  }
  extents_->Finish(committed, is_tight ? 1 : kCutBytesMin);
}

absl::StatusOr<uint64_t> BlockWriter::Insert(const BlockDraft& draft, int64_t kept_ms) {
  EDDY_CHECK(draft.end > draft.first && draft.end <= kPositionMax);
  const int64_t id = BlockId(draft.log, draft.first);
  const int64_t span = static_cast<int64_t>(draft.end - draft.first);
  int64_t outside = draft.early_ticket != 0 ? extents_->Adopt(draft.early_ticket, id) : 0;
  const bool early = outside != 0;
  std::string_view bytes;
  if (!early) {
    bytes = packer_.Pack(draft.Frames(), draft.frame_count);
    EDDY_ASSIGN_OR_RETURN(outside, Place(bytes));
  }
  insert_.Bind(1, id)
      .Bind(2, static_cast<int64_t>(draft.frame_count))
      .Bind(3, draft.first_time_ms)
      .Bind(4, draft.last_time_ms)
      .Bind(5, draft.time_trusted ? 1 : 0)
      .Bind(6, kept_ms)
      .Bind(7, static_cast<int64_t>(early ? draft.early_checksum : BlockChecksum(bytes, id, span)))
      .Bind(8, SpanColumn(span));
  if (outside != 0) {
    insert_.Bind(9, outside);
  } else {
    insert_.BindBlob(9, bytes);
    inside_bytes_ += bytes.size();
  }
  EDDY_RETURN_IF_ERROR(insert_.Run());
  return early ? ExtentBytes(outside) : bytes.size();
}

absl::StatusOr<BlockSum> BlockWriter::Trim(LogId log, uint64_t log_end, uint64_t* before,
                                           uint64_t bytes_max) {
  const int64_t log_first = BlockId(log, 0);
  int64_t keep = BlockId(log, *before);
  {
    sql::AutoReset reset(find_below_);
    find_below_.Bind(1, log_first).Bind(2, keep);
    EDDY_ASSIGN_OR_RETURN(const bool found, find_below_.Step());
    if (found) {
      const int64_t id = find_below_.ColumnInt(0);
      const uint64_t end = (static_cast<uint64_t>(id - log_first) << 2) +
                           static_cast<uint64_t>(find_below_.ColumnInt(1));
      keep = end <= *before ? id + 1 : id;
    }
  }
  BlockSum sum;
  uint64_t dirtied = 0;
  {
    sql::AutoReset reset(list_below_);
    list_below_.Bind(1, log_first).Bind(2, keep);
    for (;;) {
      EDDY_ASSIGN_OR_RETURN(const bool has_row, list_below_.Step());
      if (!has_row) break;
      dirtied += kTrimmedRowBytes;
      const bool is_inside = list_below_.ColumnInt(2) == 0;
      if (is_inside) dirtied += static_cast<uint64_t>(list_below_.ColumnInt(1));
      if (dirtied > bytes_max && sum.blocks > 0) {
        keep = list_below_.ColumnInt(3);
        *before = FirstOf(keep);
        break;
      }
      ++sum.blocks;
      sum.frames += static_cast<uint64_t>(list_below_.ColumnInt(0));
      sum.bytes += static_cast<uint64_t>(list_below_.ColumnInt(1));
      extents_->Give(list_below_.ColumnInt(2));
    }
  }
  if (sum.blocks > 0) {
    EDDY_RETURN_IF_ERROR(delete_below_.Bind(1, log_first).Bind(2, keep).Run());
  }
  EDDY_RETURN_IF_ERROR(trim_log_.Bind(1, static_cast<int64_t>(*before))
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

absl::StatusOr<bool> BlockWriter::Delete(int64_t id) {
  {
    sql::AutoReset reset(place_);
    place_.Bind(1, id);
    EDDY_ASSIGN_OR_RETURN(const bool is_there, place_.Step());
    if (!is_there) return false;
    extents_->Give(place_.ColumnInt(0));
  }
  EDDY_RETURN_IF_ERROR(delete_.Bind(1, id).Run());
  return true;
}

}  // namespace eddy::log
