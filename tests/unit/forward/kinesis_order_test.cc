// Order per key against random faults and crashes, with a judge that knows only what
// was put and what arrived.
#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "tests/fakes/scale.h"
#include "tests/unit/forward/forward_fixture.h"

namespace eddy::forward {
namespace {

// Data is the number of the record within its key.
struct Judgement {
  uint64_t missing = 0;
  uint64_t out_of_order = 0;  // first arrivals that came behind a later one of the key
  uint64_t twice = 0;
  uint64_t invented = 0;
};

Judgement Judge(const std::map<std::string, int>& put,
                const std::vector<testing::StoredRecord>& arrived) {
  Judgement judgement;
  std::map<std::string, std::vector<bool>> seen;
  for (const auto& [key, count] : put) seen[key].resize(static_cast<size_t>(count));
  std::map<std::string, int> newest;
  for (const testing::StoredRecord& record : arrived) {
    int number = -1;
    std::vector<bool>& mine = seen[record.partition_key];
    if (!absl::SimpleAtoi(record.data, &number) || number < 0 ||
        static_cast<size_t>(number) >= mine.size()) {
      ++judgement.invented;
      continue;
    }
    const auto [last, is_first] = newest.try_emplace(record.partition_key, -1);
    if (mine[static_cast<size_t>(number)]) {
      ++judgement.twice;
    } else if (number != last->second + 1) {
      ++judgement.out_of_order;
    }
    mine[static_cast<size_t>(number)] = true;
    last->second = std::max(last->second, number);
  }
  for (const auto& [key, mine] : seen) {
    for (const bool was_seen : mine) judgement.missing += was_seen ? 0 : 1;
  }
  return judgement;
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

    const Judgement judgement = Judge(put, host.aws.Records("s"));
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
    const Judgement judgement = Judge(put, host.aws.Records("s"));
    CHECK(judgement.missing == 0);
    CHECK(judgement.out_of_order == 0);
    CHECK(judgement.invented == 0);
  }
}

}  // namespace
}  // namespace eddy::forward
