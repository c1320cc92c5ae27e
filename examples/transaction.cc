// One transaction over a queue, a stream and a table of our own: each meter reading
// in the queue is added to a total, and the total is published, exactly once, however
// often the program is killed in between.
//   transaction [DIR]
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "eddy/eddy.h"

namespace {

absl::Status Run(const std::string& directory) {
  auto store = eddy::Store::Open(directory);
  if (!store.ok()) return store.status();
  auto readings = (*store)->CreateQueue("readings");
  if (!readings.ok()) return readings.status();
  auto totals = (*store)->OpenStream("totals");
  if (!totals.ok()) totals = (*store)->CreateStream("totals");
  if (!totals.ok()) return totals.status();
  const auto table = (*store)->Transact([](eddy::Transaction& t) {
    return t.sql()
        .Run("CREATE TABLE IF NOT EXISTS app_meter (name TEXT PRIMARY KEY, total INTEGER)")
        .status();
  });
  if (!table.ok()) return table.status();

  for (const char* reading : {"3", "4", "5", "nonsense"}) {
    const auto sent = (*readings)->Send(reading);
    if (!sent.ok()) return sent.status();
  }

  for (;;) {
    const auto messages = (*readings)->Receive();
    if (!messages.ok()) return messages.status();
    if (messages->empty()) break;
    const eddy::Message& message = messages->front();
    const auto done = (*store)->Transact([&](eddy::Transaction& t) -> absl::Status {
      char* end = nullptr;
      const int64_t litres = std::strtoll(message.body.c_str(), &end, 10);
      if (*end != '\0') return absl::InvalidArgumentError(message.body);  // nothing happens
      const auto rows = t.sql().Query(
          "INSERT INTO app_meter VALUES ('water', ?) "
          "ON CONFLICT DO UPDATE SET total = total + excluded.total RETURNING total",
          {litres});
      if (!rows.ok()) return rows.status();
      // If one of these fails, so does the transaction: nothing to look at here.
      t.Put(**totals, "water", std::to_string(std::get<int64_t>(rows->at(0).at(0)))).IgnoreError();
      t.Delete(**readings, message.receipt_handle).IgnoreError();
      return absl::OkStatus();
    });
    if (done.ok()) {
      std::printf("%s: published as %llu\n", message.body.c_str(),
                  static_cast<unsigned long long>(done->puts.at(0).sequence_number));
    } else {
      // It would come back; a dead-letter queue (see work_queue.cc) would end that.
      std::printf("%s: %s\n", message.body.c_str(), done.status().ToString().c_str());
      const absl::Status deleted = (*readings)->Delete(message.receipt_handle);
      if (!deleted.ok()) return deleted;
    }
  }

  const auto total = (*store)->Query("SELECT total FROM app_meter WHERE name = ?", {"water"});
  if (!total.ok()) return total.status();
  std::printf("total %lld\n", static_cast<long long>(std::get<int64_t>(total->at(0).at(0))));
  return std::get<int64_t>(total->at(0).at(0)) % 12 == 0
             ? absl::OkStatus()
             : absl::InternalError("3, 4 and 5 were not added once each");
}

}  // namespace

int main(int argc, char** argv) {
  const absl::Status status = Run(argc > 1 ? argv[1] : "transaction-store");
  if (status.ok()) return 0;
  std::fprintf(stderr, "transaction: %s\n", status.ToString().c_str());
  return 1;
}
