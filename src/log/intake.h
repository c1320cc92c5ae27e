// Intake: one mapped file, cut into segments that logs fill without a lock.
//
//   | header, 4096 bytes | segment 0 | segment 1 | ...
//   segment: | header, 64 bytes: first position, log, check | frames ... | zeros
//
// Invariants
//   I1  A segment is all zeros when it is taken, so that a word that is not zero in
//       it was published there. Give() zeroes the frames first and the header last: a
//       crash in between leaves a taken segment whose frames are all committed, which
//       recovery steps over. What an earlier process left is zeroed by Take(), before
//       the header is written; until then no header there is under the salt (I3).
//   I2  A segment's header is complete before a log can claim from it.
//   I3  The header names boot, store and a salt drawn anew at each Reset: after
//       a power cut or in the wrong place the whole file is distrusted.
// Depends on frame.h and platform.h. No lock on the path of an append.
#ifndef EDDY_SRC_LOG_INTAKE_H_
#define EDDY_SRC_LOG_INTAKE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "eddy/platform.h"
#include "src/base/mutex.h"
#include "src/base/short_bytes.h"

namespace eddy::log {

inline constexpr size_t kIntakeHeaderBytes = 4096;
inline constexpr size_t kSegmentHeaderBytes = 64;
inline constexpr size_t kIntakeBytesMin = 32 << 10;
inline constexpr size_t kIntakeBytesMax = size_t{1} << 30;
inline constexpr uint32_t kNoSegment = 0xffff;

// Whether an intake's file can be of this size.
constexpr bool IsIntakeBytes(int64_t bytes) {
  return bytes >= 0 && bytes <= static_cast<int64_t>(kIntakeBytesMax + kIntakeHeaderBytes);
}

struct IntakeGeometry {
  uint32_t segment_bytes = 0;
  uint32_t segment_count = 0;
  size_t FileBytes() const {
    return kIntakeHeaderBytes + size_t{segment_bytes} * segment_count;
  }
  bool operator==(const IntakeGeometry& other) const {
    return segment_bytes == other.segment_bytes && segment_count == other.segment_count;
  }
};

// A thirty-second of the budget a segment, within 64 and 256 KiB: enough
// segments for many logs, blocks large enough for SQLite's best rate. Below
// 256 KiB a quarter: a store so small has few logs.
IntakeGeometry PlanIntake(size_t intake_bytes);

// Who the frames belong to.
struct IntakeIdentity {
  uint64_t boot = 0;   // hash of the boot id
  uint64_t store = 0;  // the store's own random number
};

// A run of frames that a dead process left in the intake.
struct LeftRun {
  uint32_t log = 0;
  uint64_t first = 0;
  std::string frames;
  uint64_t frame_count = 0;
};

// Kept in the mapping for whoever looks from another process, or comes after a
// kill. Written by the committer; each number for itself is right.
struct LiveStats {
  std::atomic<uint64_t> disk_bytes_total;
  std::atomic<uint64_t> payload_bytes_total;
  std::atomic<uint64_t> disk_state;          // DiskState
  std::atomic<int64_t> disk_state_since_ms;  // wall time
  std::atomic<int64_t> flush_interval_ms;    // in force
};
inline constexpr size_t kLiveStatsOffset = 512;  // in the file

// Threads: safe. Take and Give lock the pool; nothing else does.
class Intake {
 public:
  static absl::StatusOr<std::unique_ptr<Intake>> Map(Files* files, const std::string& path,
                                                     const IntakeGeometry& geometry);

  // In plain memory: gone with the process.
  static std::unique_ptr<Intake> InMemory(const IntakeGeometry& geometry);

  // The geometry that an existing file names.
  //   kNotFound            it holds no intake that is whole.
  //   kFailedPrecondition  a newer eddy made it.
  static absl::StatusOr<IntakeGeometry> ReadGeometry(Files* files, const std::string& path);

  // Of whose frames an existing file holds.
  //   kNotFound   it holds no intake that is whole.
  static absl::StatusOr<IntakeIdentity> ReadIdentity(Files* files, const std::string& path);

  // Whether an existing file begins as no intake of ours ever did, whole or not.
  static absl::StatusOr<bool> IsForeign(Files* files, const std::string& path);

  // Whether the file was in use by this store in this boot.
  bool BelongsTo(const IntakeIdentity& identity) const;
  // Whether it was in use by this store in an earlier boot.
  bool IsOfEarlierBoot(const IntakeIdentity& identity) const;

  // Every frame that was published and lies at or above the log's end in
  // `log_ends` (by log id; logs not named there are passed over). Holes of
  // claims that were never published split runs. In order of position.
  std::vector<LeftRun> Leftovers(const std::vector<std::pair<uint32_t, uint64_t>>& log_ends) const;

  LiveStats& live() { return *reinterpret_cast<LiveStats*>(base_ + kLiveStatsOffset); }

  // The database may show what never reached the disk: a sync failed, and the
  // kernel keeps the pages as if they were written. Kept in the mapping, so that
  // an open of the same boot (`boot`, not 0) after the death of this process knows; until
  // Reset or Clear.
  void MarkSuspect(uint64_t boot);
  void ClearSuspect();
  bool IsSuspect(uint64_t boot) const;

  // Makes all segments free under a new salt.
  void Reset(const IntakeIdentity& identity, uint64_t salt);

  // A free segment made ready for the log, or kNoSegment.
  uint32_t Take(uint32_t log, uint64_t first_position);
  void Give(uint32_t segment);

  char* data(uint32_t segment) {
    return base_ + kIntakeHeaderBytes + size_t{geometry_.segment_bytes} * segment;
  }
  // Of the first frame in the segment; stays while a claim in it is unpublished.
  // (The header's first word, here for the sake of the path of an append.)
  uint64_t first_position(uint32_t segment) const {
    return LoadAt<uint64_t>(base_ + kIntakeHeaderBytes +
                            size_t{geometry_.segment_bytes} * segment);
  }
  uint64_t salt() const { return salt_; }
  const IntakeGeometry& geometry() const { return geometry_; }
  uint32_t free_count() const { return free_count_.load(std::memory_order_acquire); }

 private:
  struct Header;
  struct SegmentHeader;
  explicit Intake(std::unique_ptr<Mapping> mapping, const IntakeGeometry& geometry);
  Header* header() const;
  SegmentHeader* segment_header(uint32_t segment);
  const SegmentHeader* segment_header(uint32_t segment) const;
  uint64_t SegmentCheck(uint32_t segment, uint64_t salt) const;
  void Clean(uint32_t segment);
  void CountFree() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const std::unique_ptr<Mapping> mapping_;
  char* const base_;
  const IntakeGeometry geometry_;
  uint64_t salt_ = 0;

  mutable Mutex mu_;
  // Last in, first out: at low rates the same few pages stay dirty, and the
  // kernel writes little back.
  std::vector<uint32_t> free_ ABSL_GUARDED_BY(mu_);
  std::vector<uint32_t> unclean_ ABSL_GUARDED_BY(mu_);  // free too, see Reset
  std::atomic<uint32_t> free_count_{0};  // written under mu_; read as a hint
};

}  // namespace eddy::log

#endif  // EDDY_SRC_LOG_INTAKE_H_
