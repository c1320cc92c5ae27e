// PlainFile: a file that lies beside the database and is no database, read and written
// through the same SQLite VFS: so it is counted, and fails, as the database does.
//
// Durability: what was written is on the disk once Sync has returned OK. After a Sync
// that failed it has to be written again: see engine_reopen.cc.
// Depends on SQLite, error.h.
#ifndef EDDY_SRC_SQL_PLAIN_FILE_H_
#define EDDY_SRC_SQL_PLAIN_FILE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

struct sqlite3_file;

namespace eddy::sql {

// Threads: reads are safe, among themselves and beside a write elsewhere in the file.
class PlainFile {
 public:
  enum class Mode { kRead, kWrite };  // kWrite creates it

  //   kNotFound           there is none, or no such VFS.
  //   kPermissionDenied   it can be read only.
  static absl::StatusOr<std::unique_ptr<PlainFile>> Open(const std::string& path,
                                                         const std::string& vfs, Mode mode);
  PlainFile(const PlainFile&) = delete;
  PlainFile& operator=(const PlainFile&) = delete;
  ~PlainFile();

  absl::StatusOr<uint64_t> Bytes();

  //   kOutOfRange   the file ends before `at` + `bytes`.
  //   kDataLoss     the disk failed there (EIO).
  //   kUnavailable  and the like: the read failed in another way.
  absl::Status Read(uint64_t at, size_t bytes, char* to);
  // The same with SQLite's code, for ReadAhead.
  int ReadCode(void* to, int bytes, int64_t at);

  //   as ToStatus: kResourceExhausted if the disk is full.
  absl::Status Write(uint64_t at, std::string_view bytes);
  absl::Status Sync();
  absl::Status Truncate(uint64_t bytes);

 private:
  PlainFile(std::string path, size_t file_bytes);
  sqlite3_file* file() const { return reinterpret_cast<sqlite3_file*>(memory_.get()); }

  const std::string path_;
  const std::unique_ptr<std::max_align_t[]> memory_;  // SQLite's file
};

}  // namespace eddy::sql

#endif  // EDDY_SRC_SQL_PLAIN_FILE_H_
