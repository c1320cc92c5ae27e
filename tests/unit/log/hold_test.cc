#include "src/log/hold.h"

#include <catch2/catch_test_macros.hpp>

namespace eddy::log {
namespace {

constexpr absl::Duration kHold = absl::Seconds(10);

absl::Duration At(int64_t seconds) { return absl::Seconds(seconds); }

TEST_CASE("nothing is due while the mark passes what was there a hold ago", "[log][hold]") {
  Hold hold;
  uint64_t tail = 64;
  for (int64_t second = 100; second < 200; ++second) {
    const uint64_t mark = tail;
    tail += 1000;
    CHECK_FALSE(hold.IsDue(At(second), kHold, mark, tail));
  }
}

TEST_CASE("what the mark does not pass is due after one to two holds", "[log][hold]") {
  Hold hold;
  CHECK_FALSE(hold.IsDue(At(100), kHold, 0, 64));
  // Appended right after a note was made, so missed by it.
  CHECK_FALSE(hold.IsDue(At(109), kHold, 64, 128));
  CHECK_FALSE(hold.IsDue(At(118), kHold, 64, 192));
  CHECK(hold.IsDue(At(119), kHold, 64, 192));
  CHECK(hold.IsDue(At(120), kHold, 127, 256));

  SECTION("and no longer once the mark has passed it") {
    CHECK_FALSE(hold.IsDue(At(121), kHold, 128, 256));
    CHECK_FALSE(hold.IsDue(At(130), kHold, 128, 256));
    CHECK(hold.IsDue(At(131), kHold, 128, 256));
  }
}

TEST_CASE("an empty log is never due", "[log][hold]") {
  Hold hold;
  for (int64_t second = 100; second < 200; ++second) {
    CHECK_FALSE(hold.IsDue(At(second), kHold, 64, 64));
  }
}

}  // namespace
}  // namespace eddy::log
