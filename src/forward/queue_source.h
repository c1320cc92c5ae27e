// QueueSource: the local side of a queue's route: the messages that were received and
// are held until they are settled.
//
// Why a message is received once and held, see sqs_route.h.
// Depends on eddy/queue.h.
#ifndef EDDY_SRC_FORWARD_QUEUE_SOURCE_H_
#define EDDY_SRC_FORWARD_QUEUE_SOURCE_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "eddy/queue.h"

namespace eddy::forward {

struct HeldMessage {
  uint64_t id = 0;  // ours, in order of receipt
  Message message;
  bool settled = false;        // stored or dead: only Delete is left
  // What attempts left behind.
  bool failed_before = false;
  bool maybe_stored = false;
  int failure_count = 0;       // of this message by itself
  int digest_failure_count = 0;
  bool is_size_confirmed = false;  // the target's limit was read since it was found too large
  absl::Duration due;          // not before, on the clock that counts suspend

  size_t bytes() const { return message.body.size(); }
};

// Threads:    none of its own; one caller at a time.
// Durability: deletes at the queue's own level: what was acknowledged and committed
//             does not come again after a power cut.
// `queue` outlives it.
class QueueSource {
 public:
  QueueSource(Queue* queue, size_t messages_max)
      : queue_(queue), messages_max_(messages_max) {}
  // Deletes what is settled and makes the rest visible again.
  ~QueueSource();
  QueueSource(const QueueSource&) = delete;
  QueueSource& operator=(const QueueSource&) = delete;

  const std::string& name() const { return queue_->name(); }

  // Receives what is visible, up to messages_max held.
  //   as Queue::Receive, and only if nothing is held.
  absl::Status Receive();

  //   as Queue::DeleteBatch; what is left is deleted by the next call.
  absl::Status DeleteSettled();

  bool empty() const { return held_.empty(); }
  bool full() const { return held_.size() >= messages_max_; }
  size_t UnsettledCount() const;
  HeldMessage& At(uint64_t id);

  // Unsettled and due, in order of receipt.
  std::vector<uint64_t> Due(absl::Duration now) const;
  // When the next one is; infinite if none is held.
  absl::Duration NextDue() const;

 private:
  void Hold(Message message);

  Queue* const queue_;
  const size_t messages_max_;
  std::vector<HeldMessage> held_;
  uint64_t next_id_ = 1;
};

}  // namespace eddy::forward

#endif  // EDDY_SRC_FORWARD_QUEUE_SOURCE_H_
