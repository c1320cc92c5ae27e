// Space: how a quota is split, the reserve, and the headroom of the file system.
//
//   quota = intake (if it lies in the directory) + reserve + WAL + database and its blocks
//
// The WAL is copied, and begins anew, once it holds 2 wal_bytes_max; one round is
// written before that is seen, which holds at most what the intake does. (A reader
// in another process that does not end makes it longer.)
//
// The reserve is a file whose blocks are allocated. When a commit finds the disk
// full it is removed; from then on the store takes no records, so that what was
// given free serves those who make room. First the WAL is copied into the database,
// which may have to grow for it, and cut. For that to fit, a quarter of the reserve
// is all that may wait in the WAL, and the rest is more than a round. It is made again
// once as much again is free, or once the database has free pages of its own for what the
// intake holds.
//
// Space within the database is used again and not given back: a file in which
// pages can be moved (auto_vacuum) needs a map of them, which every commit writes.
// Depends on platform.h, store.h.
#ifndef EDDY_SRC_LOG_SPACE_H_
#define EDDY_SRC_LOG_SPACE_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "eddy/platform.h"
#include "eddy/store.h"

namespace eddy::log {

inline constexpr char kReserveFile[] = "/eddy.reserve";
inline constexpr uint64_t kQuotaBytesMin = 256 << 10;

// The least reserve that keeps its promise, see above.
constexpr uint64_t ReserveBytesMin(uint64_t intake_bytes) {
  return 2 * intake_bytes + (128 << 10);
}

struct SpacePlan {
  int page_bytes = 4096;                 // of a new database
  uint64_t wal_bytes_max = 16 << 20;     // large enough that blocks which are deleted
                                         // soon are overwritten in the WAL
  uint64_t database_bytes = UINT64_MAX;  // 0: the quota is too small for the intake
};
SpacePlan PlanSpace(const StoreOptions& options);

// Threads: not safe: the engine's commit lock.
class Space {
 public:
  Space(Files* files, Clock* clock, std::string directory, const StoreOptions& options);

  // Takes the reserve, if there is room for it and it is wanted.
  //   kResourceExhausted   too few inodes for a new store.
  absl::Status Open(bool is_new, bool without_reserve);
  // Before: an open that finds the disk full.
  static absl::Status GiveUpUnopened(Files* files, const std::string& directory);

  // How much the files may grow, the database of so many bytes, with the pages that are
  // only in the WAL yet, and that of large blocks; UINT64_MAX without a headroom. Looks
  // once a second, and counts what they have grown since.
  uint64_t GrowBytesMax(uint64_t database_bytes, uint64_t outside_bytes);

  bool reserve_held() const { return held_; }
  // No records are to be taken: the reserve is given up and nothing replaces it.
  bool Closed(uint64_t database_free_bytes) const {
    return reserve_bytes_ != 0 && !held_ &&
           database_free_bytes < reserve_bytes_ + intake_bytes_;
  }
  // The disk is full. True: the reserve was there, and is free now.
  bool GiveUp();
  // Looks once a second whether there is room again. True: due, and not yet held,
  // so that a WAL that holds space is worth cutting first.
  bool TakeBackIsDue();
  void TakeBack();

 private:
  Files* const files_;
  Clock* const clock_;
  const std::string directory_;
  const uint64_t reserve_bytes_;
  const uint64_t headroom_bytes_;
  const uint64_t headroom_inodes_;
  const uint64_t intake_bytes_;
  bool held_ = false;
  uint64_t file_bytes_max_ = UINT64_MAX;
  absl::Duration looked_ = -absl::InfiniteDuration();
  absl::Duration tried_ = -absl::InfiniteDuration();
};

}  // namespace eddy::log

#endif  // EDDY_SRC_LOG_SPACE_H_
