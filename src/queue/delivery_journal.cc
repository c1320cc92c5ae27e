#include "src/queue/delivery_journal.h"

#include <cstdint>
#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "src/queue/byte_io.h"

namespace eddy::queue {
namespace {
constexpr uint8_t kReceived = 1;
constexpr uint8_t kGone = 2;
}  // namespace

void AppendChange(const DeliveryChange& change, std::string* op) {
  char record[kReceivedBytes];
  record[0] = static_cast<char>(change.gone ? kGone : kReceived);
  std::memcpy(record + 1, &change.position, 8);
  if (!change.gone) {
    std::memcpy(record + 9, &change.receive_count, 4);
    std::memcpy(record + 13, &change.first_received_ms, 8);
  }
  op->append(record, change.gone ? kGoneBytes : kReceivedBytes);
}

absl::StatusOr<std::vector<DeliveryChange>> DecodeChanges(std::string_view op) {
  std::vector<DeliveryChange> changes;
  ByteReader reader(op);
  bool known = true;
  while (known && reader.ok() && !reader.left().empty()) {
    DeliveryChange change;
    const uint8_t type = reader.Number<uint8_t>();
    known = type == kReceived || type == kGone;
    change.gone = type == kGone;
    change.position = reader.Number<uint64_t>();
    if (!change.gone) {
      change.receive_count = reader.Number<uint32_t>();
      change.first_received_ms = reader.Number<int64_t>();
    }
    changes.push_back(change);
  }
  if (!known || !reader.ok()) {
    return absl::DataLossError(
        absl::StrCat("a journal frame of ", op.size(), " bytes is not a queue's"));
  }
  return changes;
}

}  // namespace eddy::queue
