// Describing, waiting, and the queue's part in a commit.
#include "src/queue/queue_impl.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/base/strings.h"
#include "src/queue/delivery_journal.h"
#include "src/queue/message_rules.h"

namespace eddy::queue {

QueueImpl::QueueImpl(log::Engine& engine, QueueRow row, log::Log* log,
                     QueueImpl* dead_letter_queue)
    : engine_(engine),
      clock_(engine.platform().clock),
      row_(std::move(row)),
      log_(log),
      dead_letter_queue_(dead_letter_queue),
      receipt_salt_(static_cast<uint64_t>(row_.created_ms)),
      session_(static_cast<uint32_t>(engine.platform().random->Next())),
      boot_hash_(HashBootId(clock_->BootId())),
      recovered_from_(log->committed()),
      arrival_(clock_, engine.boot_base_ms()),
      signal_(clock_),
      state_(row_.head, row_.scan) {}

absl::Status QueueImpl::SameOptions(const QueueOptions& wanted) const {
  EDDY_RETURN_IF_ERROR(CheckQueueOptions(wanted));
  return CompareOptions(row_.name, row_.options, wanted);
}

Moment QueueImpl::Now() const {
  return {boot_hash_, clock_->SinceBoot(), clock_->WallNow()};
}

absl::Status QueueImpl::CheckLevel(Durability asked) const {
  EDDY_RETURN_IF_ERROR(CheckDurability(asked));
  return IsPower(asked) ? engine_.CheckMayCommit() : absl::OkStatus();
}

bool QueueImpl::IsPower(Durability asked) const {
  return (asked == Durability::kDefault ? row_.options.durability : asked) ==
         Durability::kPower;
}

void QueueImpl::LimitInFlight(size_t most) {
  MutexLock lock(&mu_);
  in_flight_max_ = most;
}

absl::Status QueueImpl::WaitPower(log::Log& log, uint64_t end) {
  const absl::Status status = engine_.WaitAppended(log, end, kCommitWaitMax);
  if (status.ok() || absl::IsUnavailable(status)) return status;
  // The caller has one thing to do about all of them: the work is accepted, and
  // not yet safe from a power cut.
  return absl::UnavailableError(absl::StrCat("queue ", row_.name, ": ", status.ToString()));
}

QueueDescription QueueImpl::Describe() {
  QueueDescription description;
  description.name = row_.name;
  description.created = absl::FromUnixMillis(row_.created_ms);
  description.options = row_.options;
  MutexLock lock(&mu_);
  state_.ExpireUntil(clock_->SinceBoot());
  const int64_t untouched = std::max<int64_t>(untouched_.load(std::memory_order_relaxed), 0);
  description.counts.visible = static_cast<uint64_t>(untouched) + state_.visible_count();
  description.counts.in_flight = state_.in_flight_count();
  description.counts.delayed = state_.delayed_count();
  return description;
}

size_t QueueImpl::TouchedCount() const {
  MutexLock lock(&mu_);
  return state_.entry_count() + state_.gone_count() + state_.changed_count();
}

bool QueueImpl::Capture() {
  MutexLock lock(&mu_);
  return state_.TakeChanges(&snapshot_);
}

// What the tables say is gone, or has never been written, may be gone for longer
// than they know. Told they must be of every row that is out of date, and of every
// message in a block that is gone: those lie at or above the committed scan, or have
// rows.
bool QueueImpl::MayWait() {
  MutexLock lock(&mu_);
  return snapshot_.changes.empty() && snapshot_.erased.empty() && !snapshot_.frees_rows &&
         log_->stored_end() <= state_.committed_scan();
}

absl::Status QueueImpl::Write(sql::Database& db) {
  return WriteDeliveries(db, row_.id, snapshot_);
}

void QueueImpl::Finish(bool committed) {
  {
    MutexLock lock(&mu_);
    if (!committed) {
      state_.PutBack(snapshot_);
      return;
    }
    state_.Committed(snapshot_);
  }
  // I3: only now. The head lies at or below the log's committed end, which the
  // engine has raised before, so nothing below the head is spared. A trim that
  // fails is asked for again when the head moves on, and at the next open.
  if (snapshot_.moved) log_->Trim(snapshot_.head).IgnoreError();
}

log::Passed QueueImpl::passed() {
  MutexLock lock(&mu_);
  return {log_, state_.head(), state_.scan()};
}

bool QueueImpl::LiveWithin(uint64_t first, uint64_t end, size_t most,
                           std::vector<uint64_t>* live) {
  MutexLock lock(&mu_);
  return state_.LiveWithin(first, end, most, live);
}

// Takes the scan over what the journal has touched, so that what is gone leaves no mark,
// and what lies below the head is not written. A message that waits for the end of its
// delay is untouched as yet: only its frame says so.
void QueueImpl::PassReplayed() {
  while (replay_ != ReplayState::kAtEnd) {
    if (replay_frames_.empty()) {
      const absl::StatusOr<log::ReadResult> result = log_->Read(state_.scan(), {});
      replay_ = ReplayState::kAtEnd;
      // What cannot be read is as if it were there, and untouched.
      if (!result.ok() || result->gap) return;
      // Below where the next one will lie no message was ever written, or they are gone.
      if (result->frames.empty()) return state_.Loaded(std::max(log_->tail(), log_->reach()));
      replay_ = ReplayState::kGoesOn;
      state_.Loaded(result->frames.front().position);
      for (auto frame = result->frames.rbegin(); frame != result->frames.rend(); ++frame) {
        replay_frames_.emplace_back(frame->position, frame->end);
      }
    }
    const auto [position, end] = replay_frames_.back();
    if (state_.IsUntouched(position)) return;
    state_.PassTo(end);
    replay_frames_.pop_back();
  }
}

absl::Status QueueImpl::Replay(std::string_view op) {
  EDDY_ASSIGN_OR_RETURN(const std::vector<DeliveryChange> changes, DecodeChanges(op));
  MutexLock lock(&mu_);
  PassReplayed();  // before: of messages without a frame nothing is to be restored
  for (const DeliveryChange& change : changes) {
    state_.Restore(change, /*committed=*/false, clock_->SinceBoot());
  }
  PassReplayed();
  return absl::OkStatus();
}

}  // namespace eddy::queue
