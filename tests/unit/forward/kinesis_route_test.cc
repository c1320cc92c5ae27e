// The Kinesis route through the public interface: what arrives, and in which requests.
#include <map>
#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include "absl/strings/str_cat.h"
#include "src/forward/stream_source.h"
#include "tests/unit/forward/forward_fixture.h"

namespace eddy::forward {
namespace {

TEST_CASE("records arrive as they were put: key, hash key and bytes", "[forward][kinesis]") {
  ForwardHost host;
  host.CreateStream("s", 4);
  const std::string bytes("\0\xff\n\"", 4);
  PutOptions hashed;
  hashed.explicit_hash_key = "340282366920938463463374607431768211455";
  REQUIRE(host.stream("s").Put("schl\xC3\xBCssel", bytes).ok());
  REQUIRE(host.stream("s").Put("k", "", hashed).ok());
  host.StartKinesis("s");
  host.RunUntilCaughtUp();

  std::map<std::string, testing::StoredRecord> by_key;
  for (const testing::StoredRecord& record : host.aws.Records("s")) {
    by_key[record.partition_key] = record;
  }
  REQUIRE(by_key.size() == 2);
  CHECK(by_key["schl\xC3\xBCssel"].data == bytes);
  CHECK(by_key["schl\xC3\xBCssel"].explicit_hash_key.empty());
  CHECK(by_key["k"].explicit_hash_key == hashed.explicit_hash_key);
  CHECK(host.aws.RefusedRequests() == 0);

  const RouteStatus status = host.Status();
  CHECK(status.name == "s -> kinesis:s");
  CHECK(status.link == LinkState::kOnline);
  CHECK(status.records_delivered == 2);
  CHECK(status.bytes_delivered == 10 + 4 + 1);
  CHECK(status.requests == 1);
  CHECK(status.last_error.ok());
  CHECK(status.caught_up);
}

TEST_CASE("a route is a reader of a stream that spills: the flash rests while it delivers",
          "[forward][kinesis][spill]") {
  ForwardHost host;
  host.aws.CreateStream("s");
  StreamOptions spilling;
  spilling.persist = Persist::kSpill;
  REQUIRE(host.store->CreateStream("s", spilling).ok());
  host.StartKinesis("s");
  host.Put("s", "k", "first");
  host.Run(absl::Seconds(10));  // positions are reserved
  const uint64_t written = host.device.disk.BytesWritten();
  for (int i = 0; i < 300; ++i) {
    host.Put("s", "k", std::string(200, 'd'));
    host.Run(absl::Milliseconds(100));
  }
  host.RunUntilCaughtUp();
  CHECK(host.aws.Records("s").size() == 301);
  CHECK(host.device.disk.BytesWritten() == written);
}

TEST_CASE("one request carries records of all shards", "[forward][kinesis]") {
  ForwardHost host;
  host.CreateStream("s", 8);
  for (int i = 0; i < 100; ++i) host.Put("s", absl::StrCat("key-", i), "d");
  host.StartKinesis("s");
  host.RunUntilCaughtUp();
  CHECK(host.aws.Records("s").size() == 100);
  CHECK(host.aws.Calls().size() == 1);
}

TEST_CASE("at strict order a request holds each key once, and looks ahead for others",
          "[forward][kinesis][order]") {
  ForwardHost host;
  host.CreateStream("s");
  // 50 records of one key first, then 50 others.
  for (int i = 0; i < 50; ++i) host.Put("s", "hot", absl::StrCat("hot-", i));
  for (int i = 0; i < 50; ++i) host.Put("s", absl::StrCat("k", i), absl::StrCat("cold-", i));
  host.StartKinesis("s");
  host.RunUntilCaughtUp();
  const std::vector<FakeCall> calls = host.aws.Calls("PutRecords");
  CHECK(calls.size() == 50);
  CHECK(calls.front().entry_count == 51);
  for (const FakeCall& call : calls) CHECK(call.keys.size() == call.entry_count);
}

TEST_CASE("at best effort requests are filled", "[forward][kinesis][order]") {
  ForwardHost host;
  host.route.key_order = KeyOrder::kBestEffort;
  host.CreateStream("s");
  for (int i = 0; i < 1100; ++i) host.Put("s", "hot", absl::StrCat(i));
  host.StartKinesis("s");
  host.RunUntilCaughtUp();
  CHECK(host.aws.Calls().size() == 3);
  CHECK(host.aws.Calls()[0].entry_count == 500);
  CHECK(host.aws.Records("s").size() == 1100);
}

TEST_CASE("no request exceeds 5 MiB of keys and data, nor the route's own limits",
          "[forward][kinesis][sweep]") {
  ForwardHost host;
  host.CreateStream("s");
  SECTION("the service's") {
    for (int i = 0; i < 12; ++i) {
      host.Put("s", absl::StrCat("k", i), std::string((1 << 20) - 8, 'x'));
      host.store->Flush().IgnoreError();  // room in the intake
    }
    host.StartKinesis("s");
    host.RunUntilCaughtUp();
    CHECK(host.aws.Calls().size() == 3);
  }
  SECTION("the route's") {
    host.route.records_max = 3;
    host.route.bytes_max = 100;
    for (int i = 0; i < 12; ++i) host.Put("s", absl::StrCat("k", i), std::string(48, 'x'));
    host.StartKinesis("s");
    host.RunUntilCaughtUp();
    for (const FakeCall& call : host.aws.Calls()) CHECK(call.entry_count <= 2);
  }
  SECTION("a record above the route's own goes alone") {
    host.route.bytes_max = 100;
    host.Put("s", "a", std::string(200, 'x'));
    host.Put("s", "b", "y");
    host.StartKinesis("s");
    host.RunUntilCaughtUp();
    CHECK(host.aws.Calls().size() == 2);
  }
  CHECK(host.aws.RefusedRequests() == 0);
  CHECK(host.Status().records_dead == 0);
}

TEST_CASE("a lone record waits for company as long as the linger says, and no longer",
          "[forward][kinesis][time]") {
  ForwardHost host;
  host.route.linger = absl::Milliseconds(100);
  host.CreateStream("s");
  host.Put("s", "a", "1");
  host.StartKinesis("s");
  host.Run(absl::Milliseconds(99));
  CHECK(host.aws.Calls().empty());
  host.Put("s", "b", "2");
  host.Run(absl::Milliseconds(2));
  REQUIRE(host.aws.Calls().size() == 1);
  CHECK(host.aws.Calls()[0].entry_count == 2);
}

TEST_CASE("with a backlog nothing lingers", "[forward][kinesis][time]") {
  ForwardHost host;
  host.route.linger = absl::Seconds(10);
  host.CreateStream("s");
  for (int i = 0; i < 5; ++i) host.Put("s", "k", absl::StrCat(i));
  host.StartKinesis("s");
  host.Run(absl::Milliseconds(100));
  CHECK(host.aws.Records("s").size() == 4);  // the last one is alone, and waits
}

TEST_CASE("Wake tries at once", "[forward][kinesis][time]") {
  ForwardHost host;
  host.CreateStream("s");
  host.Put("s", "a", "1");
  host.StartKinesis("s");
  FakeFault down;
  down.kind = Kind::kNotSent;
  host.aws.Order(down, 1000);
  host.Run(absl::Minutes(20));
  host.aws.ForgetOrders();
  host.forwarder->Wake();
  CHECK(host.Status().next_attempt == absl::ZeroDuration());
  host.Run(absl::Milliseconds(10));
  CHECK(host.aws.Records("s").size() == 1);
}

TEST_CASE("a record that fails for ever lets others run ahead only as far as the window",
          "[forward][kinesis][order]") {
  ForwardHost host;
  host.CreateStream("s");
  host.route.key_order = KeyOrder::kBestEffort;
  for (size_t i = 0; i < kWindowRecordsMax + 1000; ++i) {
    host.Put("s", "k", absl::StrCat(i));
  }
  FakeFault first_fails;
  first_fails.kind = Kind::kPartial;
  first_fails.failed = {0};
  host.aws.Order(first_fails, 40);
  host.StartKinesis("s");
  while (host.aws.CallCount() < 40) host.Run(absl::Milliseconds(100));
  CHECK(host.aws.Records("s").size() == kWindowRecordsMax - 1);
  CHECK(host.stream("s").OpenCursor(host.Status().cursor).value()->Position(0) <= 64);
  host.RunUntilCaughtUp();
  CHECK(host.aws.Records("s").size() == kWindowRecordsMax + 1000);
}

TEST_CASE("trimming what was delivered does not disturb the route", "[forward][kinesis]") {
  ForwardHost host;
  host.CreateStream("s");
  for (int i = 0; i < 4; ++i) host.Put("s", absl::StrCat("k", i), absl::StrCat(i));
  host.StartKinesis("s");
  host.RunUntilCaughtUp();
  Cursor* const cursor = host.stream("s").OpenCursor(host.Status().cursor).value();
  REQUIRE(host.store->Flush().ok());
  REQUIRE(host.stream("s").Trim(0, cursor->Position(0)).ok());
  host.Put("s", "k", "4");
  host.RunUntilCaughtUp();
  CHECK(host.aws.Records("s").size() == 5);
}

TEST_CASE("records that a limit took before the route came to them are counted as lost",
          "[forward][kinesis][retention]") {
  ForwardHost host;
  host.aws.CreateStream("s");
  StreamOptions stream;
  stream.retention.records = 10;
  REQUIRE(host.store->CreateStream("s", stream).ok());
  host.StartKinesis("s");  // its place is the beginning from now on
  // Each flush is a block, and blocks are what is dropped.
  for (int i = 0; i < 40; ++i) {
    host.Put("s", "k", absl::StrCat(i));
    if (i % 5 == 4) REQUIRE(host.store->Flush().ok());
  }
  host.RunUntilCaughtUp();
  const std::vector<testing::StoredRecord> arrived = host.aws.Records("s");
  REQUIRE(!arrived.empty());
  CHECK(arrived.size() < 40);
  CHECK(arrived.back().data == "39");
  CHECK(host.Status().records_lost == 40 - arrived.size());
  CHECK(host.Status().last_error.ok());
}

}  // namespace
}  // namespace eddy::forward
