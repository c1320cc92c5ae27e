// What SQS accepts: names, bodies, options. Pure; depends on eddy/queue.h.
#ifndef EDDY_SRC_QUEUE_MESSAGE_RULES_H_
#define EDDY_SRC_QUEUE_MESSAGE_RULES_H_

#include <cstddef>
#include <string_view>

#include "absl/status/status.h"
#include "eddy/queue.h"

namespace eddy::queue {

inline constexpr size_t kQueueNameBytesMax = 80;

// All kInvalidArgument; the message says what was given and what is allowed.
absl::Status CheckQueueName(std::string_view name);
absl::Status CheckQueueOptions(const QueueOptions& options);
absl::Status CheckDurability(Durability durability);
// 1..bytes_max bytes of UTF-8 out of #x9 #xA #xD #x20..#xD7FF #xE000..#xFFFD
// #x10000..#x10FFFF.
absl::Status CheckBody(std::string_view body, size_t bytes_max);
absl::Status CheckRange(std::string_view what, absl::Duration value, absl::Duration max);

// What is absent gets its default; durations in the whole milliseconds that are
// stored.
QueueOptions WithDefaults(QueueOptions options);

// kAlreadyExists naming the first option that `wanted` gives and `present`, which
// has them all, holds another value of.
absl::Status CompareOptions(std::string_view name, const QueueOptions& present,
                            const QueueOptions& wanted);

}  // namespace eddy::queue

#endif  // EDDY_SRC_QUEUE_MESSAGE_RULES_H_
