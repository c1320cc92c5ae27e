#include "src/log/gap_list.h"

#include <algorithm>
#include <utility>

namespace eddy::log {

void GapList::Load(std::vector<GapPiece> pieces) {
  MutexLock lock(&mu_);
  pieces_ = std::move(pieces);
  has_.store(!pieces_.empty(), std::memory_order_release);
}

void GapList::Add(const GapPiece& piece, uint64_t oldest) {
  MutexLock lock(&mu_);
  auto at = std::lower_bound(
      pieces_.begin(), pieces_.end(), piece,
      [](const GapPiece& a, const GapPiece& b) { return a.first < b.first; });
  if (at != pieces_.end() && at->first == piece.first) return;
  // A block that was told of as damaged goes with those around it: once is enough.
  GapPiece added = piece;
  if (at != pieces_.begin()) added.first = std::max(added.first, std::prev(at)->end);
  if (at != pieces_.end()) added.end = std::min(added.end, at->first);
  if (added.first >= added.end) return;
  pieces_.insert(at, added);
  while (pieces_.size() > kGapPiecesMax && pieces_[1].end <= oldest) {
    pieces_[1].first = pieces_[0].first;
    pieces_[1].frames += pieces_[0].frames;
    pieces_.erase(pieces_.begin());
  }
  has_.store(true, std::memory_order_release);
}

std::optional<Gap> GapList::Find(uint64_t from, uint64_t end) const {
  if (!Has()) return std::nullopt;
  MutexLock lock(&mu_);
  auto at = std::upper_bound(pieces_.begin(), pieces_.end(), from,
                             [](uint64_t position, const GapPiece& piece) {
                               return position < piece.end;
                             });
  if (at == pieces_.end() || at->first >= end) return std::nullopt;
  Gap gap;
  gap.first = std::max(at->first, from);
  for (uint64_t next = at->first; at != pieces_.end() && at->first == next; ++at) {
    next = at->end;
    gap.last = at->end - 1;
    gap.count += at->frames;
    gap.reason = at->reason;
  }
  return gap;
}

std::vector<GapPiece> GapList::All() const {
  MutexLock lock(&mu_);
  return pieces_;
}

}  // namespace eddy::log
