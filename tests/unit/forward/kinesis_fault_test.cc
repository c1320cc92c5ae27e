// The Kinesis route when things fail: what is sent again, what is counted, and what an
// outage or a crash costs.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include "absl/strings/str_cat.h"
#include "tests/unit/forward/forward_fixture.h"

namespace eddy::forward {
namespace {

std::vector<std::string> DataOf(ForwardHost& host) {
  std::vector<std::string> data;
  for (const testing::StoredRecord& record : host.aws.Records("s")) data.push_back(record.data);
  return data;
}

TEST_CASE("after a partial failure only the failed records are sent again",
          "[forward][kinesis][fault]") {
  ForwardHost host;
  host.CreateStream("s");
  for (int i = 0; i < 5; ++i) host.Put("s", absl::StrCat("k", i), absl::StrCat(i));
  FakeFault partial;
  partial.kind = Kind::kPartial;
  partial.failed = {1, 3};
  host.aws.Order(partial);
  host.StartKinesis("s");
  host.RunUntilCaughtUp();
  const std::vector<FakeCall> calls = host.aws.Calls();
  REQUIRE(calls.size() == 2);
  CHECK(calls[1].bodies == std::vector<std::string>{"1", "3"});
  CHECK(DataOf(host) == std::vector<std::string>{"0", "2", "4", "1", "3"});
  CHECK(host.Status().records_retried == 2);
  CHECK(host.Status().records_maybe_twice == 0);
  CHECK(host.Status().records_delivered == 5);
}

TEST_CASE("a later record of a key waits until the failed one has arrived, other keys do not",
          "[forward][kinesis][order][fault]") {
  ForwardHost host;
  host.CreateStream("s");
  host.Put("s", "a", "a1");
  host.Put("s", "b", "b1");
  host.Put("s", "a", "a2");
  host.Put("s", "b", "b2");
  FakeFault partial;
  partial.kind = Kind::kPartial;
  partial.failed = {0};
  host.aws.Order(partial);
  host.StartKinesis("s");
  host.RunUntilCaughtUp();
  CHECK(DataOf(host) == std::vector<std::string>{"b1", "b2", "a1", "a2"});
}

TEST_CASE("throttled parts are retried after a second at most, and the link is online",
          "[forward][kinesis][fault]") {
  ForwardHost host;
  host.CreateStream("s");
  host.Put("s", "a", "1");
  host.Put("s", "b", "2");
  FakeFault partial;
  partial.kind = Kind::kPartial;
  partial.failed = {1};
  host.aws.Order(partial);
  host.StartKinesis("s");
  host.Run(absl::Milliseconds(110));
  REQUIRE(host.aws.Calls().size() == 1);
  CHECK(host.Status().link == LinkState::kOnline);
  CHECK(absl::IsUnavailable(host.Status().last_error));
  CHECK_FALSE(host.Status().caught_up);
  host.Run(absl::Seconds(1));
  CHECK(host.Status().caught_up);
  CHECK(host.Status().last_error.ok());
}

TEST_CASE("a reply lost after the cloud accepted is sent again, and counted",
          "[forward][kinesis][fault]") {
  const auto [name, kind] = GENERATE(std::pair("timeout", Kind::kTimeoutApplied),
                                     std::pair("cut", Kind::kCutApplied),
                                     std::pair("a page instead", Kind::kGarbage));
  INFO(name);
  ForwardHost host;
  host.CreateStream("s");
  host.Put("s", "a", "1");
  host.Put("s", "b", "2");
  FakeFault fault;
  fault.kind = kind;
  fault.status = 200;
  host.aws.Order(fault);
  host.StartKinesis("s");
  host.RunUntilCaughtUp();
  CHECK(DataOf(host) == std::vector<std::string>{"1", "2", "1", "2"});
  CHECK(host.Status().records_maybe_twice == 2);
  CHECK(host.Status().records_delivered == 2);
}

TEST_CASE("what never left is sent again without a doubt", "[forward][kinesis][fault]") {
  ForwardHost host;
  host.CreateStream("s");
  host.Put("s", "a", "1");
  FakeFault refused;
  refused.kind = GENERATE(Kind::kNotSent, Kind::kTls);
  host.aws.Order(refused, 3);
  host.StartKinesis("s");
  host.RunUntilCaughtUp();
  CHECK(host.Status().records_maybe_twice == 0);
  CHECK(host.Status().records_retried == 0);
  CHECK(host.Status().requests == 1);
}

TEST_CASE("a gateway's error leaves the outcome unknown, the service's own 503 does not",
          "[forward][kinesis][fault]") {
  ForwardHost host;
  host.CreateStream("s");
  host.Put("s", "a", "1");
  FakeFault fault;
  uint64_t expected = 0;
  SECTION("502 with a page") {
    fault.kind = Kind::kGarbage;
    fault.status = 502;
    expected = 1;
  }
  SECTION("503 ServiceUnavailable") {
    fault.kind = Kind::kError;
    fault.status = 503;
    fault.code = "ServiceUnavailable";
  }
  host.aws.Order(fault);
  host.StartKinesis("s");
  host.RunUntilCaughtUp();
  CHECK(host.Status().records_maybe_twice == expected);
  CHECK(host.Status().records_retried == 1);
}

TEST_CASE("an outage of days loses nothing, keeps the order and ends by itself",
          "[forward][kinesis][fault][time]") {
  ForwardHost host;
  host.CreateStream("s", 2);
  host.StartKinesis("s");
  FakeFault down;
  down.kind = Kind::kNotSent;
  host.aws.Order(down, 100000);
  for (int day = 0; day < 3; ++day) {
    for (int i = 0; i < 20; ++i) {
      host.Put("s", absl::StrCat("k", i % 7), absl::StrCat(day, "-", i));
    }
    host.Run(absl::Hours(24));
  }
  CHECK(host.Status().link == LinkState::kOffline);
  CHECK_FALSE(host.Status().caught_up);
  CHECK(host.Status().next_attempt <= host.options.retry_delay_max);
  CHECK(host.Status().last_error.ToString().find("http://kinesis.test") != std::string::npos);
  // The delays are spread between zero and two minutes: about one a minute.
  CHECK(host.aws.Calls().size() < 3 * 24 * 60 * 2);

  host.aws.ForgetOrders();
  host.Run(host.options.retry_delay_max + absl::Seconds(5));
  CHECK(host.Status().caught_up);
  CHECK(host.aws.Records("s").size() == 60);
}

TEST_CASE("requests that time out become smaller, and grow again after a success",
          "[forward][kinesis][fault]") {
  ForwardHost host;
  host.CreateStream("s");
  for (int i = 0; i < 64; ++i) host.Put("s", absl::StrCat("k", i), std::string(1000, 'x'));
  FakeFault slow;
  slow.kind = Kind::kTimeout;
  host.aws.Order(slow, 2);
  host.StartKinesis("s");
  host.RunUntilCaughtUp();
  const std::vector<FakeCall> calls = host.aws.Calls();
  REQUIRE(calls.size() >= 4);
  CHECK(calls[0].entry_count == 64);
  CHECK(calls[1].entry_count <= 32);
  CHECK(calls[2].entry_count <= 16);
  CHECK(calls[3].entry_count > calls[2].entry_count);
}

TEST_CASE("a killed process goes on where the acknowledged prefix ended",
          "[forward][kinesis][crash]") {
  ForwardHost host;
  host.CreateStream("s");
  for (int i = 0; i < 6; ++i) host.Put("s", absl::StrCat("k", i), absl::StrCat(i));
  FakeFault partial;
  partial.kind = Kind::kPartial;
  partial.failed = {2};
  host.aws.Order(partial);
  host.StartKinesis("s");
  host.Run(absl::Milliseconds(101));
  REQUIRE(host.aws.Records("s").size() == 5);
  host.Kill();
  host.StartKinesis("s");
  host.RunUntilCaughtUp();
  // 2 was the gap: it and what came after it are sent again, 0 and 1 are not.
  CHECK(DataOf(host) ==
        std::vector<std::string>{"0", "1", "3", "4", "5", "2", "3", "4", "5"});
}

TEST_CASE("a power cut sends at most the last flush interval again",
          "[forward][kinesis][crash]") {
  ForwardHost host;
  host.CreateStream("s");
  for (int i = 0; i < 10; ++i) host.Put("s", absl::StrCat("k", i), absl::StrCat(i));
  host.StartKinesis("s");
  host.RunUntilCaughtUp();
  host.Run(absl::Seconds(2));  // the cursor's move is committed
  host.Put("s", "late", "late");
  REQUIRE(host.store->Flush().ok());
  host.PowerCut(5);
  host.StartKinesis("s");
  host.RunUntilCaughtUp();
  const std::vector<std::string> data = DataOf(host);
  CHECK(std::count(data.begin(), data.end(), "3") == 1);
  CHECK(std::count(data.begin(), data.end(), "late") == 1);
}

}  // namespace
}  // namespace eddy::forward
