// The rows of a queue: what it is (`queues`) and the state of its touched
// messages (`deliveries`). All SQL of this room.
//
// Threads: called inside the engine's transactions only, so one at a time.
// Depends on sql/.
#ifndef EDDY_SRC_QUEUE_CATALOG_H_
#define EDDY_SRC_QUEUE_CATALOG_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "eddy/queue.h"
#include "src/log/log.h"
#include "src/queue/delivery.h"
#include "src/sql/database.h"

namespace eddy::queue {

struct QueueRow {
  uint32_t id = 0;  // also the view's number in the journal
  std::string name;
  int64_t created_ms = 0;
  log::LogId log = 0;
  QueueOptions options;            // all there, but dead_letter_queue:
  uint32_t dead_letter_queue = 0;  // its id, 0: none
  uint64_t head = 0;
  uint64_t scan = 0;
};

// Draws the id of a new view.
absl::StatusOr<uint32_t> AddView(sql::Database& db);
//   kAlreadyExists   the name is taken.
absl::Status InsertQueue(sql::Database& db, const QueueRow& row);
// By id: a queue comes after its dead-letter queue.
//   kDataLoss   a row holds what none can, here and below.
absl::StatusOr<std::vector<QueueRow>> SelectQueues(sql::Database& db);

// Makes of rows that came out of a damaged database such as can be loaded: a value that
// cannot be is the default, a name that cannot be is made from the id.
absl::Status MendQueues(sql::Database& db);

absl::StatusOr<std::vector<DeliveryChange>> SelectDeliveries(sql::Database& db, uint32_t queue);
absl::Status WriteDeliveries(sql::Database& db, uint32_t queue,
                             const DeliverySnapshot& snapshot);

// Frames in the log's blocks that begin at or above `position`, and the first
// position of these blocks (UINT64_MAX: there are none). Frames between
// `position` and there are not counted.
struct BlockFrames {
  uint64_t count = 0;
  uint64_t first = UINT64_MAX;
};
absl::StatusOr<BlockFrames> CountBlockFrames(sql::Database& db, log::LogId log,
                                             uint64_t position);

}  // namespace eddy::queue

#endif  // EDDY_SRC_QUEUE_CATALOG_H_
