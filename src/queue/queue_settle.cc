// What the holder of a receipt may do: delete, or change the timeout.
#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/queue/delivery_journal.h"
#include "src/queue/message_rules.h"
#include "src/queue/queue_impl.h"

namespace eddy::queue {

// The receive count tells one receive from the next. A handle from before the
// open names a count that a power cut may have made us forget and give again:
// it holds only while nobody has received the message since. A message on its way
// to the dead-letter queue is past all its receives.
bool QueueImpl::IsNewest(const Receipt& receipt, const Delivery* entry) const {
  return entry != nullptr && entry->phase != DeliveryPhase::kDelayed &&
         entry->phase != DeliveryPhase::kMoving &&
         entry->receive_count == receipt.receive_count &&
         (receipt.session == session_ || !entry->received_here);
}

absl::Status QueueImpl::Delete(std::string_view receipt_handle, Durability durability) {
  EDDY_ASSIGN_OR_RETURN(const std::vector<absl::Status> results,
                        DeleteBatch({receipt_handle}, durability));
  return results.front();
}

absl::StatusOr<std::vector<absl::Status>> QueueImpl::DeleteBatch(
    const std::vector<std::string_view>& receipt_handles, Durability durability) {
  EDDY_RETURN_IF_ERROR(CheckLevel(durability));
  if (receipt_handles.empty() || receipt_handles.size() > kMessageBatchMax) {
    return absl::InvalidArgumentError(absl::StrCat("a batch of ", receipt_handles.size(),
                                                   " receipt handles: 1 to ",
                                                   kMessageBatchMax, " are allowed"));
  }
  std::vector<absl::Status> results;
  std::vector<Receipt> receipts;  // of the good handles
  results.reserve(receipt_handles.size());
  receipts.reserve(receipt_handles.size());
  for (const std::string_view handle : receipt_handles) {
    const absl::StatusOr<Receipt> receipt = DecodeReceipt(handle, row_.id, receipt_salt_);
    results.push_back(receipt.status());
    if (receipt.ok()) receipts.push_back(*receipt);
  }
  if (receipts.empty()) return results;
  const auto fail_the_good = [&](const absl::Status& status) {
    for (absl::Status& result : results) {
      if (result.ok()) result = status;
    }
    return results;
  };

  uint64_t end = 0;
  bool was_full = false;
  for (;;) {
    absl::StatusOr<log::Appended> journaled = log::Appended{};
    {
      absl::ReaderMutexLock cut(&engine_.cut());
      MutexLock lock(&mu_);
      std::vector<uint64_t> positions;
      uint64_t stale_count = 0;
      bool gone_before = false;
      std::string op;
      positions.reserve(receipts.size());
      op.reserve(kGoneBytes * receipts.size());
      for (const Receipt& receipt : receipts) {
        const uint64_t position = receipt.position;
        const Delivery* const entry = state_.Find(position);
        if (entry == nullptr && state_.IsGone(position)) {
          gone_before = true;
        } else if (!IsNewest(receipt, entry)) {
          ++stale_count;
        } else if (std::find(positions.begin(), positions.end(), position) == positions.end()) {
          positions.push_back(position);
          DeliveryChange gone;
          gone.position = position;
          gone.gone = true;
          AppendChange(gone, &op);
        }
      }
      if (!op.empty()) journaled = engine_.TryJournal(row_.id, op);
      if (journaled.ok()) {
        was_full = InFlightIsFull();
        for (const uint64_t position : positions) state_.Remove(position);
        stale_deletes_.fetch_add(stale_count, std::memory_order_relaxed);
        end = journaled->end;
        // The earlier delete may have been accepted only: what it wrote to the
        // journal lies below the tail.
        if (gone_before) end = engine_.journal().tail();
        break;
      }
    }
    if (!absl::IsResourceExhausted(journaled.status())) return fail_the_good(journaled.status());
    const absl::Status room = engine_.WaitForRoom(engine_.options().append_timeout);
    if (!room.ok()) return fail_the_good(room);
  }
  if (was_full) signal_.Notify();
  if (end != 0 && IsPower(durability)) {
    const absl::Status committed = WaitPower(engine_.journal(), end);
    if (!committed.ok()) return fail_the_good(committed);
  }
  return results;
}

// Nothing durable changes (I4), so every durability is kept without a word to
// the journal.
absl::Status QueueImpl::ChangeVisibility(std::string_view receipt_handle,
                                         absl::Duration visibility_timeout,
                                         Durability durability) {
  EDDY_RETURN_IF_ERROR(CheckDurability(durability));
  EDDY_RETURN_IF_ERROR(
      CheckRange("visibility_timeout", visibility_timeout, kVisibilityTimeoutMax));
  EDDY_ASSIGN_OR_RETURN(const Receipt receipt,
                        DecodeReceipt(receipt_handle, row_.id, receipt_salt_));
  {
    MutexLock lock(&mu_);
    const absl::Duration now = clock_->SinceBoot();
    state_.ExpireUntil(now);
    const Delivery* const entry = state_.Find(receipt.position);
    if (!IsNewest(receipt, entry)) {
      return absl::AbortedError(absl::StrCat("queue ", row_.name, ": the message at ",
                                             receipt.position,
                                             " is gone or was received again"));
    }
    const absl::Duration total = now + visibility_timeout - entry->received_at;
    if (total > kVisibilityTimeoutMax) {
      return absl::InvalidArgumentError(absl::StrCat(
          "visibility_timeout ", absl::FormatDuration(visibility_timeout), " would end ",
          absl::FormatDuration(total), " after the receive: at most ",
          absl::FormatDuration(kVisibilityTimeoutMax), " is allowed"));
    }
    state_.SetDue(receipt.position, now, now + visibility_timeout);
  }
  // Visible now, or sooner than a sleeping receiver expects.
  signal_.Notify();
  return absl::OkStatus();
}

}  // namespace eddy::queue
