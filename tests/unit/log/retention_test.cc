// The deciding, alone: sums in, the next drop out.
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include "src/log/gap_list.h"
#include "src/log/retention.h"
#include "src/log/space.h"

namespace eddy::log {
namespace {

// One log of `blocks` blocks of 10 frames and 1000 bytes.
KeepGroup Group(uint64_t blocks, int64_t oldest_ms, KeepLimits limits) {
  KeepGroup group;
  group.limits = limits;
  group.logs.push_back({blocks, 10 * blocks, 1000 * blocks, oldest_ms});
  return group;
}
KeepLimits Droppable() {
  KeepLimits limits;
  limits.droppable = true;
  return limits;
}
std::optional<Drop> Next(const std::vector<KeepGroup>& groups, int64_t now_ms = 0,
                         uint64_t over = 0, AtLimit at_quota = AtLimit::kDropOldest) {
  return NextDrop(groups, now_ms, over, at_quota);
}

}  // namespace

TEST_CASE("without a limit nothing goes", "[log][retention]") {
  CHECK(!Next({Group(9, 0, Droppable())}, INT64_MAX / 2));
}

TEST_CASE("an age is reached to the millisecond, even by what rejects", "[log][retention]") {
  KeepLimits limits;
  limits.age_ms = 500;
  for (const bool droppable : {false, true}) {
    limits.droppable = droppable;
    CHECK(!Next({Group(1, 100, limits)}, 599));
    const auto drop = Next({Group(1, 100, limits)}, 600);
    REQUIRE(drop);
    CHECK(drop->reason == GapReason::kRetentionAge);
  }
}

TEST_CASE("bytes and records count what the commit at hand adds", "[log][retention]") {
  KeepLimits limits = Droppable();
  SECTION("bytes") {
    limits.bytes = 3000;
    KeepGroup group = Group(3, 0, limits);
    CHECK(!Next({group}));
    group.bytes_coming = 1;
    CHECK(Next({group})->reason == GapReason::kRetentionBytes);
  }
  SECTION("records") {
    limits.frames = 30;
    KeepGroup group = Group(3, 0, limits);
    CHECK(!Next({group}));
    group.frames_coming = 1;
    CHECK(Next({group})->reason == GapReason::kRetentionRecords);
  }
}

TEST_CASE("a stream's limits are those of its shards together", "[log][retention]") {
  KeepLimits limits = Droppable();
  limits.bytes = 3999;
  KeepGroup group = Group(2, 70, limits);
  group.logs.push_back({2, 20, 2000, 50});
  const auto drop = Next({group});
  REQUIRE(drop);
  CHECK(drop->log == 1);  // whose oldest block is the older one
}

TEST_CASE("at its limits what rejects takes no more and loses nothing", "[log][retention]") {
  KeepLimits limits;
  limits.bytes = 2000;
  CHECK(!Next({Group(5, 0, limits)}));
  CHECK(RejectsNew(Group(2, 0, limits)));
  CHECK(!RejectsNew(Group(1, 0, limits)));
  limits.droppable = true;
  CHECK(!RejectsNew(Group(5, 0, limits)));
}

TEST_CASE("a store that is over drops by age or by priority, as it says", "[log][retention]") {
  KeepLimits dear = Droppable();
  dear.priority = 5;
  KeepLimits cheap = Droppable();
  cheap.priority = -5;
  KeepLimits rejecting;
  rejecting.priority = -9;
  const std::vector<KeepGroup> groups = {Group(1, 20, cheap), Group(1, 10, dear),
                                         Group(1, 0, rejecting)};
  CHECK(!Next(groups, 0, 1, AtLimit::kRejectNew));
  CHECK(!Next(groups, 0, 0));
  CHECK(Next(groups, 0, 1, AtLimit::kDropOldest)->group == 1);
  CHECK(Next(groups, 0, 1, AtLimit::kDropByPriority)->group == 0);
  CHECK(Next(groups, 0, 1)->reason == GapReason::kQuota);
  CHECK(DroppableBytes(groups) == 2000);
}

TEST_CASE("the age clock follows the steady clock, whatever the wall clock does",
          "[log][retention][time]") {
  AgeClock clock;
  clock.Resume(1000, /*wall_ms=*/0, /*steady_ms=*/50);
  CHECK_FALSE(clock.WantsWall());
  CHECK(clock.Now(60, 0) == 1010);
  CHECK(clock.Now(70, int64_t{1} << 46) == 1020);
  CHECK(clock.Now(80, 5) == 1030);
}

TEST_CASE("time between two owners counts once, when both ends are trusted",
          "[log][retention][time]") {
  AgeClock clock;
  clock.Resume(1000, /*wall_ms=*/500000, /*steady_ms=*/50);
  CHECK(clock.Now(60, 0) == 1010);                   // not yet trusted
  CHECK(clock.WantsWall());
  CHECK(clock.Now(70, 500000 + 900) == 1900);        // 880 away, 20 here
  CHECK_FALSE(clock.WantsWall());
  CHECK(clock.Now(80, 500000 + 10000000) == 1910);   // a step later on: nothing
  clock.Resume(1000, 500000, 50);
  CHECK(clock.Now(70, 400000) == 1020);              // it went back: nothing
}

TEST_CASE("a reader is told of all drops that follow its place directly", "[log][retention]") {
  GapList gaps;
  CHECK(!gaps.Find(0, UINT64_MAX));
  gaps.Add({100, 200, 10, GapReason::kRetentionAge}, 200);
  gaps.Add({200, 300, 7, GapReason::kQuota}, 300);
  gaps.Add({400, 500, 3, GapReason::kDamaged}, 300);
  const auto whole = gaps.Find(0, 1000);
  REQUIRE(whole);
  CHECK((whole->first == 100 && whole->last == 299 && whole->count == 17));
  CHECK(whole->reason == GapReason::kQuota);
  const auto part = gaps.Find(250, 1000);
  REQUIRE(part);
  CHECK((part->first == 250 && part->last == 299 && part->count == 7));
  CHECK(gaps.Find(300, 1000)->first == 400);
  CHECK(!gaps.Find(300, 400));
  CHECK(!gaps.Find(500, 1000));
}

TEST_CASE("gaps below the oldest record are bounded and lose no count", "[log][retention]") {
  GapList gaps;
  for (uint64_t i = 0; i < 1000; ++i) {
    gaps.Add({i * 10, i * 10 + 10, 1, GapReason::kQuota}, i * 10 + 10);
  }
  CHECK(gaps.All().size() == kGapPiecesMax);
  CHECK(gaps.Find(0, UINT64_MAX)->count == 1000);
  CHECK(gaps.Find(9900, UINT64_MAX)->count == 10);
}

TEST_CASE("damaged blocks between records that are kept stay gaps apart", "[log][retention]") {
  GapList gaps;
  for (uint64_t i = 0; i < 100; ++i) gaps.Add({i * 20, i * 20 + 10, 1, GapReason::kDamaged}, 0);
  CHECK(gaps.All().size() == 100);
}

TEST_CASE("a damaged block that is dropped later is told of once", "[log][retention]") {
  GapList gaps;
  gaps.Add({100, 200, 10, GapReason::kDamaged}, 0);
  gaps.Add({100, 200, 10, GapReason::kQuota}, 200);
  CHECK(gaps.Find(0, 1000)->count == 10);
}

TEST_CASE("a quota of 256 KiB leaves most of it to the records", "[log][retention]") {
  StoreOptions options;
  options.quota_bytes = 256 << 10;
  options.intake_bytes = 32 << 10;
  const SpacePlan plan = PlanSpace(options);
  CHECK(plan.database_bytes >= 96 << 10);
  CHECK(plan.database_bytes + 2 * plan.wal_bytes_max + (36 << 10) + (32 << 10) <=
        options.quota_bytes);
  options.intake_bytes = 256 << 10;
  CHECK(PlanSpace(options).database_bytes == 0);
}

}  // namespace eddy::log
