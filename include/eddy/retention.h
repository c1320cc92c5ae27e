// Retention: how much is kept, what happens at the limit, and how a reader
// learns of what is gone.
//
// Invariants
//   K1  Only whole blocks are dropped (what one commit wrote of a shard, at most
//       about 1 MiB), the oldest of a shard first.
//   K2  What was dropped is counted, and a reader whose place lay in it is told by
//       a Gap before the records that follow. A Trim of the user's own makes none.
//   K3  Queues are never dropped from: at the store's limit a Send is refused.
//   K4  A step of a clock deletes nothing: see Retention::age.
// Depends on types.h.
#ifndef EDDY_RETENTION_H_
#define EDDY_RETENTION_H_

#include <cstddef>
#include <cstdint>

#include "absl/time/time.h"
#include "eddy/types.h"

namespace eddy {

enum class AtLimit : uint8_t {
  kRejectNew,       // a Put or Send is refused with kResourceExhausted
  kDropOldest,      // the oldest block goes, whosever it is
  kDropByPriority,  // StoreOptions only: the oldest of the lowest priority goes
};

// Of one stream, all shards together. Kept with the stream; 0: no limit.
struct Retention {
  // Records are dropped once they have been kept so long (at the limit too, if
  // at_limit is kRejectNew). Counted by the steady clock from their commit. Time
  // in which the store was closed or the device off counts once the wall clock is
  // trusted, if it was so when the last block was written; else it does not count,
  // and records are kept longer. While the store is open the wall clock is looked
  // at once, when it is first trusted, and its steps change nothing.
  absl::Duration age;
  // Committed bytes as they are stored: data, and a partition key once for all the
  // records of a block that have it, with 1 to 40 for each record.
  uint64_t bytes = 0;
  uint64_t records = 0;  // committed records
  // Of `bytes` and `records`, exceeded by at most what the intake holds, and by a
  // block that is not yet full; blocks may go for `bytes` before they have to, by
  // what packing saves of one commit. kRejectNew also keeps the stream from being
  // dropped from at the store's own limit.
  AtLimit at_limit = AtLimit::kDropOldest;
  int32_t priority = 0;  // higher is dropped later, see AtLimit::kDropByPriority
};

enum class GapReason : uint8_t {
  kRetentionAge,
  kRetentionBytes,
  kRetentionRecords,
  kQuota,    // the limit of the store, or the headroom of its file system
  kDamaged,  // a block that cannot be read back as written
};
inline constexpr int kGapReasonCount = 5;

// No record from `first` to `last` can be read any more.
struct Gap {
  SequenceNumber first = 0;  // or the reader's place, if that is higher
  SequenceNumber last = 0;   // inclusive
  // Records lost there: never too low. Exact for a reader that comes from below
  // `first`; one that stood within a block is told of that whole block, and one
  // that stood more than kGapPiecesMax drops behind the oldest record kept of
  // the drops before, which are remembered as one.
  uint64_t count = 0;
  GapReason reason = GapReason::kRetentionAge;  // of the latest drop in it
};

inline constexpr size_t kGapPiecesMax = 32;  // a shard: bounds memory and table

struct Dropped {
  uint64_t records = 0;
  uint64_t bytes = 0;  // as Retention::bytes
};

}  // namespace eddy

#endif  // EDDY_RETENTION_H_
