// Those who wait for the committer: for a commit, for room, for a flush.
//
// Whoever waits leads a round if nobody else does; see commit_line.h. Before it takes
// the cut, the leader lets others arrive that the last round has released, if they
// come at once: a sync then serves more than those who happened to be first.
#include <algorithm>
#include <cstdint>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/log/engine_impl.h"

namespace eddy::log {

// Gives the processor away once, if fewer are there than waited at the end of the last round:
// a microsecond if nobody wants to run. More would fill a round up, but those that the last
// one has released do their work best while this one syncs. (Two cores, 64 producers that
// poll, a sync of 50 us: not at all gives 29 records a commit and 250 k/s, once 49 and 285,
// until nobody comes any more 63 and 250.)
void EngineImpl::GatherWaiters() {
  if (line_.Arrived() < crowd_) std::this_thread::yield();
}

absl::Status EngineImpl::WaitCommitted(LogId log_id, uint64_t end, absl::Duration timeout) {
  SegmentLog* const log = FindLog(log_id);
  if (log == nullptr) return absl::InvalidArgumentError(absl::StrCat("no log ", log_id));
  if (log->committed() >= end) return absl::OkStatus();
  if (end > log->tail()) {
    return absl::InvalidArgumentError(absl::StrCat("log ", log_id, ": nothing was appended up to ",
                                                   end, ", its tail is ", log->tail()));
  }
  return WaitAppended(*log, end, timeout);
}

absl::Status EngineImpl::WaitAppended(Log& appended_to, uint64_t end, absl::Duration timeout) {
  SegmentLog* const log = static_cast<SegmentLog*>(&appended_to);  // as all are
  if (log->committed() >= end) return absl::OkStatus();
  EDDY_RETURN_IF_ERROR(CheckMayCommit());
  log->Want(end);
  const absl::Duration deadline = clock_->SinceBoot() + timeout;
  absl::Duration pause = kIncompletePauseMin;
  CommitLine::Woken woken = CommitLine::Woken::kReleased;
  CommitLine::Place place = line_.Join();
  absl::Status status;
  while (log->committed() < end) {
    absl::Duration until = deadline;
    // Not before those who sleep for the lock: a crowd would come first each time. Whoever
    // sees one wait has joined before that one releases (C1 of commit_line.h), and the second
    // of these in a row makes a round for them: see CommitLock.
    if (lock_wanted_.load(std::memory_order_acquire) == 0 && commit_mu_.TryLock()) {
      GatherWaiters();
      const RoundResult round = CommitRound();
      crowd_ = line_.Waiting();
      line_.Leave(place);
      UnlockCommit();
      // The pending end lies below `end` when a large frame that the disk
      // refused was taken back; then all that there is is committed.
      if (log->committed() >= end ||
          (round.status.ok() && log->committed() >= log->PendingEnd())) {
        return absl::OkStatus();
      }
      if (!round.status.ok()) {
        return absl::UnavailableError(
            absl::StrCat("accepted, but not committed: ", round.status.ToString()));
      }
      // The frame lies behind one that is still being filled.
      until = std::min(deadline, clock_->SinceBoot() + pause);
      pause = std::min(2 * pause, kIncompletePauseMax);
      place = line_.Join();
    }
    woken = line_.Wait(place, until);
    if (woken == CommitLine::Woken::kTimeout && until == deadline) {
      status = absl::DeadlineExceededError(absl::StrCat(
          "log ", log->id(), ": accepted, but not committed within ",
          absl::FormatDuration(timeout).c_str()));
      break;
    }
    if (woken != CommitLine::Woken::kReleased) continue;
    if (log->committed() >= end) return absl::OkStatus();  // as a rule
    place = line_.Join();
  }
  line_.Leave(place);
  if (woken == CommitLine::Woken::kChosen) line_.Release(std::nullopt);
  return status;
}

void EngineImpl::UnlockCommit() {
  round_owed_ = !line_.HasClosed() && line_.Arrived() > 0;
  const std::optional<uint32_t> served = line_.EndRound();
  commit_mu_.Unlock();
  line_.Release(served);
  committed_.Notify();
}

absl::Status EngineImpl::WaitForRoom(absl::Duration timeout) {
  EDDY_RETURN_IF_ERROR(CheckMayCommit());
  const absl::Duration deadline = clock_->SinceBoot() + timeout;
  room_wanted_.fetch_add(1);
  absl::Status status;
  for (;;) {
    // Noted before the lock is tried: the end of another thread's round, which
    // may have come too early to free what we wait for, must not be missed.
    uint64_t seen = committed_.Epoch();
    if (intake_->free_count() > 0) break;
    RoundResult round;
    absl::Duration debt;
    if (commit_mu_.TryLock()) {
      debt = budget_.UntilAffordable(clock_->SinceBoot());
      if (debt == absl::ZeroDuration()) {
        round = CommitRound();
      } else {
        ReleaseHeld();
      }
      UnlockCommit();
      seen = committed_.Epoch();  // the end of our own round is no news
      if (intake_->free_count() > 0) break;
    } else {
      while (intake_->free_count() == 0 && clock_->SinceBoot() < deadline) {
        if (!early_writer_.WriteOne()) break;
      }
      if (intake_->free_count() > 0) break;
    }
    const absl::Duration left = deadline - clock_->SinceBoot();
    if (left <= absl::ZeroDuration()) {
      status = absl::ResourceExhaustedError(absl::StrCat(
          "the intake is full, and no segment of it became free in ",
          absl::FormatDuration(timeout).c_str(),
          round.status.ok() ? "" : absl::StrCat(": ", round.status.ToString()),
          debt == absl::ZeroDuration()
              ? ""
              : absl::StrCat(": write_budget_bytes_per_day (",
                             options_.store.write_budget_bytes_per_day,
                             ") is spent; the next commit may come in ",
                             absl::FormatDuration(debt).c_str())));
      break;
    }
    // Tried again soon, not at once. Also after a round that did all there was to do:
    // what it made free somebody else has taken, who may not make a round for us.
    const absl::Duration sleep =
        std::min(left, debt > absl::ZeroDuration() ? debt : kIncompletePauseMax);
    committed_.Wait(seen, sleep);
  }
  room_wanted_.fetch_sub(1);
  return status;
}

absl::Status EngineImpl::Flush() {
  EDDY_RETURN_IF_ERROR(CheckMayCommit());
  std::vector<std::pair<LogId, uint64_t>> ends;
  for (SegmentLog* log : LogsWithWork()) {
    ends.emplace_back(log->id(), log->PendingEnd());
    log->Want(ends.back().second);  // all of them first, for one commit
  }
  for (const auto& [log, end] : ends) {
    EDDY_RETURN_IF_ERROR(WaitCommitted(log, end, absl::InfiniteDuration()));
  }
  for (SegmentLog* log : LogsWithWork()) {
    if (!log->TrimPending()) continue;
    // Each under a lock of its own: there may be many, and others wait too.
    for (bool more = true; more;) {
      CommitLock lock(this);
      EDDY_RETURN_IF_ERROR(CommitRound().status);
      more = trims_left_;
    }
    return absl::OkStatus();
  }
  return absl::OkStatus();
}

}  // namespace eddy::log
