#include "src/log/extent_map.h"

#include <algorithm>
#include <iterator>

namespace eddy::log {

bool ExtentMap::AddTaken(uint64_t at, uint64_t bytes) {
  const uint64_t end = AlignExtent(at + bytes);
  const bool overlaps = at < end_;
  if (at > end_) free_[end_] = at - end_;
  end_ = std::max(end_, end);
  return !overlaps;
}

std::optional<uint64_t> ExtentMap::Reserve(uint64_t bytes, uint64_t most) {
  bytes = AlignExtent(bytes);
  uint64_t at = end_;
  const auto place = std::find_if(free_.begin(), free_.end(),
                                  [bytes](const auto& free) { return free.second >= bytes; });
  if (place == free_.end() || place->first + bytes > most) {
    if (end_ + bytes > most) return std::nullopt;
    end_ += bytes;
  } else {
    at = place->first;
    const uint64_t left = place->second - bytes;
    free_.erase(place);
    if (left > 0) free_[at + bytes] = left;
  }
  return at;
}

std::optional<uint64_t> ExtentMap::Take(uint64_t bytes, uint64_t most) {
  const std::optional<uint64_t> at = Reserve(bytes, most);
  if (at.has_value()) Adopt(*at, bytes);
  return at;
}

void ExtentMap::GiveBack(uint64_t at, uint64_t bytes) {
  const auto taken = std::find(taken_.begin(), taken_.end(), Extent(at, AlignExtent(bytes)));
  if (taken == taken_.end()) return;
  taken_.erase(taken);
  AddFree(at, AlignExtent(bytes));
}

void ExtentMap::Give(uint64_t at, uint64_t bytes) { given_.emplace_back(at, AlignExtent(bytes)); }

void ExtentMap::Finish(End how) {
  if (how == End::kInDoubt) {
    doubted_.insert(doubted_.end(), taken_.begin(), taken_.end());
  } else {
    for (const auto& [at, bytes] : how == End::kCommitted ? given_ : taken_) AddFree(at, bytes);
  }
  taken_.clear();
  given_.clear();
}

void ExtentMap::Doubt(uint64_t end) {
  for (const auto& [at, bytes] : free_) doubted_.emplace_back(at, bytes);
  free_.clear();
  end = AlignExtent(end);
  if (end <= end_) return;
  doubted_.emplace_back(end_, end - end_);
  end_ = end;
}

void ExtentMap::Settle() {
  for (const auto& [at, bytes] : doubted_) AddFree(at, bytes);
  doubted_.clear();
}

void ExtentMap::AddFree(uint64_t at, uint64_t bytes) {
  uint64_t end = std::min(at + bytes, end_);
  if (at >= end) return;
  auto next = free_.lower_bound(at);
  // Given twice, which only damage can bring about: it is free once.
  if (next != free_.end() && next->first < end) return;
  if (next != free_.begin()) {
    const auto before = std::prev(next);
    if (before->first + before->second > at) return;
    if (before->first + before->second == at) {
      at = before->first;
      free_.erase(before);
    }
  }
  if (next != free_.end() && next->first == end) {
    end += next->second;
    free_.erase(next);
  }
  if (end == end_) {
    end_ = at;
    return;
  }
  free_[at] = end - at;
}

ExtentMap ExtentMap::Planned() const {
  ExtentMap planned = *this;
  planned.Finish(End::kCommitted);
  planned.Settle();
  return planned;
}

bool ExtentMap::HasPlace(uint64_t bytes) const {
  bytes = AlignExtent(bytes);
  return std::any_of(free_.begin(), free_.end(),
                     [bytes](const auto& free) { return free.second >= bytes; });
}

uint64_t ExtentMap::BytesBeyond(uint64_t bytes) const {
  bytes = AlignExtent(bytes);
  uint64_t sum = 0;
  for (const auto& [at, size] : free_) sum += size > bytes ? size - bytes : 0;
  return sum;
}

uint64_t ExtentMap::free_bytes() const {
  uint64_t sum = 0;
  for (const auto& [at, bytes] : free_) sum += bytes;
  return sum;
}

}  // namespace eddy::log
