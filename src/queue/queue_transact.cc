// What a transaction needs of a queue: messages to be sent with it, and receipts
// whose messages go with it.
//
// A held message looks to others like one on its way to the dead-letter queue. The
// row that says it is gone is written by the transaction itself, not by the
// journal: a death before the commit leaves the message as it was.
#include <utility>

#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/queue/message_rules.h"
#include "src/queue/queue_impl.h"

namespace eddy::queue {

absl::StatusOr<PendingSend> QueueImpl::Prepare(std::string_view body,
                                               std::optional<absl::Duration> delay) {
  EDDY_RETURN_IF_ERROR(CheckBody(body, *row_.options.message_bytes_max));
  MessageHead head;
  PendingSend send;
  EDDY_ASSIGN_OR_RETURN(head.delay, DelayFromNow(delay.value_or(*row_.options.delay)));
  head.id = MessageIds(*engine_.platform().random).Next();
  send.delay = head.delay;
  const std::string encoded = EncodeHead(head);
  send.frame = log::PendingFrame(log_, MessageParts(head, encoded, body));
  send.message_id = MessageIdText(head.id);
  return send;
}

SendResult QueueImpl::NoteSent(const PendingSend& sent, const log::Appended& appended) {
  return NoteSent(sent.message_id, sent.delay, appended);
}

absl::StatusOr<uint64_t> QueueImpl::Hold(std::string_view receipt_handle) {
  EDDY_ASSIGN_OR_RETURN(const Receipt receipt,
                        DecodeReceipt(receipt_handle, row_.id, receipt_salt_));
  MutexLock lock(&mu_);
  if (!IsNewest(receipt, state_.Find(receipt.position))) {
    return absl::AbortedError(absl::StrCat("queue ", row_.name, ": the message at ",
                                           receipt.position,
                                           " is gone or was received again"));
  }
  state_.Hold(receipt.position);
  return receipt.position;
}

absl::Status QueueImpl::WriteGone(sql::Database& db, const std::vector<uint64_t>& held) {
  DeliverySnapshot gone;
  for (const uint64_t position : held) gone.changes.push_back({position, 0, 0, true});
  return WriteDeliveries(db, row_.id, gone);
}

void QueueImpl::EndHold(const std::vector<uint64_t>& held, bool committed) {
  {
    MutexLock lock(&mu_);
    for (const uint64_t position : held) {
      if (committed) {
        state_.Remove(position, /*has_row=*/true);
      } else {
        state_.Unhold(position, clock_->SinceBoot());
      }
    }
  }
  // Some may be visible again, or receivers wait for fewer in flight.
  signal_.Notify();
}

}  // namespace eddy::queue
