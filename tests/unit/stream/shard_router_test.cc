#include "src/stream/shard_router.h"

#include <catch2/catch_test_macros.hpp>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"

namespace eddy::stream {
namespace {

// What the router must answer, without its memory.
ShardId ByMd5(const std::vector<HashRange>& ranges, const std::string& key) {
  const HashKey hash = HashOf(key);
  for (ShardId shard = 0; shard < ranges.size(); ++shard) {
    if (ranges[shard].starting <= hash && hash <= ranges[shard].ending) {
      return shard;
    }
  }
  return UINT32_MAX;
}

TEST_CASE("every border of a range goes to its own shard", "[stream][router]") {
  const std::vector<HashRange> ranges = SplitEvenly(7);
  const ShardRouter router(ranges);
  for (ShardId shard = 0; shard < ranges.size(); ++shard) {
    CHECK(router.ByHash(ranges[shard].starting) == shard);
    CHECK(router.ByHash(ranges[shard].ending) == shard);
  }
}

TEST_CASE("a remembered key has the shard that its MD5 gives",
          "[stream][router]") {
  const std::vector<HashRange> ranges = SplitEvenly(16);
  const std::vector<HashRange> others = SplitEvenly(5);
  const ShardRouter router(ranges);
  const ShardRouter other(others);  // shares the slots
  size_t wrong = 0;
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 500; ++i) {
      // Lengths on both sides of what is remembered, more keys than slots.
      const std::string key = absl::StrCat(std::string(i % 40, 'k'), i);
      wrong += router.ByKey(key) != ByMd5(ranges, key);
      wrong += other.ByKey(key) != ByMd5(others, key);
    }
  }
  CHECK(wrong == 0);
}

TEST_CASE("a key that is another one's beginning is another key",
          "[stream][router]") {
  const std::vector<HashRange> ranges = SplitEvenly(1000);
  const ShardRouter router(ranges);
  for (size_t size = 1; size <= 40; ++size) {
    for (const char fill : {'\0', 'k'}) {
      const std::string key(size, fill);
      CHECK(router.ByKey(key) == ByMd5(ranges, key));
    }
  }
}

TEST_CASE("a new router believes nothing that an old one has left",
          "[stream][router]") {
  for (uint32_t count = 2; count < 50; ++count) {
    const std::vector<HashRange> ranges = SplitEvenly(count);
    const ShardRouter router(ranges);  // likely at the same address
    CHECK(router.ByKey("pump-7") == ByMd5(ranges, "pump-7"));
  }
}

TEST_CASE("threads remember for themselves", "[stream][router][threads]") {
  const std::vector<HashRange> ranges = SplitEvenly(9);
  const ShardRouter router(ranges);
  std::vector<size_t> wrong(4);
  std::vector<std::thread> threads;
  for (size_t t = 0; t < wrong.size(); ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 2000; ++i) {
        const std::string key = absl::StrCat("sensor-", (i + t) % 100);
        wrong[t] += router.ByKey(key) != ByMd5(ranges, key);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == std::vector<size_t>(4, 0));
}

}  // namespace
}  // namespace eddy::stream
