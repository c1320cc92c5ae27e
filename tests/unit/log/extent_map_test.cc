#include "src/log/extent_map.h"

#include <cstdint>
#include <iterator>
#include <map>
#include <random>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

namespace eddy::log {
namespace {

using End = ExtentMap::End;
constexpr uint64_t kPage = kExtentAlignment;

TEST_CASE("an extent is taken at the end, and each begins at a page", "[log][extents]") {
  ExtentMap map;
  CHECK(map.Take(1) == 0);
  CHECK(map.Take(kPage + 1) == kPage);
  CHECK(map.Take(kPage) == 3 * kPage);
  CHECK(map.end() == 4 * kPage);
  CHECK(map.free_bytes() == 0);
}

TEST_CASE("what was given is taken again once its round is committed", "[log][extents]") {
  ExtentMap map;
  map.Take(10 * kPage);
  map.Take(kPage);
  map.Finish(End::kCommitted);
  map.Give(0, 10 * kPage);
  CHECK(map.Take(kPage) == 11 * kPage);  // in the same round: not yet
  SECTION("it was") {
    map.Finish(End::kCommitted);
    CHECK(map.free_bytes() == 10 * kPage);
    CHECK(map.Take(4 * kPage) == 0);
    CHECK(map.Take(7 * kPage) == 12 * kPage);  // does not fit
    CHECK(map.Take(6 * kPage) == 4 * kPage);
    CHECK(map.free_bytes() == 0);
  }
  SECTION("it was not: what the round took is free, what it gave is not") {
    map.Finish(End::kGivenUp);
    CHECK(map.end() == 11 * kPage);
    CHECK(map.free_bytes() == 0);
    CHECK(map.Take(1) == 11 * kPage);
  }
}

TEST_CASE("what is reserved for a later round outlives this one", "[log][extents][early]") {
  ExtentMap map;
  map.Take(kPage);
  const uint64_t at = *map.Reserve(2 * kPage);
  CHECK(at == kPage);
  map.Finish(GENERATE(End::kCommitted, End::kGivenUp));
  CHECK(map.end() == 3 * kPage);
  SECTION("that round adopts it, and its end decides") {
    map.Adopt(at, 2 * kPage);
    const bool committed = GENERATE(true, false);
    map.Finish(committed ? End::kCommitted : End::kGivenUp);
    CHECK((map.end() == 3 * kPage) == committed);
  }
  SECTION("or it is released") {
    map.Release(at, 2 * kPage);
    CHECK(map.end() <= kPage);
  }
}

TEST_CASE("neighbours that are free are one, and at the end they end the file", "[log][extents]") {
  ExtentMap map;
  for (int i = 0; i < 4; ++i) map.Take(kPage);
  map.Finish(End::kCommitted);
  map.Give(0, 1);
  map.Give(2 * kPage, 1);
  map.Give(kPage, 1);
  map.Finish(End::kCommitted);
  CHECK(map.free_bytes() == 3 * kPage);
  CHECK(map.Take(3 * kPage) == 0);
  map.Finish(End::kGivenUp);
  map.Give(3 * kPage, 1);
  map.Finish(End::kCommitted);
  CHECK(map.end() == 0);
  CHECK(map.free_bytes() == 0);
}

TEST_CASE("a map is made from what is taken, also where that overlaps", "[log][extents]") {
  ExtentMap map;
  CHECK(map.AddTaken(kPage, 5));
  CHECK_FALSE(map.AddTaken(kPage, 2 * kPage));
  CHECK(map.AddTaken(5 * kPage, 1));
  CHECK(map.end() == 6 * kPage);
  CHECK(map.free_bytes() == 3 * kPage);
  map.Give(kPage, 2 * kPage);
  map.Give(kPage, 5);  // of the one that overlapped
  map.Finish(End::kCommitted);
  CHECK(map.free_bytes() == 5 * kPage);
  CHECK(map.Take(5 * kPage) == 0);
}

TEST_CASE("what is in doubt is neither taken nor free until that is settled", "[log][extents]") {
  ExtentMap map;
  SECTION("of a commit that failed") {
    map.Take(kPage);
    map.Finish(End::kInDoubt);
    CHECK(map.in_doubt());
    CHECK(map.Take(kPage) == kPage);
    SECTION("which no other commit settles, since that may have written nothing") {
      map.Finish(End::kCommitted);
      CHECK(map.in_doubt());
      map.Settle();
    }
    SECTION("which is settled") {
      map.Finish(End::kGivenUp);
      CHECK(map.end() == kPage);
      map.Settle();
      CHECK(map.end() == 0);
      map.Take(kPage);
      map.Take(kPage);
      map.Finish(End::kCommitted);
      return;
    }
  }
  SECTION("of an open") {
    map.AddTaken(kPage, 1);
    map.Doubt(5 * kPage - 1);
    CHECK(map.in_doubt());
    CHECK(map.Take(1) == 5 * kPage);
    map.Finish(End::kCommitted);
    map.Settle();
    CHECK(map.end() == 6 * kPage);
    CHECK(map.Take(3 * kPage) == 2 * kPage);
    map.Finish(End::kGivenUp);
  }
  CHECK_FALSE(map.in_doubt());
  CHECK(map.Take(1) == 0);
}

TEST_CASE("below a bound only what is free there is taken", "[log][extents]") {
  ExtentMap map;
  map.AddTaken(3 * kPage, kPage);
  CHECK(!map.Take(4 * kPage, 7 * kPage));
  CHECK(map.end() == 4 * kPage);
  CHECK(map.Take(4 * kPage, 8 * kPage) == 4 * kPage);
  CHECK(!map.Take(2 * kPage, kPage));
  CHECK(map.Take(2 * kPage, 2 * kPage) == 0);
  CHECK(!map.Take(2 * kPage, map.end()));
  CHECK(map.Take(1, map.end()) == 2 * kPage);
}

TEST_CASE("what was taken for nothing is given back at once", "[log][extents]") {
  ExtentMap map;
  map.Take(3 * kPage);
  map.Take(kPage);
  map.GiveBack(0, 3 * kPage - 1);
  CHECK(map.free_bytes() == 3 * kPage);
  map.GiveBack(0, 3 * kPage);  // no more: it is not taken
  CHECK(map.Take(2 * kPage) == 0);
  map.GiveBack(3 * kPage, kPage);
  CHECK(map.end() == 2 * kPage);
  map.Finish(ExtentMap::End::kCommitted);
  CHECK(map.end() == 2 * kPage);
}

TEST_CASE("what a round will have given is free in its plan only", "[log][extents]") {
  ExtentMap map;
  map.Take(8 * kPage);
  map.Finish(ExtentMap::End::kCommitted);
  map.Give(kPage, 5 * kPage);
  CHECK(map.free_bytes() == 0);
  ExtentMap planned = map.Planned();
  CHECK(planned.free_bytes() == 5 * kPage);
  CHECK(planned.BytesBeyond(2 * kPage) == 3 * kPage);
  CHECK(planned.BytesBeyond(5 * kPage) == 0);
  planned.Free(6 * kPage, 2 * kPage);
  CHECK(planned.end() == kPage);
  CHECK(map.end() == 8 * kPage);
}

TEST_CASE("no two that are taken overlap, whatever is taken and given", "[log][extents]") {
  std::mt19937 random(7);
  ExtentMap map;
  std::map<uint64_t, uint64_t> taken;  // committed
  for (int round = 0; round < 3000; ++round) {
    std::map<uint64_t, uint64_t> now = taken;
    std::map<uint64_t, uint64_t> blocked = taken;  // none of the round may lie in these
    for (auto i = random() % 4; i > 0; --i) {
      const uint64_t bytes = 1 + random() % (5 * kPage);
      const uint64_t at = *map.Take(bytes);
      const auto next = blocked.lower_bound(at);
      if (next != blocked.end()) REQUIRE(at + AlignExtent(bytes) <= next->first);
      if (next != blocked.begin()) REQUIRE(std::prev(next)->first + std::prev(next)->second <= at);
      now[at] = blocked[at] = AlignExtent(bytes);
    }
    for (auto i = random() % 5; i > 0 && !taken.empty(); --i) {
      const auto given = std::next(taken.begin(), static_cast<long>(random() % taken.size()));
      if (now.count(given->first) == 0) continue;
      map.Give(given->first, given->second);
      now.erase(given->first);
    }
    const bool committed = random() % 4 != 0;
    map.Finish(committed ? End::kCommitted : End::kGivenUp);
    if (committed) taken = now;
    uint64_t used = 0;
    for (const auto& [at, bytes] : taken) used += bytes;
    REQUIRE(map.end() - map.free_bytes() == used);
    REQUIRE(map.end() == (taken.empty() ? 0 : taken.rbegin()->first + taken.rbegin()->second));
  }
}

}  // namespace
}  // namespace eddy::log
