// What stays out of a round: frames that nobody needs any more, frames that may
// wait to become so, and the journal while the tables need not follow it.
//
//   intake:   | useless: dropped | held: a later round | written now |
//
// Dropped frames leave the intake without a write. The tables then know neither of
// the frames nor of what made them useless; the journal, which stays in the intake,
// knows the latter. After a SIGKILL both are as they were. After a power cut the
// tables are older, and where they say "not yet read" there is nothing to read; only
// the positions, which others have seen, must not come again: see L4.
#include <algorithm>
#include <cstdint>
#include <vector>

#include "src/log/block_draft.h"
#include "src/log/engine_impl.h"

namespace eddy::log {

// The journal may take an eighth of the intake (a segment at least) before the
// state that waits is written and gives it free. Also of segments that are not full: those
// that were taken from it, for room, wait for the same write (SealQuietLogs).
bool EngineImpl::JournalIsCrowded(const LogRound& journal) const {
  const IntakeGeometry& geometry = intake_->geometry();
  const uint64_t segments = std::max<uint64_t>(1, geometry.segment_count / 8);
  return journal.end - journal.log->committed() >= segments * geometry.segment_bytes ||
         journal.cut.runs.size() > segments;
}

void EngineImpl::DropUseless(LogRound* round) {
  const uint64_t before = PayloadBytes(round->drafts);
  DropBelow(round->cut.discard_below, round->log->boot_starts(), &round->drafts);
  round->spared_bytes = before - PayloadBytes(round->drafts);
}

void EngineImpl::HoldBack(absl::Duration now, std::vector<LogRound>* rounds) {
  bool any = false;
  uint64_t segments_free = intake_->free_count();  // and what this round makes free
  for (LogRound& round : *rounds) {
    if (round.log == journal_) continue;
    round.held = round.holds() && !round.log->IsDue(now, round.cut, round.kept_from());
    any = any || round.held;
    const uint64_t done = round.held ? round.kept_from() : round.end;
    for (const CutRun& run : round.cut.runs) segments_free += run.sealed && run.end <= done;
  }
  if (!any) return;
  const uint64_t wanted = room_wanted_.load() > 0 ? 1 : intake_->geometry().segment_count / 4;
  const bool short_of_segments = segments_free < wanted;
  for (LogRound& round : *rounds) {
    if (!round.held) continue;
    round.held = !short_of_segments;
    if (!short_of_segments) round.Withhold();
  }
}

// The state is not written in this round: what says the other half of it waits as well. But
// not in the log of a transaction, whose own frames come behind it and cannot wait: that one
// is in two queues then, if the power is cut before the next round.
void EngineImpl::WithholdBound(std::vector<LogRound>* rounds) {
  std::vector<const Log*> taking_part;
  if (transacting_ != nullptr) {
    for (const LogFrames& frames : transacting_->work->frames()) taking_part.push_back(frames.log);
  }
  for (LogRound& round : *rounds) {
    const bool takes_part = std::find(taking_part.begin(), taking_part.end(), round.log) !=
                            taking_part.end();
    if (round.cut.bound && !takes_part) round.Withhold();
  }
}

// While the write budget is spent: what needs no write goes on.
bool EngineImpl::ReleaseHeld() {
  bool any = false;
  for (SegmentLog* log : LogsWithWork()) any = any || log->Holds();
  if (any) CommitRound(Extent::kRelease);  // does no I/O, and so cannot fail
  return any;
}

}  // namespace eddy::log
