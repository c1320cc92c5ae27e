// RoomPlan: how much a store whose files are bounded can still take, and what becomes
// of that when blocks go. Pages of the database and places in the blocks' file do not
// stand in for one another, so each is counted as far as it is sure:
//
//   room = free pages + what the two files may still grow
//        + of each free place in the blocks' file what lies beyond one block
//
// Such a place takes blocks until what is left of it is less than the next one needs: so
// at least what lies beyond the largest. (One record that is larger than a segment may
// find none; it then goes into pages, and for as long as it is there the files may be
// larger than their bound by that record.)
//
// The rows need pages, and free places of the other file cannot give them: so that file
// leaves a margin when it grows, and where pages get scarce all the same, or the free
// places are too small to count, its last blocks are moved to the front, and it is cut.
// Depends on block_extents.h. Pure.
#ifndef EDDY_SRC_LOG_ROOM_PLAN_H_
#define EDDY_SRC_LOG_ROOM_PLAN_H_

#include <cstdint>
#include <utility>

#include "src/log/extent_map.h"

namespace eddy::log {

// What a block takes in the database beside its bytes: its part of a page that is not
// full, the tree above, the links of the overflow pages.
constexpr uint64_t BlockOverhead(uint64_t page_bytes) { return page_bytes * 3 / 2; }

constexpr uint64_t Less(uint64_t a, uint64_t b) { return a > b ? a - b : 0; }

// What the blocks' file leaves to the database: some 120 bytes for the row and the
// index of a block of at least 32 KiB are 1/256, and as much again.
constexpr uint64_t RowMargin(uint64_t most_bytes, uint64_t page_bytes) {
  const uint64_t share = most_bytes / 128;
  return (share < (8 << 20) ? share : 8 << 20) + 16 * page_bytes;
}

class RoomPlan {
 public:
  struct Bounds {
    uint64_t most_bytes = UINT64_MAX;  // of both files
    uint64_t page_bytes = 4096;
    uint64_t block_bytes = 0;  // of the largest to come
  };

  // `database_bytes`, and of these `free_bytes`; `outside`: with all that is free there
  // or will be after this round.
  RoomPlan(const Bounds& bounds, uint64_t database_bytes, uint64_t free_bytes,
           ExtentMap outside)
      : bounds_(bounds),
        database_bytes_(database_bytes),
        free_bytes_(free_bytes),
        outside_(std::move(outside)) {}

  // UINT64_MAX: no bound.
  uint64_t Room() const;
  // A block goes: `ref` is what its row says of its place, 0 if its bytes are in the row.
  void Free(int64_t ref, uint64_t bytes);
  // Of both files, as far as it is sure.
  uint64_t FreeInside() const {
    return free_bytes_ + outside_.BytesBeyond(bounds_.block_bytes);
  }
  // Whether one went whose place was outside.
  bool freed_outside() const { return freed_outside_; }
  // Whether the last blocks outside are to be moved to the front. `wanted`: a room that
  // is enough.
  bool IsCramped(uint64_t wanted) const;

 private:
  uint64_t Pages() const;

  const Bounds bounds_;
  const uint64_t database_bytes_;
  uint64_t free_bytes_;
  ExtentMap outside_;
  bool freed_outside_ = false;
};

}  // namespace eddy::log

#endif  // EDDY_SRC_LOG_ROOM_PLAN_H_
