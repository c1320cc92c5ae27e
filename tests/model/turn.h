// Turn: one thread's turn in SegmentLogModel - what steps it can make from a
// state. Memory and locks are here; the programs are in producer_steps.cc,
// committer_steps.cc and reader_steps.cc. Internal to the model.
#ifndef EDDY_TESTS_MODEL_TURN_H_
#define EDDY_TESTS_MODEL_TURN_H_

#include <cstdint>
#include <vector>

#include "tests/model/segment_log_model.h"

namespace eddy::model {

inline constexpr uint8_t kNoSegment = 0xff;
inline constexpr uint8_t kNoOffset = 100;  // as in kNoTail: far above any segment's end

class SegmentLogModel::Turn {
 public:
  Turn(const SegmentLogModel& model, const ModelState& from, int thread,
       std::vector<Step<ModelState>>* steps)
      : model_(model), options_(model.options_), from_(from), thread_(thread), steps_(steps) {}

  void Producer();
  void Committer();
  void Reader();
  // A store of the thread leaves its buffer.
  void StoreSeen();

 private:
  enum Where : uint8_t { kWord0, kBytes, kFirstPosition, kTail, kWaiters };
  using Thread = ModelState::Thread;
  using Run = ModelState::Run;

  bool Is(Mutation mutation) const { return options_.mutation == mutation; }
  const Thread& me() const { return from_.threads[thread_]; }
  Thread& me(ModelState* to) const { return to->threads[thread_]; }

  // Adds a step; returns the state it leads to, for the caller to change.
  // Valid until the next call.
  ModelState* Go(const char* name, uint8_t next_step) {
    steps_->push_back({name, thread_, from_, nullptr});
    ModelState* const to = &steps_->back().to;
    me(to).step = next_step;
    return to;
  }
  // Of the step added last.
  void Hold(bool promise, const char* otherwise) {
    if (!promise && steps_->back().broken == nullptr) steps_->back().broken = otherwise;
  }

  // --- Memory.
  void Put(ModelState* to, Where where, uint8_t segment, uint8_t unit, uint8_t value,
           bool release) const;
  void Apply(const ModelState::Store& store, ModelState* to) const;
  // What a read-modify-write, a fence and the end of a critical section wait for.
  void AllSeen(ModelState* to) const;

  // --- mu_.
  bool ExclusiveIsFree() const { return from_.mu == 0 && from_.mu_shared == 0; }
  bool SharedIsFree() const { return from_.mu == 0; }

  // --- Parts of several programs.
  bool NoCrosserPending() const {
    return from_.tail_segment == kNoSegment || from_.tail_offset <= options_.units;
  }
  void SetSealed(int offset, ModelState* to);
  // The two halves of SealUnlessRoom, with the decisions that need no shared
  // memory taken at once. The first locks mu_ and leaves the tail in the thread,
  // or finds `size` units of room and goes on to `room`. The second seals and
  // goes on to `sealed` with mu_ held, or to `settle` to wait for a crosser.
  void SettledTail(const char* name, int size, uint8_t seal, uint8_t room);
  void SealUnlessRoom(int size, uint8_t settle, uint8_t sealed, uint8_t room);
  // Whether the frame's bytes all lie there.
  bool IsWhole(int segment, int unit, int frame) const;
  bool IsCommitted(const Run& run) const;

  // --- Of producers.
  void Look();
  void Claim();
  void Fill();
  void Publish();
  void Rotated();
  uint8_t AfterWaiters() const;
  void FrameDone(ModelState* to) const;
  int NextFrame() const { return 1 + thread_ * options_.frames + me().frames_done; }

  // --- Of the committer.
  void Cut();
  void Drain();
  void Sync();
  void Release();
  void Give(bool zero);

  // --- Of the reader.
  void ReadRuns(bool again);
  void StepPublished();
  void Copy();
  void ReadBlocks();
  void LookAtRuns();
  void SkipTo(ModelState* to, int position);
  const Run* RunAt(int position) const;

  const SegmentLogModel& model_;
  const ModelOptions& options_;
  const ModelState& from_;
  const int thread_;
  std::vector<Step<ModelState>>* const steps_;
};

}  // namespace eddy::model

#endif  // EDDY_TESTS_MODEL_TURN_H_
