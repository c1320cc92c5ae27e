#include "src/cli/store_health.h"

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "src/base/status.h"
#include "src/cli/text.h"
#include "src/log/intake.h"
#include "src/log/meta.h"
#include "src/log/set_aside.h"

namespace eddy::cli {
namespace {

constexpr const char* kStateNames[] = {"good", "full", "io-error", "read-only", "sync-failed",
                                       "damaged"};

// The numbers of LiveStats as they lie in the file, in their order.
struct Live {
  uint64_t disk_bytes_total;
  uint64_t payload_bytes_total;
  uint64_t disk_state;
  int64_t disk_state_since_ms;
  int64_t flush_interval_ms;
};
static_assert(sizeof(Live) == sizeof(log::LiveStats));

bool ReadLive(const std::string& path, Live* live) {
  std::FILE* const file = std::fopen(path.c_str(), "rbe");
  if (file == nullptr) return false;
  const bool read = std::fseek(file, log::kLiveStatsOffset, SEEK_SET) == 0 &&
                    std::fread(live, sizeof(*live), 1, file) == 1;
  std::fclose(file);
  return read;
}

std::string Ratio(const StoreHealth& health) {
  if (health.payload_bytes_total == 0) return "0";
  return absl::StrFormat("%.2f", static_cast<double>(health.disk_bytes_total) /
                                     static_cast<double>(health.payload_bytes_total));
}

const char* SalvageName(SalvageState state) {
  switch (state) {
    case SalvageState::kNone:
      return "none";
    case SalvageState::kRunning:
      return "running";
    case SalvageState::kPaused:
      return "paused";
    case SalvageState::kDone:
      return "done";
  }
  return "unknown";
}

const char* DiskStateName(DiskState state) {
  const size_t index = static_cast<size_t>(state);
  return index < std::size(kStateNames) ? kStateNames[index] : "unknown";
}

}  // namespace

absl::StatusOr<StoreHealth> LookAtHealth(const std::string& directory, sql::Database& db,
                                         bool owner_lives) {
  StoreHealth health;
  EDDY_ASSIGN_OR_RETURN(const int64_t disk, log::MetaInt(db, log::kMetaDiskBytes, 0));
  EDDY_ASSIGN_OR_RETURN(const int64_t payload, log::MetaInt(db, log::kMetaPayloadBytes, 0));
  EDDY_ASSIGN_OR_RETURN(const int64_t store_id, log::MetaInt(db, log::kMetaStoreId, 0));
  EDDY_ASSIGN_OR_RETURN(const std::string elsewhere,
                        log::MetaText(db, log::kMetaIntakeDirectory));
  health.salvage.set_asides = log::SetAsides(DefaultPlatform().files, directory).size();
  EDDY_ASSIGN_OR_RETURN(const std::string salvage, log::MetaText(db, log::kMetaSalvage));
  if (!salvage.empty()) {
    health.salvage.state =
        salvage == log::kSalvageRunning ? SalvageState::kRunning : SalvageState::kDone;
  }
  const std::pair<const char*, uint64_t*> counts[] = {
      {log::kMetaSalvageBlocks, &health.salvage.blocks},
      {log::kMetaSalvageRecords, &health.salvage.records},
      {log::kMetaSalvageLost, &health.salvage.records_lost},
      {log::kMetaSalvageOrphans, &health.salvage.blocks_orphaned}};
  for (const auto& [name, count] : counts) {
    EDDY_ASSIGN_OR_RETURN(const int64_t number, log::MetaInt(db, name, 0));
    *count = static_cast<uint64_t>(std::max<int64_t>(number, 0));
  }
  const uint64_t at_close = static_cast<uint64_t>(std::max<int64_t>(disk, 0));
  health.disk_bytes_total = at_close;
  health.payload_bytes_total = static_cast<uint64_t>(std::max<int64_t>(payload, 0));
  Live live;
  if (ReadLive(log::IntakePath(directory, elsewhere, static_cast<uint64_t>(store_id)), &live)) {
    health.disk_bytes_total = std::max(health.disk_bytes_total, live.disk_bytes_total);
    health.payload_bytes_total = std::max(health.payload_bytes_total, live.payload_bytes_total);
    health.disk_bytes_lately = health.disk_bytes_total - at_close;
    health.live = owner_lives;
    health.disk_state = static_cast<DiskState>(live.disk_state);
    health.disk_state_since_ms = live.disk_state_since_ms;
    health.flush_interval_ms = live.flush_interval_ms;
  }
  return health;
}

std::string HealthLines(const StoreHealth& health) {
  std::string lines = absl::StrCat(
      "  written to disk: ", FormatBytes(health.disk_bytes_total), ", ",
      FormatBytes(health.disk_bytes_lately), " of it since the last clean close; payload ",
      FormatBytes(health.payload_bytes_total), ", ratio ", Ratio(health), "\n");
  if (health.live) {
    absl::StrAppend(&lines, "  disk ", DiskStateName(health.disk_state));
    if (health.disk_state != DiskState::kGood) {
      absl::StrAppend(&lines, " since ", FormatTime(health.disk_state_since_ms));
    }
    absl::StrAppend(&lines, "; flush interval ", health.flush_interval_ms, " ms\n");
  }
  const SalvageStats& salvage = health.salvage;
  if (salvage.set_asides > 0) {
    absl::StrAppend(&lines, "  damaged databases set aside: ", salvage.set_asides,
                    ", in damaged-<n>\n");
  }
  if (salvage.state != SalvageState::kNone) {
    absl::StrAppend(&lines, "  salvage ", SalvageName(salvage.state), ": ", salvage.records,
                    " records in ", salvage.blocks, " blocks, ", salvage.records_lost,
                    " records lost, ", salvage.blocks_orphaned,
                    " blocks of no known stream or queue\n");
  }
  return lines;
}

std::string HealthJson(const StoreHealth& health) {
  std::string json = absl::StrCat(
      ",\"disk_bytes_total\":", health.disk_bytes_total,
      ",\"disk_bytes_since_clean_close\":", health.disk_bytes_lately,
      ",\"payload_bytes_total\":", health.payload_bytes_total, ",\"write_ratio\":", Ratio(health));
  if (health.live) {
    absl::StrAppend(&json, ",\"disk_state\":\"", DiskStateName(health.disk_state),
                    "\",\"disk_state_since_ms\":", health.disk_state_since_ms,
                    ",\"flush_interval_ms\":", health.flush_interval_ms);
  }
  absl::StrAppend(&json, ",\"set_asides\":", health.salvage.set_asides, ",\"salvage\":\"",
                  SalvageName(health.salvage.state), "\",\"salvaged_blocks\":",
                  health.salvage.blocks, ",\"salvaged_records\":", health.salvage.records,
                  ",\"salvage_records_lost\":", health.salvage.records_lost,
                  ",\"salvage_blocks_orphaned\":", health.salvage.blocks_orphaned);
  return json;
}

}  // namespace eddy::cli
