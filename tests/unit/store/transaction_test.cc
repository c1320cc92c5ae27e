#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "tests/unit/store/transaction_fixture.h"

namespace eddy {
namespace {

using testing::CrashDisk;
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

TEST_CASE("nobody sees anything of a transaction while its function runs", "[store][transact]") {
  TransactionFixture f;
  const SequenceNumber next = f.NewRecord() + 1;
  const Message order = f.NewOrder();
  ReceiveOptions now;
  now.durability = Durability::kProcess;
  const auto result = f.store->Transact([&](Transaction& t) -> absl::Status {
    EDDY_RETURN_IF_ERROR(f.HandleOrder(t, order, next));
    // The plain calls, here and on another thread.
    const auto look = [&] {
      CHECK(f.Records(0).size() == 1);
      CHECK(f.Records(1).empty());
      CHECK(f.cursor->Position(0) < next);
      CHECK(f.mails->Receive(now)->empty());
      CHECK(f.Count(f.mails) == 0);
      CHECK(f.Count(f.orders) == 1);
    };
    look();
    std::thread(look).join();
    // But its own rows.
    CHECK(t.sql().Query("SELECT * FROM app_done")->size() == 1);
    return absl::OkStatus();
  });
  CHECK(result.ok());
}

// --- What fails, and leaves nothing.

struct Failure {
  const char* name;
  // Damages the transaction from within, or the disk before its commit.
  std::function<absl::Status(TransactionFixture&, Transaction&, const Message& order)> fail;
  absl::StatusCode code;
  const char* message;  // a part of it
};

absl::Status FailDisk(TransactionFixture& f, CrashDisk::Op op, CrashDisk::Fault fault) {
  f.device.disk.FailNth(op, 1, fault);
  return absl::OkStatus();
}

const std::vector<Failure>& Failures() {
  using F = TransactionFixture;
  static const std::vector<Failure>* const failures = new std::vector<Failure>{
      {"the function fails",
       [](F&, Transaction&, const Message&) { return absl::CancelledError("no"); },
       absl::StatusCode::kCancelled, "no"},
      {"an empty key",
       [](F& f, Transaction& t, const Message&) {
         t.Put(*f.events, "", "data").IgnoreError();
         return absl::OkStatus();  // ignored, and fails nevertheless
       },
       absl::StatusCode::kInvalidArgument, "key"},
      {"a body that SQS refuses",
       [](F& f, Transaction& t, const Message&) {
         t.Send(*f.mails, "\x01").IgnoreError();
         return absl::OkStatus();
       },
       absl::StatusCode::kInvalidArgument, ""},
      {"a receipt twice",
       [](F& f, Transaction& t, const Message& order) {
         t.Delete(*f.orders, order.receipt_handle).IgnoreError();
         return absl::OkStatus();
       },
       absl::StatusCode::kAborted, "is gone or was received again"},
      {"a receipt of another queue",
       [](F& f, Transaction& t, const Message& order) {
         t.Delete(*f.mails, order.receipt_handle).IgnoreError();
         return absl::OkStatus();
       },
       absl::StatusCode::kInvalidArgument, "receipt"},
      {"a cursor beyond the end",
       [](F& f, Transaction& t, const Message&) {
         t.Advance(*f.cursor, 0, 1 << 20).IgnoreError();
         return absl::OkStatus();
       },
       absl::StatusCode::kOutOfRange, "is above"},
      {"a cursor that goes back",
       [](F& f, Transaction& t, const Message&) {
         t.Advance(*f.cursor, 0, 0).IgnoreError();
         return absl::OkStatus();
       },
       absl::StatusCode::kOutOfRange, "is below the present"},
      {"a shard that is none",
       [](F& f, Transaction& t, const Message&) {
         t.Advance(*f.cursor, 2, 0).IgnoreError();
         return absl::OkStatus();
       },
       absl::StatusCode::kInvalidArgument, "shard 2"},
      {"a statement that makes SQLite roll back",
       [](F&, Transaction& t, const Message&) {
         t.sql().Run("INSERT OR ROLLBACK INTO app_done (id) SELECT id FROM app_done").IgnoreError();
         return absl::OkStatus();
       },
       absl::StatusCode::kAborted, "rolled the transaction back"},
      {"a disk that is full at the commit",
       [](F& f, Transaction&, const Message&) {
         return FailDisk(f, CrashDisk::Op::kWrite, CrashDisk::Fault::kFull);
       },
       absl::StatusCode::kResourceExhausted, "nothing of it is there"},
      {"a disk that fails at the commit",
       [](F& f, Transaction&, const Message&) {
         return FailDisk(f, CrashDisk::Op::kWrite, CrashDisk::Fault::kIoError);
       },
       absl::StatusCode::kUnavailable, "nothing of it is there"},
      {"a sync that fails",
       [](F& f, Transaction&, const Message&) {
         return FailDisk(f, CrashDisk::Op::kSync, CrashDisk::Fault::kIoError);
       },
       absl::StatusCode::kUnavailable, "nothing of it is there"},
      {"too many changes",
       [](F& f, Transaction& t, const Message&) {
         for (size_t i = 5; i < kTransactionChangesMax; ++i) {
           CHECK(t.Put(*f.events, "key", "").ok());
         }
         t.Put(*f.events, "key", "").IgnoreError();
         return absl::OkStatus();
       },
       absl::StatusCode::kInvalidArgument, "a transaction of 1001 puts, sends, deletes and moves"},
      {"too many bytes",
       [](F& f, Transaction& t, const Message&) {
         const std::string data(1000000, 'x');
         for (size_t i = 0; i < kTransactionBytesMax / data.size(); ++i) {
           CHECK(t.Put(*f.events, "key", data).ok());
         }
         t.Put(*f.events, "key", data).IgnoreError();
         return absl::OkStatus();
       },
       absl::StatusCode::kInvalidArgument, "at most 8388608 are allowed"},
  };
  return *failures;
}

TEST_CASE("a transaction that fails leaves nothing, and can be tried again",
          "[store][transact][fault]") {
  const size_t which = GENERATE(Catch::Generators::range(size_t{0}, Failures().size()));
  const Failure& failure = Failures()[which];
  INFO(failure.name);
  TransactionFixture f;
  const SequenceNumber next = f.NewRecord() + 1;
  const Message order = f.NewOrder();
  REQUIRE(f.store->Flush().ok());
  REQUIRE(f.cursor->Advance(0, 1, Durability::kPower).ok());
  const auto failed = f.store->Transact([&](Transaction& t) -> absl::Status {
    EDDY_RETURN_IF_ERROR(f.HandleOrder(t, order, next));
    return failure.fail(f, t, order);
  });
  INFO(failed.status().ToString());
  CHECK(failed.status().code() == failure.code);
  CHECK(std::string(failed.status().message()).find(failure.message) != std::string::npos);
  f.device.disk.ClearFaults();
  f.device.clock.Advance(absl::Seconds(1));

  const auto check_nothing = [&] {
    CHECK(f.Records(0).size() == 1);
    CHECK(f.Records(1).empty());
    CHECK(f.cursor->Position(0) < next);
    CHECK(f.Rows() == 0);
    CHECK(f.Count(f.mails) == 0);
    CHECK(f.mails->Receive()->empty());
    CHECK(f.Count(f.orders) == 1);
  };
  check_nothing();
  SECTION("the order is still ours") {
    CHECK(f.orders->Receive()->empty());
    const auto again =
        f.store->Transact([&](Transaction& t) { return f.HandleOrder(t, order, next); });
    INFO(again.status().ToString());
    CHECK(again.ok());
    CHECK(f.Rows() == 1);
    CHECK(f.Count(f.orders) == 0);
    CHECK(f.Records(1).size() == 1);
  }
  SECTION("records put afterwards are read, under numbers of their own") {
    PutOptions power;
    power.durability = Durability::kPower;
    power.explicit_hash_key = "0";
    CHECK(f.events->Put("key", "after", power).ok());
    CHECK(f.Records(0) == std::vector<std::string>{"before", "after"});
  }
  SECTION("after a power cut too") {
    CHECK(f.store->Flush().ok());
    f.device.PowerCut(std::move(f.store), which + 1);
    f.Open();
    check_nothing();
    CHECK(f.orders->Receive()->size() == 1);
  }
  SECTION("after the death of the process too") {
    CHECK(f.store->Flush().ok());
    f.device.Kill(std::move(f.store), "/store/eddy.intake");
    f.Open();
    check_nothing();
    CHECK(f.orders->Receive()->size() == 1);
  }
}

// Only the database file's syncs fail: those of checkpoints, not of commits. Each
// time the database is opened anew, but never under a transaction.
TEST_CASE("a transaction ends on the connection on which it began", "[store][transact][fault]") {
  TransactionFixture f;
  for (int i = 0; i < 600; ++i) f.NewRecord();  // 2 MiB of WAL: a copy is due
  f.device.disk.FailNth(CrashDisk::Op::kSync, 1, CrashDisk::Fault::kIoError, /*sticky=*/true,
                        "eddy.db");
  f.device.clock.Advance(f.store->Pump());
  CHECK(f.store->Stats().disk_state != DiskState::kGood);
  int64_t done = 0;
  for (int i = 0; i < 12; ++i) {
    const auto result = f.store->Transact([&](Transaction& t) {
      f.device.clock.Advance(absl::Seconds(i));  // an attempt to open anew is due
      EDDY_RETURN_IF_ERROR(t.Send(*f.mails, "mail"));
      return t.sql().Run("INSERT INTO app_done (what) VALUES ('x')").status();
    });
    INFO(result.status().ToString());
    CHECK(result.ok());  // commits can be synced
    done += result.ok() ? 1 : 0;
  }
  f.device.disk.ClearFaults();
  f.device.clock.Advance(absl::Seconds(10));
  f.NewRecord();
  CHECK(f.Rows() == done);
  CHECK(f.Count(f.mails) == static_cast<uint64_t>(done));
  f.device.PowerCut(std::move(f.store), 3);
  f.Open();
  CHECK(f.Rows() == done);
  CHECK(f.Count(f.mails) == static_cast<uint64_t>(done));
}

TEST_CASE("transactions that the disk refuses use up positions to a bound, and heal",
          "[store][transact][fault]") {
  TransactionFixture f;
  const SequenceNumber before = f.NewRecord();
  f.device.disk.FailNth(CrashDisk::Op::kWrite, 1, CrashDisk::Fault::kIoError, /*sticky=*/true);
  const auto large = [&](Transaction& t) {
    for (int i = 0; i < 8; ++i) {
      EDDY_RETURN_IF_ERROR(t.Put(*f.events, "key", std::string(1000000, 'x'), "0"));
    }
    return absl::OkStatus();
  };
  bool refused = false;
  for (int i = 0; i < 20 && !refused; ++i) {
    const absl::Status status = f.store->Transact(large).status();
    refused = absl::IsResourceExhausted(status);
    CHECK((refused || absl::IsUnavailable(status)));
  }
  CHECK(refused);
  f.device.disk.ClearFaults();
  f.device.clock.Advance(absl::Seconds(10));
  // Something committed in the shard, and there is room for large ones again.
  f.NewRecord();
  const auto result = f.store->Transact(large);
  INFO(result.status().ToString());
  REQUIRE(result.ok());
  CHECK(result->puts.front().sequence_number > before);
  CHECK(f.Records(0).size() == 10);
}

// --- Receipts.

TEST_CASE("a message that a transaction deletes is nobody else's meanwhile", "[store][transact]") {
  TransactionFixture f;
  const Message order = f.NewOrder();
  const bool commit = GENERATE(true, false);
  const auto result = f.store->Transact([&](Transaction& t) -> absl::Status {
    EDDY_RETURN_IF_ERROR(t.Delete(*f.orders, order.receipt_handle));
    // Its visibility timeout ends in here.
    f.device.clock.Advance(kVisibilityTimeoutDefault + absl::Seconds(1));
    ReceiveOptions now;
    now.durability = Durability::kProcess;
    CHECK(f.orders->Receive(now)->empty());
    CHECK(absl::IsAborted(f.orders->ChangeVisibility(order.receipt_handle, absl::Seconds(9))));
    CHECK(f.Count(f.orders) == 1);
    return commit ? absl::OkStatus() : absl::CancelledError("");
  });
  CHECK(result.ok() == commit);
  const auto received = f.orders->Receive();
  CHECK(received->size() == (commit ? 0 : 1));
  if (!commit) CHECK(received->at(0).receive_count == 2);
}

TEST_CASE("a receipt that is no longer the newest fails the transaction", "[store][transact]") {
  TransactionFixture f;
  const Message order = f.NewOrder();
  const auto handle_order = [&] {
    return f.store
        ->Transact([&](Transaction& t) -> absl::Status {
          EDDY_RETURN_IF_ERROR(t.Put(*f.events, "key", "data"));
          return t.Delete(*f.orders, order.receipt_handle);
        })
        .status();
  };
  SECTION("received again") {
    f.device.clock.Advance(kVisibilityTimeoutDefault);
    REQUIRE(f.orders->Receive()->size() == 1);
    CHECK(absl::IsAborted(handle_order()));
    CHECK(f.Count(f.orders) == 1);
  }
  SECTION("deleted") {
    REQUIRE(f.orders->Delete(order.receipt_handle).ok());
    CHECK(absl::IsAborted(handle_order()));
  }
  SECTION("visible again, and still nobody else's") {
    f.device.clock.Advance(kVisibilityTimeoutDefault);
    CHECK(handle_order().ok());
    CHECK(f.orders->Receive()->empty());
    // Once: a second transaction with it would do the work twice.
    CHECK(absl::IsAborted(handle_order()));
    CHECK(f.Records(0).size() + f.Records(1).size() == 1);
    return;
  }
  CHECK(f.Records(0).size() + f.Records(1).size() == 0);
}

TEST_CASE("messages deleted out of order by transactions stay gone after a restart",
          "[store][transact]") {
  TransactionFixture f;
  for (int i = 0; i < 5; ++i) REQUIRE(f.orders->Send(absl::StrCat(i)).ok());
  ReceiveOptions five;
  five.max_messages = 5;
  const std::vector<Message> orders = *f.orders->Receive(five);
  for (const int i : {3, 1}) {
    CHECK(f.store
              ->Transact([&](Transaction& t) {
                return t.Delete(*f.orders, orders[static_cast<size_t>(i)].receipt_handle);
              })
              .ok());
  }
  f.device.PowerCut(std::move(f.store), 7);
  f.Open();
  std::string left;
  const auto received = f.orders->Receive(five);
  REQUIRE(received.ok());
  for (const Message& message : *received) left += message.body;
  CHECK(left == "024");
}

TEST_CASE("a message sent with a delay comes when that ends, not before", "[store][transact]") {
  TransactionFixture f;
  REQUIRE(f.store
              ->Transact([&](Transaction& t) {
                return t.Send(*f.mails, "later", absl::Seconds(5));
              })
              .ok());
  CHECK(f.mails->Describe().counts.delayed == 1);
  CHECK(f.mails->Receive()->empty());
  f.device.clock.Advance(absl::Seconds(5));
  CHECK(f.mails->Receive()->size() == 1);
}

// --- The user's rows.

TEST_CASE("an error of a statement can be handled, and the rest commits", "[store][transact]") {
  TransactionFixture f;
  const auto insert = [&](int id) {
    return f.store
        ->Transact([&](Transaction& t) -> absl::Status {
          const auto inserted = t.sql().Run("INSERT INTO app_done (id) VALUES (?)", {id});
          if (!absl::IsAlreadyExists(inserted.status())) return inserted.status();
          return t.Put(*f.events, "key", "again");
        })
        .status();
  };
  CHECK(insert(1).ok());
  CHECK(insert(1).ok());
  CHECK(f.Rows() == 1);
  CHECK(f.Records(0).size() + f.Records(1).size() == 1);
}

TEST_CASE("a user's table cannot reach eddy's, through Transact or Query", "[store][transact]") {
  TransactionFixture f;
  for (const char* statement : {"SELECT * FROM queues", "DELETE FROM blocks", "COMMIT",
                                "PRAGMA synchronous=OFF"}) {
    INFO(statement);
    CHECK(absl::IsPermissionDenied(f.store
                                       ->Transact([&](Transaction& t) {
                                         return t.sql().Run(statement).status();
                                       })
                                       .status()));
    CHECK(absl::IsPermissionDenied(f.store->Query(statement).status()));
  }
  CHECK(absl::IsPermissionDenied(f.store->Query("DELETE FROM app_done").status()));
  CHECK(f.store->Query("SELECT 1 + ?", {1})->at(0).at(0) == SqlValue(int64_t{2}));
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

// --- Around it.

TEST_CASE("what would wait for a commit is refused within a transaction", "[store][transact]") {
  TransactionFixture f;
  const Message order = f.NewOrder();
  REQUIRE(f.store->Flush().ok());
  PutOptions power;
  power.durability = Durability::kPower;
  const auto result = f.store->Transact([&](Transaction&) -> absl::Status {
    const auto refused = [](const absl::Status& status) {
      INFO(status.ToString());
      CHECK(absl::IsFailedPrecondition(status));
    };
    refused(f.events->Put("key", "data", power).status());
    refused(f.events->PutRecords({{"key", "data", ""}}, power).status());
    refused(f.events->Put("key", std::string(300000, 'x')).status());  // large
    refused(f.orders->Send("body").status());
    refused(f.orders->SendBatch({{"body", {}}}).status());
    refused(f.orders->SendDeadLetter("body", "", "").status());
    refused(f.orders->Receive().status());
    refused(f.orders->Delete(order.receipt_handle));
    refused(f.cursor->Advance(0, 0, Durability::kPower));
    refused(f.events->OpenCursor("other").status());
    refused(f.store->CreateStream("other").status());
    refused(f.store->CreateQueue("other").status());
    refused(f.store->Flush());
    refused(f.store->Query("SELECT 1").status());
    refused(f.store->Transact([](Transaction&) { return absl::OkStatus(); }).status());
    f.store->Pump();
    // These wait for nothing, and have nothing to do with the transaction.
    CHECK(f.events->Put("key", "stays").ok());
    CHECK(f.store->OpenStream("events").ok());
    CHECK(f.events->OpenCursor("reader").ok());
    f.store->Stats();
    return absl::CancelledError("");
  });
  CHECK(absl::IsCancelled(result.status()));
  CHECK(f.Records(0).size() + f.Records(1).size() == 1);
  CHECK(f.Count(f.orders) == 1);
  CHECK(f.orders->Send("body").ok());  // as always, once it is over
}

TEST_CASE("a stream, queue or cursor of another store is refused", "[store][transact]") {
  TransactionFixture f;
  TransactionFixture other;
  const Message order = other.NewOrder();
  const auto refused = [&](const std::function<absl::Status(Transaction&)>& work) {
    const absl::Status status = f.store->Transact(work).status();
    CHECK(absl::IsInvalidArgument(status));
    CHECK(std::string(status.message()).find("not one of the store") != std::string::npos);
  };
  refused([&](Transaction& t) { return t.Put(*other.events, "key", "data"); });
  refused([&](Transaction& t) { return t.Send(*other.mails, "body"); });
  refused([&](Transaction& t) { return t.Delete(*other.orders, order.receipt_handle); });
  refused([&](Transaction& t) { return t.Advance(*other.cursor, 0, 0); });
}

TEST_CASE("a cursor that somebody moves further meanwhile stays there", "[store][transact]") {
  TransactionFixture f;
  const SequenceNumber first = f.NewRecord();
  const SequenceNumber second = f.NewRecord();
  REQUIRE(f.store
              ->Transact([&](Transaction& t) -> absl::Status {
                EDDY_RETURN_IF_ERROR(t.Advance(*f.cursor, 0, first + 1));
                return f.cursor->Advance(0, second + 1, Durability::kProcess);
              })
              .ok());
  CHECK(f.cursor->Position(0) == second + 1);
  f.device.Kill(std::move(f.store), "/store/eddy.intake");
  f.Open();
  CHECK(f.cursor->Position(0) == second + 1);
}

TEST_CASE("the limits of the store hold for a transaction", "[store][transact][quota]") {
  TransactionFixture f;
  f.store.reset();
  f.options.quota_bytes = 4 << 20;
  f.Open();
  REQUIRE(f.store->Flush().ok());
  SECTION("for its records together") {
    const absl::Status status =
        f.store
            ->Transact([&](Transaction& t) {
              absl::Status put;
              for (int i = 0; i < 8 && put.ok(); ++i) {
                put = t.Put(*f.events, "key", std::string(900000, 'x'));
              }
              return put;
            })
            .status();
    INFO(status.ToString());
    CHECK(absl::IsResourceExhausted(status));
  }
  SECTION("for the user's rows") {
    constexpr char kFill[] =
        "WITH RECURSIVE app_n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM app_n WHERE i < ?) "
        "INSERT INTO app_done (what) SELECT hex(zeroblob(50000)) FROM app_n";
    const auto fill = [&](int rows) {
      return f.store
          ->Transact([&](Transaction& t) { return t.sql().Run(kFill, {rows}).status(); })
          .status();
    };
    const absl::Status status = fill(60);
    INFO(status.ToString());
    CHECK(absl::IsResourceExhausted(status));
    CHECK(f.Rows() == 0);
    CHECK(fill(1).ok());
    CHECK(f.Rows() == 1);
  }
}

TEST_CASE("a commit of the user's rows on a full disk gives up the reserve for the next try",
          "[store][transact][fault]") {
  TransactionFixture f;
  f.store.reset();
  f.options.reserve_bytes = 1 << 20;
  f.Open();
  const Message order = f.NewOrder();
  REQUIRE(f.store->Flush().ok());
  REQUIRE(f.store->Stats().reserve_held);
  const auto acknowledge = [&] {
    return f.store
        ->Transact([&](Transaction& t) { return t.Delete(*f.orders, order.receipt_handle); })
        .status();
  };
  f.device.disk.FailNth(CrashDisk::Op::kWrite, 1, CrashDisk::Fault::kFull);
  CHECK(absl::IsResourceExhausted(acknowledge()));
  CHECK_FALSE(f.store->Stats().reserve_held);
  CHECK(acknowledge().ok());
  CHECK(f.Count(f.orders) == 0);
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
