// A disk that refuses, at every operation of a run that changes it: the n-th write,
// sync, truncation, creation or deletion fails, once, or with all that follow until
// the disk is healed. The run goes on. Then:
//
//   - the store says so while it lasts, and is good again by itself soon after
//   - what was acknowledged is there, in the same process and after its end, which is
//     an orderly close, a kill or a power cut in turn (the judge: mixed_run.h)
//   - a store that could not be opened can be once the disk is well
#include <memory>
#include <string>
#include <utility>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include "absl/strings/str_cat.h"
#include "tests/crash/mixed_run.h"
#include "tests/fakes/scale.h"

namespace eddy::crash {
namespace {

using testing::CrashDisk;
using Fault = CrashDisk::Fault;

constexpr int kSteps = 24;         // of the work
constexpr int kStepsUntilWell = 8;  // of the work, after the first fault of a sticky one

struct Trouble {
  const char* name;
  Fault fault;
  bool sticky;
};

class FaultRun {
 public:
  FaultRun(uint64_t nth, const Trouble& trouble, Durability level)
      : nth_(nth), trouble_(trouble), run_(&device_, Options(level)) {}

  std::string Run() {
    CrashDisk& disk = device_.disk;
    disk.FailNth(CrashDisk::Op::kAny, nth_, trouble_.fault, trouble_.sticky);
    if (!run_.Open()) {
      run_.TakeStore().reset();
      disk.ClearFaults();
      if (!run_.Open()) return absl::StrCat("not opened on a good disk: ", Status());
    }
    int bad_steps = 0;
    for (int i = 0; i < kSteps && run_.broken().empty(); ++i) {
      run_.Step();
      if (disk.fault_count() > 0 && ++bad_steps == kStepsUntilWell) disk.ClearFaults();
      // The flush may find the disk good, since a fault ends, but never says so of
      // a disk that is not.
      if (i % 5 == 4 && !run_.Flush() && run_.store()->Stats().disk_state == DiskState::kGood) {
        return "a disk that refuses a flush is told to be good";
      }
    }
    disk.ClearFaults();
    if (!run_.broken().empty()) return run_.broken();
    for (int i = 0; i < 100 && IsBad(); ++i) device_.clock.Advance(run_.store()->Pump());
    if (IsBad()) return absl::StrCat("did not heal: ", Cause());
    device_.clock.Advance(absl::Seconds(5));
    if (!run_.Flush()) return absl::StrCat("no flush on a good disk: ", run_.broken());
    run_.Judge();
    if (run_.broken().empty()) run_.GoOn();
    if (!run_.broken().empty()) return absl::StrCat("in the process: ", run_.broken());
    End();
    if (!run_.Open()) return absl::StrCat("not opened again: ", Status());
    run_.Judge();
    if (run_.broken().empty()) run_.GoOn();
    run_.TakeStore().reset();
    return run_.broken();
  }

  uint64_t faults() const { return device_.disk.fault_count(); }

 private:
  static MixedOptions Options(Durability level) {
    MixedOptions options;
    options.seed = 11;
    options.level = level;
    options.bad_disk = true;
    return options;
  }
  std::string Status() { return run_.status().ToString(); }
  bool IsBad() { return run_.store()->Stats().disk_state != DiskState::kGood; }
  std::string Cause() { return run_.store()->Stats().disk_state_cause.ToString(); }

  void End() {
    switch (nth_ % 3) {
      case 0: run_.TakeStore().reset(); break;
      case 1: device_.Kill(run_.TakeStore(), "/store/eddy.intake"); break;
      default: device_.PowerCut(run_.TakeStore(), nth_); break;
    }
  }

  const uint64_t nth_;
  const Trouble trouble_;
  testing::Device device_;
  MixedRun run_;  // ends before the device
};

TEST_CASE("a disk that fails at any one operation loses nothing and heals",
          "[crash][fault][sweep]") {
  const Trouble trouble =
      GENERATE(Trouble{"EIO once", Fault::kIoError, false},
               Trouble{"EIO until well", Fault::kIoError, true},
               Trouble{"ENOSPC once", Fault::kFull, false},
               Trouble{"ENOSPC until well", Fault::kFull, true},
               Trouble{"EROFS until well", Fault::kReadOnly, true});
  const Durability level = GENERATE(Durability::kPower, Durability::kProcess);
  const uint64_t stride = testing::Scaled(100) < 100 ? 19 : 1;
  uint64_t nth = 1;
  for (;; nth += stride) {
    INFO(trouble.name << (level == Durability::kPower ? " at kPower" : " at kProcess")
                      << ", from operation " << nth << " on (repeat it by FaultRun of this one)");
    FaultRun run(nth, trouble, level);
    REQUIRE(run.Run() == "");
    if (run.faults() == 0) break;
  }
  CHECK(nth >= 60);  // else the work hardly reaches the disk
}

}  // namespace
}  // namespace eddy::crash
