#include "src/log/block_extents.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "src/base/status.h"

namespace eddy::log {
namespace {

// In order of their place, from the index that holds nothing else.
constexpr char kTaken[] =
    "SELECT bytes FROM blocks INDEXED BY blocks_outside WHERE typeof(bytes) = 'integer' "
    "ORDER BY bytes";

// The file is cut where it would become shorter by that at least.
constexpr uint64_t kCutBytesMin = 1 << 20;

}  // namespace

absl::StatusOr<std::string_view> ExtentReader::BytesOf(const sql::Statement& row, int column,
                                                       std::unique_ptr<char[]>* memory) {
  if (!row.ColumnIsInt(column)) return row.ColumnBlob(column);
  return Read(row.ColumnInt(column), memory);
}

absl::StatusOr<std::string_view> ExtentReader::Read(int64_t ref,
                                                    std::unique_ptr<char[]>* memory) {
  if (file_ == nullptr) {
    absl::StatusOr<std::unique_ptr<sql::PlainFile>> file =
        sql::PlainFile::Open(path_, vfs_, sql::PlainFile::Mode::kRead);
    if (absl::IsNotFound(file.status())) return absl::OutOfRangeError(file.status().message());
    EDDY_RETURN_IF_ERROR(file.status());
    file_ = *std::move(file);
  }
  const size_t bytes = ExtentBytes(ref);
  // No number of a row is sure: memory is taken for what the file has.
  EDDY_ASSIGN_OR_RETURN(const uint64_t file_bytes, file_->Bytes());
  if (ref <= 0 || ExtentAt(ref) > file_bytes || bytes > file_bytes - ExtentAt(ref)) {
    return absl::OutOfRangeError(absl::StrCat(path_, " (", file_bytes, " bytes) ends before ",
                                              ExtentAt(ref), " + ", bytes));
  }
  memory->reset(new char[bytes]);
  EDDY_RETURN_IF_ERROR(file_->Read(ExtentAt(ref), bytes, memory->get()));
  return std::string_view(memory->get(), bytes);
}

absl::StatusOr<std::unique_ptr<BlockExtents>> BlockExtents::Open(sql::Database& db,
                                                                 const std::string& database,
                                                                 const sql::OpenOptions& options) {
  std::unique_ptr<BlockExtents> extents(new BlockExtents(database + kExtentsSuffix, options));
  absl::StatusOr<std::unique_ptr<sql::PlainFile>> there =
      sql::PlainFile::Open(extents->path_, extents->vfs_, sql::PlainFile::Mode::kRead);
  if (there.ok()) {
    EDDY_ASSIGN_OR_RETURN(extents->file_bytes_, (*there)->Bytes());
  } else if (!absl::IsNotFound(there.status())) {
    return there.status();
  }
  EDDY_RETURN_IF_ERROR(extents->Learn(db));
  return extents;
}

absl::Status BlockExtents::Learn(sql::Database& db) {
  EDDY_ASSIGN_OR_RETURN(sql::Statement taken, db.Prepare(kTaken));
  for (;;) {
    EDDY_ASSIGN_OR_RETURN(const bool has_row, taken.Step());
    if (!has_row) break;
    const int64_t ref = taken.ColumnInt(0);
    // Of damage: its block will be found damaged. Nothing is written so far behind.
    if (ref <= 0 || ExtentAt(ref) + ExtentBytes(ref) > file_bytes_) continue;
    map_.AddTaken(ExtentAt(ref), ExtentBytes(ref));
  }
  file_bytes_ = std::max(file_bytes_, map_.end());
  return absl::OkStatus();
}

absl::Status BlockExtents::OpenFile() {
  if (file_ != nullptr) return absl::OkStatus();
  EDDY_ASSIGN_OR_RETURN(file_, sql::PlainFile::Open(path_, vfs_, sql::PlainFile::Mode::kWrite));
  return absl::OkStatus();
}

absl::StatusOr<int64_t> BlockExtents::Put(std::string_view bytes) {
  EDDY_RETURN_IF_ERROR(OpenFile());
  const uint64_t at = map_.Take(bytes.size());
  unsynced_ = true;
  file_bytes_ = std::max(file_bytes_, at + AlignExtent(bytes.size()));
  EDDY_RETURN_IF_ERROR(file_->Write(at, bytes));
  return ExtentRef(at, bytes.size());
}

void BlockExtents::Give(int64_t ref) {
  if (ref <= 0 || ExtentAt(ref) + ExtentBytes(ref) > file_bytes_) return;  // see Learn
  map_.Give(ExtentAt(ref), ExtentBytes(ref));
  if (secure_delete_) to_wipe_.push_back(ref);
}

absl::Status BlockExtents::Sync() {
  if (!unsynced_) return absl::OkStatus();
  EDDY_RETURN_IF_ERROR(file_->Sync());
  unsynced_ = false;
  return absl::OkStatus();
}

void BlockExtents::Finish(bool committed) {
  if (committed) Wipe();
  to_wipe_.clear();
  map_.Finish(committed);
  if (file_bytes_ < map_.end() + kCutBytesMin) return;
  // What cannot be cut stays, and is used again.
  if (OpenFile().ok() && file_->Truncate(map_.end()).ok()) file_bytes_ = map_.end();
}

// As far as it goes: the blocks are gone, and a disk that refuses this is told by the
// next commit.
void BlockExtents::Wipe() {
  if (to_wipe_.empty() || !OpenFile().ok()) return;
  for (const int64_t ref : to_wipe_) {
    file_->Write(ExtentAt(ref), std::string(ExtentBytes(ref), '\0')).IgnoreError();
    unsynced_ = true;
  }
}

}  // namespace eddy::log
