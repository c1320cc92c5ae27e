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
  absl::MutexLock lock(&mu_);
  in_flight_max_ = most;
}

absl::Status QueueImpl::WaitPower(log::LogId log, uint64_t end) {
  const absl::Status status = engine_.WaitCommitted(log, end, kCommitWaitMax);
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
  absl::MutexLock lock(&mu_);
  state_.ExpireUntil(clock_->SinceBoot());
  const int64_t untouched = std::max<int64_t>(untouched_.load(std::memory_order_relaxed), 0);
  description.counts.visible = static_cast<uint64_t>(untouched) + state_.visible_count();
  description.counts.in_flight = state_.in_flight_count();
  description.counts.delayed = state_.delayed_count();
  return description;
}

size_t QueueImpl::TouchedCount() const {
  absl::MutexLock lock(&mu_);
  return state_.entry_count() + state_.gone_count() + state_.changed_count();
}

bool QueueImpl::Capture() {
  absl::MutexLock lock(&mu_);
  return state_.TakeChanges(&snapshot_);
}

absl::Status QueueImpl::Write(sql::Database& db) {
  return WriteDeliveries(db, row_.id, snapshot_);
}

void QueueImpl::Finish(bool committed) {
  {
    absl::MutexLock lock(&mu_);
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

absl::Status QueueImpl::Replay(std::string_view op) {
  EDDY_ASSIGN_OR_RETURN(const std::vector<DeliveryChange> changes, DecodeChanges(op));
  absl::MutexLock lock(&mu_);
  for (const DeliveryChange& change : changes) {
    state_.Restore(change, /*committed=*/false, clock_->SinceBoot());
  }
  return absl::OkStatus();
}

}  // namespace eddy::queue
