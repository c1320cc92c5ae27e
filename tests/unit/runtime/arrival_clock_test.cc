#include "src/runtime/arrival_clock.h"

#include <catch2/catch_test_macros.hpp>

#include "tests/fakes/fake_clock.h"

namespace eddy {
namespace {

class CountingClock : public testing::FakeClock {
 public:
  bool WallIsTrusted() override {
    ++looks;
    return FakeClock::WallIsTrusted();
  }
  int looks = 0;
};

int64_t BaseOf(Clock& clock) {
  return absl::ToUnixMillis(clock.WallNow()) - absl::ToInt64Milliseconds(clock.SinceBoot());
}

TEST_CASE("whether the clock is trusted is asked once a second",
          "[runtime][time]") {
  CountingClock clock;
  ArrivalClock arrival(&clock, BaseOf(clock));
  for (int i = 0; i < 10000; ++i) {
    clock.Advance(absl::Milliseconds(1));
    CHECK(arrival.Now().trusted);
  }
  CHECK(clock.looks == 11);
}

TEST_CASE("a clock that is set is trusted from the next record on",
          "[runtime][time]") {
  CountingClock clock;
  clock.SetTrusted(false);
  clock.SetWall(absl::FromUnixSeconds(5));
  ArrivalClock arrival(&clock, BaseOf(clock));
  CHECK_FALSE(arrival.Now().trusted);
  clock.SetTrusted(true);
  CHECK_FALSE(arrival.Now().trusted);  // not looked at again

  SECTION("when it jumps forward") {
    clock.SetWall(absl::FromUnixSeconds(1700000000));
    CHECK(arrival.Now().trusted);
    CHECK(arrival.Now().time_ms == 1700000000000);
  }
  SECTION("when it jumps back") {
    clock.SetWall(absl::FromUnixSeconds(1));
    CHECK(arrival.Now().trusted);
  }
  SECTION("and after a second when it does not jump") {
    clock.Advance(absl::Milliseconds(999));
    CHECK_FALSE(arrival.Now().trusted);
    clock.Advance(absl::Milliseconds(1));
    CHECK(arrival.Now().trusted);
  }
}

TEST_CASE("while it is not trusted, time goes on from boot, whatever steps the wall clock takes",
          "[runtime][time]") {
  CountingClock clock;
  clock.SetTrusted(false);
  clock.SetWall(absl::FromUnixSeconds(5));
  const int64_t base = BaseOf(clock);
  ArrivalClock arrival(&clock, base);
  const auto expected = [&] { return base + absl::ToInt64Milliseconds(clock.SinceBoot()); };
  for (int i = 0; i < 3000; ++i) {
    clock.Advance(absl::Milliseconds(7));
    REQUIRE(arrival.Now().time_ms == expected());
  }
  CHECK(clock.looks < 30);
  clock.SetWall(clock.WallNow() + absl::Hours(24 * 365 * 50));
  CHECK(arrival.Now().time_ms == expected());
  clock.SetWall(absl::FromUnixSeconds(1));
  CHECK(arrival.Now().time_ms == expected());

  // Too small to be seen at once: it is gone with the next look.
  clock.SetWall(clock.WallNow() + absl::Milliseconds(600));
  CHECK(arrival.Now().time_ms == expected() + 600);
  clock.Advance(absl::Milliseconds(400));
  CHECK(arrival.Now().time_ms == expected());
}

TEST_CASE("a wall clock outside of what a frame holds is brought to its border",
          "[runtime][time]") {
  testing::FakeClock clock;
  ArrivalClock arrival(&clock, BaseOf(clock));
  clock.SetWall(absl::FromUnixSeconds(-1));
  CHECK(arrival.Now().time_ms == 0);
  clock.SetWall(absl::InfinitePast());
  CHECK(arrival.Now().time_ms == 0);
  clock.SetWall(absl::InfiniteFuture());
  CHECK(arrival.Now().time_ms == (int64_t{1} << 47) - 1);
}

}  // namespace
}  // namespace eddy
