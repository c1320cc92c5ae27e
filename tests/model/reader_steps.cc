// The reader: Read while there is something, WaitForFrame when there is not.
#include <algorithm>

#include "tests/model/turn.h"

namespace eddy::model {
namespace {

constexpr uint8_t kNoRuns = 0xff;  // UINT64_MAX in the code

enum ReaderStep : uint8_t {
  kReadRuns, kStep, kCopy, kReadBlocks, kRunsAgain, kCount, kEpoch, kLookAtBlocks, kLookAtRuns,
  kSleep, kUncount,
};

}  // namespace

void SegmentLogModel::Turn::Reader() {
  // Where nothing was found the waiter counts itself, notes the epoch, looks,
  // sleeps. The mutations change that order.
  switch (me().step) {
    case kReadRuns: return ReadRuns(/*again=*/false);
    case kStep: return StepPublished();
    case kCopy: return Copy();
    case kReadBlocks: return ReadBlocks();
    case kRunsAgain: return ReadRuns(/*again=*/true);
    case kCount: {
      uint8_t next = kEpoch;
      if (Is(Mutation::kEpochAfterLook)) next = kLookAtBlocks;
      if (Is(Mutation::kWaiterCountsLate)) next = kSleep;
      ModelState* const to = Go("WaitForFrame: counts itself", next);
      Put(to, kWaiters, 0, 0, 0, false);
      if (!Is(Mutation::kWaiterCountBuffered)) AllSeen(to);
      return;
    }
    case kEpoch:
      Go("WaitForFrame: Epoch", Is(Mutation::kEpochAfterLook) ? kSleep : kLookAtBlocks)
          ->notified = 0;
      return;
    case kLookAtBlocks: {
      const bool there = from_.committed > from_.read_to;
      Go(there ? "FrameIsReadable: in the blocks" : "FrameIsReadable: not in the blocks",
         there ? kUncount : kLookAtRuns);
      return;
    }
    case kLookAtRuns: return LookAtRuns();
    case kSleep: {
      if (from_.notified == 0) return;
      Go("WaitForFrame: wakes", Is(Mutation::kEpochAfterLook) ? kLookAtBlocks : kEpoch);
      return;
    }
    default: {
      ModelState* const to = Go("WaitForFrame: there is a frame", kReadRuns);
      AllSeen(to);
      to->waiters = 0;
      to->notified = 0;
    }
  }
}

// ReadRuns up to where it knows which run to copy from. `again`: the mutation
// that asks only after the blocks where the runs begin.
void SegmentLogModel::Turn::ReadRuns(bool again) {
  if (from_.read_to == model_.positions_ || !SharedIsFree()) return;
  const uint8_t first = from_.run_count == 0 ? kNoRuns : from_.runs[0].first;
  if (again) {
    ModelState* const to = Go("Read: where the runs begin, looked up late",
                              first == kNoRuns ? kCount : kReadRuns);
    if (first != kNoRuns) SkipTo(to, first);
    return;
  }
  if (from_.read_to < first) {
    Go("ReadRuns: below the runs", kReadBlocks)->runs_first = first;
    return;
  }
  const Run* const run = RunAt(from_.read_to);
  if (run == nullptr) {
    Go("ReadRuns: above the runs", kCount);
    return;
  }
  ModelState* const to = Go("ReadRuns: locks, and finds the run", kStep);
  to->mu_shared = 1;
  to->read_run = *run;
}

const ModelState::Run* SegmentLogModel::Turn::RunAt(int position) const {
  const Run* const end = from_.runs + from_.run_count;
  const Run* const run = std::find_if(from_.runs, end, [&](const Run& r) {
    return r.sealed == 0 || r.end > position;
  });
  return run == end ? nullptr : run;
}

// CopyFromSegment, the walk over what is published, under mu_ shared.
void SegmentLogModel::Turn::StepPublished() {
  const Run& run = from_.read_run;
  const int unit = from_.read_to - run.first;
  if (unit >= options_.units || from_.word0[run.segment][unit] == 0) {
    if (Is(Mutation::kReadSkipsUnpublished) && unit + 1 < options_.units &&
        from_.word0[run.segment][unit + 1] != 0) {
      SkipTo(Go("StepPublished: passes over an unpublished frame", kStep), from_.read_to + 1);
      return;
    }
    ModelState* const to = Go("StepPublished: nothing more", kCount);
    to->mu_shared = 0;
    to->read_run = {};
    return;
  }
  me(Go("StepPublished: a frame", kCopy)).offset = from_.word0[run.segment][unit];
}

// CopyFromSegment, the copy; here a frame at a time.
void SegmentLogModel::Turn::Copy() {
  const Run& run = from_.read_run;
  const int frame = me().offset;
  ModelState* const to = Go("CopyFromSegment: copies", kStep);
  Hold(IsWhole(run.segment, from_.read_to - run.first, frame), "a frame is read that is not whole");
  Hold(frame == from_.owner[from_.read_to], "the reader finds another frame than the next");
  to->read_to = static_cast<uint8_t>(from_.read_to + model_.SizeOf(frame));
  me(to).offset = 0;
  if ((run.sealed != 0 && to->read_to == run.end) || to->read_to == model_.positions_) {
    to->mu_shared = 0;
    to->read_run = {};
    me(to).step = kReadRuns;
  }
}

// ReadBlocks, with where the runs began before it.
void SegmentLogModel::Turn::ReadBlocks() {
  const int frame = from_.blocks[from_.read_to];
  if (frame != 0) {
    ModelState* const to = Go("ReadBlocks: a frame", kReadRuns);
    Hold(frame == from_.owner[from_.read_to], "the reader finds another frame than the next");
    to->read_to = static_cast<uint8_t>(from_.read_to + model_.SizeOf(frame));
    to->runs_first = 0;
    return;
  }
  if (Is(Mutation::kRunsAfterBlocks)) {
    Go("ReadBlocks: nothing", kRunsAgain)->runs_first = 0;
    return;
  }
  const bool runs = from_.runs_first != kNoRuns;
  ModelState* const to = Go("ReadBlocks: nothing", runs ? kReadRuns : kCount);
  to->runs_first = 0;
  if (runs) SkipTo(to, from_.runs_first);
}

void SegmentLogModel::Turn::SkipTo(ModelState* to, int position) {
  for (int i = from_.read_to; i < position; ++i) {
    Hold(from_.owner[i] == 0, "the reader passes over a frame");
  }
  to->read_to = static_cast<uint8_t>(std::max<int>(from_.read_to, position));
}

// FrameIsReadable, the part under mu_.
void SegmentLogModel::Turn::LookAtRuns() {
  if (!SharedIsFree()) return;
  bool there = from_.committed > from_.read_to && !Is(Mutation::kLookAtBlocksOnlyFirst);
  if (const Run* const run = RunAt(from_.read_to); run != nullptr) {
    const int unit = std::max(from_.read_to - run->first, 0);
    there = there || (unit < options_.units && from_.word0[run->segment][unit] != 0);
  }
  uint8_t not_there = kSleep;
  if (Is(Mutation::kEpochAfterLook)) not_there = kEpoch;
  if (Is(Mutation::kWaiterCountsLate) && from_.waiters == 0) not_there = kCount;
  Go(there ? "FrameIsReadable: in the runs" : "FrameIsReadable: not in the runs",
     there ? uint8_t{kUncount} : not_there);
}

}  // namespace eddy::model
