// What the tables keep of the sums: read at an open, written with the rounds.
#include <utility>

#include "src/base/status.h"
#include "src/log/block_codec.h"
#include "src/log/keeper.h"

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

bool IsReason(int64_t reason) { return reason >= 0 && reason < kGapReasonCount; }

}  // namespace

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

absl::Status Keeper::WriteDrops() {
  for (const LogId id : owed_) {
    Place& place = places_[id];
    // Its sums were taken off when it was decided.
    uint64_t before = place.log->oldest();
    EDDY_RETURN_IF_ERROR(writer_->Trim(id, place.log->committed(), &before).status());
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

}  // namespace eddy::log
