// Amazon SQS, JSON 1.0: the calls that carry messages there.
//
// Requests come back unsigned. An answer is decoded only when its status is 2xx;
// any other goes to ClassifyResponse. All requests go to the configured endpoint
// with the path "/": of a queue's URL only the path means anything, since its
// host may be a name that does not resolve here.
//
// Invariants
//   S1  Results stand in the order of the messages, one each, matched by id.
//   S2  A message counts as stored only when exactly one entry says so and none
//       says otherwise.
// Pure. Depends on eddy/http.h.
#ifndef EDDY_SRC_AWS_SQS_H_
#define EDDY_SRC_AWS_SQS_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "eddy/http.h"
#include "src/aws/endpoint.h"
#include "src/aws/error.h"
#include "src/aws/sqs_message.h"

namespace eddy::aws::sqs {

// `account` empty: the caller's own.
HttpRequest EncodeGetQueueUrl(const Endpoint& endpoint, std::string_view queue_name,
                              std::string_view account = {});
// The queue's URL with its host replaced by the endpoint's.
//   kUnknown   not such an answer.
absl::StatusOr<std::string> DecodeGetQueueUrl(const Endpoint& endpoint, std::string_view body);

struct QueueAttributes {
  std::optional<size_t> message_bytes_max;  // at most kMessageBytesMax
  bool is_fifo = false;
  bool content_based_deduplication = false;
};

HttpRequest EncodeGetQueueAttributes(const Endpoint& endpoint, std::string_view queue_url);
// What the answer does not hold is absent, or false.
//   kUnknown   not such an answer.
absl::StatusOr<QueueAttributes> DecodeGetQueueAttributes(std::string_view body);

enum class Outcome : uint8_t {
  kStored,
  kFailed,   // not stored; error.error_class says whether to send it again
  kUnknown,  // the answer does not say: send again, perhaps twice
};

struct MessageResult {
  Outcome outcome = Outcome::kUnknown;
  std::string message_id;         // kStored, and what follows
  std::string md5_of_body;        // empty: none came
  std::string md5_of_attributes;  // empty: none came
  std::string sequence_number;    // FIFO
  ServiceError error;             // kFailed
};

// The messages have been checked, have distinct ids, and are at most
// kEntriesPerRequestMax of together at most the queue's message_bytes_max.
HttpRequest EncodeSendMessageBatch(const Endpoint& endpoint, std::string_view queue_url,
                                   absl::Span<const Message> messages);

//   kUnknown   not such an answer: the outcome of every message is unknown.
absl::StatusOr<std::vector<MessageResult>> DecodeSendMessageBatch(
    std::string_view body, absl::Span<const Message> messages);

// Whether what SQS stored is what was sent. A body whose digest the answer lacks is
// unverified, which is no sign that it is another.
//   kDataLoss   a digest differs: the message there is not ours, and sending it
//               again would add another.
absl::Status VerifyDigests(const Message& message, const MessageResult& result);

}  // namespace eddy::aws::sqs

#endif  // EDDY_SRC_AWS_SQS_H_
