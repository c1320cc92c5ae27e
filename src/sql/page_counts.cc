#include "src/sql/page_counts.h"

#include <sqlite3.h>

#include "src/base/status.h"

namespace eddy::sql {
absl::StatusOr<uint64_t> PageCounts::Ask(Statement& count) const {
  AutoReset reset(count);
  EDDY_RETURN_IF_ERROR(count.Step().status());
  return static_cast<uint64_t>(count.ColumnInt(0)) * page_bytes_;
}

absl::StatusOr<std::shared_ptr<PageCounts>> PageCounts::Prepare(Database& db,
                                                                uint64_t page_bytes,
                                                                bool keeps) {
  std::shared_ptr<PageCounts> counts(new PageCounts(db.handle(), page_bytes, keeps));
  EDDY_ASSIGN_OR_RETURN(counts->all_, db.Prepare("PRAGMA page_count"));
  EDDY_ASSIGN_OR_RETURN(counts->free_, db.Prepare("PRAGMA freelist_count"));
  return counts;
}

// None within a transaction, whose changes it does not count.
std::optional<uint32_t> PageCounts::Version() const {
  unsigned int version = 0;
  if (sqlite3_get_autocommit(db_) == 0 ||
      sqlite3_file_control(db_, "main", SQLITE_FCNTL_DATA_VERSION, &version) != SQLITE_OK) {
    return std::nullopt;
  }
  return version;
}

absl::StatusOr<FileSizes> PageCounts::Now() {
  if (keeps_ && version_.has_value() && version_ == Version()) return kept_;
  version_.reset();
  EDDY_ASSIGN_OR_RETURN(kept_.all, Ask(all_));
  EDDY_ASSIGN_OR_RETURN(kept_.free, Ask(free_));
  version_ = Version();
  return kept_;
}

}  // namespace eddy::sql
