// PageTree: the records of SQLite's trees, read page by page from a database that SQLite
// refuses. Whatever cannot be read costs itself only, and is told.
//
//   table tree    inner page (5): | child, key | child, key | ... | last child
//                 leaf (13):      | size, rowid, record | ...
//   index tree    the same with the record in place of the key, on inner pages (2) too;
//                 tables WITHOUT ROWID are such. Leaves are 10
//   record        | header: its size, a type for each column | the columns |
//   long records  their begin in the cell, the rest in a chain of overflow pages
//
// No number of a page is believed: pointers lie within the page, chains and trees visit
// no page twice, keys stand within the limits that the pages above give, and the bytes
// of a leaf add up.
//
// Depends on page_file.h, eddy/transaction.h (SqlValue).
#ifndef EDDY_SRC_SQL_PAGE_TREE_H_
#define EDDY_SRC_SQL_PAGE_TREE_H_

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "eddy/transaction.h"
#include "src/sql/page_file.h"

namespace eddy::sql {

// A cell of a leaf, or of an inner page of an index.
struct PageCell {
  uint32_t page = 0;
  uint32_t offset = 0;     // of the cell in it
  int64_t rowid = 0;       // of a table
};

// Rowids of a table in [first, last] that may have had a row which was not found.
struct LostRows {
  int64_t first = INT64_MIN;
  int64_t last = INT64_MAX;
};

// Threads: not safe. `file` outlives it.
// All calls return kUnavailable if the disk fails, and no other error but what they say.
class PageTree {
 public:
  explicit PageTree(PageFile* file) : file_(file) {}

  // Every cell of the table, in order as far as that is kept, and what may be lost.
  absl::Status WalkTable(uint32_t root, const std::function<void(const PageCell&)>& found,
                         std::vector<LostRows>* lost);
  // The same of an index. True: nothing was met that cannot be read.
  absl::StatusOr<bool> WalkIndex(uint32_t root,
                                 const std::function<void(const PageCell&)>& found);
  // Every cell of every leaf of whatever table there is or was, in the order of pages.
  absl::Status WalkLeaves(const std::function<void(const PageCell&)>& found);

  // The columns, as far as they lie in the cell itself: a long one ends the list.
  //   kDataLoss   it is no record.
  absl::StatusOr<std::vector<SqlValue>> Begin(const PageCell& cell);
  // All of them. `bytes_max` bounds the record.
  absl::StatusOr<std::vector<SqlValue>> Read(const PageCell& cell, uint64_t bytes_max);

 private:
  struct Limits {
    int64_t above = INT64_MIN;  // exclusive, but for the first
    int64_t last = INT64_MAX;
  };
  absl::Status WalkTablePage(uint32_t page, const Limits& limits, int depth,
                             const std::function<void(const PageCell&)>& found,
                             std::vector<LostRows>* lost);
  absl::Status WalkIndexPage(uint32_t page, int depth,
                             const std::function<void(const PageCell&)>& found, bool* whole);
  bool Visit(uint32_t page);
  // Of the page as it lies in `bytes`.
  bool ParseLeafCell(std::string_view bytes, uint32_t page, uint32_t offset, bool is_index,
                     PageCell* cell, uint32_t* size) const;
  absl::StatusOr<std::string> Payload(const PageCell& cell, uint64_t bytes_max, bool all,
                                      bool* cut);
  uint32_t LocalBytes(uint64_t bytes, bool is_index) const;

  PageFile* const file_;
  std::vector<bool> visited_;
};

}  // namespace eddy::sql

#endif  // EDDY_SRC_SQL_PAGE_TREE_H_
