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
//
// A letter is accepted part by part, and is there when the last part is committed. On a
// full disk it may be accepted and stay uncommitted for days, so the box remembers how
// far it has come: Put again, for the same record, goes on from there and appends
// nothing twice.
// Depends on eddy/queue.h, eddy/store.h.
#ifndef EDDY_SRC_FORWARD_DEAD_LETTER_H_
#define EDDY_SRC_FORWARD_DEAD_LETTER_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "eddy/queue.h"
#include "eddy/store.h"
#include "eddy/types.h"
#include "src/forward/shard_window.h"

namespace eddy::forward {

// Threads:    none of its own; one caller at a time.
// Durability: kPower: once OK, the message survives a power cut, so the caller may
//             give its own copy up. A crash before that leaves both: once dead, once
//             to be tried again.
// `store` and `queue`, a queue of it, outlive the box.
class DeadLetterBox {
 public:
  // `queue` null: there is none. `source`: the stream or queue that the route drains.
  DeadLetterBox(Store* store, Queue* queue, std::string source)
      : store_(store), queue_(queue), source_(std::move(source)) {}

  // One letter at a time: after an error the next call is for the same one, and it alone
  // makes it whole. (Another's would begin anew, and leave this one in parts.)
  //   kFailedPrecondition   there is no dead-letter queue.
  //   kUnavailable          accepted, in part or in whole, and not yet committed.
  //   else as Queue::SendDeadLetter.
  absl::Status PutRecord(ShardId shard, const WindowRecord& record, std::string_view reason);
  absl::Status PutMessage(std::string_view message_id, std::string_view body,
                          std::string_view reason);

 private:
  // The letter under way.
  struct Letter {
    std::string id;
    size_t parts_accepted = 0;
    CommitToken token;  // of the last of them
  };

  // `Body` gives the body of a part.
  template <typename Body>
  absl::Status Put(std::string id, size_t part_count, const Body& body, std::string_view reason);

  Store* const store_;
  Queue* const queue_;
  const std::string source_;
  Letter letter_;
};

}  // namespace eddy::forward

#endif  // EDDY_SRC_FORWARD_DEAD_LETTER_H_
