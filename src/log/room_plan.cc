#include "src/log/room_plan.h"

#include "src/log/block_extents.h"

namespace eddy::log {

// Free ones, and what the files may grow.
uint64_t RoomPlan::Pages() const {
  return Less(bounds_.most_bytes + free_bytes_, database_bytes_ + outside_.end());
}

uint64_t RoomPlan::Room() const {
  if (bounds_.most_bytes == UINT64_MAX) return UINT64_MAX;
  return Less(bounds_.most_bytes + free_bytes_ + outside_.BytesBeyond(bounds_.block_bytes),
              database_bytes_ + outside_.end());
}

void RoomPlan::Free(int64_t ref, uint64_t bytes) {
  if (ref <= 0) {
    free_bytes_ += bytes;
    return;
  }
  freed_outside_ = true;
  outside_.Free(ExtentAt(ref), ExtentBytes(ref));
}

bool RoomPlan::IsCramped(uint64_t wanted) const {
  if (bounds_.most_bytes == UINT64_MAX || outside_.free_bytes() == 0) return false;
  if (Pages() < RowMargin(bounds_.most_bytes, bounds_.page_bytes) / 2) return true;
  return Room() < wanted &&
         outside_.free_bytes() - outside_.BytesBeyond(bounds_.block_bytes) >= wanted;
}

}  // namespace eddy::log
