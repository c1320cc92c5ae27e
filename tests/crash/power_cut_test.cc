// Power cuts under mixed work (mixed_run.h), on a disk that keeps, drops or tears
// whatever was not synced, in any order (crash_vfs.h).
//
// A run has several lives. While one goes on, copies of its device are taken between
// the steps of its disk, as a cut there would have left them, and each is opened and
// judged by what the world knew at that step; a cut in the middle of that opening is
// judged too. So one run serves for dozens of cuts. Each life ends with a cut of its
// own, whose leavings the next one takes over, or with an orderly close.
#include <algorithm>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include "absl/strings/str_cat.h"
#include "tests/crash/mixed_run.h"
#include "tests/fakes/scale.h"

namespace eddy::crash {
namespace {

constexpr uint64_t kNever = uint64_t{1} << 60;
constexpr int kLives = 3;
constexpr int kStepsALife = 60;    // of the work
constexpr uint64_t kPlanALife = 12;  // disk steps between two copies, on average

class CutRun {
 public:
  CutRun(uint64_t seed, Durability level)
      : device_(seed), random_(seed ^ 0x5eed), run_(&device_, Options(seed, level)) {}

  void LieAboutSyncs() { device_.disk.LieAboutSyncs(true); }
  // Judges a copy at every step instead of some.
  void JudgeEveryStep() { every_step_ = true; }

  // The first promise that did not hold; empty: all did.
  std::string Run(int lives) {
    device_.disk.OnStep([this] { TakeCopy(); });
    run_.AfterCalls([this] { JudgeCopies(); });
    for (int life = 0; life < lives && broken_.empty(); ++life) Live(life);
    device_.disk.OnStep(nullptr);
    return broken_;
  }

  int cuts() const { return cuts_; }
  const Sights& sights() const { return sights_; }

 private:
  static MixedOptions Options(uint64_t seed, Durability level) {
    MixedOptions options;
    options.seed = seed;
    options.level = level;
    options.intake_bytes = size_t{64 << 10} << (seed % 3);
    return options;
  }

  void Live(int life) {
    const bool is_cut = random_.OneIn(2);
    if (is_cut) device_.disk.CutAt(1 + random_.Below(uint64_t{life == 0 ? 250u : 200u}));
    if (run_.Open()) {
      for (int i = 0; i < kStepsALife && !device_.disk.PowerIsOff(); ++i) run_.Step();
    }
    std::unique_ptr<Store> store = run_.TakeStore();
    if (device_.disk.PowerIsOff() || random_.OneIn(2)) {
      device_.disk.CutAt(0);
    } else {
      store.reset();  // an orderly close, which may come to the planned cut as well
    }
    JudgeCopies();  // of the close too, which has promised nothing before it ends
    if (device_.disk.PowerIsOff()) {
      device_.PowerCut(std::move(store), random_.Next());
      ++cuts_;
    } else {
      device_.disk.CutAt(kNever);
      run_.mutable_world()->AllIsDurable();
    }
    device_.disk.OnStep(nullptr);
    const bool open = run_.Open();
    Fail(open, absl::StrCat("not opened again: ", run_.status().ToString()));
    if (open) run_.Judge();
    if (open && run_.broken().empty()) run_.GoOn();
    Fail(run_.broken().empty(), run_.broken());
    sights_.Add(run_.sights());
    run_.TakeStore().reset();
    device_.disk.OnStep([this] { TakeCopy(); });
  }

  void TakeCopy() {
    if (device_.disk.PowerIsOff()) return;
    if (!every_step_ && --until_copy_ > 0) return;
    // Now and then two in a row: of all that differs, one step alone.
    until_copy_ = random_.OneIn(4) ? 1 : 1 + random_.Below(2 * kPlanALife);
    copies_.push_back(std::make_unique<testing::Device>(device_, random_.Next()));
  }

  void JudgeCopies() {
    for (std::unique_ptr<testing::Device>& copy : copies_) {
      if (broken_.empty()) JudgeCopy(copy.get());
    }
    copies_.clear();
  }

  void JudgeCopy(testing::Device* copy) {
    MixedRun judged(copy, Options(random_.Next(), Durability::kPower), run_.world());
    ++cuts_;
    if (random_.OneIn(6)) {  // and once more while it recovers
      copy->disk.CutAt(1 + random_.Below(uint64_t{20}));
      judged.Open();
      copy->PowerCut(judged.TakeStore(), random_.Next());
      ++cuts_;
    }
    const bool open = judged.Open();
    Fail(open, absl::StrCat("not opened: ", judged.status().ToString()));
    if (open) judged.Judge();
    if (open && judged.broken().empty()) judged.GoOn();
    Fail(judged.broken().empty(), judged.broken());
    sights_.Add(judged.sights());
    copy->disk.CutAt(0);  // its close is of no interest
    judged.TakeStore().reset();
  }

  void Fail(bool holds, const std::string& otherwise) {
    if (holds || !broken_.empty()) return;
    broken_ = absl::StrCat("step ", device_.disk.step_count(), ", cut ", cuts_, ": ", otherwise);
  }

  testing::Device device_;
  testing::FakeRandom random_;
  bool every_step_ = false;
  uint64_t until_copy_ = 5;
  std::vector<std::unique_ptr<testing::Device>> copies_;
  int cuts_ = 0;
  Sights sights_;
  std::string broken_;
  MixedRun run_;  // ends before the device
};

// Seeds from `first` on until so many cuts were judged. EDDY_TEST_SEED names one.
void RunSeeds(uint64_t first, int cuts, Durability level, bool every_step, const char* test) {
  const char* const only = std::getenv("EDDY_TEST_SEED");
  uint64_t seed = only == nullptr ? first : std::strtoull(only, nullptr, 10);
  Sights sights;
  for (; cuts > 0; ++seed) {
    CutRun run(seed, level);
    if (every_step) run.JudgeEveryStep();
    const std::string broken = run.Run(every_step ? testing::Scaled(kLives) : kLives);
    INFO("repeat it: EDDY_TEST_SEED=" << seed << " eddy_crash_tests \"" << test << "\"");
    REQUIRE(broken == "");
    if (only != nullptr) return;  // any number of its cuts
    cuts -= run.cuts();
    sights.Add(run.sights());
  }
  if (every_step || testing::Scaled(100) < 100) return;  // too few seeds for what is rare
  // The work is worth nothing if the judge has never seen what it judges.
  CHECK(sights.gaps > 0);
  CHECK(sights.trims > 0);
  CHECK(sights.dead_letters > 0);
  CHECK(sights.open_there > 0);
  CHECK(sights.open_gone > 0);
  CHECK(sights.transactions_there > 0);
  CHECK(sights.transactions_gone > 0);
  if (level == Durability::kProcess) CHECK(sights.accepted_gone > 0);
}

// Scaled twice: where a cut is five times as dear, a twenty-fifth of them.
int ManyCuts() { return testing::Scaled(testing::Scaled(10'000)); }

TEST_CASE("10000 power cuts at kPower lose nothing that was acknowledged",
          "[crash][power][sweep]") {
  RunSeeds(1000, ManyCuts(), Durability::kPower, /*every_step=*/false,
           "10000 power cuts at kPower*");
}

TEST_CASE("10000 power cuts at kProcess lose only what was not yet committed",
          "[crash][power][sweep]") {
  RunSeeds(50'000, ManyCuts(), Durability::kProcess, /*every_step=*/false,
           "10000 power cuts at kProcess*");
}

// From the first byte of the database to the end of the last close.
TEST_CASE("a power cut at any step of a run takes nothing that was promised",
          "[crash][power][sweep]") {
  RunSeeds(7, testing::Scaled(500), Durability::kPower, /*every_step=*/true,
           "a power cut at any step of a run*");
  RunSeeds(7, testing::Scaled(500), Durability::kProcess, /*every_step=*/true,
           "a power cut at any step of a run*");
}

TEST_CASE("the judge finds out a disk that lies about its syncs", "[crash][power][sweep]") {
  const Durability level = GENERATE(Durability::kPower, Durability::kProcess);
  int found_out = 0;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    CutRun run(seed, level);
    run.LieAboutSyncs();
    if (!run.Run(kLives).empty()) ++found_out;
  }
  CHECK(found_out >= 18);
}

}  // namespace
}  // namespace eddy::crash
