#include "src/sql/page_file.h"

#include <sqlite3.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/sql/database.h"
#include "src/sql/error.h"
#include "src/sql/plain_file.h"
#include "src/sql/read_ahead.h"

namespace eddy::sql {
namespace {

constexpr uint32_t kWalMagic = 0x377f0682;  // the lowest bit: words are big-endian
constexpr char kMagic[] = "SQLite format 3";
constexpr uint32_t kPageBytesMin = 512;
constexpr uint32_t kPageBytesMax = 65536;
constexpr uint32_t kPageBytesUsual = 4096;
constexpr int kPageTriesMax = 64;  // of frames that do not fit
constexpr uint64_t kSniffedBytes = 256 << 10;

uint32_t Big16(const char* p) {
  return uint32_t{static_cast<unsigned char>(p[0])} << 8 | static_cast<unsigned char>(p[1]);
}
uint32_t Big32(const char* p) { return Big16(p) << 16 | Big16(p + 2); }

bool IsPageSize(uint32_t bytes) {
  return bytes >= kPageBytesMin && bytes <= kPageBytesMax && (bytes & (bytes - 1)) == 0;
}

// Where the cell at `at` ends in a page of `bytes`; 0: it does not.
uint32_t CellEnd(const char* page, uint32_t bytes, uint32_t at, int kind) {
  const auto varint = [&](uint64_t* value) {
    *value = 0;
    for (int i = 0; i < 9 && at < bytes; ++i) {
      const auto byte = static_cast<unsigned char>(page[at++]);
      *value = i == 8 ? *value << 8 | byte : *value << 7 | (byte & 0x7f);
      if ((byte & 0x80) == 0) return;
    }
  };
  const bool is_index = kind == 2 || kind == 10;
  uint64_t number = 0;
  if (kind == 2 || kind == 5) at += 4;  // the child
  varint(&number);
  if (kind == 5) return at;
  const uint64_t record = number;
  if (!is_index) varint(&number);
  const uint32_t most = is_index ? (bytes - 12) * 64 / 255 - 23 : bytes - 35;
  const uint32_t least = (bytes - 12) * 32 / 255 - 23;
  if (record <= most) return at + static_cast<uint32_t>(record);
  const uint32_t fit = least + static_cast<uint32_t>((record - least) % (bytes - 4));
  return at + (fit <= most ? fit : least) + 4;
}

// Whether a page of a tree begins here, and ends where one of this size would.
bool LooksLikeTree(const char* page, uint32_t bytes, uint32_t at) {
  const int kind = page[at];
  const bool leaf = kind == 10 || kind == 13;
  if (!leaf && kind != 2 && kind != 5) return false;
  const uint32_t cells = Big16(page + at + 3);
  const uint32_t pointers = at + (leaf ? 8 : 12);
  if (cells == 0) return leaf && Big16(page + at + 5) == (bytes & 0xffff);
  if (pointers + 2 * cells > bytes) return false;
  uint32_t highest = 0;
  for (uint32_t i = 0; i < cells; ++i) {
    const uint32_t cell = Big16(page + pointers + 2 * i);
    if (cell < pointers + 2 * cells || cell >= bytes) return false;
    highest = std::max(highest, cell);
  }
  return at == 0 && CellEnd(page, bytes, highest, kind) == bytes;  // they lie from there on
}

}  // namespace

// The WAL's running checksum.
struct PageFile::Checksum {
  uint32_t a = 0;
  uint32_t b = 0;

  void Add(const char* bytes, size_t size, bool big) {
    for (size_t i = 0; i + 8 <= size; i += 8) {
      a += Word(bytes + i, big) + b;
      b += Word(bytes + i + 4, big) + a;
    }
  }
  bool Matches(const char* stored) const { return a == Big32(stored) && b == Big32(stored + 4); }
  static Checksum Stored(const char* at) { return {Big32(at), Big32(at + 4)}; }

 private:
  static uint32_t Word(const char* p, bool big) {
    const uint32_t word = Big32(p);
    return big ? word : (word >> 24) | ((word >> 8) & 0xff00) | ((word << 8) & 0xff0000) |
                            (word << 24);
  }
};

// One file, read through the VFS.
class PageFile::Raw {
 public:
  // Null: there is no such file, or nothing in it.
  static absl::StatusOr<std::unique_ptr<Raw>> Open(const std::string& path,
                                                   const std::string& vfs) {
    absl::StatusOr<std::unique_ptr<PlainFile>> file =
        PlainFile::Open(path, vfs, PlainFile::Mode::kRead);
    if (absl::IsNotFound(file.status())) return std::unique_ptr<Raw>();
    EDDY_RETURN_IF_ERROR(file.status());
    EDDY_ASSIGN_OR_RETURN(const uint64_t bytes, (*file)->Bytes());
    if (bytes == 0) return std::unique_ptr<Raw>();
    return std::unique_ptr<Raw>(new Raw(path, *std::move(file), bytes));
  }

  uint64_t bytes() const { return bytes_; }
  // All of it lies within bytes().
  absl::Status Read(uint64_t at, size_t bytes, char* to) {
    const int code = ahead_.Read(to, static_cast<int>(bytes), static_cast<int64_t>(at));
    if (code == SQLITE_OK) return absl::OkStatus();
    const absl::Status status = ToStatus(code, nullptr, absl::StrCat("read ", path_));
    // Not as SQLite has it: a file that is shorter than it said is no damage.
    return absl::UnavailableError(status.message());
  }

 private:
  Raw(std::string path, std::unique_ptr<PlainFile> file, uint64_t bytes)
      : path_(std::move(path)), file_(std::move(file)), bytes_(bytes) {}

  const std::string path_;
  const std::unique_ptr<PlainFile> file_;
  const uint64_t bytes_;
  ReadAhead ahead_{[this](void* to, int bytes, int64_t offset) {
    return file_->ReadCode(to, bytes, offset);
  }};
};

PageFile::PageFile() = default;
PageFile::~PageFile() = default;

absl::StatusOr<std::unique_ptr<PageFile>> PageFile::Open(const std::string& path,
                                                         const std::string& vfs) {
  std::unique_ptr<PageFile> file(new PageFile());
  EDDY_ASSIGN_OR_RETURN(file->database_, Raw::Open(path, vfs));
  EDDY_ASSIGN_OR_RETURN(file->wal_, Raw::Open(path + kWalSuffix, vfs));
  if (file->database_ == nullptr && file->wal_ == nullptr) {
    return absl::NotFoundError(absl::StrCat(path, " and its WAL hold nothing"));
  }
  uint32_t wal_page_bytes = 0;
  if (file->wal_ != nullptr && file->wal_->bytes() > kWalHeaderBytes) {
    char header[kWalHeaderBytes];
    EDDY_RETURN_IF_ERROR(file->wal_->Read(0, sizeof(header), header));
    if (IsPageSize(Big32(header + 8))) wal_page_bytes = Big32(header + 8);
  }
  EDDY_RETURN_IF_ERROR(file->FindPageBytes(wal_page_bytes));
  if (file->database_ != nullptr) {
    const uint64_t pages = file->database_->bytes() / file->page_bytes_;
    file->page_count_ = static_cast<uint32_t>(std::min<uint64_t>(pages, UINT32_MAX - 1));
  }
  EDDY_RETURN_IF_ERROR(file->ReadWal());
  return file;
}

// The header's word, unless the pages themselves say otherwise.
absl::Status PageFile::FindPageBytes(uint32_t wal_page_bytes) {
  page_bytes_ = wal_page_bytes != 0 ? wal_page_bytes : kPageBytesUsual;
  if (database_ == nullptr) return absl::OkStatus();
  const size_t bytes = static_cast<size_t>(std::min(database_->bytes(), kSniffedBytes));
  std::vector<char> begin(bytes);
  EDDY_RETURN_IF_ERROR(database_->Read(0, bytes, begin.data()));
  if (bytes >= 100 && std::memcmp(begin.data(), kMagic, sizeof(kMagic)) == 0) {
    const uint32_t named = Big16(begin.data() + 16) == 1 ? kPageBytesMax : Big16(begin.data() + 16);
    if (IsPageSize(named)) page_bytes_ = named;
  }
  const auto count = [&](uint32_t size) {
    int pages = 0;
    for (size_t at = 0; at + size <= bytes; at += size) {
      pages += LooksLikeTree(begin.data() + at, size, at == 0 ? 100 : 0);
    }
    return pages;
  };
  int most = count(page_bytes_);
  for (uint32_t size = kPageBytesMin; size <= kPageBytesMax; size *= 2) {
    const int pages = count(size);
    if (pages <= most) continue;
    most = pages;
    page_bytes_ = size;
  }
  return absl::OkStatus();
}

absl::Status PageFile::ReadWal() {
  if (wal_ == nullptr || wal_->bytes() < kWalHeaderBytes + kWalFrameHeaderBytes + page_bytes_) {
    return absl::OkStatus();
  }
  const size_t frame_bytes = kWalFrameHeaderBytes + page_bytes_;
  std::vector<char> bytes(frame_bytes);
  char header[kWalHeaderBytes];
  EDDY_RETURN_IF_ERROR(wal_->Read(0, sizeof(header), header));
  Checksum chain;
  bool big = (Big32(header) & 1) != 0;
  chain.Add(header, 24, big);
  const bool header_fits = (Big32(header) & ~1u) == kWalMagic && chain.Matches(header + 24);
  char salts[8];
  std::memcpy(salts, header + 16, sizeof(salts));
  Checksum before = Checksum::Stored(header + 24);  // as it stands there,
  Checksum reckoned = chain;                        // and as it should
  uint64_t unfit = 0;                               // the frame before; 0: it fits
  int tries = 0;
  bool misplaced = false;  // some frame says of no page that can be
  const uint32_t page_count_most =
      page_count_ + static_cast<uint32_t>(std::min<uint64_t>(wal_->bytes() / frame_bytes, 1 << 20));

  // What SQLite would see, and whether it has come to its end.
  std::map<uint32_t, uint64_t> seen;
  uint32_t seen_pages = 0;
  bool ended = !header_fits;
  std::map<uint32_t, uint64_t> transaction;  // the one at hand
  bool whole = header_fits;                  // it is, so far
  bool behind_damage = false;                // whole ones came behind one that is not
  std::map<uint32_t, uint64_t> held;         // of transactions that are not whole, until
                                             // a whole one comes behind them
  for (uint64_t at = kWalHeaderBytes; at + frame_bytes <= wal_->bytes(); at += frame_bytes) {
    EDDY_RETURN_IF_ERROR(wal_->Read(at, frame_bytes, bytes.data()));
    const char* const frame = bytes.data();
    if (at == kWalHeaderBytes && !header_fits) {
      // Its frames say themselves what they belong to; the first has nothing before it
      // that could be believed.
      std::memcpy(salts, frame + 8, sizeof(salts));
      for (const bool order : {true, false}) {
        Checksum first = Checksum::Stored(header + 24);
        first.Add(frame, 8, order);
        first.Add(frame + kWalFrameHeaderBytes, page_bytes_, order);
        if (first.Matches(frame + 16)) big = order;
      }
    }
    uint32_t page = Big32(frame);
    const auto sum_from = [&](Checksum sum) {
      sum.Add(frame, 8, big);
      sum.Add(frame + kWalFrameHeaderBytes, page_bytes_, big);
      return sum;
    };
    const bool same = std::memcmp(frame + 8, salts, sizeof(salts)) == 0;
    const Checksum sum = sum_from(before);
    // The checksum does not cover the salts; but only a frame that follows one of these
    // can do without them.
    bool fits = (same || (unfit == 0 && at != kWalHeaderBytes)) && page != 0 &&
                sum.Matches(frame + 16);
    ended = ended || !fits || !same;
    whole = whole && fits;
    if (!fits && same && page != 0 && unfit != 0 && sum_from(reckoned).Matches(frame + 16)) {
      fits = true;  // so of the one before only the checksum was damaged
    }
    if (!fits && same && ++tries <= kPageTriesMax) {
      page = PageThatFits(before, frame, big);  // perhaps only that was damaged
      fits = page != 0;
      if (!fits) page = Big32(frame);
    }
    before = Checksum::Stored(frame + 16);
    reckoned = sum;
    unfit = fits ? 0 : at;
    if (!fits) {
      // What it holds may be right but for a byte; there is nothing better.
      const bool has_place = page != 0 && page <= page_count_most;
      if (same && has_place) transaction[page] = at;
      misplaced = misplaced || (same && !has_place);
      continue;
    }
    transaction[page] = at;
    const uint32_t pages_then = Big32(frame + 4);
    if (pages_then == 0) continue;  // no commit yet
    if (!ended) {
      for (const auto& [number, place] : transaction) seen[number] = place;
      seen_pages = pages_then;
    }
    std::map<uint32_t, uint64_t>& to = whole ? frames_ : held;
    if (whole && !held.empty()) {  // they were synced, then
      for (const auto& [number, place] : held) frames_[number] = place;
      held.clear();
    }
    behind_damage = behind_damage || (whole && ended);
    for (const auto& [number, place] : transaction) to[number] = place;
    if (whole) page_count_ = std::max(page_count_, std::min(pages_then, UINT32_MAX - 1));
    transaction.clear();
    whole = true;
  }
  if (!behind_damage) {
    frames_ = std::move(seen);
    if (seen_pages != 0) page_count_ = std::max(page_count_, seen_pages);
    return absl::OkStatus();
  }
  lacks_pages_ = misplaced;
  EDDY_ASSIGN_OR_RETURN(wal_is_damaged_, SaysOtherwise(seen));
  return absl::OkStatus();
}

// The only page number with which the frame fits; 0: there is none.
uint32_t PageFile::PageThatFits(const Checksum& before, const char* frame, bool big) const {
  char head[8];
  std::memcpy(head, frame, sizeof(head));
  for (int bit = 0; bit < 32; ++bit) {
    head[bit / 8] = static_cast<char>(head[bit / 8] ^ (1 << (bit % 8)));
    Checksum sum = before;
    sum.Add(head, sizeof(head), big);
    sum.Add(frame + kWalFrameHeaderBytes, page_bytes_, big);
    if (sum.Matches(frame + 16)) return Big32(head);
    head[bit / 8] = frame[bit / 8];
  }
  return 0;
}

// Of a WAL that was copied and is about to be begun anew, a power cut may tear the
// header or its first frames; then what stands behind them is in the file already.
absl::StatusOr<bool> PageFile::SaysOtherwise(const std::map<uint32_t, uint64_t>& seen) {
  std::string other(page_bytes_, '\0');
  for (const auto& [page, place] : frames_) {
    const auto found = seen.find(page);
    if (found != seen.end() && found->second == place) continue;
    EDDY_ASSIGN_OR_RETURN(const std::string_view newest, Read(page));
    if (found != seen.end()) {
      EDDY_RETURN_IF_ERROR(
          wal_->Read(found->second + kWalFrameHeaderBytes, page_bytes_, other.data()));
    } else {
      const uint64_t at = uint64_t{page - 1} * page_bytes_;
      if (database_ == nullptr || at + page_bytes_ > database_->bytes()) return true;
      EDDY_RETURN_IF_ERROR(database_->Read(at, page_bytes_, other.data()));
    }
    if (newest != other) return true;
  }
  return false;
}

absl::StatusOr<std::string_view> PageFile::Read(uint32_t page) {
  page_.resize(page_bytes_);
  const auto frame = frames_.find(page);
  if (frame != frames_.end()) {
    EDDY_RETURN_IF_ERROR(
        wal_->Read(frame->second + kWalFrameHeaderBytes, page_bytes_, page_.data()));
    return std::string_view(page_);
  }
  const uint64_t at = (uint64_t{page} - 1) * page_bytes_;
  if (page == 0 || database_ == nullptr || at + page_bytes_ > database_->bytes()) {
    return absl::DataLossError(absl::StrCat("there is no page ", page));
  }
  EDDY_RETURN_IF_ERROR(database_->Read(at, page_bytes_, page_.data()));
  return std::string_view(page_);
}

}  // namespace eddy::sql
