// Order per key against random faults and crashes, with a judge that knows only what
// was put and what arrived.
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include "absl/strings/str_cat.h"
#include "tests/fakes/order_judge.h"
#include "tests/fakes/scale.h"
#include "tests/unit/forward/forward_fixture.h"

namespace eddy::forward {
namespace {

testing::Judgement JudgeArrivals(ForwardHost& host, const std::map<std::string, int>& put) {
  std::vector<std::pair<std::string, std::string>> arrived;
  for (const testing::StoredRecord& record : host.aws.Records("s")) {
    arrived.emplace_back(record.partition_key, record.data);
  }
  return testing::Judge(put, arrived);
}

testing::FakeOdds DrawOdds(testing::FakeRandom& random) {
  // Kinds are left out at random, for rarer depths.
  const auto draw = [&random](uint64_t most) {
    return random.OneIn(3) ? 0 : static_cast<int>(random.Below(most));
  };
  testing::FakeOdds odds;
  odds.not_sent = draw(150);
  odds.timeout = draw(100);
  odds.cut = draw(150);
  odds.error = draw(150);
  odds.partial = draw(450);
  return odds;
}

TEST_CASE("order per key is kept through partial failures, outages and lost replies",
          "[forward][kinesis][order][sim]") {
  for (int seed = 1; seed <= testing::Scaled(60); ++seed) {
    INFO("seed " << seed);
    ForwardHost host(static_cast<uint64_t>(seed));
    testing::FakeRandom random(static_cast<uint64_t>(seed) * 7919);
    host.CreateStream("s", 1 + static_cast<uint32_t>(random.Below(3)));
    host.aws.SetOdds(DrawOdds(random));
    host.options.retry_delay_max = absl::Seconds(5);
    host.route.records_max = random.OneIn(3) ? 1 + random.Below(8) : 0;
    host.StartKinesis("s");
    std::map<std::string, int> put;
    const uint64_t key_count = 1 + random.Below(12);
    for (int round = 0; round < 40; ++round) {
      for (uint64_t i = random.Below(12); i-- > 0;) {
        const std::string key = absl::StrCat("key-", random.Below(key_count));
        host.Put("s", key, absl::StrCat(put[key]++));
      }
      host.Run(absl::Milliseconds(static_cast<int64_t>(random.Below(400))));
    }
    host.RunUntilCaughtUp();

    const testing::Judgement judgement = JudgeArrivals(host, put);
    CHECK(judgement.missing == 0);
    CHECK(judgement.out_of_order == 0);
    CHECK(judgement.invented == 0);
    const RouteStatus status = host.Status();
    CHECK(judgement.twice <= status.records_maybe_twice);
    CHECK(status.records_delivered == host.aws.Records("s").size() - judgement.twice);
    CHECK(host.aws.RefusedRequests() == 0);
  }
}

TEST_CASE("kills and power cuts keep the order per key and lose nothing that was committed",
          "[forward][kinesis][order][crash][sim]") {
  for (int seed = 1; seed <= testing::Scaled(25); ++seed) {
    INFO("seed " << seed);
    ForwardHost host(static_cast<uint64_t>(seed));
    testing::FakeRandom random(static_cast<uint64_t>(seed) * 104729);
    host.CreateStream("s", 2);
    host.aws.SetOdds(DrawOdds(random));
    host.options.retry_delay_max = absl::Seconds(2);
    std::map<std::string, int> put;
    for (int life = 0; life < 6; ++life) {
      host.StartKinesis("s");
      for (int round = 0; round < 8; ++round) {
        for (int i = 0; i < 6; ++i) {
          const std::string key = absl::StrCat("key-", random.Below(5));
          host.Put("s", key, absl::StrCat(put[key]++));
        }
        host.Run(absl::Milliseconds(static_cast<int64_t>(random.Below(300))));
      }
      if (random.OneIn(2)) {
        host.Kill();
      } else {
        // What was only accepted may go with the power; then the judge could not tell.
        REQUIRE(host.store->Flush().ok());
        host.PowerCut(random.Next());
      }
    }
    host.StartKinesis("s");
    host.RunUntilCaughtUp();
    const testing::Judgement judgement = JudgeArrivals(host, put);
    CHECK(judgement.missing == 0);
    CHECK(judgement.out_of_order == 0);
    CHECK(judgement.invented == 0);
  }
}

TEST_CASE("the judge sees what best effort does to the order", "[forward][kinesis][order]") {
  ForwardHost host;
  host.CreateStream("s");
  host.route.key_order = KeyOrder::kBestEffort;
  std::map<std::string, int> put;
  for (int i = 0; i < 9; ++i) host.Put("s", "k", absl::StrCat(put["k"]++));
  FakeFault partial;
  partial.kind = Kind::kPartial;
  partial.failed = {4};
  host.aws.Order(partial);
  host.StartKinesis("s");
  host.RunUntilCaughtUp();
  const testing::Judgement judgement = JudgeArrivals(host, put);
  CHECK(judgement.out_of_order == 2);  // 5 too early, 4 too late
  CHECK(judgement.missing == 0);
}

}  // namespace
}  // namespace eddy::forward
