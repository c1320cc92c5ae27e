#include "src/log/meta.h"

#include "absl/strings/str_cat.h"
#include "src/base/status.h"

namespace eddy::log {
namespace {

constexpr char kMakeCounter[] = "INSERT OR IGNORE INTO meta (name, value) VALUES (?, 0)";
// The remainder: what is there may be anything, and has to become something else.
constexpr char kCountUp[] =
    "UPDATE meta SET value = CAST(value AS INTEGER) % 1000000000 + 1 WHERE name = ?";
constexpr char kGet[] = "SELECT value FROM meta WHERE name = ?";
constexpr char kSet[] = "INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)";

}  // namespace

std::string IntakePath(const std::string& directory, const std::string& elsewhere,
                       uint64_t store_id) {
  if (elsewhere.empty()) return directory + kIntakeFile;
  return absl::StrCat(elsewhere, "/eddy-", absl::Hex(store_id, absl::kZeroPad16), ".intake");
}

std::string SalvageAtName(uint32_t log) { return absl::StrCat("salvage_at/", log); }
std::string SalvageEndName(uint32_t log) { return absl::StrCat("salvage_end/", log); }
std::string SalvageOldestName(uint32_t log) { return absl::StrCat("salvage_oldest/", log); }

absl::StatusOr<int64_t> MetaInt(sql::Database& db, const char* name, int64_t otherwise) {
  EDDY_ASSIGN_OR_RETURN(sql::Statement get, db.Prepare(kGet));
  get.BindText(1, name);
  EDDY_ASSIGN_OR_RETURN(const bool found, get.Step());
  return found ? get.ColumnInt(0) : otherwise;
}

absl::StatusOr<std::string> MetaText(sql::Database& db, const char* name) {
  EDDY_ASSIGN_OR_RETURN(sql::Statement get, db.Prepare(kGet));
  get.BindText(1, name);
  EDDY_ASSIGN_OR_RETURN(const bool found, get.Step());
  return found ? std::string(get.ColumnText(0)) : std::string();
}

absl::Status CountUp(sql::Database& db) {
  EDDY_ASSIGN_OR_RETURN(sql::Statement add, db.Prepare(kMakeCounter));
  EDDY_RETURN_IF_ERROR(add.BindText(1, kMetaReopens).Run());
  EDDY_ASSIGN_OR_RETURN(sql::Statement count, db.Prepare(kCountUp));
  return count.BindText(1, kMetaReopens).Run();
}

absl::Status SetMeta(sql::Database& db, const char* name, int64_t value) {
  EDDY_ASSIGN_OR_RETURN(sql::Statement set, db.Prepare(kSet));
  return set.BindText(1, name).Bind(2, value).Run();
}

absl::Status SetMeta(sql::Database& db, const char* name, std::string_view value) {
  EDDY_ASSIGN_OR_RETURN(sql::Statement set, db.Prepare(kSet));
  return set.BindText(1, name).BindText(2, value).Run();
}

}  // namespace eddy::log
