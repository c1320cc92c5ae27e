#include "src/log/boot_clock.h"

#include <algorithm>

#include "src/base/status.h"
#include "src/log/block_row.h"
#include "src/log/meta.h"

namespace eddy::log {
namespace {

constexpr uint64_t kNoBoot = 0;  // a start from which on nothing is to be repaired

constexpr char kSelectBoots[] = "SELECT boot, base_ms, offset_ms FROM clock_boots ORDER BY boot";
constexpr char kSelectStarts[] =
    "SELECT log_id, position, boot FROM clock_starts ORDER BY log_id, position";
constexpr char kInsertBoot[] = "INSERT INTO clock_boots (boot, base_ms) VALUES (?, ?)";
constexpr char kInsertStart[] =
    "INSERT OR REPLACE INTO clock_starts (log_id, position, boot) VALUES (?, ?, ?)";
constexpr char kSetOffset[] = "UPDATE clock_boots SET offset_ms = ? WHERE boot = ?";
// Starts that no kept frame needs any more, and boots without a start.
constexpr char kForgetStarts[] =
    "DELETE FROM clock_starts AS s WHERE EXISTS (SELECT 1 FROM clock_starts AS later "
    "JOIN logs ON logs.id = later.log_id WHERE later.log_id = s.log_id "
    "AND later.position > s.position AND later.position <= logs.oldest_position)";
// And those behind which no frame came before the next one: of a log that lies idle, or
// that has no blocks. Not while blocks are still to come.
#define EDDY_NEXT_START                                                        \
  "(SELECT min(later.position) FROM clock_starts AS later WHERE later.log_id = s.log_id " \
  "AND later.position > s.position)"
constexpr char kForgetEmptyStarts[] =
    "DELETE FROM clock_starts AS s WHERE " EDDY_NEXT_START " IS NOT NULL AND NOT EXISTS "
    "(SELECT 1 FROM blocks WHERE id >= ((s.log_id << 47) | (s.position >> 2)) "
    "AND id < ((s.log_id << 47) | (" EDDY_NEXT_START " >> 2)))";
#undef EDDY_NEXT_START
static_assert(kBlockPositionBits == 47, "the text above knows it");
constexpr char kForgetBoots[] =
    "DELETE FROM clock_boots WHERE boot NOT IN (SELECT boot FROM clock_starts)";

int64_t BaseNow(Clock* clock) {
  return absl::ToUnixMillis(clock->WallNow()) - absl::ToInt64Milliseconds(clock->SinceBoot());
}

}  // namespace

void RepairTime(const BootStarts& starts, FrameView* frame) {
  if (frame->time_trusted || starts.empty()) return;
  const auto after = std::upper_bound(
      starts.begin(), starts.end(), frame->position,
      [](uint64_t position, const auto& start) { return position < start.first; });
  if (after == starts.begin()) return;
  const BootOffset* const offset = std::prev(after)->second;
  if (offset == nullptr) return;
  // Acquire is not needed: the number is all there is to know.
  const int64_t ms = offset->ms.load(std::memory_order_relaxed);
  if (ms == BootOffset::kUnknown) return;
  frame->time_ms += ms;
  frame->time_trusted = true;
}

absl::Status BootClock::Load(sql::Database& db, uint64_t boot) {
  boot_ = boot == kNoBoot ? 1 : boot;
  base_ms_ = BaseNow(clock_);
  EDDY_ASSIGN_OR_RETURN(sql::Statement boots, db.Prepare(kSelectBoots));
  for (;;) {
    EDDY_ASSIGN_OR_RETURN(const bool has_row, boots.Step());
    if (!has_row) break;
    const uint64_t of = static_cast<uint64_t>(boots.ColumnInt(0));
    auto& offset = offsets_[of];
    offset = std::make_unique<BootOffset>();
    if (!boots.ColumnIsNull(2)) offset->ms.store(boots.ColumnInt(2));
    if (of == boot_) {
      base_ms_ = boots.ColumnInt(1);  // all processes of a boot agree
      now_ = offset.get();
    }
  }
  EDDY_ASSIGN_OR_RETURN(sql::Statement starts, db.Prepare(kSelectStarts));
  for (;;) {
    EDDY_ASSIGN_OR_RETURN(const bool has_row, starts.Step());
    if (!has_row) break;
    starts_[static_cast<LogId>(starts.ColumnInt(0))].emplace_back(
        static_cast<uint64_t>(starts.ColumnInt(1)), static_cast<uint64_t>(starts.ColumnInt(2)));
  }
  if (now_ == nullptr && !clock_->WallIsTrusted()) {
    auto& offset = offsets_[boot_];
    offset = std::make_unique<BootOffset>();
    now_ = offset.get();
  }
  return absl::OkStatus();
}

BootStarts BootClock::StartsOf(LogId log) const {
  BootStarts result;
  const auto found = starts_.find(log);
  if (found == starts_.end()) return result;
  for (const auto& [position, boot] : found->second) {
    const auto offset = offsets_.find(boot);
    result.emplace_back(position, offset == offsets_.end() ? nullptr : offset->second.get());
  }
  return result;
}

absl::Status BootClock::Begin(sql::Database& db,
                              const std::vector<std::pair<LogId, uint64_t>>& tails) {
  if (now_ == nullptr && starts_.empty()) return absl::OkStatus();
  const uint64_t boot = now_ == nullptr ? kNoBoot : boot_;
  EDDY_ASSIGN_OR_RETURN(sql::Statement start, db.Prepare(kInsertStart));
  bool is_new = false;
  for (const auto& [log, tail] : tails) {
    std::vector<std::pair<uint64_t, uint64_t>>& of_log = starts_[log];
    if (of_log.empty() ? boot == kNoBoot : of_log.back().second == boot) continue;
    EDDY_RETURN_IF_ERROR(start.Bind(1, log)
                             .Bind(2, static_cast<int64_t>(tail))
                             .Bind(3, static_cast<int64_t>(boot))
                             .Run());
    of_log.emplace_back(tail, boot);
    is_new = true;
  }
  if (!is_new) return absl::OkStatus();
  if (boot != kNoBoot) {
    EDDY_ASSIGN_OR_RETURN(sql::Statement insert, db.Prepare(kInsertBoot));
    const absl::Status inserted =
        insert.Bind(1, static_cast<int64_t>(boot)).Bind(2, base_ms_).Run();
    if (!inserted.ok() && !absl::IsAlreadyExists(inserted)) return inserted;
  }
  EDDY_RETURN_IF_ERROR(db.Exec(kForgetStarts));
  EDDY_ASSIGN_OR_RETURN(const std::string salvage, MetaText(db, kMetaSalvage));
  if (salvage != kSalvageRunning) EDDY_RETURN_IF_ERROR(db.Exec(kForgetEmptyStarts));
  return db.Exec(kForgetBoots);
}

absl::Status BootClock::BeginLog(sql::Database& db, LogId log) {
  if (now_ == nullptr) return absl::OkStatus();
  EDDY_ASSIGN_OR_RETURN(sql::Statement start, db.Prepare(kInsertStart));
  starts_[log] = {{0, boot_}};
  return start.Bind(1, log).Bind(2, 0).Bind(3, static_cast<int64_t>(boot_)).Run();
}

bool BootClock::RepairIsDue() const {
  return now_ != nullptr && now_->ms.load(std::memory_order_relaxed) == BootOffset::kUnknown &&
         clock_->WallIsTrusted();
}

absl::Status BootClock::Repair(sql::Database& db) {
  const int64_t offset = BaseNow(clock_) - base_ms_;
  EDDY_ASSIGN_OR_RETURN(sql::Statement set, db.Prepare(kSetOffset));
  EDDY_RETURN_IF_ERROR(set.Bind(1, offset).Bind(2, static_cast<int64_t>(boot_)).Run());
  now_->ms.store(offset, std::memory_order_relaxed);
  return absl::OkStatus();
}

}  // namespace eddy::log
