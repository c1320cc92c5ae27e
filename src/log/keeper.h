// Keeper: retention and quota, the doing. Knows the totals of every log without
// reading a block, drops whole blocks when retention.h says so, and tells the
// logs how much they may still take.
//
//   load      totals: the sums kept in `logs`, and the few blocks behind them
//   a round   Decide: what goes. In memory it is gone from then on: the gap is
//                 told, the log's oldest position moves
//             WriteDrops: the same in the transaction, before the new blocks, so
//                 that these use its pages
//             Inserted, Trimmed, then Finish
//   after it  Admit: what each log may take until the next
//
// A round that fails leaves its drops owed: the next one writes them first.
//
// A log that is being salvaged is *frozen*: its blocks come in from the oldest on, below
// those of new records, and only the former may be dropped. keeper_salvage.cc has the rest,
// keeper_totals.cc what the tables keep.
// Depends on block_writer.h, gap_list.h, retention.h, segment_log.h.
#ifndef EDDY_SRC_LOG_KEEPER_H_
#define EDDY_SRC_LOG_KEEPER_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "eddy/platform.h"
#include "eddy/store.h"
#include "src/log/block_writer.h"
#include "src/log/retention.h"
#include "src/log/segment_log.h"
#include "src/sql/database.h"

namespace eddy::log {

// A round drops no more blocks than this; the next one goes on.
inline constexpr size_t kDropsMax = 1024;

// Threads: not safe: the engine's commit lock. `db`, `writer` and `clock` outlive
// it, and the logs all of its calls.
class Keeper {
 public:
  struct Limits {
    uint64_t database_bytes = UINT64_MAX;  // what the quota leaves for it and its blocks
    uint64_t page_bytes = 4096;
    uint64_t block_bytes = 0;              // of the largest that is usual
    uint64_t intake_bytes = 0;             // what may be accepted and not yet committed
    AtLimit at_quota = AtLimit::kRejectNew;
  };

  Keeper(sql::Database* db, BlockWriter* writer, Clock* clock, const Limits& limits)
      : db_(db), writer_(writer), clock_(clock), limits_(limits) {}

  // Of the rows of the log. Once for each, then Loaded().
  absl::Status Load(SegmentLog* log);
  // `kept_ms`: where the age clock was at the least, whatever blocks there are.
  void Loaded(int64_t kept_ms);

  // A log that was just made; also one in place of another that a transaction took
  // back before it had anything.
  void Add(SegmentLog* log);

  // Until it is thawed, only what lies below salvage_at() is dropped of it. After Load.
  absl::Status Freeze(SegmentLog* log);
  void Thaw(SegmentLog* log);

  // `logs` are those of one stream or queue; without this a log is a group of its
  // own that has no limits and is not dropped from.
  void SetGroup(const std::vector<SegmentLog*>& logs, const KeepLimits& limits);

  // `grow_bytes_max`: how much the database file may grow for the headroom's sake.
  // The drafts are those of the round, counted with their spans: what is dropped
  // for them may be more than they then take packed. OK and a part of it: see
  // kDropsMax. `for_rows`: also for what a user's rows have made the files too large
  // by, and for those that were refused of late (WantRoom).
  absl::Status Decide(const std::vector<BlockDraft>& drafts, uint64_t grow_bytes_max,
                      bool for_rows = false);
  // Counts and tells what is lost above oldest(): a damaged block.
  void Report(SegmentLog* log, const GapPiece& gap, uint64_t bytes);
  bool HasDropsToWrite() const { return !owed_.empty(); }
  // Of the last Decide: whether the drops, and the trims, are to be committed before the
  // new blocks, which need their places outside; and whether blocks are to be moved.
  bool NeedsPlacesFirst() const { return needs_places_first_; }
  bool IsCramped() const { return is_cramped_; }
  absl::Status WriteDrops();

  int64_t NowMs() { return age_.Now(SteadyMs(), TrustedWallMs()); }
  // Inside the transaction. `end`: the log is committed up to there with it.
  absl::Status Inserted(SegmentLog* log, const BlockDraft& draft, uint64_t stored_bytes,
                        int64_t kept_ms);
  absl::Status Trimmed(SegmentLog* log, uint64_t end, const BlockSum& trimmed);
  // Before the first Inserted of the round. `added` are in the place of some of the
  // removed ones, and of their age.
  absl::Status Thinned(SegmentLog* log, const BlockSum& removed, const BlockSum& added,
                       int64_t kept_ms);
  void Finish(bool committed);

  // What is to become of the next blocks of a frozen log, the oldest first.
  struct SalvageBlock {
    uint64_t bytes = 0;  // as stored
    uint64_t frames = 0;
    int64_t kept_ms = 0;
  };
  struct SalvageStep {
    enum class Kind {
      kCopy,
      kMakeRoom,  // pass over the first few, and write the drops
      kPassRest,  // of the log, for the quota's sake
    };
    Kind kind = Kind::kCopy;
    std::vector<GapReason> passed;  // of the first blocks
  };
  // Drops what has to go for them, as Decide. `disk_bytes`: how much the database may grow
  // for the disk's sake.
  //   kResourceExhausted   they have to wait.
  absl::StatusOr<SalvageStep> DecideSalvage(SegmentLog* log,
                                            const std::vector<SalvageBlock>& blocks,
                                            uint64_t grow_bytes_max, uint64_t disk_bytes);
  // Counts and tells what lay before all blocks of the log and does not come.
  void PassedOver(SegmentLog* log, const GapPiece& gap, uint64_t bytes);
  bool IsDroppable(SegmentLog* log) { return groups_[Of(log).group].limits.droppable; }

  // `closed`: nothing at all. Returns whether the store as a whole rejects.
  absl::StatusOr<bool> Admit(uint64_t grow_bytes_max, bool closed);

  // Of both files, what is free in them and can be used again.
  absl::StatusOr<uint64_t> FreeInside();
  // The writer is another.
  void BoundAgain() { writer_->Bound(bounds_); }

  // As Admit has found it: what may still be written before the store rejects; that and
  // what it keeps for the intake, for those who make room by it; and by how much a user's
  // rows may make the files grow.
  uint64_t store_room() const { return store_room_; }
  uint64_t room_at_all() const { return room_at_all_; }
  uint64_t growth_room() const { return growth_room_; }
  bool is_at_quota() const { return bounds_.is_quota; }
  // Somebody needed so much of the first and the last, and may come again: for two minutes
  // blocks are dropped where they may be, and moved, if that can bring it about: not for
  // more growth `for_wal` than there can be. HadRoom: somebody was given so much; if it is
  // that, nobody wants it any more.
  void WantRoom(uint64_t room, uint64_t growth, uint64_t for_wal);
  void HadRoom(uint64_t room);
  bool IsWanted() { return SteadyMs() < wanted_until_ms_; }

  // Writes the sums of all logs, for the next open. Inside a transaction.
  absl::Status WriteTotals();

  const std::array<Dropped, kGapReasonCount>& dropped() const { return dropped_; }

 private:
  struct Place {
    size_t group = 0;
    size_t index = 0;
    SegmentLog* log = nullptr;
    bool oldest_known = true;
    bool frozen = false;
    uint64_t dropped_to = 0;  // since open: no block is kept below
    uint64_t blocks_uncounted = 0;
    std::array<Dropped, kGapReasonCount> dropped = {};
  };
  struct Pending {
    SegmentLog* log = nullptr;
    bool inserted = false;  // else trimmed
    bool is_new = false;    // not in the place of others
    BlockSum sum;
    int64_t kept_ms = 0;
  };

  int64_t SteadyMs();
  int64_t TrustedWallMs();
  Place& Of(SegmentLog* log);
  LogTotals& Totals(const Place& place) { return groups_[place.group].logs[place.index]; }
  absl::Status LearnOldest();
  absl::Status DropOldest(const Drop& drop, RoomPlan* plan);
  // Whether the block at `first` lies behind what is still to be salvaged.
  static bool IsBehind(const Place& place, uint64_t first) {
    return place.frozen && first >= place.log->salvage_at();
  }
  absl::StatusOr<uint64_t> DropForSalvage(Place& place, const std::vector<SalvageBlock>& blocks,
                                          uint64_t coming, RoomPlan* plan, SalvageStep* step);
  uint64_t SlackBytes() const;
  void Count(Place* place, const GapPiece& gap, uint64_t bytes);
  LogTotals WithPending(const Place& place);
  static void Apply(const Pending& pending, LogTotals* totals);
  absl::Status WriteCounted(Place& place, uint64_t end);
  // What the writer has to keep to, from now on.
  absl::Status Bound(uint64_t grow_bytes_max);
  absl::StatusOr<RoomPlan> Plan(uint64_t grow_bytes_max);
  // As Decide: those that are dropped, and not yet in the tables, are gone.
  void FreeOwed(RoomPlan* plan) const;
  // More than that is not dropped of `plan` for the sake of what comes.
  uint64_t EnoughBytes(const RoomPlan& plan, uint64_t coming) const;
  bool LimitsSpace(uint64_t grow_bytes_max) const {
    return limits_.database_bytes != UINT64_MAX || grow_bytes_max != UINT64_MAX;
  }

  sql::Database* const db_;
  BlockWriter* const writer_;
  Clock* const clock_;
  const Limits limits_;

  std::map<LogId, Place> places_;
  std::vector<KeepGroup> groups_;
  std::vector<std::vector<SegmentLog*>> group_logs_;  // as groups_
  bool any_limits_ = false;
  std::set<LogId> owed_;         // dropped in memory, not yet in the tables
  // Of them, the places and sizes of blocks: there will be so much more room than there is.
  std::vector<std::pair<int64_t, uint64_t>> owed_blocks_;
  RoomPlan::Bounds bounds_;
  bool needs_places_first_ = false;
  bool is_cramped_ = false;
  bool closed_ = false;
  uint64_t room_at_all_ = UINT64_MAX;
  uint64_t store_room_ = UINT64_MAX;
  uint64_t growth_room_ = UINT64_MAX;
  uint64_t room_wanted_ = 0;
  uint64_t rows_wanted_ = 0;  // of it, what drops can bring about
  uint64_t growth_wanted_ = 0;
  int64_t wanted_until_ms_ = INT64_MIN;  // on SteadyMs()
  bool was_limited_ = false;     // the logs' room may be less than all
  std::vector<Pending> pending_;
  std::array<Dropped, kGapReasonCount> dropped_ = {};

  AgeClock age_;
  int64_t last_kept_ms_ = 0;  // while loading: of the youngest block
  int64_t last_wall_ms_ = 0;
};

}  // namespace eddy::log

#endif  // EDDY_SRC_LOG_KEEPER_H_
