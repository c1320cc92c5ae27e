// Sending, describing, and the queue's part in a commit.
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
      state_(row_.head) {}

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

absl::Status NotAccepted(const absl::Status& append) {
  if (!absl::IsUnavailable(append)) return append;
  return absl::ResourceExhaustedError(absl::StrCat("not accepted: ", append.message()));
}

log::FrameParts QueueImpl::MessageParts(const MessageHead& head,
                                        const std::string& encoded_head,
                                        std::string_view body) {
  log::FrameParts parts;
  parts.kind = head.dead_letter ? kDeadLetterKind : kMessageKind;
  const Arrival arrival = arrival_.Now();
  parts.time_ms = arrival.time_ms;
  parts.time_trusted = arrival.trusted;
  // The coarse clock may lag, and after another boot a delay ends by this time:
  // it must not end early. (A time that is not trusted is none of the wall's.)
  if (head.delay && arrival.trusted) {
    parts.time_ms = std::clamp(absl::ToUnixMillis(clock_->WallNow()), arrival.time_ms,
                               (int64_t{1} << 47) - 1);
  }
  parts.head = encoded_head;
  parts.body = body;
  return parts;
}

absl::StatusOr<std::optional<absl::Duration>> QueueImpl::Begin(MessageHead* head,
                                                               absl::Duration delay) {
  EDDY_RETURN_IF_ERROR(CheckRange("delay", delay, kDelayMax));
  head->id = NewMessageId(*engine_.platform().random);
  const int64_t delay_ms = absl::ToInt64Milliseconds(delay);
  if (delay_ms == 0) return std::nullopt;
  // Up to a whole millisecond: a delay may end a little late, never early.
  const absl::Duration sent = absl::Ceil(clock_->SinceBoot(), absl::Milliseconds(1));
  head->delay = Delay{static_cast<uint32_t>(delay_ms),
                      static_cast<uint64_t>(absl::ToInt64Milliseconds(sent)), boot_hash_};
  return sent + absl::Milliseconds(delay_ms);
}

absl::StatusOr<SendResult> QueueImpl::Accept(MessageHead head, std::string_view body,
                                             absl::Duration delay,
                                             absl::Duration timeout) {
  EDDY_ASSIGN_OR_RETURN(const std::optional<absl::Duration> due, Begin(&head, delay));
  const std::string encoded = EncodeHead(head);
  const log::FrameParts parts = MessageParts(head, encoded, body);
  EDDY_RETURN_IF_ERROR(log_->CheckRoom(parts.Bytes()));
  const absl::StatusOr<log::Appended> appended = log_->Append(parts, timeout);
  if (!appended.ok()) {
    // While a large body waited for its commit, nobody could read what was sent
    // behind it: its receivers have looked, and sleep.
    signal_.Notify();
    return NotAccepted(appended.status());
  }
  return NoteSent(MessageIdText(head.id), due, *appended);
}

SendResult QueueImpl::NoteSent(std::string message_id, std::optional<absl::Duration> due,
                               const log::Appended& appended) {
  untouched_.fetch_add(1, std::memory_order_relaxed);
  if (due) {
    absl::MutexLock lock(&mu_);
    // A receiver may have been here first: it has read the delay in the frame.
    if (state_.Delay(appended.position, *due)) {
      untouched_.fetch_sub(1, std::memory_order_relaxed);
    }
  }
  signal_.Notify();
  return {std::move(message_id), {log_->id(), appended.end}};
}

void QueueImpl::NoteArrived(size_t count) {
  untouched_.fetch_add(static_cast<int64_t>(count), std::memory_order_relaxed);
  signal_.Notify();
}

absl::StatusOr<SendResult> QueueImpl::Send(std::string_view body, const SendOptions& options) {
  EDDY_RETURN_IF_ERROR(CheckLevel(options.durability));
  EDDY_RETURN_IF_ERROR(CheckBody(body, *row_.options.message_bytes_max));
  EDDY_ASSIGN_OR_RETURN(
      SendResult result,
      Accept({}, body, options.delay.value_or(*row_.options.delay),
             options.timeout.value_or(engine_.options().append_timeout)));
  if (IsPower(options.durability)) {
    EDDY_RETURN_IF_ERROR(WaitPower(log_->id(), result.token.end));
  }
  return result;
}

absl::StatusOr<std::vector<absl::StatusOr<SendResult>>> QueueImpl::SendBatch(
    const std::vector<SendEntry>& entries, const SendOptions& options) {
  EDDY_RETURN_IF_ERROR(CheckLevel(options.durability));
  if (entries.empty() || entries.size() > kMessageBatchMax) {
    return absl::InvalidArgumentError(absl::StrCat("a batch of ", entries.size(),
                                                   " messages: 1 to ", kMessageBatchMax,
                                                   " are allowed"));
  }
  size_t bytes = 0;
  for (const SendEntry& entry : entries) bytes += entry.body.size();
  if (bytes > kMessageBytesMax) {
    return absl::InvalidArgumentError(absl::StrCat("a batch of ", bytes, " bytes: at most ",
                                                   kMessageBytesMax, " are allowed"));
  }
  const absl::Duration delay = options.delay.value_or(*row_.options.delay);
  // One bound for the whole call: with the disk gone it must not wait once for
  // each entry.
  const absl::Duration deadline =
      clock_->SinceBoot() + options.timeout.value_or(engine_.options().append_timeout);
  std::vector<absl::StatusOr<SendResult>> results;
  uint64_t end = 0;
  for (const SendEntry& entry : entries) {
    const absl::Status checked = CheckBody(entry.body, *row_.options.message_bytes_max);
    results.push_back(checked.ok() ? Accept({}, entry.body, entry.delay.value_or(delay),
                                            deadline - clock_->SinceBoot())
                                   : absl::StatusOr<SendResult>(checked));
    if (results.back().ok()) end = std::max(end, results.back()->token.end);
  }
  if (end != 0 && IsPower(options.durability)) {
    const absl::Status committed = WaitPower(log_->id(), end);
    for (auto& result : results) {
      if (!committed.ok() && result.ok()) result = committed;
    }
  }
  return results;
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
  if (snapshot_.head_moved) log_->Trim(snapshot_.head).IgnoreError();
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
