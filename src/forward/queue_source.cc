#include "src/forward/queue_source.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "src/base/status.h"

namespace eddy::forward {

QueueSource::~QueueSource() {
  // Neither may stop the destruction, and neither failure costs a message: what is
  // not deleted may come twice, what is not given back is visible at the next open.
  (void)DeleteSettled();
  for (const HeldMessage& held : held_) {
    if (held.settled) continue;
    (void)queue_->ChangeVisibility(held.message.receipt_handle, absl::ZeroDuration(),
                                   Durability::kProcess);
  }
}

absl::Status QueueSource::Receive() {
  if (full()) return absl::OkStatus();
  ReceiveOptions options;
  options.max_messages = static_cast<int>(messages_max_ - held_.size());
  options.wait_time = absl::ZeroDuration();
  options.visibility_timeout = kVisibilityTimeoutMax;
  // The count is for handlers that a message can kill; this one only carries it.
  options.durability = Durability::kProcess;
  absl::StatusOr<std::vector<Message>> messages = queue_->Receive(options);
  if (!messages.ok()) {
    // What is held can go on.
    return held_.empty() ? std::move(messages).status() : absl::OkStatus();
  }
  for (Message& message : *messages) Hold(std::move(message));
  return absl::OkStatus();
}

void QueueSource::Hold(Message message) {
  for (HeldMessage& held : held_) {
    if (held.message.message_id != message.message_id) continue;
    // Its lease has ended, after 12 h: the new receipt is the one that deletes.
    held.message.receipt_handle = std::move(message.receipt_handle);
    return;
  }
  HeldMessage held;
  held.id = next_id_++;
  held.message = std::move(message);
  held_.push_back(std::move(held));
}

absl::Status QueueSource::DeleteSettled() {
  std::vector<std::string_view> handles;
  for (const HeldMessage& held : held_) {
    if (held.settled) handles.push_back(held.message.receipt_handle);
  }
  if (handles.empty()) return absl::OkStatus();
  EDDY_ASSIGN_OR_RETURN(const std::vector<absl::Status> results, queue_->DeleteBatch(handles));
  absl::Status status;
  std::vector<HeldMessage> kept;
  size_t i = 0;
  for (HeldMessage& held : held_) {
    const bool is_deleted = held.settled && results[i].ok();
    if (held.settled) status.Update(results[i++]);
    if (!is_deleted) kept.push_back(std::move(held));
  }
  held_ = std::move(kept);
  return status;
}

size_t QueueSource::UnsettledCount() const {
  return static_cast<size_t>(std::count_if(
      held_.begin(), held_.end(), [](const HeldMessage& held) { return !held.settled; }));
}

HeldMessage& QueueSource::At(uint64_t id) {
  const auto found = std::find_if(held_.begin(), held_.end(),
                                  [id](const HeldMessage& held) { return held.id == id; });
  EDDY_CHECK(found != held_.end());
  return *found;
}

std::vector<uint64_t> QueueSource::Due(absl::Duration now) const {
  std::vector<uint64_t> ids;
  for (const HeldMessage& held : held_) {
    if (!held.settled && held.due <= now) ids.push_back(held.id);
  }
  return ids;
}

absl::Duration QueueSource::NextDue() const {
  absl::Duration next = absl::InfiniteDuration();
  for (const HeldMessage& held : held_) next = std::min(next, held.due);
  return next;
}

}  // namespace eddy::forward
