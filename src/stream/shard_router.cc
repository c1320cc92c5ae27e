#include "src/stream/shard_router.h"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstring>

#include "src/base/status.h"

namespace eddy::stream {
namespace {

constexpr size_t kRememberedKeyBytesMax = 32;
constexpr size_t kSlotCount = 64;  // 3 KiB a thread that puts
static_assert((kSlotCount & (kSlotCount - 1)) == 0);

struct Slot {
  uint64_t router = 0;  // 0: empty
  ShardId shard = 0;
  uint8_t key_bytes = 0;
  char key[kRememberedKeyBytesMax] = {};
};

// Direct-mapped: of two keys that share a slot, the later one has it.
thread_local Slot slots[kSlotCount];

Slot& SlotOf(uint64_t router, std::string_view key) {
  constexpr uint64_t kOdd = 0x9e3779b97f4a7c15u;
  uint64_t hash = (router ^ key.size()) * kOdd;
  while (!key.empty()) {
    uint64_t word = 0;
    const size_t bytes = std::min(key.size(), sizeof(word));
    std::memcpy(&word, key.data(), bytes);
    key.remove_prefix(bytes);
    hash = ((hash ^ (hash >> 32)) ^ word) * kOdd;
  }
  return slots[(hash >> 32) & (kSlotCount - 1)];
}

uint64_t NextRouterNumber() {
  static std::atomic<uint64_t> last{0};
  return last.fetch_add(1, std::memory_order_relaxed) + 1;
}

}  // namespace

ShardRouter::ShardRouter(const std::vector<HashRange>& ranges)
    : number_(NextRouterNumber()) {
  EDDY_CHECK(TilesTheSpace(ranges));
  endings_.reserve(ranges.size());
  for (const HashRange& range : ranges) endings_.push_back(range.ending);
}

ShardId ShardRouter::ByHash(HashKey hash) const {
  // The last range ends at the largest hash key, so one is always found.
  return static_cast<ShardId>(
      std::lower_bound(endings_.begin(), endings_.end(), hash) -
      endings_.begin());
}

ShardId ShardRouter::ByKey(std::string_view partition_key) const {
  if (endings_.size() == 1) return 0;
  if (partition_key.size() <= kRememberedKeyBytesMax) {
    return ByRememberedKey(partition_key);
  }
  return ByHash(HashOf(partition_key));
}

ShardId ShardRouter::ByRememberedKey(std::string_view partition_key) const {
  Slot& slot = SlotOf(number_, partition_key);
  if (slot.router == number_ && slot.key_bytes == partition_key.size() &&
      std::memcmp(slot.key, partition_key.data(), partition_key.size()) == 0) {
    return slot.shard;
  }
  slot.router = number_;
  slot.shard = ByHash(HashOf(partition_key));
  slot.key_bytes = static_cast<uint8_t>(partition_key.size());
  std::memcpy(slot.key, partition_key.data(), partition_key.size());
  return slot.shard;
}

}  // namespace eddy::stream
