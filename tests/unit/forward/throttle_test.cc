// A shard of the target that is full while others are not.
#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include "absl/strings/str_cat.h"
#include "tests/unit/forward/forward_fixture.h"

namespace eddy::forward {
namespace {

bool IsHot(std::string_view data) { return data.substr(0, 3) == "hot"; }

size_t CountOf(const std::vector<FakeCall>& calls, const std::string& body) {
  return static_cast<size_t>(std::count_if(calls.begin(), calls.end(), [&](const FakeCall& c) {
    return std::find(c.bodies.begin(), c.bodies.end(), body) != c.bodies.end();
  }));
}

TEST_CASE("records of a throttled shard are tried ever less often, the others go on at once",
          "[forward][kinesis][fault][time]") {
  ForwardHost host;
  host.CreateStream("s");
  host.aws.SetThrottled(IsHot);
  host.Put("s", "h", "hot");
  host.StartKinesis("s");
  constexpr int kRounds = 600;
  for (int i = 0; i < kRounds; ++i) {
    host.Put("s", absl::StrCat("k", i), absl::StrCat(i));
    host.Run(absl::Seconds(1));
    // Linger, idle pause and at most one pause of the whole route, when the hot record
    // went alone.
    CHECK(host.aws.Records("s").size() + 4 > static_cast<size_t>(i));
  }
  host.Run(absl::Seconds(5));
  CHECK(host.aws.Records("s").size() == kRounds);
  // In ten minutes: 1 + 2 + 4 + ... s up to 2 min, each halved on average by the jitter.
  const size_t tries = CountOf(host.aws.Calls(), "hot");
  CHECK(tries >= 5);
  CHECK(tries <= 40);
  CHECK(host.Status().link == LinkState::kOnline);

  host.aws.SetThrottled(nullptr);
  host.RunUntilCaughtUp();
  CHECK(host.aws.Records("s").size() == kRounds + 1);
}

TEST_CASE("order holds behind a throttled record", "[forward][kinesis][order][fault]") {
  ForwardHost host;
  host.CreateStream("s");
  host.aws.SetThrottled([](std::string_view data) { return data == "hot-1"; });
  for (int i = 0; i < 5; ++i) {
    host.Put("s", "h", absl::StrCat("hot-", i));
    host.Put("s", "c", absl::StrCat("cold-", i));
  }
  host.StartKinesis("s");
  host.Run(absl::Minutes(5));
  std::vector<std::string> arrived;
  for (const auto& record : host.aws.Records("s")) arrived.push_back(record.data);
  CHECK(arrived ==
        std::vector<std::string>{"hot-0", "cold-0", "cold-1", "cold-2", "cold-3", "cold-4"});
  host.aws.SetThrottled(nullptr);
  host.RunUntilCaughtUp();
  CHECK(host.aws.Records("s").size() == 10);
  CHECK(host.aws.Records("s").back().data == "hot-4");
}

TEST_CASE("while a throttled record waits its route sleeps", "[forward][kinesis][fault]") {
  ForwardHost host;
  host.CreateStream("s");
  host.aws.SetThrottled(IsHot);
  host.Put("s", "h", "hot");
  host.Put("s", "c", "cold");
  host.StartKinesis("s");
  host.Run(absl::Minutes(10));
  int steps = 0;
  const absl::Duration end = host.device.clock.SinceBoot() + absl::Minutes(1);
  while (host.device.clock.SinceBoot() < end) {
    host.device.clock.Advance(std::max(host.forwarder->RunOnce(), absl::Microseconds(1)));
    ++steps;
  }
  CHECK(steps < 400);
}

TEST_CASE("when a whole request is throttled the route rests longer each time",
          "[forward][kinesis][fault]") {
  ForwardHost host;
  host.CreateStream("s");
  host.aws.SetThrottled(IsHot);
  for (int i = 0; i < 20; ++i) host.Put("s", absl::StrCat("h", i), "hot");
  host.StartKinesis("s");
  host.Run(absl::Minutes(30));
  CHECK(host.Status().link == LinkState::kBackingOff);
  CHECK(host.aws.Calls().size() < 100);
}

}  // namespace
}  // namespace eddy::forward
