// The model as a whole, its memory and its lock. The threads' programs are in
// producer_steps.cc, committer_steps.cc and reader_steps.cc.
#include "tests/model/segment_log_model.h"

#include <algorithm>
#include <cstdlib>
#include <iterator>

#include "tests/model/turn.h"

namespace eddy::model {

SegmentLogModel::SegmentLogModel(const ModelOptions& options) : options_(options) {
  for (int i = 1; i <= options.producers * options.frames; ++i) positions_ += SizeOf(i);
  if (options.producers > kProducersMax || options.segments > kSegmentsMax ||
      options.units > kUnitsMax || positions_ > kPositionsMax) {
    std::abort();  // the arrays of ModelState are smaller than these options
  }
}

int SegmentLogModel::SizeOf(int frame) const {
  if (!options_.mixed_sizes) return 1;
  const int producer = (frame - 1) / options_.frames;
  const int nth = (frame - 1) % options_.frames;
  return 1 + (producer + nth) % 2;
}

ModelState SegmentLogModel::Start() const {
  ModelState state{};
  state.tail_segment = kNoSegment;
  state.tail_offset = kNoOffset;
  for (int i = options_.segments; i-- > 0;) {
    state.free[state.free_count++] = static_cast<uint8_t>(i);
  }
  return state;
}

void SegmentLogModel::Next(const ModelState& from, std::vector<Step<ModelState>>* steps) const {
  for (int i = 0; i < options_.producers; ++i) Turn(*this, from, i, steps).Producer();
  Turn(*this, from, kCommitter, steps).Committer();
  if (options_.reader) Turn(*this, from, kReader, steps).Reader();
  for (int i = 0; i < kThreads; ++i) Turn(*this, from, i, steps).StoreSeen();
}

bool SegmentLogModel::IsEnd(const ModelState& state) const {
  for (int i = 0; i < options_.producers; ++i) {
    if (state.threads[i].frames_done != options_.frames) return false;
  }
  // What was not sealed is still the log's.
  const int held = state.run_count == 0 || state.runs[0].sealed != 0 ? 0 : 1;
  return (!options_.reader || state.read_to == positions_) && state.committed == positions_ &&
         state.run_count == held && state.free_count == options_.segments - held &&
         state.threads[kCommitter].step == 0;
}

void SegmentLogModel::Turn::StoreSeen() {
  for (int i = 0; i < me().stored; ++i) {
    if (me().stores[i].release != 0 && i > 0) continue;
    ModelState* const to = Go("a store of its is seen", me().step);
    Thread& thread = me(to);
    Apply(thread.stores[i], to);
    std::copy(thread.stores + i + 1, thread.stores + thread.stored, thread.stores + i);
    thread.stores[--thread.stored] = {};
  }
}

void SegmentLogModel::Turn::Put(ModelState* to, Where where, uint8_t segment, uint8_t unit,
                                uint8_t value, bool release) const {
  Thread& thread = me(to);
  if (thread.stored == std::size(thread.stores)) std::abort();  // make it larger
  thread.stores[thread.stored++] = {where, segment, unit, value, release};
}

void SegmentLogModel::Turn::Apply(const ModelState::Store& store, ModelState* to) const {
  switch (store.where) {
    case kWord0:
      to->word0[store.segment][store.unit] = store.value;
      break;
    case kBytes:  // one store stands for all that FillFrame writes
      for (int i = 0; i < model_.SizeOf(store.value); ++i) {
        to->bytes[store.segment][store.unit + i] = store.value;
      }
      break;
    case kFirstPosition:
      to->first_position[store.segment] = store.value;
      break;
    case kTail:
      to->tail_segment = store.segment;
      to->tail_offset = store.unit;
      break;
    default:
      ++to->waiters;
  }
}

void SegmentLogModel::Turn::AllSeen(ModelState* to) const {
  Thread& thread = me(to);
  for (int i = 0; i < thread.stored; ++i) {
    Apply(thread.stores[i], to);
    thread.stores[i] = {};
  }
  thread.stored = 0;
}

void SegmentLogModel::Turn::SetSealed(int offset, ModelState* to) {
  if (to->run_count == 0 || to->runs[to->run_count - 1].sealed != 0) {
    Hold(false, "a segment is sealed twice");
    return;
  }
  Run& run = to->runs[to->run_count - 1];
  run.end = static_cast<uint8_t>(run.first + offset);
  run.sealed = 1;
  to->next_position = run.end;
  to->tail_segment = kNoSegment;
  to->tail_offset = kNoOffset;
}

void SegmentLogModel::Turn::SettledTail(const char* name, int size, uint8_t seal, uint8_t room) {
  if (!ExclusiveIsFree()) return;
  if (!NoCrosserPending() && !Is(Mutation::kSealWithoutSettling)) return;
  if (from_.tail_segment != kNoSegment && from_.tail_offset + size <= options_.units) {
    Go("SealUnlessRoom: there is room", room);
    return;
  }
  ModelState* const to = Go(name, seal);
  to->mu = static_cast<uint8_t>(1 + thread_);
  me(to).segment = from_.tail_segment;
  me(to).offset = from_.tail_offset;
}

void SegmentLogModel::Turn::SealUnlessRoom(int size, uint8_t settle, uint8_t sealed,
                                           uint8_t room) {
  const int offset = me().offset;
  const bool same = from_.tail_segment == me().segment && from_.tail_offset == offset;
  if (!same && !Is(Mutation::kSealByStore)) {  // once more, with the tail as it is
    ModelState* const to = Go("SealUnlessRoom: the tail has moved", me().step);
    me(to).segment = from_.tail_segment;
    me(to).offset = from_.tail_offset;
    if (from_.tail_segment == kNoSegment || from_.tail_offset > options_.units) {
      to->mu = 0;  // waits for the crosser
      me(to).segment = me(to).offset = 0;
      me(to).step = settle;
    } else if (from_.tail_offset + size <= options_.units) {
      to->mu = 0;
      me(to).segment = me(to).offset = 0;
      me(to).step = room;
    }
    return;
  }
  ModelState* const to = Go("SealUnlessRoom: seals", sealed);
  SetSealed(offset < options_.units ? offset : options_.units, to);
  me(to).segment = me(to).offset = 0;
}

bool SegmentLogModel::Turn::IsWhole(int segment, int unit, int frame) const {
  const int size = model_.SizeOf(frame);
  if (unit + size > options_.units) return false;
  for (int i = unit; i < unit + size; ++i) {
    if (from_.bytes[segment][i] != frame) return false;
  }
  return true;
}

bool SegmentLogModel::Turn::IsCommitted(const Run& run) const {
  int position = run.first;
  while (position < run.end && from_.blocks[position] != 0) {
    position += model_.SizeOf(from_.blocks[position]);
  }
  return position >= run.end;
}

}  // namespace eddy::model
