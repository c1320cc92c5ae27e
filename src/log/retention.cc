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

// The log of the group whose oldest block is the oldest, of those that may lose it now.
// `waits`: that of another is older.
std::optional<size_t> OldestLog(const KeepGroup& group, bool* waits) {
  std::optional<size_t> oldest;
  int64_t blocked_ms = INT64_MAX;
  for (size_t i = 0; i < group.logs.size(); ++i) {
    const LogTotals& log = group.logs[i];
    if (log.blocks == 0) continue;
    if (log.blocked) {
      blocked_ms = std::min(blocked_ms, log.oldest_kept_ms);
    } else if (!oldest || log.oldest_kept_ms < group.logs[*oldest].oldest_kept_ms) {
      oldest = i;
    }
  }
  *waits = oldest && blocked_ms < group.logs[*oldest].oldest_kept_ms;
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

// Who goes first for the store's sake: by priority, then by age.
std::tuple<int64_t, int64_t> Rank(const KeepGroup& group, int64_t kept_ms, AtLimit at_quota) {
  return {at_quota == AtLimit::kDropByPriority ? group.limits.priority : 0, kept_ms};
}

}  // namespace

std::optional<Drop> NextDrop(const std::vector<KeepGroup>& groups, int64_t now_ms,
                             uint64_t over_bytes, AtLimit at_quota) {
  std::optional<Drop> for_the_store;
  std::tuple<int64_t, int64_t> least;
  for (size_t i = 0; i < groups.size(); ++i) {
    bool waits = false;
    const std::optional<size_t> log = OldestLog(groups[i], &waits);
    if (!log) continue;
    const int64_t oldest_ms = groups[i].logs[*log].oldest_kept_ms;
    const std::optional<GapReason> reason = OwnReason(groups[i], oldest_ms, now_ms);
    if (reason && (!waits || *reason == GapReason::kRetentionAge)) return Drop{i, *log, *reason};
    if (over_bytes == 0 || at_quota == AtLimit::kRejectNew || !groups[i].limits.droppable) {
      continue;
    }
    const std::tuple<int64_t, int64_t> rank = Rank(groups[i], oldest_ms, at_quota);
    if (!for_the_store || rank < least) {
      least = rank;
      for_the_store = Drop{i, *log, GapReason::kQuota};
    }
  }
  return for_the_store;
}

std::optional<GapReason> ReasonToPass(const std::vector<KeepGroup>& groups, size_t group,
                                      int64_t kept_ms, int64_t now_ms, uint64_t over_bytes,
                                      AtLimit at_quota, const std::optional<Drop>& drop) {
  const KeepGroup& own = groups[group];
  const auto kept_of = [&] { return groups[drop->group].logs[drop->log].oldest_kept_ms; };
  if (const auto reason = OwnReason(own, kept_ms, now_ms)) {
    if (drop && drop->group == group && kept_of() < kept_ms) return std::nullopt;
    return reason;
  }
  if (over_bytes == 0 || at_quota == AtLimit::kRejectNew || !own.limits.droppable) {
    return std::nullopt;
  }
  if (!drop) return GapReason::kQuota;
  if (drop->reason != GapReason::kQuota) return std::nullopt;  // that goes anyway
  const bool first =
      Rank(own, kept_ms, at_quota) < Rank(groups[drop->group], kept_of(), at_quota);
  return first ? std::optional<GapReason>(GapReason::kQuota) : std::nullopt;
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
    if (!group.limits.droppable) continue;
    for (const LogTotals& log : group.logs) {
      bytes += log.bytes - std::min(log.bytes, log.behind_bytes);
    }
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
