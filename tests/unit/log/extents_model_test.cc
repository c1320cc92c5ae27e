// Random rounds, all of whose promises stand in extents_rounds.h.
#include <catch2/catch_test_macros.hpp>
#include <cstdint>

#include "tests/fakes/scale.h"
#include "tests/unit/log/extents_rounds.h"

namespace eddy::log {
namespace {

TEST_CASE("rounds of every kind and fault keep what they must, and leak no place",
          "[log][extents][model][sweep]") {
  const uint64_t seeds = ExtentsRounds::kWays * static_cast<uint64_t>(testing::Scaled(1));
  for (uint64_t seed = 1; seed <= seeds; ++seed) {
    ExtentsRounds rounds(seed);
    for (int step = 0; step < 150; ++step) {
      INFO("seed " << seed << ", step " << step << ", " << rounds.Description());
      rounds.Step();
      if (step % 10 == 0) rounds.JudgeUnlessFaulty();
    }
    INFO("seed " << seed << ", at the end, " << rounds.Description());
    rounds.Empty();
  }
}

}  // namespace
}  // namespace eddy::log
