// The messages of a transaction: those that it deletes by their receipts, and those that
// it sends to come later.
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <string>
#include <utility>
#include <vector>

#include "tests/unit/store/transaction_fixture.h"

namespace eddy {
namespace {

using testing::TransactionFixture;

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

}  // namespace
}  // namespace eddy
