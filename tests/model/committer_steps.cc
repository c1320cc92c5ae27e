// The committer: CommitRound, again and again, sealing the active segment before
// a round or not.
#include <algorithm>

#include "tests/model/turn.h"

namespace eddy::model {
namespace {
enum CommitterStep : uint8_t {
  kRoundStart, kSeal, kSealed, kDrain, kSync, kRelease, kGiveZero, kGivePush,
};
}  // namespace

void SegmentLogModel::Turn::Committer() {
  switch (me().step) {
    case kRoundStart:
      if (from_.run_count == 0) return;  // HasWork
      if (from_.seals < options_.seals && from_.tail_segment != kNoSegment) {
        SettledTail("SealActive: locks", options_.units + 1, kSeal, kRoundStart);
      }
      return Cut();
    case kSeal:
      return SealUnlessRoom(options_.units + 1, kRoundStart, kSealed, kRoundStart);
    case kSealed:
      // Not at once: whoever comes now waits for mu_, and nothing else.
      {
        ModelState* const to = Go("SealActive: unlocks", kRoundStart);
        to->mu = 0;
        ++to->seals;
      }
      return;
    case kDrain: return Drain();
    case kSync: return Sync();
    case kRelease: return Release();
    case kGiveZero: return Give(/*zero=*/true);
    default: return Give(/*zero=*/false);
  }
}

// Cut, under mu_ shared: the tail is loaded once.
void SegmentLogModel::Turn::Cut() {
  if (!SharedIsFree() || !NoCrosserPending()) return;
  const Run& newest = from_.runs[from_.run_count - 1];
  if (newest.sealed == 0 && from_.run_count == 1 &&
      newest.first + from_.tail_offset == from_.committed) {
    return;  // a round that finds nothing changes nothing
  }
  ModelState* const to = Go("Cut", kDrain);
  to->cut_count = from_.run_count;
  for (int i = 0; i < from_.run_count; ++i) {
    to->cut[i] = from_.runs[i];
    if (from_.runs[i].sealed != 0) continue;
    to->cut[i].end = static_cast<uint8_t>(
        from_.runs[i].first + std::min<int>(from_.tail_offset, options_.units));
  }
  to->drained = from_.committed;
}

// EngineImpl::Drain, one frame.
void SegmentLogModel::Turn::Drain() {
  const uint8_t then = Is(Mutation::kReleaseBeforeSync) ? kRelease : kSync;
  const Run* run = std::find_if(from_.cut, from_.cut + from_.cut_count,
                                [&](const Run& r) { return r.end > from_.drained; });
  if (run == from_.cut + from_.cut_count) {
    Go("Drain: all of the cut", then);
    return;
  }
  const int at = std::max(from_.drained, run->first);
  const int unit = at - run->first;
  const int frame = from_.word0[run->segment][unit];
  if (frame == 0) {
    if (Is(Mutation::kDrainSkipsUnpublished)) {
      Go("Drain: goes on behind an unpublished frame", kDrain)->drained =
          static_cast<uint8_t>(at + 1);
    } else {
      Go("Drain: goes on without an unpublished frame", then);
    }
    return;
  }
  ModelState* const to = Go("Drain: takes a frame", kDrain);
  Hold(IsWhole(run->segment, unit, frame), "a frame is drained that is not whole");
  to->drained = static_cast<uint8_t>(at + model_.SizeOf(frame));
  Hold(to->drained <= run->end, "a frame reaches beyond the cut");
}

// WriteRound and its sync: the drafts point into the segments until here.
void SegmentLogModel::Turn::Sync() {
  ModelState* const to = Go("WriteRound", Is(Mutation::kReleaseBeforeSync) ? kRoundStart : kRelease);
  const auto size_at = [&](int position) {
    const int frame = to->blocks[position];
    return frame == 0 ? 1 : model_.SizeOf(frame);
  };
  for (int i = 0; i < from_.cut_count; ++i) {
    const Run& run = from_.cut[i];
    for (int at = run.first; at < std::min(run.end, from_.drained); at += size_at(at)) {
      if (to->blocks[at] != 0) continue;  // by an earlier round
      const int unit = at - run.first;
      const uint8_t frame = from_.word0[run.segment][unit];
      if (frame == 0 && Is(Mutation::kDrainSkipsUnpublished)) continue;
      Hold(frame != 0 && IsWhole(run.segment, unit, frame),
           "the bytes of a draft have changed before they were written");
      Hold(frame == from_.owner[at], "a block holds another frame than was published there");
      if (frame == 0) return;
      to->blocks[at] = frame;
    }
  }
  if (Is(Mutation::kReleaseBeforeSync)) {
    std::fill(to->cut, to->cut + to->cut_count, Run{});
    to->cut_count = to->drained = 0;
  }
}

// Committed: under mu_, what is drained leaves the runs.
void SegmentLogModel::Turn::Release() {
  if (!ExclusiveIsFree() && !Is(Mutation::kReleaseWithoutLock)) return;
  ModelState* const to = Go("Committed", kRoundStart);
  to->committed = std::max(from_.committed, from_.drained);
  int gone = 0;
  for (int i = 0; i < from_.run_count; ++i) {
    Run run = from_.runs[i];
    const bool sealed = run.sealed != 0;
    if (!sealed && i < from_.cut_count && Is(Mutation::kGiveUnsealed)) run.end = from_.cut[i].end;
    const bool drained = run.end <= from_.drained;
    const bool givable =
        (sealed || (Is(Mutation::kGiveUnsealed) && i < from_.cut_count)) &&
        (drained || Is(Mutation::kGiveUndrained));
    if (!givable) break;
    to->done[to->done_count++] = run;
    ++gone;
  }
  std::copy(from_.runs + gone, from_.runs + from_.run_count, to->runs);
  std::fill(to->runs + (from_.run_count - gone), to->runs + from_.run_count, Run{});
  to->run_count = static_cast<uint8_t>(from_.run_count - gone);
  const bool sync_later = Is(Mutation::kReleaseBeforeSync);
  if (!sync_later) {
    std::fill(to->cut, to->cut + to->cut_count, Run{});
    to->cut_count = to->drained = 0;
  }
  if (to->done_count > 0) {
    me(to).step = Is(Mutation::kGiveBeforeZeroing) ? kGivePush : kGiveZero;
  } else if (sync_later) {
    me(to).step = kSync;
  }
}

// Intake::Give, its two halves.
void SegmentLogModel::Turn::Give(bool zero) {
  const Run& run = from_.done[from_.done_count - 1];
  const bool last_half = zero == Is(Mutation::kGiveBeforeZeroing);
  ModelState* const to = Go(zero ? "Give: zeroes" : "Give: into the pool",
                            zero ? kGivePush : kGiveZero);
  if (!last_half) {
    Hold(IsCommitted(run), "a segment is given back before its frames are committed");
    Hold(from_.tail_segment != run.segment, "a segment is given back that can still be claimed");
    for (int i = 0; i < options_.producers; ++i) {
      Hold(!model_.MayWriteTo(from_.threads[i], run.segment),
           "a segment is given back that a claimer can still write to");
    }
  }
  if (zero) {
    std::fill(to->word0[run.segment], to->word0[run.segment] + options_.units, uint8_t{0});
    std::fill(to->bytes[run.segment], to->bytes[run.segment] + options_.units, uint8_t{0});
    to->first_position[run.segment] = 0;
  } else {
    to->free[to->free_count++] = run.segment;
  }
  if (!last_half) return;
  to->done[--to->done_count] = {};
  if (to->done_count > 0) {
    me(to).step = Is(Mutation::kGiveBeforeZeroing) ? kGivePush : kGiveZero;
  } else {
    me(to).step = Is(Mutation::kReleaseBeforeSync) ? kSync : kRoundStart;
  }
}

}  // namespace eddy::model
