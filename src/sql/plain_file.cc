#include "src/sql/plain_file.h"

#include <sqlite3.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "src/sql/error.h"

namespace eddy::sql {
namespace {

// SQLite's unix VFS takes a read or write of 128 KiB for nothing: it masks the length.
constexpr size_t kStepBytesMax = 64 << 10;

}  // namespace

PlainFile::PlainFile(std::string path, size_t file_bytes)
    : path_(std::move(path)),
      memory_(new std::max_align_t[file_bytes / sizeof(std::max_align_t) + 1]()) {}

PlainFile::~PlainFile() {
  if (file()->pMethods != nullptr) file()->pMethods->xClose(file());
}

absl::StatusOr<std::unique_ptr<PlainFile>> PlainFile::Open(const std::string& path,
                                                           const std::string& vfs_name,
                                                           Mode mode) {
  if (sqlite3_initialize() != SQLITE_OK) return absl::InternalError("sqlite3_initialize");
  sqlite3_vfs* const vfs = sqlite3_vfs_find(vfs_name.empty() ? nullptr : vfs_name.c_str());
  if (vfs == nullptr) return absl::NotFoundError(absl::StrCat("no SQLite VFS ", vfs_name));
  if (mode == Mode::kRead) {
    int exists = 0;
    const int code = vfs->xAccess(vfs, path.c_str(), SQLITE_ACCESS_EXISTS, &exists);
    if (code != SQLITE_OK) return ToStatus(code, nullptr, absl::StrCat("look for ", path));
    if (exists == 0) return absl::NotFoundError(absl::StrCat("no file ", path));
  }
  auto plain = std::unique_ptr<PlainFile>(new PlainFile(path, static_cast<size_t>(vfs->szOsFile)));
  // As kinds of file that SQLite takes no lock on. One that is made as a journal has the
  // rights of the database before its "-", and its name is synced along with it.
  int flags = mode == Mode::kRead
                  ? SQLITE_OPEN_SUPER_JOURNAL | SQLITE_OPEN_READONLY
                  : SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
  const int opened = vfs->xOpen(vfs, plain->path_.c_str(), plain->file(), flags, &flags);
  if (opened != SQLITE_OK) return ToStatus(opened, nullptr, absl::StrCat("open ", path));
  if (mode == Mode::kWrite && (flags & SQLITE_OPEN_READONLY) != 0) {
    return absl::PermissionDeniedError(absl::StrCat(path, " can be read only"));
  }
  return plain;
}

absl::StatusOr<uint64_t> PlainFile::Bytes() {
  sqlite3_int64 bytes = 0;
  const int code = file()->pMethods->xFileSize(file(), &bytes);
  if (code != SQLITE_OK) return ToStatus(code, nullptr, absl::StrCat("size of ", path_));
  return static_cast<uint64_t>(bytes);
}

int PlainFile::ReadCode(void* to, int bytes, int64_t at) {
  return file()->pMethods->xRead(file(), to, bytes, at);
}

absl::Status PlainFile::Read(uint64_t at, size_t bytes, char* to) {
  while (bytes > 0) {
    const size_t part = std::min(bytes, kStepBytesMax);
    const int code = ReadCode(to, static_cast<int>(part), static_cast<int64_t>(at));
    if (code != SQLITE_OK) {
      const absl::Status status = ToStatus(code, nullptr, absl::StrCat("read ", path_));
      if (code == SQLITE_IOERR_SHORT_READ) return absl::OutOfRangeError(status.message());
      // As a page of the database: EIO and the like are damage, all else may be over soon.
      if (code == SQLITE_IOERR_CORRUPTFS) return absl::DataLossError(status.message());
      return status;
    }
    to += part;
    at += part;
    bytes -= part;
  }
  return absl::OkStatus();
}

absl::Status PlainFile::Write(uint64_t at, std::string_view bytes) {
  while (!bytes.empty()) {
    const std::string_view part = bytes.substr(0, kStepBytesMax);
    const int code = file()->pMethods->xWrite(file(), part.data(), static_cast<int>(part.size()),
                                              static_cast<sqlite3_int64>(at));
    if (code != SQLITE_OK) return ToStatus(code, nullptr, absl::StrCat("write ", path_));
    at += part.size();
    bytes.remove_prefix(part.size());
  }
  return absl::OkStatus();
}

absl::Status PlainFile::Sync() {
  const int code = file()->pMethods->xSync(file(), SQLITE_SYNC_FULL);
  return code == SQLITE_OK ? absl::OkStatus()
                           : ToStatus(code, nullptr, absl::StrCat("sync ", path_));
}

absl::Status PlainFile::Truncate(uint64_t bytes) {
  const int code = file()->pMethods->xTruncate(file(), static_cast<sqlite3_int64>(bytes));
  return code == SQLITE_OK ? absl::OkStatus()
                           : ToStatus(code, nullptr, absl::StrCat("truncate ", path_));
}

}  // namespace eddy::sql
