#include "src/log/damaged_store.h"

#include <algorithm>
#include <array>
#include <optional>
#include <tuple>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/log/block_codec.h"
#include "src/log/meta.h"
#include "src/sql/app_guard.h"
#include "src/sql/schema.h"

namespace eddy::log {
namespace {

// What a row has beside its bytes, at the most.
constexpr uint64_t kBlockRecordBytesMax = kBlockSpanMax + 256;
constexpr uint64_t kRecordBytesMax = 2 << 20;  // of all other tables
constexpr uint32_t kSchemaRoot = 1;

// Of the row without its id, as schema.cc has them.
enum BlockColumn { kId, kFrameCount, kFirstTime, kLastTime, kTrusted, kKept, kChecksum, kSpan,
                   kBytes, kBlockColumns };

bool HasRowid(const std::string& table) {
  for (const char* const name : {"logs", "blocks", "streams", "queues", "clock_boots", "views"}) {
    if (table == name) return true;
  }
  return false;
}

std::optional<int64_t> Int(const SqlValue& value) {
  const int64_t* const number = std::get_if<int64_t>(&value);
  return number == nullptr ? std::nullopt : std::optional<int64_t>(*number);
}

// The span, if the column holds it twice.
std::optional<uint32_t> SpanOf(int64_t column) {
  const uint64_t span = static_cast<uint64_t>(column) & 0xffffffff;
  if (static_cast<uint64_t>(column) >> 32 != span || span < 1 || span > kBlockSpanMax) {
    return std::nullopt;
  }
  return static_cast<uint32_t>(span);
}

}  // namespace

absl::StatusOr<std::unique_ptr<DamagedStore>> DamagedStore::Open(const std::string& path,
                                                                 const std::string& vfs) {
  std::unique_ptr<DamagedStore> store(new DamagedStore(path, vfs));
  absl::StatusOr<std::unique_ptr<sql::PageFile>> file = sql::PageFile::Open(path, vfs);
  if (absl::IsNotFound(file.status())) return store;
  EDDY_RETURN_IF_ERROR(file.status());
  store->file_ = *std::move(file);
  EDDY_ASSIGN_OR_RETURN(store->roots_, sql::TableRoots(store->file_->page_bytes()));
  store->tree_ = std::make_unique<sql::PageTree>(store->file_.get());
  return store;
}

absl::StatusOr<bool> DamagedStore::Walk(uint32_t root, bool has_rowid,
                                        const std::function<void(int64_t rowid, Row)>& row) {
  if (file_ == nullptr) return false;
  std::vector<sql::PageCell> cells;
  const auto note = [&](const sql::PageCell& cell) { cells.push_back(cell); };
  bool whole = true;
  if (has_rowid) {
    std::vector<sql::LostRows> lost;
    EDDY_RETURN_IF_ERROR(tree_->WalkTable(root, note, &lost));
    whole = lost.empty();
  } else {
    EDDY_ASSIGN_OR_RETURN(whole, tree_->WalkIndex(root, note));
  }
  for (const sql::PageCell& cell : cells) {
    absl::StatusOr<Row> values = tree_->Read(cell, kRecordBytesMax);
    if (absl::IsDataLoss(values.status())) {
      whole = false;
      continue;
    }
    EDDY_RETURN_IF_ERROR(values.status());
    row(cell.rowid, *std::move(values));
  }
  return whole;
}

absl::StatusOr<bool> DamagedStore::Rows(const std::string& table,
                                        const std::function<void(const Row&)>& row) {
  if (file_ == nullptr) return false;
  const auto root = roots_.find(table);
  EDDY_CHECK(root != roots_.end());
  const bool has_rowid = HasRowid(table);
  return Walk(root->second, has_rowid, [&](int64_t rowid, Row values) {
    if (has_rowid && !values.empty()) values[0] = rowid;  // stored as NULL
    row(values);
  });
}

absl::StatusOr<bool> DamagedStore::IsOurs() {
  bool ours = false;
  EDDY_RETURN_IF_ERROR(Rows("meta", [&](const Row& row) {
                         const std::string* const name =
                             row.size() == 2 ? std::get_if<std::string>(&row[0]) : nullptr;
                         ours = ours || (name != nullptr &&
                                         (*name == kMetaStoreId || *name == kMetaByteOrder));
                       }).status());
  if (ours || file_ == nullptr) return ours;
  const absl::StatusOr<std::string_view> first = file_->Read(1);
  constexpr size_t kApplicationIdAt = 68;
  if (first.ok()) {
    const std::string id = {'e', 'd', 'd', 'y'};
    static_assert(sql::kApplicationId == 0x65646479, "as the text above");
    if (first->compare(kApplicationIdAt, id.size(), id) == 0) return true;
  }
  // Both are gone: a block that proves itself is as good.
  std::vector<OldBlock> blocks;
  std::vector<sql::LostRows> lost;
  EDDY_RETURN_IF_ERROR(FindBlocks(0, &blocks, &lost));
  for (const OldBlock& block : blocks) {
    const absl::Status read = ReadBlock(block).status();
    if (read.ok()) return true;
    if (!absl::IsDataLoss(read)) return read;
  }
  return false;
}

absl::StatusOr<std::vector<DamagedStore::AppTable>> DamagedStore::AppTables() {
  std::vector<AppTable> tables;
  // type, name, tbl_name, rootpage, sql
  EDDY_RETURN_IF_ERROR(Walk(kSchemaRoot, true, [&](int64_t, Row row) {
                         if (row.size() != 5) return;
                         const std::string* const name = std::get_if<std::string>(&row[1]);
                         const std::string* const sql = std::get_if<std::string>(&row[4]);
                         const std::optional<int64_t> root = Int(row[3]);
                         const std::string* const type = std::get_if<std::string>(&row[0]);
                         if (type == nullptr || name == nullptr || sql == nullptr || !root) return;
                         if (!sql::IsAppName(*name)) return;
                         tables.push_back({*name, *sql, static_cast<uint32_t>(*root),
                                           *type == "index"});
                       }).status());
  return tables;
}

absl::StatusOr<bool> DamagedStore::AppRows(
    const AppTable& table, bool has_rowid,
    const std::function<void(int64_t rowid, const Row&)>& row) {
  return Walk(table.root, has_rowid, [&](int64_t rowid, Row values) { row(rowid, values); });
}

absl::Status DamagedStore::FindBlocks(uint16_t source, std::vector<OldBlock>* blocks,
                                      std::vector<sql::LostRows>* lost) {
  if (file_ == nullptr) {
    lost->push_back({});
    return absl::OkStatus();
  }
  std::vector<sql::PageCell> cells;
  const auto note = [&](const sql::PageCell& cell) { cells.push_back(cell); };
  const size_t before = lost->size();
  EDDY_RETURN_IF_ERROR(tree_->WalkTable(roots_.at("blocks"), note, lost));
  const size_t walked = cells.size();
  if (file_->lacks_pages()) lost->push_back({});
  if (lost->size() > before) EDDY_RETURN_IF_ERROR(tree_->WalkLeaves(note));
  std::vector<std::tuple<int64_t, uint32_t, uint32_t>> known;  // those of the tree
  for (size_t i = 0; i < cells.size(); ++i) {
    const sql::PageCell& cell = cells[i];
    if (i == walked) std::sort(known.begin(), known.end());
    const absl::StatusOr<Row> row = tree_->Begin(cell);
    if (!row.ok() && !absl::IsDataLoss(row.status())) return row.status();
    std::optional<uint32_t> span;
    int64_t frames = 1;
    if (row.ok() && row->size() > kSpan && std::holds_alternative<std::monostate>((*row)[kId])) {
      span = SpanOf(Int((*row)[kSpan]).value_or(0));
      frames = Int((*row)[kFrameCount]).value_or(1);
    }
    if (i < walked && !span) {  // some row is there, which cannot be told
      lost->push_back({cell.rowid, cell.rowid});
    }
    if (!span || cell.rowid < 0 || cell.offset > UINT16_MAX) continue;
    OldBlock block;
    block.id = cell.rowid;
    block.page = cell.page;
    block.offset = static_cast<uint16_t>(cell.offset);
    block.source = source;
    block.span = *span;
    const int64_t frames_most = int64_t{*span} / static_cast<int64_t>(kFrameHeaderBytes) + 1;
    block.frame_count = static_cast<uint32_t>(std::clamp<int64_t>(frames, 1, frames_most));
    if (i < walked) {
      known.emplace_back(cell.rowid, cell.page, cell.offset);
    } else if (std::binary_search(known.begin(), known.end(),
                                  std::make_tuple(cell.rowid, cell.page, cell.offset))) {
      continue;
    }
    blocks->push_back(block);
  }
  return absl::OkStatus();
}

absl::StatusOr<DamagedStore::Whole> DamagedStore::ReadBlock(const OldBlock& block) {
  sql::PageCell cell;
  cell.page = block.page;
  cell.offset = block.offset;
  cell.rowid = block.id;
  EDDY_ASSIGN_OR_RETURN(Row row, tree_->Read(cell, kBlockRecordBytesMax));
  const absl::Status none = absl::DataLossError(
      absl::StrCat("log ", block.log(), ": the block at ", block.first(), " is damaged"));
  if (row.size() != kBlockColumns) return none;
  SqlBlob* const bytes = std::get_if<SqlBlob>(&row[kBytes]);
  const std::optional<int64_t> outside = Int(row[kBytes]);
  const std::optional<int64_t> checksum = Int(row[kChecksum]);
  if ((bytes == nullptr && !outside) || !checksum) return none;
  Whole whole;
  whole.span = block.span;
  whole.kept_ms = Int(row[kKept]).value_or(0);
  if (outside) {
    std::unique_ptr<char[]> memory;
    const absl::StatusOr<std::string_view> read = extents_.Read(*outside, &memory);
    if (absl::IsOutOfRange(read.status())) return none;
    if (!read.ok()) return absl::UnavailableError(read.status().message());
    whole.stored = std::string(*read);
  } else {
    whole.stored = std::move(bytes->bytes);
  }
  if (BlockChecksum(whole.stored, block.id, whole.span) != static_cast<uint64_t>(*checksum)) {
    return none;
  }
  return whole;
}

}  // namespace eddy::log
