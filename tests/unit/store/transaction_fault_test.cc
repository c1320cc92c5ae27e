// Transactions that fail, by their own doing, by the disk or by the store's limits: they
// leave nothing, and can be tried again.
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "tests/unit/store/transaction_fixture.h"

namespace eddy {
namespace {

using testing::CrashDisk;
using testing::TransactionFixture;

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
          "[store][transact][fault][sweep]") {
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
          "[store][transact][fault][sweep]") {
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

// --- Limits and a full disk.

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

}  // namespace
}  // namespace eddy
