// How much a store whose files are bounded can still take, and where.
#include "src/log/room_plan.h"

#include <catch2/catch_test_macros.hpp>

#include "src/log/block_extents.h"

namespace eddy::log {
namespace {

constexpr uint64_t kFilePage = kExtentAlignment;
constexpr uint64_t kBlock = 16 * kFilePage;
constexpr uint64_t kMost = 4 << 20;
// Of a bound of 4 MiB: 1/128 and 16 pages.
constexpr uint64_t kMargin = (kMost / 128) + 16 * kFilePage;
constexpr RoomPlan::Bounds kBounds = {kMost, kFilePage, kBlock, /*is_quota=*/true};

ExtentMap Taken(uint64_t bytes) {
  ExtentMap map;
  for (uint64_t at = 0; at < bytes; at += kFilePage) map.AddTaken(at, kFilePage);
  return map;
}

TEST_CASE("without a bound there is room for all", "[log][room]") {
  const RoomPlan plan({}, 1 << 30, 0, Taken(kFilePage));
  CHECK(plan.Room() == UINT64_MAX);
  CHECK(plan.Fits({1 << 30, 1 << 30}));
  CHECK(plan.OutsideMost() == UINT64_MAX);
}

TEST_CASE("a bound as large as can be is one", "[log][room]") {
  RoomPlan plan({UINT64_MAX - 1, kFilePage, kBlock}, 1 << 20, 60 << 20, ExtentMap());
  CHECK(plan.Room() > uint64_t{1} << 60);
  CHECK(plan.Excess(1 << 20) == 0);
}

TEST_CASE("what both files may grow is room, and free pages are", "[log][room]") {
  RoomPlan plan(kBounds, 1 << 20, 8 * kFilePage, Taken(1 << 20));
  CHECK(plan.Room() == (2 << 20) + 8 * kFilePage - kMargin);
  plan.Free(0, 3 * kFilePage);  // a block whose bytes lay in its row
  CHECK(plan.Room() == (2 << 20) + 11 * kFilePage - kMargin);
  CHECK(!plan.freed_outside());
  CHECK(plan.freed_bytes() == 3 * kFilePage);
}

TEST_CASE("a store of small blocks leaves no margin", "[log][room]") {
  const RoomPlan plan({kMost, kFilePage, 8 << 10}, 1 << 20, 0, ExtentMap());
  CHECK(plan.Room() == 3 << 20);
}

TEST_CASE("files above their bound leave no room before they are below it", "[log][room]") {
  RoomPlan plan(kBounds, 1 << 20, 0, Taken(4 << 20));
  CHECK(plan.Room() == 0);
  CHECK(plan.Excess(kFilePage) == (1 << 20) + kFilePage);
  plan.Free(0, 1 << 20);
  CHECK(plan.Room() == 0);
  plan.Free(0, kMargin + kFilePage);
  CHECK(plan.Room() == kFilePage);
}

TEST_CASE("a free place is room as far as it is sure to take blocks", "[log][room]") {
  RoomPlan plan(kBounds, (1 << 20) - kMargin, 0, Taken(3 << 20));
  CHECK(plan.Room() == 0);
  plan.Free(ExtentRef(kFilePage, kBlock), kBlock);
  CHECK(plan.Room() == 0);  // for a block of fifteen pages, and then for no other
  plan.Free(ExtentRef(20 * kFilePage, kBlock), kBlock);
  CHECK(plan.Room() == 0);
  plan.Free(ExtentRef(17 * kFilePage, 3 * kFilePage), 3 * kFilePage);  // what lies between
  CHECK(plan.Room() == 19 * kFilePage);
  CHECK(plan.freed_outside());
}

TEST_CASE("a large block lies outside while there is place, and then in free pages",
          "[log][room]") {
  using Where = RoomPlan::Where;
  // Less than half of the bound is used.
  CHECK(RoomPlan(kBounds, 2 << 20, 2 << 20, ExtentMap()).Find(kBlock) == Where::kOutside);
  // More: free pages first, before any file grows.
  CHECK(RoomPlan(kBounds, 1 << 20, kBlock + 2 * kFilePage, Taken(2 << 20)).Find(kBlock) ==
        Where::kInside);
  CHECK(RoomPlan(kBounds, 1 << 20, 0, Taken(2 << 20)).Find(kBlock) == Where::kOutside);
  // Of what only the rows may take nothing.
  RoomPlan full(kBounds, (1 << 20) - kMargin, 0, Taken(3 << 20));
  CHECK(full.Find(kBlock) == Where::kNowhere);
  full.Free(ExtentRef(kFilePage, kBlock), kBlock);
  CHECK(full.Find(kBlock) == Where::kOutside);
}

TEST_CASE("a small block lies in pages, and where there are none in a free place",
          "[log][room]") {
  using Where = RoomPlan::Where;
  constexpr uint64_t kSmall = 2 * kFilePage;
  CHECK(RoomPlan(kBounds, 1 << 20, 0, ExtentMap()).Find(kSmall) == Where::kInside);
  CHECK(RoomPlan(kBounds, 1 << 20, 4 * kFilePage, Taken(3 << 20)).Find(kSmall) == Where::kInside);
  // Near the bound the database grows last.
  RoomPlan near(kBounds, (1 << 20) - kMargin - 4 * kFilePage, 0, Taken(3 << 20));
  CHECK(near.Find(kSmall) == Where::kInside);
  near.Free(ExtentRef(kFilePage, kSmall), kSmall);
  CHECK(near.Find(kSmall) == Where::kOutside);
  RoomPlan full(kBounds, (1 << 20) - kMargin, 0, Taken(3 << 20));
  CHECK(full.Find(kSmall) == Where::kNowhere);
  full.Free(ExtentRef(kFilePage, kSmall), kSmall);
  CHECK(full.Find(kSmall) == Where::kOutside);
  CHECK(full.Find(1000) == Where::kNowhere);  // would waste most of it
}

TEST_CASE("blocks fit only together", "[log][room]") {
  RoomPlan plan(kBounds, (1 << 20) - kMargin, 0, Taken(3 << 20));
  CHECK(plan.Fits({}));
  CHECK(!plan.Fits({kBlock}));
  plan.Free(ExtentRef(kFilePage, kBlock), kBlock);
  CHECK(plan.Fits({kBlock}));
  CHECK(!plan.Fits({kBlock, kBlock}));
  plan.Free(ExtentRef(100 * kFilePage, kBlock), kBlock);
  CHECK(plan.Fits({kBlock, kBlock}));
}

TEST_CASE("blocks are to be moved where pages are scarce", "[log][room]") {
  ExtentMap outside;
  outside.AddTaken(20 * kFilePage, (2 << 20) - 20 * kFilePage);
  CHECK(!RoomPlan(kBounds, (2 << 20) - kMargin, 0, outside).IsCramped(UINT64_MAX, 1 << 20));
  CHECK(RoomPlan(kBounds, (2 << 20) - kFilePage, 0, outside).IsCramped(UINT64_MAX, 1 << 20));
  // Where nothing is free they cannot be.
  CHECK(!RoomPlan(kBounds, (2 << 20) - kFilePage, 0, Taken(2 << 20)).IsCramped(0, 1 << 20));
}

TEST_CASE("blocks are moved where the files are to grow, if that can bring it about",
          "[log][room]") {
  ExtentMap outside;
  outside.AddTaken(1 << 20, 1 << 20);
  const uint64_t growth = 32 * kFilePage;
  const RoomPlan plan(kBounds, (2 << 20) - growth, 64 * kFilePage, outside);
  const uint64_t rows = growth - kMargin / 2;
  CHECK(plan.RowGrowth() == rows);  // free pages are none
  CHECK(!plan.IsCramped(UINT64_MAX, 0, rows));
  CHECK(plan.IsCramped(UINT64_MAX, 0, rows + 1));
  CHECK(plan.IsCramped(UINT64_MAX, 0, rows + (1 << 20)));
  CHECK(!plan.IsCramped(UINT64_MAX, 0, rows + (1 << 20) + 1));
  CHECK(RoomPlan({}, 1 << 20, 0, outside).RowGrowth() == UINT64_MAX);
}

TEST_CASE("rows may grow by what is dropped outside, and leave a margin for the rows of blocks",
          "[log][room]") {
  const uint64_t growth = 100 * kFilePage;
  const RoomPlan plan(kBounds, (2 << 20) - growth, 0, Taken(2 << 20));
  CHECK(plan.RowGrowth(0) == growth - kMargin / 2);
  CHECK(plan.RowGrowth(1 << 20) == growth - kMargin / 2);  // it may all lie in the database
  CHECK(plan.RowGrowth(3 << 20) == 2 * growth + (1 << 20) - kMargin / 2);
  CHECK(plan.RowGrowth(UINT64_MAX) == growth + (2 << 20) - kMargin / 2);
  // What is above the bound already counts against what can be dropped, once.
  const RoomPlan above(kBounds, (2 << 20) + (1 << 20), 0, Taken(2 << 20));
  CHECK(above.RowGrowth(1 << 20) == 0);
  CHECK(above.Room(1 << 20) == 0);
  CHECK(above.Room(2 << 20) == (1 << 20) - kMargin);
}

TEST_CASE("files above their bound are to be brought below it", "[log][room]") {
  ExtentMap outside;
  outside.AddTaken(1 << 20, 1 << 20);
  CHECK(RoomPlan(kBounds, (2 << 20) + kFilePage, 1 << 20, outside).IsCramped(UINT64_MAX, 0));
  CHECK(!RoomPlan(kBounds, (2 << 20) + kFilePage, 1 << 20, Taken(2 << 20)).IsCramped(0, 0));
}

TEST_CASE("blocks are to be moved where what is free lies in pieces, and together is enough",
          "[log][room]") {
  const uint64_t wanted = 64 * kFilePage;
  ExtentMap outside;
  for (uint64_t at = 9 * kFilePage; at <= 90 * kFilePage; at += 9 * kFilePage) {
    outside.AddTaken(at, kFilePage);
  }
  // Eighty-one pages are free, of which none is sure.
  const uint64_t database = kMost - outside.end() - kMargin;
  const RoomPlan plan(kBounds, database, 0, outside);
  CHECK(plan.Room() == 0);
  CHECK(plan.IsCramped(0, wanted));
  CHECK(!plan.IsCramped(0, 100 * kFilePage));   // it would not be
  CHECK(!plan.IsCramped(wanted, wanted));       // that much can be dropped
  CHECK(!RoomPlan(kBounds, database - wanted, 0, outside).IsCramped(0, wanted));
}

TEST_CASE("where others take what is given back nothing is moved", "[log][room]") {
  ExtentMap outside;
  outside.AddTaken(20 * kFilePage, (2 << 20) - 20 * kFilePage);
  RoomPlan::Bounds of_disk = kBounds;
  of_disk.is_quota = false;
  CHECK(!RoomPlan(of_disk, (2 << 20) - kFilePage, 0, outside).IsCramped(0, 1 << 20));
}

TEST_CASE("where nothing more may go outside only pages are room", "[log][room]") {
  RoomPlan plan(kBounds, 1 << 20, 0, Taken(3 << 20), /*used=*/false);
  plan.Free(ExtentRef(kFilePage, kBlock), kBlock);
  CHECK(plan.Find(kBlock) == RoomPlan::Where::kNowhere);
  CHECK(!plan.Fits({kBlock}));
  plan.Free(0, kBlock + 2 * kFilePage);
  CHECK(plan.Find(kBlock) == RoomPlan::Where::kInside);
}

}  // namespace
}  // namespace eddy::log
