// Dead letters: moved by a receive, sent by a handler, and mended at an open
// (see I2 in queue_impl.h).
#include <utility>

#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/queue/delivery_journal.h"
#include "src/queue/message_rules.h"
#include "src/queue/queue_impl.h"

namespace eddy::queue {

bool QueueImpl::ReceivedTooOften(const Candidate& candidate, const Delivery* entry) const {
  if (dead_letter_queue_ == nullptr || entry == nullptr) return false;
  // Receives of an earlier queue stay in the count and are not held against the
  // message here.
  const uint32_t here = entry->receive_count - candidate.message.carried_receive_count();
  return here >= static_cast<uint32_t>(*row_.options.max_receive_count);
}

MessageHead QueueImpl::DeadLetterHead(const Candidate& candidate,
                                      uint32_t receive_count) const {
  MessageHead head;
  head.id = candidate.message.head.id;
  DeadLetter& letter = head.dead_letter.emplace();
  letter.receive_count = receive_count;
  letter.source_queue = row_.id;
  letter.source_position = candidate.position;
  letter.first_sent_ms = candidate.message.sent_ms;
  letter.source = row_.name;
  // Receives of an earlier queue are in the count, but were not held against the
  // message here.
  const uint32_t carried = candidate.message.carried_receive_count();
  letter.reason = absl::StrCat("receive count ", receive_count + 1 - carried, " above ",
                               *row_.options.max_receive_count);
  return head;
}

void QueueImpl::Move(const Candidate& candidate, Attempt* attempt) {
  const uint64_t position = candidate.position;
  const MessageHead head =
      DeadLetterHead(candidate, state_.Find(position)->receive_count);
  const std::string encoded = EncodeHead(head);
  const log::FrameParts parts =
      MessageParts(head, encoded, candidate.message.body);
  if (log::AlignFrame(parts.Bytes()) > engine_.inline_bytes_max()) {
    state_.StartMove(position);
    attempt->large_moves.push_back(candidate);
    return;
  }
  const absl::StatusOr<log::Appended> appended = dead_letter_queue_->log_->TryAppend(parts);
  if (!appended.ok()) {  // it stays visible, to be moved by a later receive
    attempt->needs_room = true;
    return;
  }
  attempt->dead_letter_end = appended->end;
  dead_letter_queue_->log_->Bind(appended->end);
  DeliveryChange gone;
  gone.position = position;
  gone.gone = true;
  std::string op;
  AppendChange(gone, &op);
  // If there is no room for it, the commit of this cut records it as well, and
  // MendMoves does after a SIGKILL before that.
  const absl::StatusOr<log::Appended> journaled = engine_.TryJournal(row_.id, op);
  if (journaled.ok()) attempt->journal_end = journaled->end;
  state_.Remove(position);
  ++attempt->moved_count;
}

// Nobody but us has the message, for it is marked as moving: what we append
// there is what we take away here.
absl::Status QueueImpl::MoveLarge(const Candidate& candidate, Attempt* attempt) {
  const uint64_t position = candidate.position;
  uint32_t receive_count;
  {
    MutexLock lock(&mu_);
    receive_count = state_.Find(position)->receive_count;
  }
  const MessageHead head = DeadLetterHead(candidate, receive_count);
  const std::string encoded = EncodeHead(head);
  const absl::StatusOr<log::Appended> appended = dead_letter_queue_->log_->Append(
      MessageParts(head, encoded, candidate.message.body),
      engine_.options().append_timeout);
  if (!appended.ok()) {
    {
      MutexLock lock(&mu_);
      state_.StopMove(position);
    }
    // Those that the refused frame held up can be read now, in both queues.
    dead_letter_queue_->signal_.Notify();
    signal_.Notify();
    return NotAccepted(appended.status());
  }
  dead_letter_queue_->NoteArrived(1);
  bool was_full;
  {
    absl::ReaderMutexLock cut(&engine_.cut());
    MutexLock lock(&mu_);
    DeliveryChange gone;
    gone.position = position;
    gone.gone = true;
    std::string op;
    AppendChange(gone, &op);
    // Without room for it the next commit still records it; a SIGKILL before that
    // leaves the message in both queues (I2).
    const absl::StatusOr<log::Appended> journaled = engine_.TryJournal(row_.id, op);
    if (journaled.ok()) attempt->journal_end = journaled->end;
    was_full = InFlightIsFull();
    state_.Remove(position);
  }
  if (was_full) signal_.Notify();
  return absl::OkStatus();
}

absl::StatusOr<SendResult> QueueImpl::SendDeadLetter(std::string_view body,
                                                     std::string_view source,
                                                     std::string_view reason,
                                                     const SendOptions& options) {
  if (body.size() > kMessageBytesMax) {
    return absl::InvalidArgumentError(absl::StrCat("a dead letter of ", body.size(),
                                                   " bytes: at most ", kMessageBytesMax,
                                                   " are allowed"));
  }
  EDDY_RETURN_IF_ERROR(CheckLevel(options.durability));
  MessageHead head;
  DeadLetter& letter = head.dead_letter.emplace();
  letter.first_sent_ms = absl::ToUnixMillis(clock_->WallNow());
  letter.source = std::string(source);
  letter.reason = std::string(reason);
  EDDY_ASSIGN_OR_RETURN(
      SendResult result,
      Accept(std::move(head), body, options.delay.value_or(*row_.options.delay),
             options.timeout.value_or(engine_.options().append_timeout)));
  if (IsPower(options.durability)) {
    EDDY_RETURN_IF_ERROR(WaitPower(*log_, result.token.end));
  }
  return result;
}

// I2: a killed process may have appended a dead letter here and not have come
// to the journal. The frames it left in the intake are few; each dead letter
// among them names the message that must be gone. To be called before the
// engine's FinishOpen: its commit makes the letter part of the tables, where the
// next open looks no more, and must hold what is mended as well. The journal is
// replayed later than this, and does no harm to what is gone (D3).
absl::Status QueueImpl::MendMoves(const std::vector<std::unique_ptr<QueueImpl>>& queues) {
  for (uint64_t at = recovered_from_;;) {
    const absl::StatusOr<log::ReadResult> result = log_->Read(at, {});
    // Behind what is still to be salvaged: as if the death had come a little later, the
    // message may be in both queues (I2).
    if (absl::IsUnavailable(result.status())) return absl::OkStatus();
    EDDY_RETURN_IF_ERROR(result.status());
    if (result->frames.empty()) return absl::OkStatus();
    at = result->next;
    for (const log::FrameView& frame : result->frames) {
      if (frame.kind != kDeadLetterKind) continue;
      EDDY_ASSIGN_OR_RETURN(const MessageView message, DecodeMessage(frame));
      const DeadLetter& letter = *message.head.dead_letter;
      for (const auto& source : queues) {
        if (source->row_.id != letter.source_queue) continue;
        absl::ReaderMutexLock cut(&engine_.cut());
        MutexLock lock(&source->mu_);
        DeliveryChange gone;
        gone.position = letter.source_position;
        gone.gone = true;
        source->state_.Restore(gone, /*committed=*/false, clock_->SinceBoot());
      }
    }
  }
}

}  // namespace eddy::queue
