// StoreHealth: what status tells of a store beside its content: its disk and its
// wear. From the database, and the page of the intake that the owner keeps for those
// who look.
// Depends on log/'s formats.
#ifndef EDDY_SRC_CLI_STORE_HEALTH_H_
#define EDDY_SRC_CLI_STORE_HEALTH_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "eddy/store.h"
#include "src/sql/database.h"

namespace eddy::cli {

struct StoreHealth {
  // Over the store's life, and of that since it was last closed cleanly.
  uint64_t disk_bytes_total = 0;
  uint64_t disk_bytes_lately = 0;
  uint64_t payload_bytes_total = 0;

  SalvageStats salvage;  // as committed: never paused

  bool live = false;             // of a living owner; what follows counts only then
  DiskState disk_state = DiskState::kGood;
  int64_t disk_state_since_ms = 0;
  int64_t flush_interval_ms = 0;  // in force: stretched by a write budget
};

absl::StatusOr<StoreHealth> LookAtHealth(const std::string& directory, sql::Database& db,
                                         bool owner_lives);

// Lines for people, and members of a JSON object, each with a comma before it.
std::string HealthLines(const StoreHealth& health);
std::string HealthJson(const StoreHealth& health);

}  // namespace eddy::cli

#endif  // EDDY_SRC_CLI_STORE_HEALTH_H_
