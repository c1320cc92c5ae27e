// PageFile: the pages of a database that SQLite refuses, as they lie: the file, and
// over it what its WAL holds. Reads only, takes no lock, makes no file.
//
// The WAL is one chain of checksums, each frame's over the one before it:
//
//   | header, 32 B | frame, 24 B | page | frame | page | ...
//     magic, page    page, size at a commit (else 0), salts, checksum
//     size, salts,
//     checksum
//
// SQLite believes it up to the first frame that does not fit, and there the rest is
// lost to it: right for what a power cut has torn, since nothing behind a torn frame was
// synced. But each commit syncs before the next begins. So where whole transactions,
// by the checksums that they bear, stand *behind* the one that does not fit, and say
// something else than what SQLite would see, a synced frame was damaged: wal_is_damaged.
// They are believed here; of a page whose newest frame is damaged that is taken as it is,
// as any page of the file, which bears no checksum at all.
//
// Depends on SQLite's VFS, for tests' sake: no other part of it.
#ifndef EDDY_SRC_SQL_PAGE_FILE_H_
#define EDDY_SRC_SQL_PAGE_FILE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace eddy::sql {

// The WAL's format: a header, then one before each page.
inline constexpr uint64_t kWalHeaderBytes = 32;
inline constexpr uint64_t kWalFrameHeaderBytes = 24;

// Threads: not safe. Not beside a connection of this process to the same file: the
// close of a second descriptor would drop its locks.
class PageFile {
 public:
  // `path` is the database's; the WAL lies beside it. Either may be missing, or empty.
  //   kNotFound      neither is there, or there is nothing in them.
  //   kUnavailable   the disk; and so of every call.
  static absl::StatusOr<std::unique_ptr<PageFile>> Open(const std::string& path,
                                                        const std::string& vfs);
  PageFile(const PageFile&) = delete;
  PageFile& operator=(const PageFile&) = delete;
  ~PageFile();

  uint32_t page_bytes() const { return page_bytes_; }
  uint32_t usable_bytes() const { return page_bytes_; }  // eddy reserves none
  uint32_t page_count() const { return page_count_; }    // pages are 1 to it
  bool wal_is_damaged() const { return wal_is_damaged_; }
  // Some pages may be older than others, and nobody knows which.
  bool lacks_pages() const { return lacks_pages_; }

  // Stays until the next Read.
  //   kDataLoss   there is no such page.
  absl::StatusOr<std::string_view> Read(uint32_t page);

 private:
  class Raw;
  struct Checksum;
  PageFile();
  absl::Status ReadWal();
  absl::Status FindPageBytes(uint32_t wal_page_bytes);
  uint32_t PageThatFits(const Checksum& before, const char* frame, bool big) const;
  absl::StatusOr<bool> SaysOtherwise(const std::map<uint32_t, uint64_t>& seen);

  std::unique_ptr<Raw> database_;
  std::unique_ptr<Raw> wal_;
  uint32_t page_bytes_ = 0;
  uint32_t page_count_ = 0;
  bool wal_is_damaged_ = false;
  bool lacks_pages_ = false;
  std::map<uint32_t, uint64_t> frames_;  // page: where its newest one begins
  std::string page_;
};

}  // namespace eddy::sql

#endif  // EDDY_SRC_SQL_PAGE_FILE_H_
