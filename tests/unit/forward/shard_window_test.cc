#include "src/forward/shard_window.h"

#include <map>
#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include "tests/fakes/fake_random.h"
#include "tests/fakes/scale.h"

namespace eddy::forward {
namespace {

WindowRecord Make(SequenceNumber number, const std::string& key) {
  WindowRecord record;
  record.sequence_number = number;
  record.partition_key = key;
  record.data = "data";
  return record;
}

std::vector<SequenceNumber> Ready(ShardWindow& window) {
  std::vector<SequenceNumber> ready;
  SequenceNumber from = 0;
  while (const WindowRecord* record = window.NextReady(from, absl::ZeroDuration())) {
    ready.push_back(record->sequence_number);
    from = record->sequence_number + 1;
  }
  return ready;
}

using Numbers = std::vector<SequenceNumber>;

TEST_CASE("of each key only the oldest unsettled record is ready", "[forward][window]") {
  ShardWindow window(KeyOrder::kStrict, 5);
  for (const auto& [number, key] :
       std::map<SequenceNumber, std::string>{{10, "a"}, {20, "b"}, {30, "a"}, {40, "a"}}) {
    window.Add(Make(number, key));
  }
  CHECK(Ready(window) == Numbers{10, 20});
  window.Settle(20);
  CHECK(Ready(window) == Numbers{10});
  window.Settle(10);
  CHECK(Ready(window) == Numbers{30});

  SECTION("and a record added behind a settled one is ready at once") {
    window.Add(Make(50, "b"));
    CHECK(Ready(window) == Numbers{30, 50});
  }
}

TEST_CASE("at best effort every unsettled record is ready", "[forward][window]") {
  ShardWindow window(KeyOrder::kBestEffort, 0);
  window.Add(Make(10, "a"));
  window.Add(Make(30, "a"));
  CHECK(Ready(window) == Numbers{10, 30});
  window.Settle(30);
  CHECK(Ready(window) == Numbers{10});
}

TEST_CASE("the prefix passes only what is settled without a gap", "[forward][window]") {
  ShardWindow window(KeyOrder::kStrict, 5);
  CHECK(window.prefix() == 5);
  CHECK(window.end() == 5);
  window.Add(Make(10, "a"));
  window.Add(Make(20, "b"));
  window.Add(Make(30, "c"));
  CHECK(window.prefix() == 10);
  window.Settle(20);
  CHECK(window.prefix() == 10);
  CHECK(window.span_records() == 3);
  CHECK(window.unsettled_count() == 2);
  CHECK(window.unsettled_bytes() == 2 * 5);
  window.Settle(10);
  CHECK(window.prefix() == 30);
  CHECK(window.span_records() == 1);
  window.Settle(30);
  CHECK(window.prefix() == 31);
  CHECK(window.end() == 31);
  CHECK(window.unsettled_bytes() == 0);
}

TEST_CASE("whatever is settled when, keys go in order and nothing is lost", "[forward][window]") {
  for (int seed = 1; seed <= testing::Scaled(200); ++seed) {
    INFO("seed " << seed);
    testing::FakeRandom random(static_cast<uint64_t>(seed));
    ShardWindow window(KeyOrder::kStrict, 0);
    std::map<std::string, Numbers> put, taken;
    SequenceNumber next = 0;
    for (int step = 0; step < 400; ++step) {
      const Numbers ready = Ready(window);
      if (random.OneIn(2) || ready.empty()) {
        next += 1 + random.Below(3);
        const std::string key(1, static_cast<char>('a' + random.Below(6)));
        put[key].push_back(next);
        window.Add(Make(next, key));
      } else {
        const SequenceNumber number = ready[random.Below(ready.size())];
        taken[window.At(number).partition_key].push_back(number);
        window.Settle(number);
      }
    }
    while (WindowRecord* record = window.NextReady(0, absl::ZeroDuration())) {
      taken[record->partition_key].push_back(record->sequence_number);
      window.Settle(record->sequence_number);
    }
    CHECK(taken == put);
    CHECK(window.prefix() == next + 1);
    CHECK(window.span_records() == 0);
  }
}

}  // namespace
}  // namespace eddy::forward
