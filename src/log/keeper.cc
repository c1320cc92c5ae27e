#include "src/log/keeper.h"

#include <algorithm>

#include "src/base/status.h"
#include "src/log/block_codec.h"

namespace eddy::log {
namespace {

// An open adds up at most so many blocks of a log that does not lose any.
constexpr uint64_t kUncountedMax = 256;

constexpr char kCounted[] =
    "SELECT counted_position, counted_blocks, counted_frames, counted_bytes FROM logs WHERE id = ?";
constexpr char kSumFrom[] =
    "SELECT count(*), coalesce(sum(frame_count), 0), coalesce(sum(" EDDY_BLOCK_BYTES "), 0) "
    "FROM blocks WHERE id >= ? AND id < ?";
constexpr char kLast[] =
    "SELECT kept_ms, last_time_ms, time_trusted FROM blocks WHERE id >= ? AND id < ? "
    "ORDER BY id DESC LIMIT 1";
constexpr char kOldest[] =
    "SELECT id, frame_count, " EDDY_BLOCK_BYTES ", kept_ms, " EDDY_BLOCK_SPAN ", " EDDY_BLOCK_PLACE
    " FROM blocks WHERE id >= ? AND id < ? ORDER BY id LIMIT 2";
constexpr char kSetCounted[] =
    "UPDATE logs SET counted_position = ?, counted_blocks = ?, counted_frames = ?, "
    "counted_bytes = ? WHERE id = ?";
constexpr char kGaps[] =
    "SELECT first_position, end_position, frame_count, reason FROM gaps WHERE log_id = ? "
    "ORDER BY first_position";
constexpr char kDeleteGaps[] = "DELETE FROM gaps WHERE log_id = ?";
constexpr char kInsertGap[] =
    "INSERT INTO gaps (log_id, first_position, end_position, frame_count, reason) "
    "VALUES (?, ?, ?, ?, ?)";
constexpr char kDropped[] = "SELECT reason, frame_count, bytes FROM dropped WHERE log_id = ?";
constexpr char kSetDropped[] =
    "INSERT OR REPLACE INTO dropped (log_id, reason, frame_count, bytes) VALUES (?, ?, ?, ?)";

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

bool IsReason(int64_t reason) { return reason >= 0 && reason < kGapReasonCount; }

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

absl::Status Keeper::Load(SegmentLog* log) {
  const LogId id = log->id();
  Place& place = Of(log);
  LogTotals totals;
  EDDY_ASSIGN_OR_RETURN(sql::Statement counted, db_->Prepare(kCounted));
  counted.Bind(1, id);
  EDDY_ASSIGN_OR_RETURN(const bool has_row, counted.Step());
  uint64_t from = 0;
  // Numbers that cannot be are not believed; all is counted then.
  if (has_row && counted.ColumnInt(0) >= 0 && counted.ColumnInt(1) >= 0 &&
      counted.ColumnInt(2) >= 0 && counted.ColumnInt(3) >= 0 &&
      static_cast<uint64_t>(counted.ColumnInt(0)) <= kPositionMax) {
    from = static_cast<uint64_t>(counted.ColumnInt(0));
    totals.blocks = static_cast<uint64_t>(counted.ColumnInt(1));
    totals.frames = static_cast<uint64_t>(counted.ColumnInt(2));
    totals.bytes = static_cast<uint64_t>(counted.ColumnInt(3));
  }
  EDDY_ASSIGN_OR_RETURN(sql::Statement sum, db_->Prepare(kSumFrom));
  sum.Bind(1, BlockId(id, from)).Bind(2, BlockId(id + 1, 0));
  EDDY_RETURN_IF_ERROR(sum.Step().status());
  place.blocks_uncounted = static_cast<uint64_t>(sum.ColumnInt(0));
  totals.blocks += place.blocks_uncounted;
  totals.frames += static_cast<uint64_t>(sum.ColumnInt(1));
  totals.bytes += static_cast<uint64_t>(sum.ColumnInt(2));
  place.oldest_known = false;
  Totals(place) = totals;

  EDDY_ASSIGN_OR_RETURN(sql::Statement last, db_->Prepare(kLast));
  last.Bind(1, BlockId(id, 0)).Bind(2, BlockId(id + 1, 0));
  EDDY_ASSIGN_OR_RETURN(const bool has_last, last.Step());
  if (has_last && last.ColumnInt(0) >= last_kept_ms_) {
    last_kept_ms_ = last.ColumnInt(0);
    last_wall_ms_ = last.ColumnInt(2) != 0 ? last.ColumnInt(1) : 0;
  }
  EDDY_ASSIGN_OR_RETURN(sql::Statement gaps, db_->Prepare(kGaps));
  gaps.Bind(1, id);
  std::vector<GapPiece> pieces;
  for (;;) {
    EDDY_ASSIGN_OR_RETURN(const bool has_gap, gaps.Step());
    if (!has_gap) break;
    if (!IsReason(gaps.ColumnInt(3)) || gaps.ColumnInt(0) >= gaps.ColumnInt(1)) continue;
    pieces.push_back({static_cast<uint64_t>(gaps.ColumnInt(0)),
                      static_cast<uint64_t>(gaps.ColumnInt(1)),
                      static_cast<uint64_t>(gaps.ColumnInt(2)),
                      static_cast<GapReason>(gaps.ColumnInt(3))});
  }
  log->gaps().Load(std::move(pieces));
  EDDY_ASSIGN_OR_RETURN(sql::Statement dropped, db_->Prepare(kDropped));
  dropped.Bind(1, id);
  for (;;) {
    EDDY_ASSIGN_OR_RETURN(const bool has_drops, dropped.Step());
    if (!has_drops) return absl::OkStatus();
    if (!IsReason(dropped.ColumnInt(0))) continue;
    const size_t reason = static_cast<size_t>(dropped.ColumnInt(0));
    place.dropped[reason] = {static_cast<uint64_t>(dropped.ColumnInt(1)),
                             static_cast<uint64_t>(dropped.ColumnInt(2))};
    dropped_[reason].records += place.dropped[reason].records;
    dropped_[reason].bytes += place.dropped[reason].bytes;
  }
}

void Keeper::Loaded(int64_t kept_ms) {
  if (kept_ms > last_kept_ms_) {
    last_kept_ms_ = kept_ms;
    last_wall_ms_ = 0;
  }
  age_.Resume(last_kept_ms_, last_wall_ms_, SteadyMs());
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

absl::Status Keeper::WriteDrops() {
  for (const LogId id : owed_) {
    Place& place = places_[id];
    // Its sums were taken off when it was decided.
    EDDY_RETURN_IF_ERROR(writer_->Trim(id, place.log->oldest(), place.log->committed()).status());
    EDDY_RETURN_IF_ERROR(WriteCounted(place, place.log->committed()));
    EDDY_ASSIGN_OR_RETURN(sql::Statement set, db_->Prepare(kSetDropped));
    for (int reason = 0; reason < kGapReasonCount; ++reason) {
      const Dropped& counter = place.dropped[static_cast<size_t>(reason)];
      if (counter.records == 0) continue;
      EDDY_RETURN_IF_ERROR(set.Bind(1, id)
                               .Bind(2, reason)
                               .Bind(3, static_cast<int64_t>(counter.records))
                               .Bind(4, static_cast<int64_t>(counter.bytes))
                               .Run());
    }
    EDDY_ASSIGN_OR_RETURN(sql::Statement clear, db_->Prepare(kDeleteGaps));
    EDDY_RETURN_IF_ERROR(clear.Bind(1, id).Run());
    EDDY_ASSIGN_OR_RETURN(sql::Statement insert, db_->Prepare(kInsertGap));
    for (const GapPiece& piece : place.log->gaps().All()) {
      EDDY_RETURN_IF_ERROR(insert.Bind(1, id)
                               .Bind(2, static_cast<int64_t>(piece.first))
                               .Bind(3, static_cast<int64_t>(piece.end))
                               .Bind(4, static_cast<int64_t>(piece.frames))
                               .Bind(5, static_cast<int64_t>(piece.reason))
                               .Run());
    }
  }
  return absl::OkStatus();
}

absl::Status Keeper::Inserted(SegmentLog* log, const BlockDraft& draft, uint64_t stored_bytes,
                              int64_t kept_ms) {
  Place& place = Of(log);
  pending_.push_back({log, true, /*is_new=*/true, {1, draft.frame_count, stored_bytes}, kept_ms});
  if (++place.blocks_uncounted < kUncountedMax) return absl::OkStatus();
  return WriteCounted(place, draft.end);
}

absl::Status Keeper::Trimmed(SegmentLog* log, uint64_t end, const BlockSum& trimmed) {
  if (trimmed.blocks == 0) return absl::OkStatus();
  pending_.push_back({log, false, false, trimmed, 0});
  return WriteCounted(Of(log), end);
}

absl::Status Keeper::Thinned(SegmentLog* log, const BlockSum& removed, const BlockSum& added,
                             int64_t kept_ms) {
  pending_.push_back({log, false, false, removed, 0});
  if (added.blocks > 0) pending_.push_back({log, true, false, added, kept_ms});
  return WriteCounted(Of(log), log->committed());
}

LogTotals Keeper::WithPending(const Place& place) {
  LogTotals totals = Totals(place);
  for (const Pending& pending : pending_) {
    if (pending.log == place.log) Apply(pending, &totals);
  }
  return totals;
}

void Keeper::Apply(const Pending& pending, LogTotals* totals) {
  if (pending.inserted) {
    if (totals->blocks == 0) totals->oldest_kept_ms = pending.kept_ms;
    totals->blocks += pending.sum.blocks;
    totals->frames += pending.sum.frames;
    totals->bytes += pending.sum.bytes;
  } else {
    totals->blocks = Less(totals->blocks, pending.sum.blocks);
    totals->frames = Less(totals->frames, pending.sum.frames);
    totals->bytes = Less(totals->bytes, pending.sum.bytes);
  }
}

absl::Status Keeper::WriteCounted(Place& place, uint64_t end) {
  EDDY_ASSIGN_OR_RETURN(sql::Statement set, db_->Prepare(kSetCounted));
  const LogTotals totals = WithPending(place);
  // Wrong only if the transaction fails, and then only too low: the rest is
  // written a few blocks later.
  place.blocks_uncounted = 0;
  return set.Bind(1, static_cast<int64_t>(end))
      .Bind(2, static_cast<int64_t>(totals.blocks))
      .Bind(3, static_cast<int64_t>(totals.frames))
      .Bind(4, static_cast<int64_t>(totals.bytes))
      .Bind(5, place.log->id())
      .Run();
}

absl::Status Keeper::WriteTotals() {
  for (auto& [id, place] : places_) {
    if (place.blocks_uncounted == 0) continue;
    EDDY_RETURN_IF_ERROR(WriteCounted(place, place.log->committed()));
  }
  return absl::OkStatus();
}

void Keeper::Finish(bool committed) {
  if (committed) {
    owed_.clear();
    owed_blocks_.clear();
    for (const Pending& pending : pending_) {
      Place& place = Of(pending.log);
      Apply(pending, &Totals(place));
      if (place.frozen && pending.is_new) Totals(place).behind_bytes += pending.sum.bytes;
      if (!pending.inserted || place.frozen) place.oldest_known = false;
    }
  }
  pending_.clear();
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
