#include "src/log/room_plan.h"

#include <algorithm>

#include "src/log/block_extents.h"

namespace eddy::log {
namespace {

// A row whose bytes lie outside, and its part of the tree and of the index: generous.
constexpr uint64_t kRowBytes = 512;

}  // namespace

uint64_t RoomPlan::Margin() const {
  if (bounds_.block_bytes < kExtentBytesMin) return 0;
  return std::min<uint64_t>(bounds_.most_bytes / 128, 8 << 20) + 16 * bounds_.page_bytes;
}

uint64_t RoomPlan::Pages() const {
  return Less(Sum(bounds_.most_bytes, free_bytes_), Sum(database_bytes_, outside_.end()));
}

uint64_t RoomPlan::OutsideMost() const {
  if (bounds_.most_bytes == UINT64_MAX) return UINT64_MAX;
  return Less(bounds_.most_bytes, Sum(database_bytes_, Margin()));
}

RoomPlan::Where RoomPlan::Find(uint64_t bytes) const {
  const uint64_t needed = bytes + BlockOverhead(bounds_.page_bytes);
  const bool place = used_ && outside_.HasPlace(bytes);
  const bool wide = Less(database_bytes_ + outside_.end(), free_bytes_) <= bounds_.most_bytes / 2;
  if (bytes < kExtentBytesMin) {
    if (free_bytes_ >= needed) return Where::kInside;
    // The database never shrinks: near the bound it grows last of all.
    const bool grows = Pages() >= needed + Margin();
    if (grows && wide) return Where::kInside;
    if (place && bytes >= kExtentAlignment) return Where::kOutside;
    return grows ? Where::kInside : Where::kNowhere;
  }
  if (place) return Where::kOutside;
  const bool grows = used_ && outside_.end() + AlignExtent(bytes) <= OutsideMost();
  if (grows && wide) return Where::kOutside;
  if (free_bytes_ >= needed) return Where::kInside;
  if (!used_ && Pages() >= needed) return Where::kInside;
  return grows ? Where::kOutside : Where::kNowhere;
}

void RoomPlan::Take(uint64_t bytes, Where where) {
  uint64_t pages = bytes + BlockOverhead(bounds_.page_bytes);
  if (where == Where::kOutside) {
    outside_.Take(bytes);
    pages = kRowBytes;
  }
  database_bytes_ += Less(pages, free_bytes_);
  free_bytes_ = Less(free_bytes_, pages);
}

bool RoomPlan::Fits(const std::vector<uint64_t>& blocks) const {
  if (bounds_.most_bytes == UINT64_MAX) return true;
  RoomPlan after = *this;
  for (const uint64_t bytes : blocks) {
    const Where where = after.Find(bytes);
    if (where == Where::kNowhere) return false;
    after.Take(bytes, where);
  }
  return after.database_bytes_ + after.outside_.end() <=
         std::max(bounds_.most_bytes, database_bytes_ + outside_.end());
}

uint64_t RoomPlan::Room(uint64_t droppable) const {
  if (bounds_.most_bytes == UINT64_MAX) return UINT64_MAX;
  return Less(Sum(Sum(bounds_.most_bytes, FreeInside()), droppable),
              database_bytes_ + outside_.end() + Margin());
}

uint64_t RoomPlan::RowGrowth(uint64_t droppable) const {
  if (bounds_.most_bytes == UINT64_MAX) return UINT64_MAX;
  // At least so much of it: the rest may lie in the database, which does not shrink.
  const uint64_t outside = std::min(Less(droppable, Less(database_bytes_, free_bytes_)),
                                    Less(outside_.end(), outside_.free_bytes()));
  return Less(Sum(bounds_.most_bytes, bounds_.is_quota && used_ ? outside : 0),
              Sum(Sum(database_bytes_, outside_.end()), Margin() / 2));
}

uint64_t RoomPlan::Excess(uint64_t coming) const {
  const uint64_t used =
      Less(database_bytes_ + outside_.end(), free_bytes_ + outside_.free_bytes());
  return Less(Sum(used, coming), bounds_.most_bytes);
}

void RoomPlan::Free(int64_t ref, uint64_t bytes) {
  freed_bytes_ += bytes;
  if (ref <= 0) {
    free_bytes_ += bytes;
    return;
  }
  freed_outside_ = true;
  outside_.Free(ExtentAt(ref), ExtentBytes(ref));
}

bool RoomPlan::IsCramped(uint64_t droppable, uint64_t wanted, uint64_t wanted_growth) const {
  const uint64_t free = outside_.free_bytes();
  if (bounds_.most_bytes == UINT64_MAX || !bounds_.is_quota || free == 0) return false;
  const bool over = Sum(database_bytes_, outside_.end()) > bounds_.most_bytes;
  if (over && database_bytes_ < bounds_.most_bytes) return true;
  if (Pages() < Margin() / 2) return true;
  const uint64_t growth = RowGrowth();
  if (growth < wanted_growth && Sum(growth, free) >= wanted_growth) return true;
  const uint64_t room = Room(droppable);
  const uint64_t pieces = free - outside_.BytesBeyond(bounds_.block_bytes);
  return room < wanted && pieces >= bounds_.block_bytes && Sum(room, pieces) >= wanted;
}

}  // namespace eddy::log
