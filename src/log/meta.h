// What a store knows of itself: the rows of the table `meta`, and the names of
// the files in its directory. Depends on sql/.
#ifndef EDDY_SRC_LOG_META_H_
#define EDDY_SRC_LOG_META_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "src/sql/database.h"

namespace eddy::log {

inline constexpr char kDatabaseFile[] = "/eddy.db";
inline constexpr char kLockFile[] = "/eddy.lock";
inline constexpr char kIntakeFile[] = "/eddy.intake";
// There, if the database was found damaged while it was in use: the next open looks at
// all of it.
inline constexpr char kSuspectFile[] = "/eddy.suspect";

inline constexpr char kMetaStoreId[] = "store_id";
inline constexpr char kMetaByteOrder[] = "byte_order";
inline constexpr char kMetaClean[] = "closed_cleanly";
// In kMetaClean, until the open that has made the database out of a damaged one is done: it
// counts as not closed, and no intake says how its first syncs went.
inline constexpr int64_t kMadeByOpen = 2;
// Of the last owner's intake.
inline constexpr char kMetaIntakeBytes[] = "intake_bytes";
inline constexpr char kMetaIntakeDirectory[] = "intake_directory";

// What this and all earlier processes have written, as of the last clean close.
inline constexpr char kMetaDiskBytes[] = "disk_bytes_total";
inline constexpr char kMetaPayloadBytes[] = "payload_bytes_total";

// Counted up to no end but to be written: see CountUp.
inline constexpr char kMetaReopens[] = "reopens";

// Of a store whose last database was set aside: kSalvageRunning or kSalvageDone, what has
// become of it, and below which position no new log begins. See salvage.h.
inline constexpr char kMetaSalvage[] = "salvage";
inline constexpr char kMetaSalvageBlocks[] = "salvage_blocks";
inline constexpr char kMetaSalvageRecords[] = "salvage_records";
inline constexpr char kMetaSalvageLost[] = "salvage_records_lost";
inline constexpr char kMetaSalvageOrphans[] = "salvage_blocks_orphaned";
inline constexpr char kMetaSalvageKept[] = "salvage_kept_ms";  // where its age clock was
inline constexpr char kMetaPositionFloor[] = "position_floor";
inline constexpr char kSalvageRunning[] = "running";
inline constexpr char kSalvageDone[] = "done";
// Of one log that is not yet done.
std::string SalvageAtName(uint32_t log);
std::string SalvageEndName(uint32_t log);
std::string SalvageOldestName(uint32_t log);  // oldest() when it began

inline constexpr int64_t kByteOrderMark = 0x0102030405060708;
inline constexpr int64_t kOtherByteOrder = 0x0807060504030201;

// `elsewhere` is StoreOptions::intake_directory. Several stores may share a tmpfs: the
// name tells whose it is.
std::string IntakePath(const std::string& directory, const std::string& elsewhere,
                       uint64_t store_id);

// The value, or `otherwise` ("") where there is no such row.
absl::StatusOr<int64_t> MetaInt(sql::Database& db, const char* name, int64_t otherwise);
absl::StatusOr<std::string> MetaText(sql::Database& db, const char* name);

// A commit that writes and syncs, whatever was there: SQLite takes one that changes
// nothing for done. Also kMetaReopens, which it changes, at each call.
absl::Status CountUp(sql::Database& db);

// Within the transaction that is open, or in one of its own.
absl::Status SetMeta(sql::Database& db, const char* name, int64_t value);
absl::Status SetMeta(sql::Database& db, const char* name, std::string_view value);

}  // namespace eddy::log

#endif  // EDDY_SRC_LOG_META_H_
