#include "src/queue/catalog.h"

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "src/base/status.h"
#include "src/log/block_row.h"
#include "src/log/frame.h"
#include "src/queue/message_rules.h"

namespace eddy::queue {
namespace {

constexpr char kInsertView[] = "INSERT INTO views (id) VALUES (NULL)";

constexpr char kInsertQueue[] =
    "INSERT INTO queues (id, name, created_ms, log_id, visibility_ms, delay_ms,"
    " receive_wait_ms, message_bytes_max, dead_letter_queue, max_receive_count,"
    " durability, head_position, scan_position) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

constexpr char kSelectQueues[] =
    "SELECT id, name, created_ms, log_id, visibility_ms, delay_ms, receive_wait_ms,"
    " message_bytes_max, dead_letter_queue, max_receive_count, durability,"
    " head_position, scan_position FROM queues ORDER BY id";

constexpr char kSelectDeliveries[] =
    "SELECT position, receive_count, first_received_ms, deleted FROM deliveries"
    " WHERE queue_id = ? ORDER BY position";

constexpr char kSetHead[] =
    "UPDATE queues SET head_position = ?, scan_position = ? WHERE id = ?";

constexpr char kDeleteBelow[] = "DELETE FROM deliveries WHERE queue_id = ? AND position < ?";

constexpr char kDeleteDelivery[] = "DELETE FROM deliveries WHERE queue_id = ? AND position = ?";

constexpr char kPutDelivery[] =
    "INSERT OR REPLACE INTO deliveries (queue_id, position, receive_count,"
    " first_received_ms, deleted) VALUES (?, ?, ?, ?, ?)";

constexpr char kCountBlockFrames[] =
    "SELECT COALESCE(SUM(frame_count), 0), MIN(id) FROM blocks WHERE id >= ? AND id < ?";

int64_t Ms(absl::Duration d) { return absl::ToInt64Milliseconds(d); }

// What MendQueues would change: a scan that cannot be swallows what is sent, a timeout that
// cannot be refuses each receive. `select`: at the row.
absl::Status CheckRow(const QueueRow& row, sql::Statement& select) {
  const auto damaged = [&](absl::string_view what) {
    return absl::DataLossError(
        absl::StrCat("the row of queue ", row.name, ", id ", select.ColumnInt(0), ": ", what));
  };
  const absl::Status name = CheckQueueName(row.name);
  if (!name.ok()) return damaged(name.message());
  const absl::Status options = CheckQueueOptions(row.options);
  if (!options.ok()) return damaged(options.message());
  const int64_t head = select.ColumnInt(11);
  const int64_t scan = select.ColumnInt(12);
  const bool can_be =
      row.id == select.ColumnInt(0) && row.id != 0 && row.log == select.ColumnInt(3) &&
      row.dead_letter_queue == select.ColumnInt(8) &&
      static_cast<int64_t>(*row.options.message_bytes_max) == select.ColumnInt(7) &&
      *row.options.max_receive_count == select.ColumnInt(9) &&
      (select.ColumnInt(10) == static_cast<int64_t>(Durability::kProcess) ||
       select.ColumnInt(10) == static_cast<int64_t>(Durability::kPower)) &&
      0 <= head && head <= scan && static_cast<uint64_t>(scan) <= log::kPositionMax &&
      head % log::kFrameAlignment == 0 && scan % log::kFrameAlignment == 0;
  if (can_be) return absl::OkStatus();
  return damaged(absl::StrCat("log ", select.ColumnInt(3), ", at most ",
                              select.ColumnInt(7), " bytes a message, dead-letter queue ",
                              select.ColumnInt(8), " after ", select.ColumnInt(9),
                              " receives, durability ", select.ColumnInt(10), ", head ", head,
                              ", scan ", scan, " cannot be"));
}

}  // namespace

absl::StatusOr<uint32_t> AddView(sql::Database& db) {
  EDDY_ASSIGN_OR_RETURN(sql::Statement insert, db.Prepare(kInsertView));
  EDDY_RETURN_IF_ERROR(insert.Run());
  return static_cast<uint32_t>(db.LastInsertRowid());
}

absl::Status InsertQueue(sql::Database& db, const QueueRow& row) {
  EDDY_ASSIGN_OR_RETURN(sql::Statement insert, db.Prepare(kInsertQueue));
  const QueueOptions& options = row.options;
  return insert.Bind(1, row.id)
      .BindText(2, row.name)
      .Bind(3, row.created_ms)
      .Bind(4, row.log)
      .Bind(5, Ms(*options.visibility_timeout))
      .Bind(6, Ms(*options.delay))
      .Bind(7, Ms(*options.receive_wait_time))
      .Bind(8, static_cast<int64_t>(*options.message_bytes_max))
      .Bind(9, row.dead_letter_queue)
      .Bind(10, *options.max_receive_count)
      .Bind(11, static_cast<int64_t>(options.durability))
      .Bind(12, static_cast<int64_t>(row.head))
      .Bind(13, static_cast<int64_t>(row.scan))
      .Run();
}

absl::StatusOr<std::vector<QueueRow>> SelectQueues(sql::Database& db) {
  EDDY_ASSIGN_OR_RETURN(sql::Statement select, db.Prepare(kSelectQueues));
  std::vector<QueueRow> rows;
  for (;;) {
    EDDY_ASSIGN_OR_RETURN(const bool has_row, select.Step());
    if (!has_row) return rows;
    QueueRow& row = rows.emplace_back();
    row.id = static_cast<uint32_t>(select.ColumnInt(0));
    row.name = std::string(select.ColumnText(1));
    row.created_ms = select.ColumnInt(2);
    row.log = static_cast<log::LogId>(select.ColumnInt(3));
    row.options.visibility_timeout = absl::Milliseconds(select.ColumnInt(4));
    row.options.delay = absl::Milliseconds(select.ColumnInt(5));
    row.options.receive_wait_time = absl::Milliseconds(select.ColumnInt(6));
    row.options.message_bytes_max = static_cast<size_t>(select.ColumnInt(7));
    row.dead_letter_queue = static_cast<uint32_t>(select.ColumnInt(8));
    row.options.max_receive_count = static_cast<int>(select.ColumnInt(9));
    row.options.durability = static_cast<Durability>(select.ColumnInt(10));
    row.head = static_cast<uint64_t>(select.ColumnInt(11));
    row.scan = static_cast<uint64_t>(select.ColumnInt(12));
    EDDY_RETURN_IF_ERROR(CheckRow(row, select));
  }
}

absl::StatusOr<std::vector<DeliveryChange>> SelectDeliveries(sql::Database& db,
                                                             uint32_t queue) {
  EDDY_ASSIGN_OR_RETURN(sql::Statement select, db.Prepare(kSelectDeliveries));
  select.Bind(1, queue);
  std::vector<DeliveryChange> rows;
  for (;;) {
    EDDY_ASSIGN_OR_RETURN(const bool has_row, select.Step());
    if (!has_row) return rows;
    DeliveryChange& row = rows.emplace_back();
    row.position = static_cast<uint64_t>(select.ColumnInt(0));
    row.receive_count = static_cast<uint32_t>(select.ColumnInt(1));
    row.first_received_ms = select.ColumnInt(2);
    row.gone = select.ColumnInt(3) != 0;
    const int64_t position = select.ColumnInt(0);
    if (position < 0 || position % log::kFrameAlignment != 0 ||
        row.receive_count != select.ColumnInt(1)) {
      return absl::DataLossError(absl::StrCat("queue id ", queue, ": no message is at ", position,
                                              " and received ", select.ColumnInt(1), " times"));
    }
  }
}

absl::Status WriteDeliveries(sql::Database& db, uint32_t queue,
                             const DeliverySnapshot& snapshot) {
  if (snapshot.moved) {
    const int64_t head = static_cast<int64_t>(snapshot.head);
    EDDY_ASSIGN_OR_RETURN(sql::Statement set_head, db.Prepare(kSetHead));
    EDDY_RETURN_IF_ERROR(set_head.Bind(1, head)
                             .Bind(2, static_cast<int64_t>(snapshot.scan))
                             .Bind(3, queue)
                             .Run());
    EDDY_ASSIGN_OR_RETURN(sql::Statement delete_below, db.Prepare(kDeleteBelow));
    EDDY_RETURN_IF_ERROR(delete_below.Bind(1, queue).Bind(2, head).Run());
  }
  if (!snapshot.erased.empty()) {
    EDDY_ASSIGN_OR_RETURN(sql::Statement erase, db.Prepare(kDeleteDelivery));
    for (const uint64_t position : snapshot.erased) {
      EDDY_RETURN_IF_ERROR(erase.Bind(1, queue).Bind(2, static_cast<int64_t>(position)).Run());
    }
  }
  if (snapshot.changes.empty()) return absl::OkStatus();
  EDDY_ASSIGN_OR_RETURN(sql::Statement put, db.Prepare(kPutDelivery));
  for (const DeliveryChange& change : snapshot.changes) {
    EDDY_RETURN_IF_ERROR(put.Bind(1, queue)
                             .Bind(2, static_cast<int64_t>(change.position))
                             .Bind(3, change.receive_count)
                             .Bind(4, change.first_received_ms)
                             .Bind(5, change.gone ? 1 : 0)
                             .Run());
  }
  return absl::OkStatus();
}

absl::StatusOr<BlockFrames> CountBlockFrames(sql::Database& db, log::LogId log,
                                             uint64_t position) {
  EDDY_ASSIGN_OR_RETURN(sql::Statement select, db.Prepare(kCountBlockFrames));
  select.Bind(1, log::BlockId(log, position)).Bind(2, log::BlockId(log + 1, 0));
  BlockFrames frames;
  EDDY_ASSIGN_OR_RETURN(const bool has_row, select.Step());
  EDDY_CHECK(has_row);  // an aggregate always has one
  if (select.ColumnIsNull(1)) return frames;
  frames.count = static_cast<uint64_t>(select.ColumnInt(0));
  const uint64_t base = static_cast<uint64_t>(log::BlockId(log, 0));
  frames.first = (static_cast<uint64_t>(select.ColumnInt(1)) - base) << 2;
  return frames;
}

}  // namespace eddy::queue
