// RoomPlan: where a block is to lie in a store whose files are bounded, what fits, and
// what becomes of that when blocks go. Pages of the database and places in the blocks'
// file do not stand in for one another:
//
//   a large block   a free place outside; growth of that file, while less than half of
//                   the bound is used; free pages; growth
//   a small block   free pages; growth of the database, while less than half is used; a
//                   free place outside; growth
//
// Both leave a margin when they grow: the rows need pages, which free places outside
// cannot give. Where pages get scarce all the same, or what is free lies in pieces too
// small to count, its last blocks are moved to the front, and it is cut. What fits
// nowhere goes into pages above the bound, until that has made room again: a record
// larger than a segment may, and what a user's transaction writes.
// Depends on block_extents.h. Pure.
#ifndef EDDY_SRC_LOG_ROOM_PLAN_H_
#define EDDY_SRC_LOG_ROOM_PLAN_H_

#include <cstdint>
#include <utility>
#include <vector>

#include "src/log/extent_map.h"

namespace eddy::log {

// What a block takes in the database beside its bytes: its part of a page that is not
// full, the tree above, the links of the overflow pages.
constexpr uint64_t BlockOverhead(uint64_t page_bytes) { return page_bytes * 3 / 2; }

constexpr uint64_t Less(uint64_t a, uint64_t b) { return a > b ? a - b : 0; }
constexpr uint64_t Sum(uint64_t a, uint64_t b) { return a > UINT64_MAX - b ? UINT64_MAX : a + b; }

class RoomPlan {
 public:
  struct Bounds {
    uint64_t most_bytes = UINT64_MAX;  // of both files
    uint64_t page_bytes = 4096;
    uint64_t block_bytes = 0;  // of the largest that is usual
    // It is the store's own, and not what others leave of the disk, which takes whatever
    // is given back.
    bool is_quota = false;
  };
  enum class Where { kOutside, kInside, kNowhere };

  // `database_bytes`, and of these `free_bytes`. Not `used`: nothing more may go outside.
  RoomPlan(const Bounds& bounds, uint64_t database_bytes, uint64_t free_bytes,
           ExtentMap outside, bool used = true)
      : bounds_(bounds),
        database_bytes_(database_bytes),
        free_bytes_(free_bytes),
        outside_(std::move(outside)),
        used_(used) {}

  // Of a block of so many bytes, as stored.
  Where Find(uint64_t bytes) const;
  // How far the file may reach for a block that is to lie outside.
  uint64_t OutsideMost() const;
  // Whether there is a place for each, the others being there.
  bool Fits(const std::vector<uint64_t>& blocks) const;

  // Blocks of the usual size up to this fit in any case, once `droppable` is dropped;
  // UINT64_MAX: no bound. Of a free place outside it counts what lies beyond one block: it
  // takes blocks until what is left of it is less than the next one needs.
  uint64_t Room(uint64_t droppable = 0) const;
  // By how much rows may make the files grow, once `droppable` is dropped: what of it lies
  // outside is moved and cut, and a part of the margin stays.
  uint64_t RowGrowth(uint64_t droppable = 0) const;
  // Left when the files grow, for the rows of blocks: some 120 bytes for the row and the
  // index of a block of at least 32 KiB are 1/256; as much again, where blocks are as large.
  uint64_t Margin() const;
  // By how much all that is used and `coming` are above the bound.
  uint64_t Excess(uint64_t coming) const;
  // Whether there is an excess that drops can help: at a headroom others take what they give
  // back, and where places outside are not used again nothing comes free there.
  bool Lacks(uint64_t coming) const {
    return bounds_.is_quota && used_ && Excess(coming) > 0;
  }
  // A block goes: `ref` is what its row says of its place, 0 if its bytes are in the row.
  void Free(int64_t ref, uint64_t bytes);
  // By Free: how much, and whether of a place outside.
  uint64_t freed_bytes() const { return freed_bytes_; }
  bool freed_outside() const { return freed_outside_; }
  // In both files, as far as it is sure.
  uint64_t FreeInside() const {
    return free_bytes_ + outside_.BytesBeyond(bounds_.block_bytes);
  }

  // Whether the last blocks outside are to be moved to the front. `droppable`: what beside
  // Room() counts as room; `wanted`: how much is enough, and how much RowGrowth().
  bool IsCramped(uint64_t droppable, uint64_t wanted, uint64_t wanted_growth = 0) const;

 private:
  uint64_t Pages() const;  // free, and what the database may grow
  void Take(uint64_t bytes, Where where);

  Bounds bounds_;
  uint64_t database_bytes_;
  uint64_t free_bytes_;
  ExtentMap outside_;
  const bool used_;
  uint64_t freed_bytes_ = 0;
  bool freed_outside_ = false;
};

}  // namespace eddy::log

#endif  // EDDY_SRC_LOG_ROOM_PLAN_H_
