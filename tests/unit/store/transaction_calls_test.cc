// While the function of a transaction runs: what it may call, what others see and do.
#include <catch2/catch_test_macros.hpp>
#include <functional>
#include <string>
#include <thread>
#include <utility>

#include "tests/unit/store/transaction_fixture.h"

namespace eddy {
namespace {

using testing::TransactionFixture;

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

}  // namespace
}  // namespace eddy
