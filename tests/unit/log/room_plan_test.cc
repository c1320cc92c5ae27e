// How much a store whose files are bounded can still take.
#include "src/log/room_plan.h"

#include <catch2/catch_test_macros.hpp>

#include "src/log/block_extents.h"

namespace eddy::log {
namespace {

constexpr uint64_t kFilePage = kExtentAlignment;

// 4 MiB of both files, blocks of up to ten pages.
RoomPlan::Bounds Bounds(uint64_t most = 4 << 20) { return {most, kFilePage, 10 * kFilePage}; }

TEST_CASE("without a bound there is room for all", "[log][room]") {
  CHECK(RoomPlan({}, 1 << 30, 0, ExtentMap()).Room() == UINT64_MAX);
}

TEST_CASE("what both files may grow is room, and free pages are", "[log][room]") {
  ExtentMap outside;
  outside.AddTaken(0, 1 << 20);
  RoomPlan plan(Bounds(), 1 << 20, 8 * kFilePage, outside);
  CHECK(plan.Room() == (2 << 20) + 8 * kFilePage);
  plan.Free(0, 3 * kFilePage);  // a block whose bytes lay in its row
  CHECK(plan.Room() == (2 << 20) + 11 * kFilePage);
  CHECK(!plan.freed_outside());
}

TEST_CASE("files above their bound leave no room before they are below it", "[log][room]") {
  ExtentMap outside;
  outside.AddTaken(0, 4 << 20);
  RoomPlan plan(Bounds(), 1 << 20, 0, outside);
  CHECK(plan.Room() == 0);
  plan.Free(0, 1 << 20);
  CHECK(plan.Room() == 0);
  plan.Free(0, kFilePage);
  CHECK(plan.Room() == kFilePage);
}

TEST_CASE("a free place counts as far as it is sure to take blocks", "[log][room]") {
  ExtentMap outside;
  for (uint64_t at = 0; at < 3 << 20; at += kFilePage) outside.AddTaken(at, kFilePage);
  RoomPlan plan(Bounds(), 1 << 20, 0, outside);
  CHECK(plan.Room() == 0);
  plan.Free(ExtentRef(kFilePage, 10 * kFilePage), 10 * kFilePage);
  CHECK(plan.Room() == 0);  // for a block of nine pages, and then for no other
  plan.Free(ExtentRef(20 * kFilePage, 10 * kFilePage), 10 * kFilePage);
  CHECK(plan.Room() == 0);
  plan.Free(ExtentRef(11 * kFilePage, 9 * kFilePage), 9 * kFilePage);  // what lies between
  CHECK(plan.Room() == 19 * kFilePage);
  CHECK(plan.freed_outside());
  // Beside it, at the end of the file, which then may grow into pages as well.
  plan.Free(ExtentRef((3 << 20) - 5 * kFilePage, 5 * kFilePage), 5 * kFilePage);
  CHECK(plan.Room() == 24 * kFilePage);
}

TEST_CASE("blocks are to be moved where pages are scarce", "[log][room]") {
  const uint64_t margin = RowMargin(4 << 20, kFilePage);
  ExtentMap outside;
  outside.AddTaken(20 * kFilePage, (2 << 20) - 20 * kFilePage);
  CHECK(!RoomPlan(Bounds(), (2 << 20) - margin, 0, outside).IsCramped(kFilePage));
  CHECK(RoomPlan(Bounds(), (2 << 20) - kFilePage, 0, outside).IsCramped(kFilePage));
  // Where nothing is free they cannot be.
  ExtentMap full;
  full.AddTaken(0, 2 << 20);
  CHECK(!RoomPlan(Bounds(), (2 << 20) - kFilePage, 0, full).IsCramped(kFilePage));
}

TEST_CASE("blocks are to be moved where what is free lies in pieces", "[log][room]") {
  const uint64_t margin = RowMargin(4 << 20, kFilePage);
  const uint64_t wanted = 64 * kFilePage;
  ExtentMap outside;
  for (uint64_t at = 9 * kFilePage; at <= 90 * kFilePage; at += 9 * kFilePage) outside.AddTaken(at, kFilePage);
  // Eighty pages are free, of which none is sure.
  const uint64_t database = (4 << 20) - outside.end() - margin;
  CHECK(RoomPlan(Bounds(), database, 0, outside).Room() == margin);
  CHECK(RoomPlan(Bounds(), database, 0, outside).IsCramped(wanted));
  CHECK(!RoomPlan(Bounds(), database - wanted, 0, outside).IsCramped(wanted));
}

}  // namespace
}  // namespace eddy::log
