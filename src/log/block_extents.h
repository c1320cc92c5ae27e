// BlockExtents: the bytes of large blocks, in a file beside the database.
//
//   eddy.db          the row of the block, in place of its bytes where they lie
//   eddy.db-blocks   the bytes, each at a multiple of 4096
//
// Through the database each byte is written twice, to the WAL and then to the file, and
// goes through a page of its tree; here once. Measured beside it, sustained, 100 B
// records: 3.9 against 2.3 M records/s; a queue that reads from the disk, 1.4 against
// 0.54 M cycles/s; half the bytes written. What it costs is a sync more for a commit
// that has such blocks, so small ones stay in the database.
//
// Order of a commit: the bytes are written, some of them while the round before syncs
// (early_writer.h), the file is synced, then the transaction that refers to them commits. A
// death in between leaves bytes to which nobody refers.
//
// What a transaction no longer refers to is used again once it is committed durably. In
// doubt is, until a small commit of its own has settled it:
//   after an open          what is free: a killed process may have left a commit in the WAL
//                          that was never synced, and a power cut takes it back
//   after a failed commit  what it took: it may lie in the WAL, whole, and if the process
//                          dies now its successor takes it for committed
//
// A reader that had the row before may find other bytes: they do not match the row's
// checksum, which covers its id, and it looks for the row again.
//
// Where a quota, a headroom or a reserve bound the files: room_plan.h. Not used with
// secure_delete; blocks that lie there already stay readable, and their places are cut off
// as they come free at the end.
//
// Nothing of the file itself says what is taken: an open reads the rows' index, some 20
// bytes for each block, and the rows.
// Depends on extent_map.h, sql/.
#ifndef EDDY_SRC_LOG_BLOCK_EXTENTS_H_
#define EDDY_SRC_LOG_BLOCK_EXTENTS_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "eddy/platform.h"
#include "src/log/extent_map.h"
#include "src/sql/database.h"
#include "src/sql/plain_file.h"

namespace eddy::log {

// Behind the database's path.
inline constexpr char kExtentsSuffix[] = "-blocks";

// Of what is stored, not of the frames. Half of the smallest usual segment, so that its
// block lies outside; below that the end of an extent, 2 KiB on average, would outweigh
// what is saved, and the sync the writing: on an SD card it takes as long as some 64 KiB.
inline constexpr size_t kExtentBytesMin = 32 << 10;

// What a row holds in the place of the bytes: the place / 4096 << 28 | how many.
constexpr int kExtentSizeBits = 28;
constexpr int64_t ExtentRef(uint64_t at, size_t bytes) {
  return static_cast<int64_t>(at / kExtentAlignment << kExtentSizeBits | bytes);
}
constexpr uint64_t ExtentAt(int64_t ref) {
  return static_cast<uint64_t>(ref) >> kExtentSizeBits << 12;
}
constexpr size_t ExtentBytes(int64_t ref) {
  return static_cast<size_t>(ref & ((int64_t{1} << kExtentSizeBits) - 1));
}
static_assert(kExtentAlignment == 1 << 12);
static_assert(ExtentAt(ExtentRef(40960, 4711)) == 40960 && ExtentBytes(ExtentRef(40960, 1)) == 1);

// In the text of a query: how many bytes are stored, wherever. Reads none of them.
#define EDDY_BLOCK_BYTES \
  "(CASE typeof(bytes) WHEN 'integer' THEN bytes & 268435455 ELSE length(bytes) END)"
static_assert((1 << kExtentSizeBits) - 1 == 268435455, "the text above knows it");
// Likewise: the place outside, or 0.
#define EDDY_BLOCK_PLACE "(CASE typeof(bytes) WHEN 'integer' THEN bytes ELSE 0 END)"

// A reader of the file, which may not be there yet.
class ExtentReader {
 public:
  // `database`: its path.
  ExtentReader(std::string database, std::string vfs)
      : path_(std::move(database) + kExtentsSuffix), vfs_(std::move(vfs)) {}

  // The bytes of a row: those in it, which live until its next step, or those in the
  // file, read to `*memory`.
  //   kOutOfRange    the row refers to what is not there.
  //   kDataLoss      it cannot be read.
  //   kUnavailable   the file cannot be opened, for want of descriptors, say.
  absl::StatusOr<std::string_view> BytesOf(const sql::Statement& row, int column,
                                           std::unique_ptr<char[]>* memory);
  absl::StatusOr<std::string_view> Read(int64_t ref, std::unique_ptr<char[]>* memory);
  // If it is there. Not needed; but later there may be no descriptor left.
  absl::Status Open();

 private:
  const std::string path_;
  const std::string vfs_;
  std::unique_ptr<sql::PlainFile> file_;  // once it was there
};

// The bytes in memory that stays: `outside`, if they lie there, else they are SQLite's.
std::unique_ptr<char[]> KeptBytes(std::string_view bytes, std::unique_ptr<char[]> outside);

// The writing side.
// Threads: used under the engine's commit lock; PutEarly by one thread at a time, while
// nobody calls anything else but Sync.
class BlockExtents {
 public:
  // `database`: its path. Learns from `db` what is taken.
  static absl::StatusOr<std::unique_ptr<BlockExtents>> Open(sql::Database& db,
                                                            const std::string& database,
                                                            const sql::OpenOptions& options,
                                                            bool use, Files* files);

  // Whether new bytes may be Put, ever; and now.
  bool IsUsed() const { return wanted_ && known_; }
  bool Takes() { return IsUsed() && !in_doubt() && OpenFile().ok(); }
  // Inside a transaction. Writes the bytes; returns what the row is to hold, or 0: there
  // is no place for them below `most`, nor a free one.
  absl::StatusOr<int64_t> Put(std::string_view bytes, uint64_t most);
  // The same, but only to a free place below that of `ref`.
  absl::StatusOr<int64_t> PutBefore(int64_t ref, std::string_view bytes);
  void Give(int64_t ref);
  // For the next round (early_writer.h): writes the bytes of the block `id` to a place that
  // is nobody's until that round adopts it by the ticket that is returned, for what the row
  // is to hold. 0: it was forgotten, as all of them are by a Finish without a commit, by
  // Relearn, and with this object.
  absl::StatusOr<uint64_t> PutEarly(int64_t id, std::string_view bytes);
  int64_t Adopt(uint64_t ticket, int64_t id);
  // What is put early from now on is for the next round; what is older, and was not adopted
  // when this one ends, is forgotten.
  void BeginEarly() { early_from_ = next_ticket_; }
  // The last before the transaction commits.
  absl::Status Sync();
  // It has committed, or has not. Cuts the file, if it becomes shorter by so much.
  void Finish(bool committed, uint64_t cut_bytes_min);

  // A commit of its own has to be made before bytes go there again; then Settle.
  bool in_doubt() const { return wanted_ && map_.in_doubt(); }
  void Settle() { map_.Settle(); }
  // The index was made anew.
  void Relearn(sql::Database& db);
  // Whether it could be learned what is taken.
  bool known() const { return known_; }

  uint64_t file_bytes() const { return file_bytes_; }
  const ExtentMap& map() const { return map_; }
  bool IsStrange(int64_t ref) const { return strange_.contains(ref); }

 private:
  BlockExtents(std::string path, const sql::OpenOptions& options, bool use, Files* files)
      : path_(std::move(path)), vfs_(options.vfs), wanted_(use), files_(files) {}
  absl::Status Learn(sql::Database& db);
  absl::Status OpenFile();
  absl::StatusOr<int64_t> Write(std::string_view bytes, std::optional<uint64_t> at);
  absl::Status WriteTo(sql::PlainFile& file, uint64_t at, std::string_view bytes);
  void ForgetEarly(uint64_t below);

  const std::string path_;
  const std::string vfs_;
  const bool wanted_;
  Files* const files_;
  bool known_ = false;  // what is taken there; else nothing new goes there
  std::unique_ptr<sql::PlainFile> file_;
  std::unique_ptr<sql::PlainFile> early_file_;  // of PutEarly
  ExtentMap map_;
  absl::flat_hash_set<int64_t> strange_;  // rows whose place is not theirs alone
  struct EarlyBlock {
    int64_t id = 0;
    int64_t ref = 0;
  };
  std::map<uint64_t, EarlyBlock> early_blocks_;  // by ticket; not adopted
  uint64_t next_ticket_ = 1;
  uint64_t early_from_ = 1;  // the first ticket for the next round
  uint64_t file_bytes_ = 0;
  bool unsynced_ = false;
  bool committing_ = false;
};

}  // namespace eddy::log

#endif  // EDDY_SRC_LOG_BLOCK_EXTENTS_H_
