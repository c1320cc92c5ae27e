// GapList: what is missing in one log, for its readers; the table `gaps` in
// memory.
//
// Gaps below the log's oldest position lie next to each other but for what the
// user has trimmed, so that they may be remembered as one: the oldest two, when
// there are more than kGapPiecesMax. Those above it (damaged blocks) have records
// between them and stay apart.
//
// A gap is added before the blocks are deleted, and a reader looks for gaps after
// it has read: what it did not find, it is told of. If the process dies in
// between, the records are there again, although a reader may have been told that
// they are not.
// Depends on eddy/retention.h.
#ifndef EDDY_SRC_LOG_GAP_LIST_H_
#define EDDY_SRC_LOG_GAP_LIST_H_

#include <atomic>
#include <cstdint>
#include <optional>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "eddy/retention.h"
#include "src/base/mutex.h"

namespace eddy::log {

struct GapPiece {
  uint64_t first = 0;
  uint64_t end = 0;
  uint64_t frames = 0;
  GapReason reason = GapReason::kRetentionAge;
};

// Threads: safe. Has() takes no lock.
class GapList {
 public:
  // The table's rows, by position. Before the log is read.
  void Load(std::vector<GapPiece> pieces) ABSL_LOCKS_EXCLUDED(mu_);

  // `oldest`: no record lies below, so gaps that end there may be merged. A piece
  // that is there already is not added again.
  void Add(const GapPiece& piece, uint64_t oldest) ABSL_LOCKS_EXCLUDED(mu_);

  bool Has() const { return has_.load(std::memory_order_acquire); }

  // The first gap that reaches into [from, end), with all that follow it directly;
  // its first is not below `from`.
  std::optional<Gap> Find(uint64_t from, uint64_t end) const ABSL_LOCKS_EXCLUDED(mu_);

  std::vector<GapPiece> All() const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  std::atomic<bool> has_{false};
  mutable Mutex mu_;
  std::vector<GapPiece> pieces_ ABSL_GUARDED_BY(mu_);  // by position, disjoint
};

}  // namespace eddy::log

#endif  // EDDY_SRC_LOG_GAP_LIST_H_
