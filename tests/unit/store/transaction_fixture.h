// A store with a stream of two shards and a reader's cursor, two queues, and a table
// of the user's; and what a transaction over all of them may leave: all or nothing.
#ifndef EDDY_TESTS_UNIT_STORE_TRANSACTION_FIXTURE_H_
#define EDDY_TESTS_UNIT_STORE_TRANSACTION_FIXTURE_H_

#include <catch2/catch_test_macros.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "eddy/eddy.h"
#include "src/base/status.h"
#include "tests/fakes/device.h"

namespace eddy::testing {

struct TransactionFixture {
  static constexpr char kDirectory[] = "/store";

  TransactionFixture() {
    options.platform = device.platform();
    options.threads = false;
    options.intake_bytes = 256 << 10;
    Open();
  }

  void Open() {
    auto opened = Store::Open(kDirectory, options);
    INFO(opened.status().ToString());
    REQUIRE(opened.ok());
    store = *std::move(opened);
    StreamOptions two;
    two.shard_count = 2;
    const auto known = store->OpenStream("events");
    events = known.ok() ? *known : *store->CreateStream("events", two);
    cursor = *events->OpenCursor("reader");
    orders = *store->CreateQueue("orders");
    mails = *store->CreateQueue("mails");
    if (known.ok()) return;
    const auto table = store->Transact([](Transaction& t) {
      return t.sql().Run("CREATE TABLE app_done (id INTEGER PRIMARY KEY, what TEXT)").status();
    });
    INFO(table.status().ToString());
    REQUIRE(table.ok());
  }

  // An order to be handled, in flight.
  Message NewOrder(const std::string& body = "order") {
    REQUIRE(orders->Send(body).ok());
    return (*orders->Receive()).at(0);
  }

  // A record of the past, for the cursor to go beyond.
  SequenceNumber NewRecord() {
    PutOptions first_shard;
    first_shard.explicit_hash_key = "0";
    first_shard.durability = Durability::kPower;
    const auto put = events->Put("key", "before", first_shard);
    REQUIRE(put.ok());
    return put->sequence_number;
  }

  // One of each: a record in either shard, a message, a delete, a move, a row.
  absl::Status HandleOrder(Transaction& t, const Message& order, SequenceNumber next,
                           size_t padding = 0) {
    const std::string data = order.body + std::string(padding, '.');
    EDDY_RETURN_IF_ERROR(t.Put(*events, "key", data, "0"));
    EDDY_RETURN_IF_ERROR(t.Put(*events, "key", data, "340282366920938463463374607431768211455"));
    EDDY_RETURN_IF_ERROR(t.Send(*mails, "mail for " + data));
    EDDY_RETURN_IF_ERROR(t.Delete(*orders, order.receipt_handle));
    EDDY_RETURN_IF_ERROR(t.Advance(*cursor, 0, next));
    return t.sql().Run("INSERT INTO app_done (what) VALUES (?)", {order.body}).status();
  }

  std::vector<std::string> Records(ShardId shard) {
    std::vector<std::string> found;
    auto iterator = events->GetShardIterator(shard, {});
    for (;;) {
      const auto batch = events->GetRecords(*iterator);
      REQUIRE(batch.ok());
      if (batch->records.empty()) return found;
      for (const Record& record : batch->records) found.emplace_back(record.data);
      iterator = batch->next_shard_iterator;
    }
  }

  int64_t Rows() {
    const auto rows = store->Query("SELECT count(*) FROM app_done");
    INFO(rows.status().ToString());
    REQUIRE(rows.ok());
    return std::get<int64_t>(rows->at(0).at(0));
  }

  uint64_t Count(Queue* queue) {
    const QueueCounts counts = queue->Describe().counts;
    return counts.visible + counts.in_flight + counts.delayed;
  }

  Device device;
  StoreOptions options;
  std::unique_ptr<Store> store;
  Stream* events = nullptr;
  Cursor* cursor = nullptr;
  Queue* orders = nullptr;
  Queue* mails = nullptr;
};

}  // namespace eddy::testing

#endif  // EDDY_TESTS_UNIT_STORE_TRANSACTION_FIXTURE_H_
