// A producer: Append, until it has published all its frames.
#include "tests/model/turn.h"

namespace eddy::model {
namespace {
enum ProducerStep : uint8_t {
  kLook, kClaim, kFill, kPublish, kLookForWaiters, kNotify,
  kSealCrossed, kRotate, kSeal, kTake, kUnlock, kWaitForRoom,
};
}  // namespace

bool SegmentLogModel::MayWriteTo(const ModelState::Thread& producer, uint8_t segment) {
  if ((producer.step == kFill || producer.step == kPublish) && producer.segment == segment) {
    return true;
  }
  for (int i = 0; i < producer.stored; ++i) {
    if (producer.stores[i].segment == segment) return true;
  }
  return false;
}

void SegmentLogModel::Turn::Producer() {
  if (me().frames_done == options_.frames) return;
  switch (me().step) {
    case kLook: return Look();
    case kClaim: return Claim();
    case kFill: return Fill();
    case kPublish: return Publish();
    case kLookForWaiters: {
      ModelState* const to = Go(from_.waiters != 0 ? "Publish: sees a waiter"
                                                   : "Publish: sees no waiter",
                                from_.waiters != 0 ? uint8_t{kNotify} : AfterWaiters());
      if (me(to).step == kLook) FrameDone(to);
      return;
    }
    case kNotify: {
      ModelState* const to = Go("Publish: Notify", AfterWaiters());
      AllSeen(to);
      to->notified = 1;
      if (me(to).step == kLook) FrameDone(to);
      return;
    }
    case kSealCrossed: {
      if (!ExclusiveIsFree()) return;
      ModelState* const to = Go("SealCrossed", kRotate);
      SetSealed(me().offset, to);
      me(to).segment = me(to).offset = 0;
      return;
    }
    case kRotate:
      if (from_.tail_segment != kNoSegment) {
        return SettledTail("Rotate: locks", model_.SizeOf(NextFrame()), kSeal, kLook);
      }
      if (ExclusiveIsFree()) Rotated();
      return;
    case kSeal:
      return SealUnlessRoom(model_.SizeOf(NextFrame()), kRotate, kTake, kLook);
    case kTake: return Rotated();
    case kUnlock: {
      ModelState* const to = Go("Rotate: unlocks", kLook);
      AllSeen(to);
      to->mu = 0;
      return;
    }
    default:
      if (from_.free_count > 0) Go("WaitForRoom: there is some", kLook);
  }
}

// TryClaim, the look at the tail that keeps late claims from piling up.
void SegmentLogModel::Turn::Look() {
  const bool fits = from_.tail_offset + model_.SizeOf(NextFrame()) <= options_.units;
  ModelState* const to = Go(fits ? "TryClaim: there may be room" : "TryClaim: there is no room",
                            fits ? kClaim : kRotate);
  if (Is(Mutation::kClaimByLoadAndStore) && fits) {
    me(to).segment = from_.tail_segment;
    me(to).offset = from_.tail_offset;
  }
}

// TryClaim, the fetch_add.
void SegmentLogModel::Turn::Claim() {
  const int size = model_.SizeOf(NextFrame());
  const bool two_steps = Is(Mutation::kClaimByLoadAndStore);
  const uint8_t segment = two_steps ? me().segment : from_.tail_segment;
  const uint8_t offset = two_steps ? me().offset : from_.tail_offset;
  const auto add = [&](ModelState* to) {
    AllSeen(to);
    if (segment == kNoSegment) return;  // an offset without meaning grows
    to->tail_segment = segment;
    to->tail_offset = static_cast<uint8_t>(offset + size);
  };
  if (offset + size <= options_.units) {
    ModelState* const to =
        Go("TryClaim: claims", Is(Mutation::kPublishBeforeFill) ? kPublish : kFill);
    add(to);
    me(to).segment = segment;
    me(to).offset = offset;
    return;
  }
  const bool crosses = segment != kNoSegment && (offset <= options_.units ||
                                                 Is(Mutation::kEveryLateClaimerSeals));
  ModelState* const to = Go(crosses ? "TryClaim: crosses the end" : "TryClaim: comes too late",
                            crosses ? kSealCrossed : kRotate);
  add(to);
  me(to).segment = 0;
  me(to).offset = crosses ? offset : 0;
}

// Publish: FillFrame. The claim's position is computed here as well: nothing may
// happen to the segment's header between the claim and this.
void SegmentLogModel::Turn::Fill() {
  const int frame = NextFrame();
  const int size = model_.SizeOf(frame);
  const uint8_t segment = me().segment, unit = me().offset;
  uint8_t next = kPublish;
  if (Is(Mutation::kPublishBeforeFill)) next = kLookForWaiters;
  if (Is(Mutation::kWaitersBeforePublish)) next = kLookForWaiters;
  ModelState* const to = Go("Publish: fills", next);
  const int position = from_.first_position[segment] + unit;
  for (int i = 0; i < size; ++i) {
    Hold(from_.bytes[segment][unit + i] == 0, "a frame is filled where another one lies");
    if (position + i >= model_.positions_ || from_.owner[position + i] != 0) {
      Hold(false, "two frames share a position");
      return;
    }
    to->owner[position + i] = static_cast<uint8_t>(frame);
  }
  for (int i = position; me().frames_done > 0 && i < model_.positions_; ++i) {
    Hold(from_.owner[i] != frame - 1, "a producer's later frame lies before its earlier one");
  }
  Put(to, kBytes, segment, unit, static_cast<uint8_t>(frame), false);
}

// Publish: the exchange of word 0.
void SegmentLogModel::Turn::Publish() {
  uint8_t next = kLookForWaiters;
  if (Is(Mutation::kPublishBeforeFill)) next = kFill;
  if (Is(Mutation::kWaitersBeforePublish)) next = kLook;
  ModelState* const to = Go("Publish: publishes", next);
  Put(to, kWord0, me().segment, me().offset, static_cast<uint8_t>(NextFrame()),
      !Is(Mutation::kPublishRelaxed));
  if (!Is(Mutation::kPublishRelaxed) && !Is(Mutation::kPublishNotSequential)) AllSeen(to);
  if (next == kLook) FrameDone(to);
}

uint8_t SegmentLogModel::Turn::AfterWaiters() const {
  return Is(Mutation::kWaitersBeforePublish) ? kPublish : kLook;
}

void SegmentLogModel::Turn::FrameDone(ModelState* to) const {
  ++me(to).frames_done;
  me(to).segment = me(to).offset = 0;
}

// Rotate, with the old segment sealed: Take, then the install.
void SegmentLogModel::Turn::Rotated() {
  if (from_.free_count == 0) {
    ModelState* const to = Go("Rotate: no segment is free", kWaitForRoom);
    AllSeen(to);
    to->mu = 0;
    return;
  }
  ModelState* const to = Go("Rotate: takes and installs", kUnlock);
  to->mu = static_cast<uint8_t>(1 + thread_);
  const uint8_t segment = to->free[--to->free_count];
  to->free[to->free_count] = 0;
  for (int i = 0; i < options_.units; ++i) {
    Hold(from_.word0[segment][i] == 0 && from_.bytes[segment][i] == 0,
         "a free segment is not all zeros");
  }
  if (to->run_count == options_.segments) {
    Hold(false, "a segment is taken that the log still has");
    return;
  }
  to->runs[to->run_count++] = {segment, from_.next_position, 0, 0};
  Put(to, kFirstPosition, segment, 0, from_.next_position, false);
  Put(to, kTail, segment, 0, 0, !Is(Mutation::kInstallRelaxed));
}

}  // namespace eddy::model
