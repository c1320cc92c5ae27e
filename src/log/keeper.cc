#include "src/log/keeper.h"

#include <algorithm>

#include "src/base/status.h"
#include "src/log/block_codec.h"

namespace eddy::log {
namespace {

constexpr char kOldest[] =
    "SELECT id, frame_count, " EDDY_BLOCK_BYTES ", kept_ms, " EDDY_BLOCK_SPAN ", " EDDY_BLOCK_PLACE
    " FROM blocks WHERE id >= ? AND id < ? ORDER BY id LIMIT 2";

// About what is stored of it. Places outside are as large as what was stored there, so what
// packing saves counts; where it is a little more, it is found a place all the same.
uint64_t StoredBytes(const BlockDraft& draft) {
  const uint64_t span = draft.end - draft.first;
  if (span < kExtentBytesMin || !IsWorthPacking(static_cast<size_t>(span), draft.frame_count)) {
    return span;
  }
  return std::min(span, draft.payload_bytes + 6 * draft.frame_count + 64);
}

// Of the bound, or of what can be dropped: so much is dropped ahead.
constexpr uint64_t kDropAheadShare = 32;
constexpr uint64_t kDropAheadMax = 4 << 20;

// See WantRoom. Twice as long as the pause after a round that could move nothing.
constexpr int64_t kWantedMs = 120'000;

}  // namespace

int64_t Keeper::SteadyMs() { return absl::ToInt64Milliseconds(clock_->SinceBoot()); }

int64_t Keeper::TrustedWallMs() {
  return age_.WantsWall() && clock_->WallIsTrusted() ? clock_->WallCoarseMs() : 0;
}

Keeper::Place& Keeper::Of(SegmentLog* log) {
  const auto [at, is_new] = places_.try_emplace(log->id());
  if (is_new) {
    at->second.log = log;
    at->second.group = groups_.size();
    groups_.emplace_back().logs.resize(1);
    group_logs_.push_back({log});
  }
  return at->second;
}

void Keeper::Add(SegmentLog* log) {
  Place& place = Of(log);
  place.log = group_logs_[place.group][place.index] = log;
  log->SetRoom(store_room_);
}

void Keeper::SetGroup(const std::vector<SegmentLog*>& logs, const KeepLimits& limits) {
  for (SegmentLog* log : logs) Of(log);  // may add groups: before the index is taken
  KeepGroup group;
  group.limits = limits;
  for (SegmentLog* log : logs) {
    Place& place = Of(log);
    group.logs.push_back(Totals(place));
    groups_[place.group] = KeepGroup();  // an empty one decides nothing
    group_logs_[place.group].clear();
    place.group = groups_.size();
    place.index = group.logs.size() - 1;
    place.oldest_known = false;
  }
  groups_.push_back(std::move(group));
  group_logs_.push_back(logs);
  any_limits_ = any_limits_ || limits.age_ms != 0 || limits.bytes != 0 || limits.frames != 0;
}

absl::Status Keeper::LearnOldest() {
  sql::Statement oldest;
  for (auto& [id, place] : places_) {
    if (place.oldest_known || Totals(place).blocks == 0) continue;
    const KeepLimits& limits = groups_[place.group].limits;
    if (!limits.droppable && limits.age_ms == 0) continue;
    EDDY_ASSIGN_OR_RETURN(oldest, db_->Prepare(kOldest));
    oldest.Bind(1, BlockId(id, place.dropped_to)).Bind(2, BlockId(id + 1, 0));
    EDDY_ASSIGN_OR_RETURN(const bool has_block, oldest.Step());
    if (has_block) {
      Totals(place).oldest_kept_ms = oldest.ColumnInt(3);
      Totals(place).blocked = IsBehind(
          place, static_cast<uint64_t>(oldest.ColumnInt(0) - BlockId(id, 0)) << 2);
    } else {
      Totals(place) = LogTotals();
    }
    place.oldest_known = true;
  }
  return absl::OkStatus();
}

absl::Status Keeper::Bound(uint64_t grow_bytes_max) {
  bounds_ = {limits_.database_bytes, limits_.page_bytes, limits_.block_bytes,
             limits_.database_bytes != UINT64_MAX};
  if (grow_bytes_max != UINT64_MAX) {
    EDDY_ASSIGN_OR_RETURN(const sql::FileSizes database, db_->Sizes());
    const uint64_t files = database.all + writer_->outside_bytes();
    const uint64_t disk_bytes = Sum(files, grow_bytes_max);
    if (disk_bytes < bounds_.most_bytes) {
      bounds_.most_bytes = disk_bytes;
      bounds_.is_quota = false;
    }
  }
  writer_->Bound(bounds_);
  return absl::OkStatus();
}

absl::StatusOr<RoomPlan> Keeper::Plan(uint64_t grow_bytes_max) {
  if (!LimitsSpace(grow_bytes_max)) return RoomPlan({}, 0, 0, ExtentMap());
  EDDY_RETURN_IF_ERROR(Bound(grow_bytes_max));
  return writer_->Plan();
}

void Keeper::FreeOwed(RoomPlan* plan) const {
  for (const auto& [place, bytes] : owed_blocks_) plan->Free(place, bytes);
}

absl::StatusOr<uint64_t> Keeper::FreeInside() {
  EDDY_RETURN_IF_ERROR(Bound(UINT64_MAX));
  EDDY_ASSIGN_OR_RETURN(const RoomPlan plan, writer_->Plan());
  return plan.FreeInside();
}

// Where what goes lies between what stays, its places may be too small, however many: then
// it is not they who make room, but moving what lies last.
uint64_t Keeper::EnoughBytes(const RoomPlan& plan, uint64_t coming) const {
  return Sum(plan.Excess(coming), 2 * limits_.block_bytes);
}

absl::Status Keeper::Decide(const std::vector<BlockDraft>& drafts, uint64_t grow_bytes_max,
                            bool for_rows) {
  needs_places_first_ = is_cramped_ = false;
  if (!LimitsSpace(grow_bytes_max)) EDDY_RETURN_IF_ERROR(Bound(grow_bytes_max));
  if (!any_limits_ && !LimitsSpace(grow_bytes_max)) return absl::OkStatus();
  uint64_t coming = 0;
  std::vector<uint64_t> blocks;
  for (const BlockDraft& draft : drafts) {
    const auto place = places_.find(draft.log);
    blocks.push_back(StoredBytes(draft));
    coming += blocks.back() + BlockOverhead(limits_.page_bytes);
    if (place == places_.end()) continue;
    groups_[place->second.group].bytes_coming += draft.end - draft.first;
    groups_[place->second.group].frames_coming += draft.frame_count;
  }
  const auto decide = [&]() -> absl::Status {
    EDDY_RETURN_IF_ERROR(LearnOldest());
    EDDY_ASSIGN_OR_RETURN(RoomPlan plan, Plan(grow_bytes_max));
    const bool fits_now = plan.Fits(blocks);
    const RoomPlan before = plan;
    FreeOwed(&plan);
    // Drops for the sake of places outside are a commit of their own: for several rounds.
    if (limits_.block_bytes >= kExtentBytesMin && !plan.Fits(blocks)) {
      const uint64_t ahead =
          coming + std::min(std::min(bounds_.most_bytes, DroppableBytes(groups_)) /
                                kDropAheadShare,
                            kDropAheadMax);
      for (size_t i = 0; coming > 0 && coming < ahead; ++i) {
        blocks.push_back(blocks[i]);
        coming += blocks[i] + BlockOverhead(limits_.page_bytes);
      }
    }
    // For rows: what they have made the files too large by, and what was refused of late.
    // With what growing leaves, and what is left of the places that are moved together.
    const uint64_t rows = for_rows && IsWanted() && rows_wanted_ > 0
                              ? rows_wanted_ + plan.Margin() + limits_.block_bytes
                              : 0;
    const uint64_t enough = EnoughBytes(before, coming + rows);
    const int64_t now_ms = NowMs();
    for (size_t drops = 0; drops < kDropsMax; ++drops) {
      const bool over = plan.freed_bytes() < enough &&
                        (!plan.Fits(blocks) || (for_rows && plan.Lacks(coming + rows)));
      const std::optional<Drop> drop = NextDrop(
          groups_, now_ms, over ? std::max<uint64_t>(coming + rows, 1) : 0, limits_.at_quota);
      if (!drop) break;
      EDDY_RETURN_IF_ERROR(DropOldest(*drop, &plan));
    }
    needs_places_first_ = !fits_now && plan.freed_outside();
    is_cramped_ = plan.IsCramped(
        limits_.at_quota == AtLimit::kRejectNew ? 0 : DroppableBytes(groups_),
        limits_.intake_bytes + std::max(limits_.block_bytes, IsWanted() ? room_wanted_ : 0),
        IsWanted() ? growth_wanted_ : 0);
    return absl::OkStatus();
  };
  const absl::Status decided = decide();
  for (const BlockDraft& draft : drafts) {
    const auto place = places_.find(draft.log);
    if (place == places_.end()) continue;
    groups_[place->second.group].bytes_coming = 0;
    groups_[place->second.group].frames_coming = 0;
  }
  return decided;
}

// In memory, for good; the tables follow with the transaction.
absl::Status Keeper::DropOldest(const Drop& drop, RoomPlan* plan) {
  SegmentLog* const log = group_logs_[drop.group][drop.log];
  const LogId id = log->id();
  LogTotals& totals = groups_[drop.group].logs[drop.log];
  EDDY_ASSIGN_OR_RETURN(sql::Statement oldest, db_->Prepare(kOldest));
  Place& place = Of(log);
  // By what was dropped and may still be owed to the table, not by oldest(): a
  // block that the user has trimmed into begins below that.
  oldest.Bind(1, BlockId(id, place.dropped_to)).Bind(2, BlockId(id + 1, 0));
  EDDY_ASSIGN_OR_RETURN(const bool has_block, oldest.Step());
  if (!has_block) {
    totals = LogTotals();  // the sums were wrong; better none than a loop
    return absl::OkStatus();
  }
  GapPiece gap;
  const uint64_t block_first =
      static_cast<uint64_t>(oldest.ColumnInt(0) - BlockId(id, 0)) << 2;
  const uint64_t bytes = static_cast<uint64_t>(oldest.ColumnInt(2));
  gap.first = std::max(block_first, log->oldest());
  gap.end = block_first + static_cast<uint64_t>(oldest.ColumnInt(4));
  gap.frames = static_cast<uint64_t>(oldest.ColumnInt(1));
  const int64_t place_outside = oldest.ColumnInt(5);
  gap.reason = drop.reason;
  EDDY_ASSIGN_OR_RETURN(const bool has_next, oldest.Step());
  // A span that is not sure may reach too far; what follows is not to go with it.
  const uint64_t end_most =
      has_next ? static_cast<uint64_t>(oldest.ColumnInt(0) - BlockId(id, 0)) << 2
               : std::max(log->committed(), block_first + kFrameAlignment);
  gap.end = std::min(gap.end, end_most);
  totals.oldest_kept_ms = has_next ? oldest.ColumnInt(3) : 0;
  totals.blocked = has_next && IsBehind(place, end_most);
  totals.blocks = has_next ? std::max(Less(totals.blocks, 1), uint64_t{1}) : 0;
  totals.frames = Less(totals.frames, gap.frames);
  totals.bytes = Less(totals.bytes, bytes);
  log->Drop(gap);
  plan->Free(place_outside, bytes);
  owed_blocks_.emplace_back(place_outside, bytes);
  place.dropped_to = gap.end;
  Count(&place, gap, bytes);
  return absl::OkStatus();
}

void Keeper::Report(SegmentLog* log, const GapPiece& gap, uint64_t bytes) {
  log->gaps().Add(gap, log->oldest());
  Count(&Of(log), gap, bytes);
}

void Keeper::Count(Place* place, const GapPiece& gap, uint64_t bytes) {
  const size_t reason = static_cast<size_t>(gap.reason);
  for (Dropped* counter : {&place->dropped[reason], &dropped_[reason]}) {
    counter->records += gap.frames;
    counter->bytes += bytes;
  }
  owed_.insert(place->log->id());
}

void Keeper::WantRoom(uint64_t room, uint64_t growth, uint64_t for_wal) {
  if (closed_) return;
  room_wanted_ = room;  // the last one: that of a try before may have found a longer WAL
  rows_wanted_ = room <= store_room_ && for_wal <= growth_room_ ? room : 0;
  growth_wanted_ = growth;
  wanted_until_ms_ = SteadyMs() + kWantedMs;
}

void Keeper::HadRoom(uint64_t room) {
  // What was made free for it has made its growth less, so that says nothing.
  const uint64_t some_pages = 8 * limits_.page_bytes;
  if (Sum(room, some_pages) >= room_wanted_) wanted_until_ms_ = INT64_MIN;
}

absl::StatusOr<bool> Keeper::Admit(uint64_t grow_bytes_max, bool closed) {
  const bool limited = any_limits_ || LimitsSpace(grow_bytes_max) || closed;
  closed_ = closed;
  if (!limited && !was_limited_) return false;
  was_limited_ = limited;
  uint64_t room_at_all = UINT64_MAX, store_room = UINT64_MAX, growth_room = UINT64_MAX;
  if (closed) {
    room_at_all = store_room = growth_room = 0;
  } else if (LimitsSpace(grow_bytes_max)) {
    EDDY_ASSIGN_OR_RETURN(const RoomPlan plan, Plan(grow_bytes_max));
    const uint64_t droppable =
        limits_.at_quota == AtLimit::kRejectNew ? 0 : DroppableBytes(groups_);
    // What is accepted until the next round must fit: all that the intake takes.
    room_at_all = plan.Room(droppable);
    store_room = Less(room_at_all, limits_.intake_bytes);
    growth_room = plan.RowGrowth(droppable);
  }
  room_at_all_ = room_at_all;
  store_room_ = store_room;
  growth_room_ = growth_room;
  for (size_t i = 0; i < groups_.size(); ++i) {
    const uint64_t room = RejectsNew(groups_[i]) ? 0 : store_room;
    for (SegmentLog* log : group_logs_[i]) log->SetRoom(room);
  }
  return store_room == 0;
}

}  // namespace eddy::log
