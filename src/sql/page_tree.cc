#include "src/sql/page_tree.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "src/base/status.h"

namespace eddy::sql {
namespace {

constexpr int kDepthMax = 20;  // what SQLite itself allows
constexpr char kInnerIndex = 2;
constexpr char kInnerTable = 5;
constexpr char kLeafIndex = 10;
constexpr char kLeafTable = 13;
constexpr uint32_t kFileHeaderBytes = 100;  // on page 1, before its own

uint32_t Big16(std::string_view bytes, size_t at) {
  return uint32_t{static_cast<unsigned char>(bytes[at])} << 8 |
         static_cast<unsigned char>(bytes[at + 1]);
}
uint32_t Big32(std::string_view bytes, size_t at) {
  return Big16(bytes, at) << 16 | Big16(bytes, at + 2);
}

// Up to nine bytes, the highest first. False: the bytes end before it does.
bool Varint(std::string_view bytes, size_t* at, uint64_t* value) {
  *value = 0;
  for (int i = 0; i < 9; ++i) {
    if (*at >= bytes.size()) return false;
    const auto byte = static_cast<unsigned char>(bytes[(*at)++]);
    if (i == 8) {
      *value = *value << 8 | byte;
      return true;
    }
    *value = *value << 7 | (byte & 0x7f);
    if ((byte & 0x80) == 0) return true;
  }
  return true;
}

struct PageHeader {
  char kind = 0;
  uint32_t begin = 0;   // of the header in the page
  uint32_t cells = 0;
  uint32_t pointers = 0;
  uint32_t content = 0;  // where the cells begin
  uint32_t first_free = 0;
  uint32_t fragments = 0;
  uint32_t last_child = 0;
};

bool ParseHeader(std::string_view bytes, uint32_t page, PageHeader* header) {
  const uint32_t begin = page == 1 ? kFileHeaderBytes : 0;
  header->begin = begin;
  header->kind = bytes[begin];
  const bool leaf = header->kind == kLeafTable || header->kind == kLeafIndex;
  if (!leaf && header->kind != kInnerTable && header->kind != kInnerIndex) return false;
  header->first_free = Big16(bytes, begin + 1);
  header->cells = Big16(bytes, begin + 3);
  header->content = Big16(bytes, begin + 5);
  if (header->content == 0) header->content = 65536;
  header->fragments = static_cast<unsigned char>(bytes[begin + 7]);
  header->pointers = begin + (leaf ? 8 : 12);
  if (!leaf) header->last_child = Big32(bytes, begin + 8);
  return header->pointers + 2 * header->cells <= bytes.size();
}

// Whether the cells, the free blocks between them and the odd bytes are all there is.
bool AddsUp(std::string_view bytes, const PageHeader& header, uint64_t cell_bytes) {
  uint64_t sum = cell_bytes + header.fragments;
  uint32_t at = header.first_free;
  while (at != 0) {
    if (at < header.content || at + 4 > bytes.size()) return false;
    const uint32_t size = Big16(bytes, at + 2);
    const uint32_t next = Big16(bytes, at);
    sum += size;
    if (size < 4 || at + size > bytes.size() || (next != 0 && next < at + size)) return false;
    at = next;
  }
  return header.content <= bytes.size() && sum == bytes.size() - header.content;
}

int64_t Signed(std::string_view bytes) {
  uint64_t value = (static_cast<unsigned char>(bytes[0]) & 0x80) != 0 ? UINT64_MAX : 0;
  for (const char byte : bytes) value = value << 8 | static_cast<unsigned char>(byte);
  return static_cast<int64_t>(value);
}

// The columns that `bytes` holds; the record goes on behind them if `cut`.
absl::StatusOr<std::vector<SqlValue>> ParseRecord(std::string_view bytes, bool cut) {
  const absl::Status none = absl::DataLossError("no record");
  size_t at = 0;
  uint64_t header_bytes = 0;
  if (!Varint(bytes, &at, &header_bytes) || header_bytes < at) return none;
  if (header_bytes > bytes.size()) return none;
  const std::string_view header = bytes.substr(0, static_cast<size_t>(header_bytes));
  size_t body = header.size();
  std::vector<SqlValue> values;
  while (at < header.size()) {
    uint64_t type = 0;
    if (!Varint(header, &at, &type)) return none;
    constexpr uint64_t kSizes[] = {0, 1, 2, 3, 4, 6, 8, 8, 0, 0};
    if (type == 10 || type == 11) return none;  // SQLite's own use
    const uint64_t size = type < 10 ? kSizes[type] : (type - 12) / 2;
    if (size > bytes.size() - body) {
      if (cut) return values;
      return none;
    }
    const std::string_view value = bytes.substr(body, static_cast<size_t>(size));
    body += value.size();
    if (type == 0) {
      values.emplace_back();
    } else if (type == 7) {
      const int64_t bits = Signed(value);
      double number;
      std::memcpy(&number, &bits, sizeof(number));
      values.emplace_back(number);
    } else if (type <= 6) {
      values.emplace_back(Signed(value));
    } else if (type <= 9) {
      values.emplace_back(static_cast<int64_t>(type - 8));
    } else if (type % 2 == 0) {
      values.emplace_back(SqlBlob{std::string(value)});
    } else {
      values.emplace_back(std::string(value));
    }
  }
  if (!cut && body != bytes.size()) return none;
  return values;
}

}  // namespace

bool PageTree::Visit(uint32_t page) {
  if (page == 0 || page > file_->page_count()) return false;
  if (visited_.size() <= page) visited_.resize(page + size_t{1});
  if (visited_[page]) return false;
  visited_[page] = true;
  return true;
}

uint32_t PageTree::LocalBytes(uint64_t bytes, bool is_index) const {
  const uint32_t usable = file_->usable_bytes();
  const uint32_t most = is_index ? (usable - 12) * 64 / 255 - 23 : usable - 35;
  if (bytes <= most) return static_cast<uint32_t>(bytes);
  const uint32_t least = (usable - 12) * 32 / 255 - 23;
  const uint32_t fit = least + static_cast<uint32_t>((bytes - least) % (usable - 4));
  return fit <= most ? fit : least;
}

bool PageTree::ParseLeafCell(std::string_view bytes, uint32_t page, uint32_t offset,
                             bool is_index, PageCell* cell, uint32_t* size) const {
  if (offset >= bytes.size()) return false;
  size_t at = offset;
  uint64_t rowid = 0;
  uint64_t record_bytes = 0;
  if (!Varint(bytes, &at, &record_bytes)) return false;
  if (!is_index && !Varint(bytes, &at, &rowid)) return false;
  const uint32_t local = LocalBytes(record_bytes, is_index);
  const size_t end = at + local + (local < record_bytes ? 4 : 0);
  if (end > bytes.size()) return false;
  cell->page = page;
  cell->offset = offset;
  cell->rowid = static_cast<int64_t>(rowid);
  *size = std::max(static_cast<uint32_t>(end - offset), uint32_t{4});
  return true;
}

absl::Status PageTree::WalkTable(uint32_t root,
                                 const std::function<void(const PageCell&)>& found,
                                 std::vector<LostRows>* lost) {
  visited_.clear();
  return WalkTablePage(root, {}, 0, found, lost);
}

absl::Status PageTree::WalkTablePage(uint32_t page, const Limits& limits, int depth,
                                     const std::function<void(const PageCell&)>& found,
                                     std::vector<LostRows>* lost) {
  const auto lose = [&](int64_t above, int64_t last) {
    lost->push_back({above == INT64_MIN ? above : above + 1, last});
  };
  absl::StatusOr<std::string_view> read = absl::DataLossError("visited");
  if (depth < kDepthMax && Visit(page)) read = file_->Read(page);
  if (!read.ok() && !absl::IsDataLoss(read.status())) return read.status();
  PageHeader header;
  if (!read.ok() || !ParseHeader(*read, page, &header) ||
      (header.kind != kLeafTable && header.kind != kInnerTable)) {
    lose(limits.above, limits.last);
    return absl::OkStatus();
  }
  const std::string bytes(*read);  // children are read over it
  int64_t above = limits.above;
  if (header.kind == kInnerTable) {
    for (uint32_t i = 0; i <= header.cells; ++i) {
      uint32_t child = header.last_child;
      int64_t last = limits.last;
      if (i < header.cells) {
        size_t at = Big16(bytes, header.pointers + 2 * i);
        uint64_t key = 0;
        if (at + 4 > bytes.size()) {
          lose(above, limits.last);  // as far as nobody else says more
          continue;
        }
        child = Big32(bytes, at);
        at += 4;
        if (!Varint(bytes, &at, &key)) {
          lose(above, limits.last);
          continue;
        }
        last = static_cast<int64_t>(key);
        if (last < above || last > limits.last) {  // one that cannot be
          lose(above, limits.last);
          last = limits.last;
          EDDY_RETURN_IF_ERROR(WalkTablePage(child, {above, last}, depth + 1, found, lost));
          continue;
        }
      }
      EDDY_RETURN_IF_ERROR(WalkTablePage(child, {above, last}, depth + 1, found, lost));
      above = last;
    }
    return absl::OkStatus();
  }
  uint64_t sum = 0;
  bool fits = true;
  for (uint32_t i = 0; i < header.cells; ++i) {
    PageCell cell;
    uint32_t size = 0;
    if (!ParseLeafCell(bytes, page, Big16(bytes, header.pointers + 2 * i), false, &cell, &size)) {
      fits = false;
      continue;
    }
    sum += size;
    const bool first = i == 0 && above == INT64_MIN;
    fits = fits && (first || cell.rowid > above) && cell.rowid <= limits.last;
    above = cell.rowid;
    found(cell);
  }
  if (!fits || !AddsUp(bytes, header, sum)) lose(limits.above, limits.last);
  return absl::OkStatus();
}

absl::StatusOr<bool> PageTree::WalkIndex(uint32_t root,
                                         const std::function<void(const PageCell&)>& found) {
  visited_.clear();
  bool whole = true;
  EDDY_RETURN_IF_ERROR(WalkIndexPage(root, 0, found, &whole));
  return whole;
}

absl::Status PageTree::WalkIndexPage(uint32_t page, int depth,
                                     const std::function<void(const PageCell&)>& found,
                                     bool* whole) {
  absl::StatusOr<std::string_view> read = absl::DataLossError("visited");
  if (depth < kDepthMax && Visit(page)) read = file_->Read(page);
  if (!read.ok() && !absl::IsDataLoss(read.status())) return read.status();
  PageHeader header;
  if (!read.ok() || !ParseHeader(*read, page, &header) ||
      (header.kind != kLeafIndex && header.kind != kInnerIndex)) {
    *whole = false;
    return absl::OkStatus();
  }
  const std::string bytes(*read);
  const bool inner = header.kind == kInnerIndex;
  uint64_t sum = 0;
  for (uint32_t i = 0; i < header.cells; ++i) {
    uint32_t at = Big16(bytes, header.pointers + 2 * i);
    if (inner) {
      if (at + 4 > bytes.size()) {
        *whole = false;
        continue;
      }
      EDDY_RETURN_IF_ERROR(WalkIndexPage(Big32(bytes, at), depth + 1, found, whole));
      at += 4;
    }
    PageCell cell;
    uint32_t size = 0;
    if (!ParseLeafCell(bytes, page, at, true, &cell, &size)) {
      *whole = false;
      continue;
    }
    sum += size;
    found(cell);
  }
  if (inner) return WalkIndexPage(header.last_child, depth + 1, found, whole);
  *whole = *whole && AddsUp(bytes, header, sum);
  return absl::OkStatus();
}

absl::Status PageTree::WalkLeaves(const std::function<void(const PageCell&)>& found) {
  for (uint32_t page = 1; page <= file_->page_count(); ++page) {
    const absl::StatusOr<std::string_view> read = file_->Read(page);
    if (absl::IsDataLoss(read.status())) continue;
    EDDY_RETURN_IF_ERROR(read.status());
    PageHeader header;
    if (!ParseHeader(*read, page, &header) || header.kind != kLeafTable) continue;
    const std::string bytes(*read);  // `found` may read
    for (uint32_t i = 0; i < header.cells; ++i) {
      PageCell cell;
      uint32_t size = 0;
      if (ParseLeafCell(bytes, page, Big16(bytes, header.pointers + 2 * i), false, &cell, &size)) {
        found(cell);
      }
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> PageTree::Payload(const PageCell& cell, uint64_t bytes_max, bool all,
                                              bool* cut) {
  EDDY_ASSIGN_OR_RETURN(std::string_view bytes, file_->Read(cell.page));
  const char kind = bytes[cell.page == 1 ? kFileHeaderBytes : 0];
  const bool is_index = kind == kLeafIndex || kind == kInnerIndex;
  size_t at = cell.offset;
  uint64_t record_bytes = 0;
  uint64_t rowid = 0;
  if (!Varint(bytes, &at, &record_bytes) || (!is_index && !Varint(bytes, &at, &rowid))) {
    return absl::DataLossError("no cell");
  }
  *cut = false;
  if (all && record_bytes > bytes_max) {
    return absl::DataLossError(absl::StrCat("a record of ", record_bytes, " bytes"));
  }
  const uint32_t local = LocalBytes(record_bytes, is_index);
  if (at + local > bytes.size()) return absl::DataLossError("no cell");
  std::string payload(bytes.substr(at, local));
  *cut = local < record_bytes && !all;
  if (!all || local == record_bytes) return payload;
  if (at + local + 4 > bytes.size()) return absl::DataLossError("no cell");
  uint32_t next = Big32(bytes, at + local);
  payload.reserve(static_cast<size_t>(std::min<uint64_t>(
      record_bytes, uint64_t{file_->page_count()} * file_->page_bytes())));
  // Each page adds some: a chain that goes round ends with the record.
  while (payload.size() < record_bytes) {
    EDDY_ASSIGN_OR_RETURN(bytes, file_->Read(next));
    next = Big32(bytes, 0);
    payload.append(bytes.substr(4, static_cast<size_t>(std::min<uint64_t>(
                                       record_bytes - payload.size(), file_->usable_bytes() - 4))));
  }
  return payload;
}

absl::StatusOr<std::vector<SqlValue>> PageTree::Begin(const PageCell& cell) {
  bool cut = false;
  EDDY_ASSIGN_OR_RETURN(const std::string payload, Payload(cell, UINT64_MAX, false, &cut));
  return ParseRecord(payload, cut);
}

absl::StatusOr<std::vector<SqlValue>> PageTree::Read(const PageCell& cell, uint64_t bytes_max) {
  bool cut = false;
  EDDY_ASSIGN_OR_RETURN(const std::string payload, Payload(cell, bytes_max, true, &cut));
  return ParseRecord(payload, cut);
}

}  // namespace eddy::sql
