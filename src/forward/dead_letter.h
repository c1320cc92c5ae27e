// DeadLetterBox: where a route puts what its service will never accept.
//
// A stream's record becomes a message of JSON, so that any bytes can lie in a queue:
//
//   {"stream":"telemetry","shardId":"shardId-000000000000","sequenceNumber":"4711",
//    "partitionKey":"pump-7","explicitHashKey":"12","part":1,"parts":1,"data":"<base64>"}
//
// explicitHashKey is there only if the record has one. A record whose message would
// exceed kMessageBytesMax becomes several, equal but for part and data. A queue's
// message keeps its body. Source and reason are fields of the message itself.
// Depends on eddy/queue.h.
#ifndef EDDY_SRC_FORWARD_DEAD_LETTER_H_
#define EDDY_SRC_FORWARD_DEAD_LETTER_H_

#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "eddy/queue.h"
#include "eddy/types.h"
#include "src/forward/shard_window.h"

namespace eddy::forward {

// Threads:    safe.
// Durability: kPower: once OK, the message survives a power cut, so the caller may
//             give its own copy up. A crash before that leaves both: once dead, once
//             to be tried again.
// `queue` outlives the box.
class DeadLetterBox {
 public:
  // `queue` null: there is none. `source`: the stream or queue that the route drains.
  DeadLetterBox(Queue* queue, std::string source)
      : queue_(queue), source_(std::move(source)) {}

  //   kFailedPrecondition   there is no dead-letter queue.
  //   else as Queue::Send; some parts may have been stored.
  absl::Status PutRecord(ShardId shard, const WindowRecord& record, std::string_view reason);
  absl::Status PutMessage(std::string_view body, std::string_view reason);

 private:
  absl::Status Put(std::string_view body, std::string_view reason);

  Queue* const queue_;
  const std::string source_;
};

}  // namespace eddy::forward

#endif  // EDDY_SRC_FORWARD_DEAD_LETTER_H_
