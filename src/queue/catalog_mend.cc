// Rows of queues that came out of a damaged database: see MendQueues.
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/queue/catalog.h"
#include "src/queue/message_rules.h"

namespace eddy::queue {
namespace {

// A head that cannot be gives everything back that is kept. A row that cannot be, or of no
// queue, is one that another message lacks, which would be taken for gone: see delivery.h.
constexpr char kMendValues[] = R"sql(
DELETE FROM queues WHERE id < 1 OR id > 4294967295 OR id IN (SELECT id FROM streams);
UPDATE queues SET visibility_ms = 30000 WHERE visibility_ms NOT BETWEEN 0 AND 43200000;
UPDATE queues SET delay_ms = 0 WHERE delay_ms NOT BETWEEN 0 AND 900000;
UPDATE queues SET receive_wait_ms = 0 WHERE receive_wait_ms NOT BETWEEN 0 AND 20000;
UPDATE queues SET message_bytes_max = 1048576
  WHERE message_bytes_max NOT BETWEEN 1024 AND 1048576;
UPDATE queues SET max_receive_count = 10 WHERE max_receive_count NOT BETWEEN 1 AND 1000;
UPDATE queues SET durability = 2 WHERE durability NOT IN (1, 2);
UPDATE queues SET dead_letter_queue = 0
  WHERE dead_letter_queue >= id OR dead_letter_queue NOT IN (SELECT id FROM queues);
UPDATE queues SET head_position = 0, scan_position = 0
  WHERE head_position < 0 OR scan_position < head_position
     OR scan_position >= (1 << 49) OR head_position % 4 <> 0 OR scan_position % 4 <> 0;
UPDATE deliveries SET receive_count = 1 WHERE receive_count NOT BETWEEN 0 AND 4294967295;
UPDATE queues SET scan_position = head_position
  WHERE EXISTS (SELECT 1 FROM deliveries d
                WHERE d.queue_id NOT IN (SELECT id FROM queues)
                   OR (d.queue_id = queues.id AND (d.position < 0 OR d.position % 4 <> 0)));
DELETE FROM deliveries WHERE position < 0 OR position % 4 <> 0;
)sql";
static_assert(kVisibilityTimeoutDefault == absl::Seconds(30) && kMessageBytesMax == 1048576 &&
              kMaxReceiveCountDefault == 10, "the text above knows them");

constexpr char kNames[] = "SELECT id, name FROM queues ORDER BY id";
// No row: another bears that name.
constexpr char kRename[] = "UPDATE OR IGNORE queues SET name = ? WHERE id = ? RETURNING id";

}  // namespace

absl::Status MendQueues(sql::Database& db) {
  EDDY_RETURN_IF_ERROR(db.Exec(kMendValues));
  std::vector<int64_t> nameless;
  {
    EDDY_ASSIGN_OR_RETURN(sql::Statement names, db.Prepare(kNames));
    for (;;) {
      EDDY_ASSIGN_OR_RETURN(const bool has_row, names.Step());
      if (!has_row) break;
      if (!CheckQueueName(names.ColumnText(1)).ok()) nameless.push_back(names.ColumnInt(0));
    }
  }
  for (const int64_t id : nameless) {
    EDDY_ASSIGN_OR_RETURN(sql::Statement rename, db.Prepare(kRename));
    std::string name = absl::StrCat("damaged-", id);
    for (bool renamed = false; !renamed; name += "-") {
      sql::AutoReset reset(rename);
      rename.BindText(1, name).Bind(2, id);
      EDDY_ASSIGN_OR_RETURN(renamed, rename.Step());
    }
  }
  return absl::OkStatus();
}

}  // namespace eddy::queue
