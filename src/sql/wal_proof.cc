#include "src/sql/wal_proof.h"

#include <sqlite3.h>

#include <algorithm>
#include <cstdint>
#include <string>

#include "src/sql/error.h"

namespace eddy::sql {
namespace {

// Of the WAL's index, whose format SQLite has published and keeps: two headers of 48 bytes,
// then how many frames are copied.
constexpr int kRegionBytes = 32768;
constexpr int kCopiedAt = 96;
constexpr int kCheckpointLock = 1;

constexpr sqlite3_int64 kPieceBytes = 64 << 10;

}  // namespace

absl::Status RewriteWal(sqlite3_file* wal) {
  sqlite3_int64 bytes = 0;
  int code = wal->pMethods->xFileSize(wal, &bytes);
  std::string piece;
  for (sqlite3_int64 at = 0; code == SQLITE_OK && at < bytes;) {
    piece.resize(static_cast<size_t>(std::min(bytes - at, kPieceBytes)));
    const int size = static_cast<int>(piece.size());
    code = wal->pMethods->xRead(wal, piece.data(), size, at);
    if (code == SQLITE_OK) code = wal->pMethods->xWrite(wal, piece.data(), size, at);
    at += size;
  }
  if (code == SQLITE_OK && bytes > 0) code = wal->pMethods->xSync(wal, SQLITE_SYNC_FULL);
  return ToStatus(code, nullptr, "write the WAL anew");
}

// Readers then look into the WAL for longer, no more.
absl::Status ForgetCopied(sqlite3* db) {
  sqlite3_file* file = nullptr;
  const int found = sqlite3_file_control(db, "main", SQLITE_FCNTL_FILE_POINTER, &file);
  if (found != SQLITE_OK || file == nullptr || file->pMethods == nullptr ||
      file->pMethods->iVersion < 2) {
    return absl::OkStatus();
  }
  void volatile* region = nullptr;
  const int mapped = file->pMethods->xShmMap(file, 0, kRegionBytes, /*extend=*/0, &region);
  if (mapped != SQLITE_OK || region == nullptr) {
    return ToStatus(mapped, nullptr, "map the WAL's index");
  }
  const int locked = file->pMethods->xShmLock(file, kCheckpointLock, 1,
                                              SQLITE_SHM_LOCK | SQLITE_SHM_EXCLUSIVE);
  if (locked != SQLITE_OK) return ToStatus(locked, nullptr, "lock the WAL's index");
  *reinterpret_cast<volatile uint32_t*>(static_cast<volatile char*>(region) + kCopiedAt) = 0;
  file->pMethods->xShmLock(file, kCheckpointLock, 1,
                           SQLITE_SHM_UNLOCK | SQLITE_SHM_EXCLUSIVE);
  return absl::OkStatus();
}

}  // namespace eddy::sql
