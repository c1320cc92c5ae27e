#include "tests/fakes/fake_random.h"

#include <catch2/catch_test_macros.hpp>

namespace eddy::testing {
namespace {

TEST_CASE("a seed gives the published SplitMix64 sequence", "[fakes][random]") {
  FakeRandom random(1234567);
  CHECK(random.Next() == 6457827717110365317u);
  CHECK(random.Next() == 3203168211198807973u);
  CHECK(random.Next() == 9817491932198370423u);
}

TEST_CASE("other seeds give other numbers", "[fakes][random]") {
  CHECK(FakeRandom(1).Next() != FakeRandom(2).Next());
  CHECK(FakeRandom(0).Next() != 0);
}

TEST_CASE("Below stays below", "[fakes][random]") {
  FakeRandom random(7);
  bool all[5] = {};
  for (int i = 0; i < 1000; ++i) all[random.Below(5)] = true;
  for (bool seen : all) CHECK(seen);
}

}  // namespace
}  // namespace eddy::testing
