// ExtentMap: which parts of a file are taken. The file's own order is not kept anywhere:
// whoever refers to an extent says so in the database, and from there it is made anew.
//
//   Take   the lowest place that is large enough, or the file's end: so that the end
//          becomes free, and the file can be cut
//   Give   free again once the round that gave it is committed, durably, not before:
//          until then a power cut brings back what refers to it
//   Finish the round has ended: committed; or given up before its commit was tried; or
//          in doubt, since a commit that has failed may yet turn up after a death
//   Reserve for a later round: this one's end does not touch it. That round adopts it (it is
//          taken then) or it is released, and free at once
//   Settle nothing is in doubt any more: whatever was is free. A commit that changed
//          nothing was not written, so no Finish does it
//
// Depends on nothing. Pure. Threads: not safe.
#ifndef EDDY_SRC_LOG_EXTENT_MAP_H_
#define EDDY_SRC_LOG_EXTENT_MAP_H_

#include <cstdint>
#include <map>
#include <optional>
#include <utility>
#include <vector>

namespace eddy::log {

// Extents begin and end at multiples of it, as pages of most file systems do: what is
// written does not share a page with what was there before.
inline constexpr uint64_t kExtentAlignment = 4096;

constexpr uint64_t AlignExtent(uint64_t bytes) {
  return (bytes + kExtentAlignment - 1) / kExtentAlignment * kExtentAlignment;
}

class ExtentMap {
 public:
  // In order of `at`, of an empty map: all that is taken. False: it overlaps what was
  // taken before, which only damage can bring about; together they are taken once.
  bool AddTaken(uint64_t at, uint64_t bytes);

  // None, if the place would end behind `most`.
  std::optional<uint64_t> Take(uint64_t bytes, uint64_t most = UINT64_MAX);
  // Taken in this round, and nobody will refer to it: free at once.
  void GiveBack(uint64_t at, uint64_t bytes);
  void Give(uint64_t at, uint64_t bytes);
  std::optional<uint64_t> Reserve(uint64_t bytes, uint64_t most = UINT64_MAX);
  void Adopt(uint64_t at, uint64_t bytes) { taken_.emplace_back(at, AlignExtent(bytes)); }
  void Release(uint64_t at, uint64_t bytes) { AddFree(at, AlignExtent(bytes)); }
  enum class End { kCommitted, kGivenUp, kInDoubt };
  void Finish(End how);
  // All that is free, and what is behind the end up to `end`, is in doubt.
  void Doubt(uint64_t end);
  void Settle();
  // At once, for a plan: of what nobody is to write to.
  void Free(uint64_t at, uint64_t bytes) { AddFree(at, AlignExtent(bytes)); }
  // As it will be once this round is committed.
  ExtentMap Planned() const;
  bool in_doubt() const { return !doubted_.empty(); }

  // Nothing behind it is taken or reserved, nor was given in this round, nor is in doubt.
  uint64_t end() const { return end_; }
  // Free below the end: whether for so many bytes at once, and all of it.
  bool HasPlace(uint64_t bytes) const;
  uint64_t free_bytes() const;
  // The same of each place less `bytes`.
  uint64_t BytesBeyond(uint64_t bytes) const;

 private:
  using Extent = std::pair<uint64_t, uint64_t>;  // at, bytes
  void AddFree(uint64_t at, uint64_t bytes);

  std::map<uint64_t, uint64_t> free_;  // at, bytes; no two touch, nor the end
  uint64_t end_ = 0;
  std::vector<Extent> taken_;  // in this round
  std::vector<Extent> given_;
  std::vector<Extent> doubted_;
};

}  // namespace eddy::log

#endif  // EDDY_SRC_LOG_EXTENT_MAP_H_
