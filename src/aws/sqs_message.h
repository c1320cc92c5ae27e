// What SQS says a message is: its characters, its size and its digests.
//
// Digest of attributes: sorted by name, each as
//   u32 length, name;  u32 length, type;  1 (text) or 2 (binary);  u32 length, value
// big-endian, the value of a binary one raw. Custom types keep their label.
// Pure. Depends on platform/crypto.
#ifndef EDDY_SRC_AWS_SQS_MESSAGE_H_
#define EDDY_SRC_AWS_SQS_MESSAGE_H_

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"

namespace eddy::aws::sqs {

// Limits of SendMessageBatch in its API reference. The size of a message is its
// body and each attribute's name, type and value.
inline constexpr size_t kEntriesPerRequestMax = 10;
inline constexpr size_t kMessageBytesMax = 1 << 20;      // since August 2025; a batch too
inline constexpr size_t kMessageBytesUnread = 256 << 10;  // if the queue's cannot be read
inline constexpr size_t kAttributesMax = 10;
inline constexpr int kDelaySecondsMax = 900;

struct MessageAttribute {
  std::string_view name;
  std::string_view data_type;  // "String", "Number", "Binary", each with ".label"
  std::string_view value;      // text, or the raw bytes of a Binary
};

// Views: the bytes outlive the encoding, no longer.
struct Message {
  std::string_view id;  // within its batch: 1 to 80 of [A-Za-z0-9_-]
  std::string_view body;
  std::vector<MessageAttribute> attributes;
  std::optional<int> delay_seconds;   // absent: the queue's; never for FIFO queues
  std::string_view group_id;          // FIFO, or fair queues
  std::string_view deduplication_id;  // FIFO
};

size_t MessageBytes(const Message& message);

// Whether SQS can ever accept it.
//   kInvalidArgument   says what and where.
absl::Status CheckMessage(const Message& message, size_t message_bytes_max = kMessageBytesMax);

// Lower-case hex, as the service spells them.
std::string Md5OfBody(std::string_view body);
// Empty when there are none. The order given does not matter.
std::string Md5OfAttributes(absl::Span<const MessageAttribute> attributes);

}  // namespace eddy::aws::sqs

#endif  // EDDY_SRC_AWS_SQS_MESSAGE_H_
