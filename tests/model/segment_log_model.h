// SegmentLogModel: the protocol of src/log/segment_log.{h,cc} in small, for
// checker.h: claim, fill, publish, seal, rotate, drain, sync, give back, read
// and wait. To be read beside the code: each step bears the name of the function
// that it stands for, and is what that function does to shared memory at once.
//
// What is as in the code
//   - the tail as one word, claimed by adding; claims beyond the end; the
//     crosser; sealing by compare-exchange; the waits for a crosser (SettledTail)
//   - mu_, shared and exclusive; the pool of segments, last in first out
//   - Drain giving up on a frame that is not published in time
//   - readers going from runs to blocks and back; the count of waiters, the
//     epoch of the Signal, the sleep. Nobody's sleep times out: a wake-up that
//     a time-out would repair is a lost one here.
// What is smaller: two or three segments of two or three *units*, frames of one
// or two units, one log, one committer (the thread that leads), one reader. The
// sync cannot fail. Large frames and recovery are left out.
//
// Memory order. Each thread has a buffer of stores that others do not see yet.
// They leave it one by one, in any order, but a release store only after all
// that came before it. A read-modify-write, a fence and the end of a critical
// section empty it. That is store buffering as on x86, and the reordering of
// stores as on ARM. Loads are not reordered: that the acquire loads suffice is
// argued beside them in the code, and not shown here.
//
// A *mutation* is one mistake built into the protocol, to show that the checker
// would find it.
#ifndef EDDY_TESTS_MODEL_SEGMENT_LOG_MODEL_H_
#define EDDY_TESTS_MODEL_SEGMENT_LOG_MODEL_H_

#include <cstdint>
#include <vector>

#include "tests/model/checker.h"

namespace eddy::model {

enum class Mutation {
  kNone,
  // Publishing.
  kPublishBeforeFill,
  kPublishRelaxed,           // the exchange of word 0 has no release
  kPublishNotSequential,     // a release store instead of the exchange
  kWaitersBeforePublish,     // waiters_ is looked at, and notified, first
  // Claiming and sealing.
  kClaimByLoadAndStore,      // not one fetch_add
  kEveryLateClaimerSeals,    // not only the one that began at or below the end
  kSealWithoutSettling,      // does not wait for a crosser on its way
  kSealByStore,              // not by compare-exchange
  kInstallRelaxed,           // the tail of the new segment has no release
  // Committing and giving back.
  kDrainSkipsUnpublished,
  kReleaseBeforeSync,
  kGiveUnsealed,             // a drained segment need not be sealed
  kGiveUndrained,            // a sealed segment need not be drained
  kGiveBeforeZeroing,
  kReleaseWithoutLock,       // Committed does not take mu_
  // Reading and waiting.
  kReadSkipsUnpublished,
  kRunsAfterBlocks,          // where the runs begin is looked up after the blocks
  kWaiterCountsLate,         // looks first, then counts itself
  kWaiterCountBuffered,      // counts itself without fence
  kEpochAfterLook,
  kLookAtBlocksOnlyFirst,    // blocks_end_ not looked at again under mu_
};

struct ModelOptions {
  int producers = 2;
  int frames = 2;            // a producer
  int segments = 2;
  int units = 3;             // a segment
  bool mixed_sizes = true;   // one and two units in turn; else all of one
  bool reader = true;
  int seals = 1;             // how often the committer may seal the active segment
  Mutation mutation = Mutation::kNone;
};

inline constexpr int kProducersMax = 3;
inline constexpr int kCommitter = 3;
inline constexpr int kReader = 4;
inline constexpr int kThreads = 5;
inline constexpr int kSegmentsMax = 3;
inline constexpr int kUnitsMax = 3;
inline constexpr int kPositionsMax = 12;

// All of uint8_t, so that there is no padding. A frame is known by its number,
// 1 and up; 0 is none.
struct ModelState {
  struct Store {
    uint8_t where, segment, unit, value, release;
  };
  struct Thread {
    uint8_t step;              // where in its program it stands
    uint8_t frames_done;       // producers
    uint8_t segment, offset;   // of the claim, or the tail as it was loaded
    uint8_t stored;
    Store stores[3];           // not yet seen by others
  };
  struct Run {
    uint8_t segment, first, end, sealed;
  };

  // Intake.
  uint8_t word0[kSegmentsMax][kUnitsMax];
  uint8_t bytes[kSegmentsMax][kUnitsMax];  // which frame's bytes lie there
  uint8_t first_position[kSegmentsMax];
  uint8_t free[kSegmentsMax], free_count;

  // SegmentLog.
  uint8_t tail_segment, tail_offset;       // one atomic word
  uint8_t waiters;
  uint8_t notified;                        // epoch != seen, for the one waiter
  uint8_t mu;                              // 1 + who holds it exclusively
  uint8_t mu_shared;                       // the reader holds it
  uint8_t run_count;
  Run runs[kSegmentsMax];
  uint8_t next_position, committed;

  // Database: the frame whose block begins there.
  uint8_t blocks[kPositionsMax];

  // The committer's round.
  uint8_t seals;                           // done so far
  uint8_t cut_count, drained;
  Run cut[kSegmentsMax];
  uint8_t done_count;
  Run done[kSegmentsMax];

  // The reader.
  uint8_t read_to, runs_first;
  Run read_run;

  Thread threads[kThreads];

  // Not part of the protocol, but of the judge: to whom a position was given.
  uint8_t owner[kPositionsMax];
};

class SegmentLogModel {
 public:
  explicit SegmentLogModel(const ModelOptions& options);

  ModelState Start() const;
  void Next(const ModelState& from, std::vector<Step<ModelState>>* steps) const;
  // All is published, read and committed, and all that was sealed is given back.
  bool IsEnd(const ModelState& state) const;

 private:
  class Turn;
  int SizeOf(int frame) const;
  // Whether the producer has claimed in the segment and not yet published.
  static bool MayWriteTo(const ModelState::Thread& producer, uint8_t segment);
  bool Is(Mutation mutation) const { return options_.mutation == mutation; }

  const ModelOptions options_;
  int positions_ = 0;  // that all frames together take
};

inline Verdict Check(const ModelOptions& options, uint32_t states_max) {
  const SegmentLogModel model(options);
  return Checker<SegmentLogModel, ModelState>(model).Run(states_max);
}

}  // namespace eddy::model

#endif  // EDDY_TESTS_MODEL_SEGMENT_LOG_MODEL_H_
