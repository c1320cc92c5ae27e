// The wall clock stepped by fifty years, forth or back, after each single call of a
// mixed run (mixed_run.h). Everything that the store answers, and when, is as in the
// run without the step: what is received and when it is visible again, what a retention
// by age drops, when a commit comes and how long a host may wait for it, how long a
// waiting call waits. Only the wall times that it tells are others.
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include "tests/crash/mixed_run.h"
#include "tests/fakes/scale.h"

namespace eddy::crash {
namespace {

constexpr absl::Duration kFiftyYears = absl::Hours(24 * 365 * 50);
constexpr int kSteps = 70;

// Runs with `step` called after the given call; returns what was answered.
std::vector<std::string> Answers(uint64_t seed, int step_after,
                                 const std::function<void(testing::FakeClock*)>& step,
                                 int* calls) {
  testing::Device device;
  MixedOptions options;
  options.seed = seed;
  options.level = Durability::kProcess;
  options.age = absl::Seconds(2);
  MixedRun run(&device, options);
  std::vector<std::string> answers;
  run.Trace([&](std::string answer) { answers.push_back(std::move(answer)); });
  *calls = 0;
  run.AfterCalls([&] {
    if (++*calls == step_after) step(&device.clock);
  });
  REQUIRE(run.Open());
  for (int i = 0; i < kSteps; ++i) run.Step();
  REQUIRE(run.broken() == "");
  // Nothing is lost by a life in which the step is a matter of the past.
  run.TakeStore().reset();
  run.mutable_world()->AllIsDurable();
  REQUIRE(run.Open());
  run.Judge();
  REQUIRE(run.broken() == "");
  run.TakeStore().reset();
  return answers;
}

TEST_CASE("a wall clock that is stepped by fifty years after any call changes no answer",
          "[crash][time][sweep]") {
  const int sign = GENERATE(1, -1);
  const bool untrusted = GENERATE(false, true);
  const auto step = [&](testing::FakeClock* clock) {
    clock->SetWall(clock->WallNow() + sign * kFiftyYears);
    if (untrusted) clock->SetTrusted(false);
  };
  const int stride = testing::Scaled(100) < 100 ? 23 : 2;
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    int calls = 0;
    const std::vector<std::string> want = Answers(seed, -1, step, &calls);
    REQUIRE(calls > kSteps / 2);
    REQUIRE(want.size() > 100);
    for (int at = 1; at <= calls; at += stride) {
      INFO("seed " << seed << ", stepped after call " << at << ", sign " << sign
                   << (untrusted ? ", no longer trusted" : ""));
      int ignored = 0;
      const std::vector<std::string> got = Answers(seed, at, step, &ignored);
      for (size_t i = 0; i < want.size() && i < got.size(); ++i) REQUIRE(got[i] == want[i]);
      REQUIRE(got.size() == want.size());
    }
  }
}

}  // namespace
}  // namespace eddy::crash
