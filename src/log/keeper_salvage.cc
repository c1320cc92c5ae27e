// Where the salvage meets limits. Its blocks come in from the oldest on:
//
//   store that drops    whoever is the oldest goes, the log's blocks that are there already
//                       before the one that is to come: so in the end the newest of all are
//                       there, as if the limit had been met in the old store
//   store that rejects  they wait, until the room that new records are admitted by is
//                       left over
//
// New records go before: when all that could be dropped is hardly more than what they may
// take until the next step, all of the log that is not yet there is given up, so that what
// came behind it can be dropped. A limit of the stream's own is met in the same way.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/log/keeper.h"

namespace eddy::log {
namespace {

constexpr char kBehind[] =
    "SELECT coalesce(sum(" EDDY_BLOCK_BYTES "), 0) FROM blocks WHERE id >= ? AND id < ?";

// What one takes in the file. A small one shares its page with others.
uint64_t FileBytes(const Keeper::SalvageBlock& block, uint64_t page_bytes) {
  return block.bytes + std::min(BlockOverhead(page_bytes), block.bytes + 128);
}

}  // namespace

absl::Status Keeper::Freeze(SegmentLog* log) {
  Place& place = Of(log);
  EDDY_ASSIGN_OR_RETURN(sql::Statement behind, db_->Prepare(kBehind));
  behind.Bind(1, BlockId(log->id(), log->salvage_at())).Bind(2, BlockId(log->id() + 1, 0));
  EDDY_RETURN_IF_ERROR(behind.Step().status());
  place.frozen = true;
  place.oldest_known = false;
  Totals(place).blocked = true;  // until it is learned
  Totals(place).behind_bytes = static_cast<uint64_t>(behind.ColumnInt(0));
  return absl::OkStatus();
}

void Keeper::Thaw(SegmentLog* log) {
  Place& place = Of(log);
  place.frozen = false;
  place.oldest_known = false;
  Totals(place).blocked = false;
  Totals(place).behind_bytes = 0;
}

void Keeper::PassedOver(SegmentLog* log, const GapPiece& gap, uint64_t bytes) {
  Place& place = Of(log);
  log->Drop(gap);
  place.dropped_to = std::max(place.dropped_to, gap.end);
  Count(&place, gap, bytes);
}

// What new records may take beside what they are admitted by, before the salvage has
// given way.
uint64_t Keeper::SlackBytes() const {
  return std::min(limits_.intake_bytes, Less(limits_.database_bytes, limits_.intake_bytes) / 4);
}

absl::StatusOr<Keeper::SalvageStep> Keeper::DecideSalvage(
    SegmentLog* log, const std::vector<SalvageBlock>& blocks, uint64_t grow_bytes_max,
    uint64_t disk_bytes) {
  SalvageStep step;
  if (!owed_blocks_.empty()) {  // of a round that failed; not twice for the same
    step.kind = SalvageStep::Kind::kMakeRoom;
    return step;
  }
  EDDY_RETURN_IF_ERROR(LearnOldest());
  Place& place = Of(log);
  const bool drops = limits_.at_quota != AtLimit::kRejectNew && LimitsSpace(grow_bytes_max);
  const bool gives = drops && groups_[place.group].limits.droppable;
  EDDY_ASSIGN_OR_RETURN(RoomPlan quota, Plan(UINT64_MAX));
  EDDY_ASSIGN_OR_RETURN(const RoomPlan plan, Plan(grow_bytes_max));
  uint64_t room = plan.Room(drops ? DroppableBytes(groups_) : 0);
  if (gives && room < limits_.intake_bytes + SlackBytes()) {
    const LogTotals& totals = Totals(place);
    step.kind = SalvageStep::Kind::kPassRest;
    for (size_t count = 0; totals.blocks > 0 && !totals.blocked; ++count) {
      if (count == kDropsMax) {
        step.kind = SalvageStep::Kind::kMakeRoom;
        break;
      }
      EDDY_RETURN_IF_ERROR(DropOldest({place.group, place.index, GapReason::kQuota}, &quota));
    }
    return step;
  }
  if (blocks.empty()) return step;
  uint64_t coming = 0;
  for (const SalvageBlock& block : blocks) coming += FileBytes(block, limits_.page_bytes);
  // Of one that drops as much can be dropped afterwards as before.
  const bool fits = gives || Less(room, coming) >= limits_.intake_bytes;
  EDDY_ASSIGN_OR_RETURN(const uint64_t left_over,
                        DropForSalvage(place, blocks, fits ? coming : 0, &quota, &step));
  if (!step.passed.empty()) {
    step.kind = SalvageStep::Kind::kMakeRoom;
    return step;
  }
  if (!fits || (left_over > 0 && owed_blocks_.empty())) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "the store, at its quota or headroom, has room for ", room,
        " bytes; to go on the salvage needs ", coming, ", and leaves ", limits_.intake_bytes,
        " for new records"));
  }
  // Not of `plan`, which is empty where nothing but the disk is a limit.
  EDDY_ASSIGN_OR_RETURN(const uint64_t free, FreeInside());
  EDDY_RETURN_IF_ERROR(Bound(grow_bytes_max));
  const uint64_t growth = Less(coming, free + quota.freed_bytes());
  // Places outside serve only after a commit.
  if (left_over > 0 || quota.freed_outside() || (growth > disk_bytes && quota.freed_bytes() > 0)) {
    step.kind = SalvageStep::Kind::kMakeRoom;  // and then looks again
  } else if (growth > disk_bytes) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "the disk has little space: beside what the store needs to go on there are ", disk_bytes,
        " bytes free, and to go on the salvage needs ", growth));
  }
  return step;
}

// Returns what is still over.
absl::StatusOr<uint64_t> Keeper::DropForSalvage(Place& place,
                                                const std::vector<SalvageBlock>& blocks,
                                                uint64_t coming, RoomPlan* plan,
                                                SalvageStep* step) {
  const size_t group = place.group;
  for (const SalvageBlock& block : blocks) {
    groups_[group].bytes_coming += block.bytes;
    groups_[group].frames_coming += block.frames;
  }
  const uint64_t enough = EnoughBytes(*plan, coming);
  const auto is_over = [&] {
    std::vector<uint64_t> sizes;
    for (size_t i = step->passed.size(); coming > 0 && i < blocks.size(); ++i) {
      sizes.push_back(blocks[i].bytes);
    }
    return plan->freed_bytes() < enough && !plan->Fits(sizes);
  };
  const int64_t now_ms = NowMs();
  const auto drop_some = [&]() -> absl::Status {
    for (size_t drops = 0; drops < kDropsMax; ++drops) {
      const uint64_t over = is_over() ? coming : 0;
      const std::optional<Drop> drop = NextDrop(groups_, now_ms, over, limits_.at_quota);
      const LogTotals& totals = Totals(place);
      // Never before what is there of the same log, which is older.
      if (step->passed.size() < blocks.size() && (totals.blocks == 0 || totals.blocked)) {
        const SalvageBlock& next = blocks[step->passed.size()];
        const std::optional<GapReason> reason = ReasonToPass(
            groups_, group, next.kept_ms, now_ms, over, limits_.at_quota, drop);
        if (reason) {
          step->passed.push_back(*reason);
          groups_[group].bytes_coming -= next.bytes;
          groups_[group].frames_coming -= next.frames;
          coming = Less(coming, FileBytes(next, limits_.page_bytes));
          continue;
        }
      }
      if (!drop) break;
      EDDY_RETURN_IF_ERROR(DropOldest(*drop, plan));
    }
    return absl::OkStatus();
  };
  const absl::Status dropped = drop_some();
  groups_[group].bytes_coming = 0;
  groups_[group].frames_coming = 0;
  EDDY_RETURN_IF_ERROR(dropped);
  return is_over() ? coming : 0;
}

}  // namespace eddy::log
