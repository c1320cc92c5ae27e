// What a queue writes to the journal: the new state of messages, in absolute
// values, so that replaying a record twice does no harm.
//
//   received   u8 1 | u64 position | u32 receive count | i64 first received ms
//   gone       u8 2 | u64 position
//
// One frame holds the records of one call, one after the other. Pure.
#ifndef EDDY_SRC_QUEUE_DELIVERY_JOURNAL_H_
#define EDDY_SRC_QUEUE_DELIVERY_JOURNAL_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "src/queue/delivery.h"

namespace eddy::queue {

inline constexpr size_t kReceivedBytes = 1 + 8 + 4 + 8;
inline constexpr size_t kGoneBytes = 1 + 8;

void AppendChange(const DeliveryChange& change, std::string* op);

//   kDataLoss   not records of this format.
absl::StatusOr<std::vector<DeliveryChange>> DecodeChanges(std::string_view op);

}  // namespace eddy::queue

#endif  // EDDY_SRC_QUEUE_DELIVERY_JOURNAL_H_
