// What a transaction commits: all of it together, at the cost of one commit.
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <string>
#include <utility>

#include "tests/unit/store/transaction_fixture.h"

namespace eddy {
namespace {

using testing::TransactionFixture;

TEST_CASE("a transaction commits records, a message, a delete, a cursor and a row together",
          "[store][transact]") {
  TransactionFixture f;
  const SequenceNumber next = f.NewRecord() + 1;
  const Message order = f.NewOrder();
  const size_t padding = GENERATE(size_t{0}, size_t{200000});  // above a segment
  const uint64_t syncs = f.store->Stats().disk_syncs;
  const auto result = f.store->Transact(
      [&](Transaction& t) { return f.HandleOrder(t, order, next, padding); });
  INFO(result.status().ToString());
  REQUIRE(result.ok());
  // The bytes of a large block are synced before the row that refers to them.
  CHECK(f.store->Stats().disk_syncs == syncs + (padding == 0 ? 1 : 2));

  // What it told of its records is where they are, and it is committed.
  REQUIRE(result->puts.size() == 2);
  CHECK(result->puts[0].shard == 0);
  CHECK(result->puts[1].shard == 1);
  REQUIRE(result->sends.size() == 1);
  for (const PutResult& put : result->puts) {
    const ShardDescription shard = f.events->Describe().shards[put.shard];
    CHECK(shard.committed == put.token.end);
    ShardIteratorPosition at{ShardIteratorType::kAtSequenceNumber, put.sequence_number, {}};
    const auto batch = f.events->GetRecords(*f.events->GetShardIterator(put.shard, at));
    REQUIRE(batch->records.size() == 1);
    CHECK(batch->records[0].sequence_number == put.sequence_number);
    CHECK(batch->records[0].data == order.body + std::string(padding, '.'));
  }
  const auto check = [&] {
    CHECK(f.Records(0).size() == 2);
    CHECK(f.Records(1).size() == 1);
    CHECK(f.cursor->Position(0) == next);
    CHECK(f.Rows() == 1);
    CHECK(f.Count(f.orders) == 0);
    CHECK(f.Count(f.mails) == 1);
  };
  check();
  SECTION("and it survives a power cut") { f.device.PowerCut(std::move(f.store), 5); }
  SECTION("and the death of the process") {
    f.device.Kill(std::move(f.store), "/store/eddy.intake");
  }
  SECTION("and a close") { f.store.reset(); }
  f.Open();
  check();
  const auto mail = f.mails->Receive();
  REQUIRE(mail->size() == 1);
  CHECK(mail->at(0).message_id == result->sends[0].message_id);
  CHECK(f.orders->Receive()->empty());
}

TEST_CASE("a transaction that changes nothing costs no I/O", "[store][transact]") {
  TransactionFixture f;
  const uint64_t steps = f.device.disk.step_count();
  CHECK(f.store->Transact([](Transaction&) { return absl::OkStatus(); }).ok());
  CHECK(f.store
            ->Transact([](Transaction& t) {
              return t.sql().Query("SELECT * FROM app_done").status();
            })
            .ok());
  CHECK(f.Rows() == 0);
  CHECK(f.device.disk.step_count() == steps);
}

TEST_CASE("a transaction is counted as what it writes", "[store][transact]") {
  TransactionFixture f;
  const StoreStats before = f.store->Stats();
  REQUIRE(f.store
              ->Transact([&](Transaction& t) {
                return t.Put(*f.events, "key", std::string(1000, 'x'));
              })
              .ok());
  const StoreStats after = f.store->Stats();
  CHECK(after.commits == before.commits + 1);
  CHECK(after.payload_bytes_committed == before.payload_bytes_committed + 1003);
  CHECK(after.disk_bytes_written > before.disk_bytes_written + 1003);
}

}  // namespace
}  // namespace eddy
