// DamagedStore: what is in a database that was set aside, as far as it can be read.
//
// Rows of the catalog are taken as they stand in their tables' trees. A block is taken
// wherever it is found, if its checksum, which covers its bytes, its place in its log and
// its span, says that it is one: in the tree, or, where that cannot be walked, in any leaf
// of the file. So what a leaf that is no longer used still holds may come up as well:
// blocks that were dropped long ago. Those lie below their log's oldest position.
//
// Depends on sql/page_tree.h, block_row.h.
#ifndef EDDY_SRC_LOG_DAMAGED_STORE_H_
#define EDDY_SRC_LOG_DAMAGED_STORE_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "src/log/block_extents.h"
#include "src/log/block_row.h"
#include "src/sql/page_tree.h"

namespace eddy::log {

// A block that may be whole. In an index of them: 24 bytes each.
struct OldBlock {
  int64_t id = 0;
  uint32_t page = 0;
  uint16_t offset = 0;
  uint16_t source = 0;  // of several databases
  uint32_t span = 0;    // as the row says, as the next
  uint32_t frame_count = 0;

  LogId log() const { return static_cast<LogId>(id >> kBlockPositionBits); }
  uint64_t first() const {
    return (static_cast<uint64_t>(id) & ((uint64_t{1} << kBlockPositionBits) - 1)) << 2;
  }
  uint64_t end() const { return first() + span; }
};

// Threads: not safe. Everything is kUnavailable if the disk fails.
class DamagedStore {
 public:
  // `path`: of the database. A database that is not there, or empty, has nothing in it.
  static absl::StatusOr<std::unique_ptr<DamagedStore>> Open(const std::string& path,
                                                            const std::string& vfs);

  // Whether it is one of eddy's, by what only such a one has.
  absl::StatusOr<bool> IsOurs();

  // The rows of one of eddy's tables; in place of the id of a table with rowids, that.
  // False: there may be others.
  using Row = std::vector<SqlValue>;
  absl::StatusOr<bool> Rows(const std::string& table, const std::function<void(const Row&)>& row);

  // Tables of the user: their definition, and their rows as they are stored.
  struct AppTable {
    std::string name;
    std::string sql;
    uint32_t root = 0;
    bool is_index = false;
  };
  absl::StatusOr<std::vector<AppTable>> AppTables();
  absl::StatusOr<bool> AppRows(const AppTable& table, bool has_rowid,
                               const std::function<void(int64_t rowid, const Row&)>& row);

  // Adds all that there may be, by id; and between which ids others may have been.
  absl::Status FindBlocks(uint16_t source, std::vector<OldBlock>* blocks,
                          std::vector<sql::LostRows>* lost);

  // The columns of the row, if the block is whole.
  //   kDataLoss   it is not.
  struct Whole {
    std::string stored;
    int64_t span = 0;
    int64_t kept_ms = 0;
  };
  absl::StatusOr<Whole> ReadBlock(const OldBlock& block);

 private:
  DamagedStore(const std::string& path, const std::string& vfs) : extents_(path, vfs) {}
  absl::StatusOr<bool> Walk(uint32_t root, bool has_rowid,
                            const std::function<void(int64_t rowid, Row)>& row);

  std::unique_ptr<sql::PageFile> file_;  // null: there is nothing
  std::unique_ptr<sql::PageTree> tree_;
  std::map<std::string, uint32_t> roots_;
  ExtentReader extents_;
};

}  // namespace eddy::log

#endif  // EDDY_SRC_LOG_DAMAGED_STORE_H_
