// Queue: messages with a visibility timeout (SQS, standard).
//
// Invariants
//   Q1  A message is visible, delayed or in flight, and only Delete or a move to
//       the dead-letter queue ends it.
//   Q2  A receive count, once shown, is never forgotten (at the call's level),
//       so a message that kills its handler still reaches the dead-letter queue.
//   Q3  Timeouts run on the clock that counts suspend, never on wall time.
// Depends on types.h. The limits are those of Amazon SQS.
#ifndef EDDY_QUEUE_H_
#define EDDY_QUEUE_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "eddy/types.h"

namespace eddy {

inline constexpr size_t kMessageBytesMax = 1 << 20;
inline constexpr size_t kMessageBatchMax = 10;                      // entries a call
inline constexpr absl::Duration kDelayMax = absl::Seconds(900);
inline constexpr absl::Duration kVisibilityTimeoutMax = absl::Seconds(43200);
inline constexpr absl::Duration kWaitTimeMax = absl::Seconds(20);
inline constexpr absl::Duration kVisibilityTimeoutDefault = absl::Seconds(30);
inline constexpr int kMaxReceiveCountMax = 1000;
inline constexpr int kMaxReceiveCountDefault = 10;

// What is not given gets its default when the queue is made, and is not compared
// when the queue exists (the contract's rule): see Store::CreateQueue. Durations
// are kept in whole milliseconds, rounded down.
struct QueueOptions {
  std::optional<absl::Duration> visibility_timeout;  // 0..12 h; default 30 s
  std::optional<absl::Duration> delay;               // 0..15 min; default 0
  std::optional<absl::Duration> receive_wait_time;   // 0..20 s; default 0
  std::optional<size_t> message_bytes_max;           // 1024..1 MiB; default 1 MiB
  // Name of an existing queue; empty: not given, and by default none. A receive
  // that would raise the count above max_receive_count (1..1000; default 10)
  // moves the message there instead.
  std::string dead_letter_queue;
  std::optional<int> max_receive_count;
  // Of a call that names none. kDefault: not given, and by default kPower.
  Durability durability = Durability::kDefault;
};

struct SendOptions {
  std::optional<absl::Duration> delay;  // absent: the queue's
  Durability durability = Durability::kDefault;
  std::optional<absl::Duration> timeout;  // for room in the intake
};

struct SendEntry {
  std::string_view body;
  std::optional<absl::Duration> delay;
};

struct SendResult {
  std::string message_id;
  CommitToken token;        // for Store::Wait
};

struct ReceiveOptions {
  int max_messages = 1;                           // 1..10
  std::optional<absl::Duration> wait_time;        // absent: the queue's
  std::optional<absl::Duration> visibility_timeout;  // absent: the queue's
  Durability durability = Durability::kDefault;   // of the raised receive count
};

struct Message {
  std::string message_id;
  std::string receipt_handle;  // new with each receive
  std::string body;
  int receive_count = 0;       // this one included
  absl::Time sent;             // wall time
  absl::Time first_received;   // wall time; the same at each receive
  // Of a message that lies in a dead-letter queue: where it came from and why
  // ("receive count 4 above 3", of that queue and its max_receive_count, or the
  // forwarder's reason).
  std::string dead_letter_source;
  std::string dead_letter_reason;
};

// MD5OfMessageBody and MD5OfBody of the contract: 32 hex digits. The queue keeps
// none and computes none, since most callers never look.
std::string Md5OfBody(std::string_view body);

// A message is in one of the three; one that is being moved to the dead-letter
// queue is in flight. After a restart a delayed message counts as visible until a
// receive has come by it: it is still delayed.
struct QueueCounts {
  uint64_t visible = 0;
  uint64_t in_flight = 0;
  uint64_t delayed = 0;
};

struct QueueDescription {
  std::string name;
  absl::Time created;
  QueueOptions options;  // each has its value
  QueueCounts counts;
};

// Threads:    safe. A long-polling Receive sleeps on a condition and holds no lock.
// Durability: each call returns once its effect has reached its level. A level
//             that does not exist is kInvalidArgument, and nothing is done.
class Queue {
 public:
  virtual ~Queue() = default;
  virtual const std::string& name() const = 0;
  virtual QueueDescription Describe() = 0;

  // Body: 1 byte to message_bytes_max of UTF-8 in the character set of SQS. A
  // message above a quarter of a segment goes straight into a commit: each costs
  // one even at kProcess, and is not accepted if that fails.
  //   kInvalidArgument    body empty, too large, or a character SQS refuses;
  //                       delay out of range.
  //   kResourceExhausted  no room in time, the store is at its quota or headroom
  //                       (retention.h), the disk is full, or the commit of a
  //                       large message failed: not accepted. (If its sync failed
  //                       and the process dies before the next commit, a large
  //                       message may turn up nevertheless.)
  //   kUnavailable        kPower only: accepted, but not yet committed.
  virtual absl::StatusOr<SendResult> Send(std::string_view body,
                                          const SendOptions& options = {}) = 0;

  // 1..10 entries, at most 1 MiB of bodies together; results in their order,
  // failing one by one as Send. At kPower all share one commit (large ones apart).
  // SendOptions::timeout bounds the call, not each entry.
  //   kInvalidArgument    the call as a whole: no entries, too many, too large.
  virtual absl::StatusOr<std::vector<absl::StatusOr<SendResult>>> SendBatch(
      const std::vector<SendEntry>& entries, const SendOptions& options = {}) = 0;

  // Returns as soon as one message is there, or empty when the wait ends. At most
  // 120 000 messages are in flight: a wait then goes on until one no longer is.
  //   kInvalidArgument    max_messages, wait or timeout out of range.
  //   kResourceExhausted  without a wait: too many messages are in flight. Or no
  //                       room in the intake in StoreOptions::append_timeout, for
  //                       the raised counts or for a dead letter: nothing was
  //                       received, and what was to be moved stays.
  //   kUnavailable        kPower only: the disk failed to sync. The counts are
  //                       raised, nothing was received, all is visible again. At any
  //                       level: the oldest messages are still being salvaged out of
  //                       a damaged database (StoreStats::salvage).
  //   kDataLoss           a block does not match its checksum, or what it holds
  //                       is no message.
  virtual absl::StatusOr<std::vector<Message>> Receive(
      const ReceiveOptions& options = {}) = 0;

  // Ends the message. A handle that is no longer the newest of its message
  // succeeds without deleting (the contract's rule), and is counted; so does that
  // of a message on its way to the dead-letter queue.
  //   kInvalidArgument    not a handle of this queue.
  //   kResourceExhausted  no room in the intake in time: not deleted.
  //   kUnavailable        kPower only: deleted, but not yet committed.
  virtual absl::Status Delete(std::string_view receipt_handle,
                              Durability durability = Durability::kDefault) = 0;
  virtual absl::StatusOr<std::vector<absl::Status>> DeleteBatch(
      const std::vector<std::string_view>& receipt_handles,
      Durability durability = Durability::kDefault) = 0;

  // The new timeout runs from this call; 0 makes the message visible now.
  //   kInvalidArgument   not a handle of this queue; outside 0..12 h; more than
  //                      12 h since the receive.
  //   kAborted           the message is gone, on its way to the dead-letter
  //                      queue, or was received again.
  virtual absl::Status ChangeVisibility(std::string_view receipt_handle,
                                        absl::Duration visibility_timeout,
                                        Durability durability = Durability::kDefault) = 0;

  // Sends `body` as a dead letter that names its source and the reason. For
  // the forwarder and other handlers that give a record up. Takes any bytes up to
  // 1 MiB, none too. Errors as Send.
  virtual absl::StatusOr<SendResult> SendDeadLetter(std::string_view body,
                                                    std::string_view source,
                                                    std::string_view reason,
                                                    const SendOptions& options = {}) = 0;

  virtual uint64_t StaleDeletes() = 0;  // since open
};

}  // namespace eddy

#endif  // EDDY_QUEUE_H_
