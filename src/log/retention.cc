#include "src/log/retention.h"

#include <algorithm>
#include <tuple>

namespace eddy::log {
namespace {

LogTotals Sum(const KeepGroup& group) {
  LogTotals sum;
  for (const LogTotals& log : group.logs) {
    sum.blocks += log.blocks;
    sum.frames += log.frames;
    sum.bytes += log.bytes;
  }
  return sum;
}

// The log of the group whose oldest block is the oldest.
std::optional<size_t> OldestLog(const KeepGroup& group) {
  std::optional<size_t> oldest;
  for (size_t i = 0; i < group.logs.size(); ++i) {
    if (group.logs[i].blocks == 0) continue;
    if (!oldest || group.logs[i].oldest_kept_ms < group.logs[*oldest].oldest_kept_ms) oldest = i;
  }
  return oldest;
}

bool Exceeds(uint64_t have, uint64_t coming, uint64_t limit) {
  return limit != 0 && have + coming > limit;
}

std::optional<GapReason> OwnReason(const KeepGroup& group, int64_t oldest_ms, int64_t now_ms) {
  const KeepLimits& limits = group.limits;
  if (limits.age_ms != 0 && now_ms - oldest_ms >= limits.age_ms) return GapReason::kRetentionAge;
  if (!limits.droppable) return std::nullopt;
  const LogTotals sum = Sum(group);
  if (Exceeds(sum.bytes, group.bytes_coming, limits.bytes)) return GapReason::kRetentionBytes;
  if (Exceeds(sum.frames, group.frames_coming, limits.frames)) {
    return GapReason::kRetentionRecords;
  }
  return std::nullopt;
}

}  // namespace

std::optional<Drop> NextDrop(const std::vector<KeepGroup>& groups, int64_t now_ms,
                             uint64_t over_bytes, AtLimit at_quota) {
  std::optional<Drop> for_the_store;
  std::tuple<int64_t, int64_t> least;  // priority, age
  for (size_t i = 0; i < groups.size(); ++i) {
    const std::optional<size_t> log = OldestLog(groups[i]);
    if (!log || groups[i].frozen) continue;
    const int64_t oldest_ms = groups[i].logs[*log].oldest_kept_ms;
    if (const auto reason = OwnReason(groups[i], oldest_ms, now_ms)) {
      return Drop{i, *log, *reason};
    }
    if (over_bytes == 0 || at_quota == AtLimit::kRejectNew || !groups[i].limits.droppable) {
      continue;
    }
    const bool by_priority = at_quota == AtLimit::kDropByPriority;
    const std::tuple<int64_t, int64_t> rank{by_priority ? groups[i].limits.priority : 0,
                                            oldest_ms};
    if (!for_the_store || rank < least) {
      least = rank;
      for_the_store = Drop{i, *log, GapReason::kQuota};
    }
  }
  return for_the_store;
}

bool RejectsNew(const KeepGroup& group) {
  if (group.limits.droppable) return false;
  const LogTotals sum = Sum(group);
  return (group.limits.bytes != 0 && sum.bytes >= group.limits.bytes) ||
         (group.limits.frames != 0 && sum.frames >= group.limits.frames);
}

uint64_t DroppableBytes(const std::vector<KeepGroup>& groups) {
  uint64_t bytes = 0;
  for (const KeepGroup& group : groups) {
    if (group.limits.droppable && !group.frozen) bytes += Sum(group).bytes;
  }
  return bytes;
}

void AgeClock::Resume(int64_t kept_ms, int64_t wall_ms, int64_t steady_ms) {
  base_ms_ = kept_ms;
  last_wall_ms_ = wall_ms;
  steady_base_ms_ = steady_ms;
}

int64_t AgeClock::Now(int64_t steady_ms, int64_t wall_ms) {
  const int64_t elapsed = std::max<int64_t>(steady_ms - steady_base_ms_, 0);
  if (wall_ms != 0 && last_wall_ms_ != 0) {
    // Both ends are trusted; a negative difference says that one of them lied.
    base_ms_ += std::max<int64_t>(wall_ms - last_wall_ms_ - elapsed, 0);
    last_wall_ms_ = 0;
  }
  return base_ms_ + elapsed;
}

}  // namespace eddy::log
