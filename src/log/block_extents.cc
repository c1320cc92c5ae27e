#include "src/log/block_extents.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "src/base/status.h"

namespace eddy::log {
namespace {

// In order of their place, from the index that holds nothing else; along with what the row
// itself says, for a changed bit of an index is believed by nobody else.
constexpr char kTaken[] =
    "SELECT i.bytes, b.bytes IS i.bytes FROM blocks i INDEXED BY blocks_outside "
    "LEFT JOIN blocks b ON b.id = i.id WHERE typeof(i.bytes) = 'integer' ORDER BY i.bytes";

}  // namespace

absl::StatusOr<std::string_view> ExtentReader::BytesOf(const sql::Statement& row, int column,
                                                       std::unique_ptr<char[]>* memory) {
  if (!row.ColumnIsInt(column)) return row.ColumnBlob(column);
  return Read(row.ColumnInt(column), memory);
}

absl::Status ExtentReader::Open() {
  if (file_ != nullptr) return absl::OkStatus();
  absl::StatusOr<std::unique_ptr<sql::PlainFile>> file =
      sql::PlainFile::Open(path_, vfs_, sql::PlainFile::Mode::kRead);
  if (absl::IsNotFound(file.status())) return absl::OutOfRangeError(file.status().message());
  if (!file.ok()) return absl::UnavailableError(file.status().message());
  file_ = *std::move(file);
  return absl::OkStatus();
}

absl::StatusOr<std::string_view> ExtentReader::Read(int64_t ref,
                                                    std::unique_ptr<char[]>* memory) {
  EDDY_RETURN_IF_ERROR(Open());
  const size_t bytes = ExtentBytes(ref);
  // No number of a row is sure: memory is taken for what the file has.
  const absl::StatusOr<uint64_t> file_bytes = file_->Bytes();
  if (!file_bytes.ok()) return absl::UnavailableError(file_bytes.status().message());
  if (ref <= 0 || ExtentAt(ref) > *file_bytes || bytes > *file_bytes - ExtentAt(ref)) {
    return absl::OutOfRangeError(absl::StrCat(path_, " (", *file_bytes, " bytes) ends before ",
                                              ExtentAt(ref), " + ", bytes));
  }
  memory->reset(new char[bytes]);
  EDDY_RETURN_IF_ERROR(file_->Read(ExtentAt(ref), bytes, memory->get()));
  return std::string_view(memory->get(), bytes);
}

std::unique_ptr<char[]> KeptBytes(std::string_view bytes, std::unique_ptr<char[]> outside) {
  if (outside != nullptr) return outside;
  std::unique_ptr<char[]> copy(new char[bytes.size()]);
  std::memcpy(copy.get(), bytes.data(), bytes.size());
  return copy;
}

absl::StatusOr<std::unique_ptr<BlockExtents>> BlockExtents::Open(sql::Database& db,
                                                                 const std::string& database,
                                                                 const sql::OpenOptions& options,
                                                                 bool use, Files* files) {
  std::unique_ptr<BlockExtents> extents(
      new BlockExtents(database + kExtentsSuffix, options, use, files));
  absl::StatusOr<std::unique_ptr<sql::PlainFile>> there =
      sql::PlainFile::Open(extents->path_, extents->vfs_, sql::PlainFile::Mode::kRead);
  if (there.ok()) {
    EDDY_ASSIGN_OR_RETURN(extents->file_bytes_, (*there)->Bytes());
  } else if (!absl::IsNotFound(there.status())) {
    return there.status();
  } else if (files->Size(extents->path_).value_or(0) > 0) {
    // SQLite takes whatever it cannot stat() for not there. The rows' bytes are.
    return absl::UnavailableError(absl::StrCat(
        extents->path_, " is there, but SQLite cannot look at it; where times have 32 bits: if it "
        "is dated 2038 or later, set the clock and touch it"));
  }
  extents->Relearn(db);
  // Made along with the store, which makes no files later; on a disk that has no room for
  // it now, when it is needed.
  if (use) extents->OpenFile().IgnoreError();
  return extents;
}

// An index that cannot be read is no reason not to open: what is taken is not known then,
// so nothing new is written there and nothing used again.
void BlockExtents::Relearn(sql::Database& db) {
  map_ = ExtentMap();
  early_blocks_.clear();
  strange_.clear();
  known_ = Learn(db).ok();
}

absl::Status BlockExtents::Learn(sql::Database& db) {
  EDDY_ASSIGN_OR_RETURN(sql::Statement taken, db.Prepare(kTaken));
  int64_t last = 0;
  for (;;) {
    EDDY_ASSIGN_OR_RETURN(const bool has_row, taken.Step());
    if (!has_row) break;
    // Of damage, whose block will be found damaged: beyond the file, or in the place of
    // another. Neither is ever given back.
    const int64_t ref = taken.ColumnInt(0);
    if (taken.ColumnInt(1) == 0) {
      return absl::DataLossError(absl::StrCat("the index of ", path_, " is not that of its rows"));
    }
    if (ref <= 0 || ExtentAt(ref) + ExtentBytes(ref) > file_bytes_) {
      strange_.insert(ref);
    } else if (!map_.AddTaken(ExtentAt(ref), ExtentBytes(ref))) {
      strange_.insert(ref);
      strange_.insert(last);
    }
    last = ref;
  }
  map_.Doubt(file_bytes_);
  file_bytes_ = map_.end();
  return absl::OkStatus();
}

absl::Status BlockExtents::OpenFile() {
  if (file_ != nullptr) return absl::OkStatus();
  EDDY_ASSIGN_OR_RETURN(file_, sql::PlainFile::Open(path_, vfs_, sql::PlainFile::Mode::kWrite));
  return absl::OkStatus();
}

absl::StatusOr<int64_t> BlockExtents::Put(std::string_view bytes, uint64_t most) {
  return Write(bytes, map_.Take(bytes.size(), std::max(most, map_.end())));
}

absl::StatusOr<int64_t> BlockExtents::PutBefore(int64_t ref, std::string_view bytes) {
  return Write(bytes, map_.Take(bytes.size(), ExtentAt(ref)));
}

absl::StatusOr<int64_t> BlockExtents::Write(std::string_view bytes, std::optional<uint64_t> at) {
  if (!at) return 0;
  EDDY_RETURN_IF_ERROR(OpenFile());
  unsynced_ = true;
  const absl::Status written = WriteTo(*file_, *at, bytes);
  if (!written.ok()) {
    // What the disk has no space for may be written later; where it fails nothing is.
    if (absl::IsResourceExhausted(written)) map_.GiveBack(*at, bytes.size());
    file_.reset();  // the next one looks anew: it may have been opened on a read-only disk
    return written;
  }
  return ExtentRef(*at, bytes.size());
}

absl::Status BlockExtents::WriteTo(sql::PlainFile& file, uint64_t at, std::string_view bytes) {
  file_bytes_ = std::max(file_bytes_, at + AlignExtent(bytes.size()));
  EDDY_RETURN_IF_ERROR(file.Write(at, bytes));
  // So that the disk works while the next block is packed.
  files_->StartWriteBack(path_, at, bytes.size());
  return absl::OkStatus();
}

void BlockExtents::Give(int64_t ref) {
  if (ref <= 0 || !known_ || strange_.contains(ref)) return;
  map_.Give(ExtentAt(ref), ExtentBytes(ref));
}

absl::StatusOr<uint64_t> BlockExtents::PutEarly(int64_t id, std::string_view bytes) {
  if (early_file_ == nullptr) {
    EDDY_ASSIGN_OR_RETURN(early_file_,
                          sql::PlainFile::Open(path_, vfs_, sql::PlainFile::Mode::kWrite));
  }
  const uint64_t at = *map_.Reserve(bytes.size());
  const absl::Status written = WriteTo(*early_file_, at, bytes);
  if (!written.ok()) {
    map_.Release(at, bytes.size());
    early_file_.reset();
    return written;
  }
  early_blocks_[next_ticket_] = {id, ExtentRef(at, bytes.size())};
  return next_ticket_++;
}

int64_t BlockExtents::Adopt(uint64_t ticket, int64_t id) {
  const auto early = early_blocks_.find(ticket);
  if (early == early_blocks_.end() || early->second.id != id) return 0;
  const int64_t ref = early->second.ref;
  early_blocks_.erase(early);
  map_.Adopt(ExtentAt(ref), ExtentBytes(ref));
  unsynced_ = true;
  return ref;
}

void BlockExtents::ForgetEarly(uint64_t below) {
  while (!early_blocks_.empty() && early_blocks_.begin()->first < below) {
    const int64_t ref = early_blocks_.begin()->second.ref;
    map_.Release(ExtentAt(ref), ExtentBytes(ref));
    early_blocks_.erase(early_blocks_.begin());
  }
}

absl::Status BlockExtents::Sync() {
  if (unsynced_) {
    EDDY_RETURN_IF_ERROR(OpenFile());
    EDDY_RETURN_IF_ERROR(file_->Sync());
  }
  unsynced_ = false;
  committing_ = true;
  return absl::OkStatus();
}

void BlockExtents::Finish(bool committed, uint64_t cut_bytes_min) {
  const bool tried = std::exchange(committing_, false);
  // All of them, if not: the sync that failed may have been that of their bytes.
  ForgetEarly(committed ? early_from_ : next_ticket_);
  map_.Finish(committed ? ExtentMap::End::kCommitted
              : tried   ? ExtentMap::End::kInDoubt
                        : ExtentMap::End::kGivenUp);
  // Early blocks may have taken what the commit needed of a disk that is nearly full.
  if (!committed) cut_bytes_min = 1;
  if (!known_ || file_bytes_ < map_.end() + cut_bytes_min) return;
  // What cannot be cut stays, and is used again.
  if (OpenFile().ok() && file_->Truncate(map_.end()).ok()) file_bytes_ = map_.end();
}

}  // namespace eddy::log
