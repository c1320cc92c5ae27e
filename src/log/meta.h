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

inline constexpr char kMetaStoreId[] = "store_id";
inline constexpr char kMetaByteOrder[] = "byte_order";
inline constexpr char kMetaClean[] = "closed_cleanly";
// Of the last owner's intake.
inline constexpr char kMetaIntakeBytes[] = "intake_bytes";
inline constexpr char kMetaIntakeDirectory[] = "intake_directory";

// What this and all earlier processes have written, as of the last clean close.
inline constexpr char kMetaDiskBytes[] = "disk_bytes_total";
inline constexpr char kMetaPayloadBytes[] = "payload_bytes_total";

// Written to no end but to be written: see engine_reopen.cc.
inline constexpr char kMetaReopens[] = "reopens";

// `elsewhere` is StoreOptions::intake_directory. Several stores may share a tmpfs: the
// name tells whose it is.
std::string IntakePath(const std::string& directory, const std::string& elsewhere,
                       uint64_t store_id);

// The value, or `otherwise` ("") where there is no such row.
absl::StatusOr<int64_t> MetaInt(sql::Database& db, const char* name, int64_t otherwise);
absl::StatusOr<std::string> MetaText(sql::Database& db, const char* name);

// Within the transaction that is open, or in one of its own.
absl::Status SetMeta(sql::Database& db, const char* name, int64_t value);
absl::Status SetMeta(sql::Database& db, const char* name, std::string_view value);

}  // namespace eddy::log

#endif  // EDDY_SRC_LOG_META_H_
