// Sending: check, encode, append - without a lock of the queue's own, save for a
// message that is delayed.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/queue/message_rules.h"
#include "src/queue/queue_impl.h"

namespace eddy::queue {

absl::Status NotAccepted(const absl::Status& append) {
  if (!absl::IsUnavailable(append)) return append;
  return absl::ResourceExhaustedError(absl::StrCat("not accepted: ", append.message()));
}

log::FrameParts QueueImpl::MessageParts(const MessageHead& head,
                                        const std::string& encoded_head,
                                        std::string_view body) {
  log::FrameParts parts;
  parts.kind = head.dead_letter ? kDeadLetterKind : kMessageKind;
  parts.head = encoded_head;
  parts.body = body;
  SetArrival(arrival_.Now(), head.delay.has_value(), &parts);
  return parts;
}

void QueueImpl::SetArrival(const Arrival& arrival, bool delayed, log::FrameParts* parts) {
  parts->time_ms = arrival.time_ms;
  parts->time_trusted = arrival.trusted;
  // The coarse clock may lag, and after another boot a delay ends by this time:
  // it must not end early. (A time that is not trusted is none of the wall's.)
  if (delayed && arrival.trusted) {
    parts->time_ms = std::clamp(absl::ToUnixMillis(clock_->WallNow()), arrival.time_ms,
                                (int64_t{1} << 47) - 1);
  }
}

absl::StatusOr<std::optional<Delay>> QueueImpl::DelayFromNow(absl::Duration delay) const {
  EDDY_RETURN_IF_ERROR(CheckRange("delay", delay, kDelayMax));
  const int64_t delay_ms = absl::ToInt64Milliseconds(delay);
  if (delay_ms == 0) return std::optional<Delay>();
  // Up to a whole millisecond: a delay may end a little late, never early.
  const absl::Duration sent = absl::Ceil(clock_->SinceBoot(), absl::Milliseconds(1));
  return std::optional<Delay>(
      Delay{static_cast<uint32_t>(delay_ms),
            static_cast<uint64_t>(absl::ToInt64Milliseconds(sent)), boot_hash_});
}

// A receiver may have been here before: it has read the delay in the frame.
void QueueImpl::NoteDelayed(uint64_t position, const Delay& delay) {
  MutexLock lock(&mu_);
  if (!state_.IsUntouched(position)) return;
  const bool noted = state_.Delay(
      position, absl::Milliseconds(static_cast<int64_t>(delay.sent_clock_ms + delay.delay_ms)));
  EDDY_CHECK(noted);
  untouched_.fetch_sub(1, std::memory_order_relaxed);
}

absl::StatusOr<SendResult> QueueImpl::Accept(MessageHead head, std::string_view body,
                                             absl::Duration delay,
                                             absl::Duration timeout) {
  EDDY_ASSIGN_OR_RETURN(head.delay, DelayFromNow(delay));
  head.id = MessageIds(*engine_.platform().random).Next();
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
  return NoteSent(MessageIdText(head.id), head.delay, *appended);
}

SendResult QueueImpl::NoteSent(std::string message_id, const std::optional<Delay>& delay,
                               const log::Appended& appended) {
  untouched_.fetch_add(1, std::memory_order_relaxed);
  if (delay) NoteDelayed(appended.position, *delay);
  signal_.Notify();
  return SendResult{std::move(message_id), {log_->id(), appended.end}};
}

void QueueImpl::AcceptAll(const SendEntry* entries, size_t count, const SendOptions& options,
                          absl::StatusOr<SendResult>* results) {
  struct Outgoing {
    size_t entry;
    MessageId id;
    std::optional<Delay> delay;
    char head[kPlainHeadBytesMax];
  };
  EDDY_CHECK(count <= kMessageBatchMax);
  Outgoing outgoing[kMessageBatchMax];
  log::FrameParts frames[kMessageBatchMax];
  log::Appended appended[kMessageBatchMax];
  MessageIds ids(*engine_.platform().random);
  size_t good_count = 0;
  const absl::Duration delay = options.delay.value_or(*row_.options.delay);
  const Arrival arrival = arrival_.Now();
  for (size_t i = 0; i < count; ++i) {
    Outgoing& one = outgoing[good_count];
    log::FrameParts& parts = frames[good_count];
    const auto prepare = [&]() -> absl::Status {
      EDDY_RETURN_IF_ERROR(CheckBody(entries[i].body, *row_.options.message_bytes_max));
      one.delay.reset();
      const absl::Duration wanted = entries[i].delay.value_or(delay);
      if (wanted != absl::ZeroDuration()) {
        EDDY_ASSIGN_OR_RETURN(one.delay, DelayFromNow(wanted));
      }
      one.entry = i;
      one.id = ids.Next();
      parts.kind = kMessageKind;
      parts.head = {one.head, EncodePlainHead(one.id, one.delay, one.head)};
      parts.body = entries[i].body;
      SetArrival(arrival, one.delay.has_value(), &parts);
      return log_->CheckRoom(parts.Bytes());
    };
    const absl::Status prepared = prepare();
    if (prepared.ok()) {
      ++good_count;
    } else {
      results[i] = prepared;
    }
  }
  // One bound for the whole call: with the disk gone it must not wait once for
  // each entry.
  absl::Duration left = options.timeout.value_or(engine_.options().append_timeout);
  const absl::Duration deadline =
      good_count > 1 ? clock_->SinceBoot() + left : absl::InfiniteDuration();
  for (size_t at = 0; at < good_count;) {
    const absl::StatusOr<size_t> done =
        log_->AppendBatch(frames + at, good_count - at, left, appended + at);
    const size_t next = at + done.value_or(1);
    if (done.ok()) untouched_.fetch_add(static_cast<int64_t>(*done), std::memory_order_relaxed);
    for (; at < next; ++at) {
      const Outgoing& one = outgoing[at];
      if (!done.ok()) {
        results[one.entry] = NotAccepted(done.status());
        continue;
      }
      if (one.delay) NoteDelayed(appended[at].position, *one.delay);
      results[one.entry] = SendResult{MessageIdText(one.id), {log_->id(), appended[at].end}};
    }
    if (at < good_count) left = deadline - clock_->SinceBoot();
  }
  // Of a failure too: see Accept.
  if (good_count > 0) signal_.Notify();
}

void QueueImpl::NoteArrived(size_t count) {
  untouched_.fetch_add(static_cast<int64_t>(count), std::memory_order_relaxed);
  signal_.Notify();
}

absl::StatusOr<SendResult> QueueImpl::Send(std::string_view body, const SendOptions& options) {
  EDDY_RETURN_IF_ERROR(CheckLevel(options.durability));
  const SendEntry entry = {body, std::nullopt};
  absl::StatusOr<SendResult> result;
  AcceptAll(&entry, 1, options, &result);
  if (result.ok() && IsPower(options.durability)) {
    EDDY_RETURN_IF_ERROR(WaitPower(*log_, result->token.end));
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
  std::vector<absl::StatusOr<SendResult>> results(entries.size());
  AcceptAll(entries.data(), entries.size(), options, results.data());
  uint64_t end = 0;
  for (const auto& result : results) {
    if (result.ok()) end = std::max(end, result->token.end);
  }
  if (end != 0 && IsPower(options.durability)) {
    const absl::Status committed = WaitPower(*log_, end);
    for (auto& result : results) {
      if (!committed.ok() && result.ok()) result = committed;
    }
  }
  return results;
}

}  // namespace eddy::queue
