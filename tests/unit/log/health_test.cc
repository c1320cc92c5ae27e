// A disk that refuses: what the store says of it, what it goes on doing, and that
// it heals by itself.
#include "src/log/health.h"

#include "absl/strings/str_cat.h"
#include "tests/fakes/scale.h"
#include "tests/unit/log/log_fixture.h"

namespace eddy::log {
namespace {

using testing::CrashDisk;
using Op = CrashDisk::Op;
using Fault = CrashDisk::Fault;

// The runner's part: until nothing is wrong or `most` calls were made.
int PumpUntilGood(LogFixture* f, int most = 100) {
  for (int calls = 1; calls <= most; ++calls) {
    f->device.clock.Advance(f->engine->RunOnce());
    if (f->engine->Stats().disk_state == DiskState::kGood) return calls;
  }
  return -1;
}

TEST_CASE("a refusing disk is told with its cause and the time it began, and heals by itself",
          "[log][fault][health]") {
  struct Case {
    Op op;
    Fault fault;
    DiskState state;
  };
  const Case c = GENERATE(Case{Op::kWrite, Fault::kFull, DiskState::kFull},
                          Case{Op::kWrite, Fault::kIoError, DiskState::kIoError},
                          Case{Op::kWrite, Fault::kReadOnly, DiskState::kReadOnly},
                          Case{Op::kSync, Fault::kIoError, DiskState::kSyncFailed});
  LogFixture f;
  CHECK(f.engine->Stats().disk_state == DiskState::kGood);
  f.device.disk.FailNth(c.op, 1, c.fault, /*sticky=*/true);
  const absl::Time began = f.device.clock.WallNow();
  f.Append("a");
  CHECK(absl::IsUnavailable(f.engine->Flush()));
  f.device.clock.Advance(absl::Seconds(7));
  CHECK(absl::IsUnavailable(f.engine->Flush()));
  const StoreStats stats = f.engine->Stats();
  INFO(stats.disk_state_cause.ToString());
  CHECK(stats.disk_state == c.state);
  CHECK(stats.disk_state_since == began);
  CHECK_FALSE(stats.disk_state_cause.ok());
  CHECK(PumpUntilGood(&f) == -1);

  f.Append("b");  // kProcess goes on
  CHECK(f.Bodies() == std::vector<std::string>{"a", "b"});
  f.device.disk.ClearFaults();
  CHECK(PumpUntilGood(&f) > 0);
  CHECK(f.engine->Stats().disk_state_cause.ok());
  CHECK(f.log->committed() == f.log->tail());
  f.CutAndReopen();
  CHECK(f.Bodies() == std::vector<std::string>{"a", "b"});
}

TEST_CASE("a disk that refused work nobody repeats is found good again", "[log][fault][health]") {
  LogFixture f;
  REQUIRE(f.engine->Flush().ok());
  f.device.disk.FailNth(Op::kSync, 1, Fault::kIoError, /*sticky=*/true);
  CHECK_FALSE(f.engine->WithDatabase([](sql::Database& db) {
                          return db.Exec("CREATE TABLE t (x)");
                        }).ok());
  CHECK(f.engine->Stats().disk_state == DiskState::kSyncFailed);
  f.device.disk.ClearFaults();
  CHECK(PumpUntilGood(&f) > 0);
  SECTION("and what failed is not there, although its bytes were written") {
    CHECK(f.engine->WithDatabase([](sql::Database& db) {
                      return db.Exec("CREATE TABLE t (x)");
                    }).ok());
  }
}

TEST_CASE("after a failed sync the database is opened anew before anything is committed",
          "[log][fault][health]") {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    LogFixture f(256 << 10, seed);
    std::vector<std::string> want;
    for (int i = 0; i < 5; ++i) {
      want.push_back(absl::StrCat("record ", i));
      f.Append(want.back());
      // Each second commit loses what it wrote, and says so.
      if (i % 2 == 1) f.device.disk.FailNth(Op::kSync, 1, Fault::kIoError);
      const absl::Status flushed = f.engine->Flush();
      INFO("seed " << seed << ", record " << i << ": " << flushed.ToString());
      REQUIRE(flushed.ok() == (i % 2 == 0));
    }
    CHECK(f.engine->Stats().reopens == 2);
    CHECK(f.engine->Stats().disk_state == DiskState::kGood);
    f.CutAndReopen(seed);
    INFO("seed " << seed);
    REQUIRE(f.Bodies() == want);
  }
}

TEST_CASE("a database that cannot be opened anew refuses commits and is tried again, bounded",
          "[log][fault][health]") {
  LogFixture f;
  f.Append("a");
  f.device.disk.FailNth(Op::kSync, 1, Fault::kIoError, /*sticky=*/true);
  CHECK(absl::IsUnavailable(f.engine->Flush()));
  const uint64_t before = f.device.disk.fault_count();
  // A minute of calls that all want it now: the attempts are at most 5 s apart.
  for (int i = 0; i < 60; ++i) {
    CHECK(absl::IsUnavailable(f.engine->Flush()));
    f.device.clock.Advance(absl::Seconds(1));
  }
  const uint64_t attempts = f.device.disk.fault_count() - before;
  CHECK(attempts >= 12);
  CHECK(attempts <= 25);
  f.device.disk.ClearFaults();
  f.device.clock.Advance(absl::Seconds(5));
  CHECK(f.engine->Flush().ok());
  f.CutAndReopen();
  CHECK(f.Bodies() == std::vector<std::string>{"a"});
}

TEST_CASE("a store whose database cannot be opened anew closes, and the next open has it all",
          "[log][fault][health]") {
  LogFixture f;
  f.Append("a");
  REQUIRE(f.engine->Flush().ok());
  f.device.disk.FailNth(Op::kSync, 1, Fault::kIoError);
  f.device.disk.FailNth(Op::kRead, 1, Fault::kIoError, /*sticky=*/true);
  CHECK_FALSE(f.engine->WithDatabase([](sql::Database& db) {
                          return db.Exec("CREATE TABLE t (x)");
                        }).ok());
  for (int i = 0; i < 3; ++i) CHECK(f.engine->RunOnce() > absl::ZeroDuration());
  CHECK(absl::IsUnavailable(f.log->Read(0, {}).status()));
  CHECK_FALSE(f.engine->Close().ok());
  f.engine.reset();
  f.device.disk.ClearFaults();
  f.Open();
  CHECK(f.Bodies() == std::vector<std::string>{"a"});
}

TEST_CASE("a fault at any write or sync of a run loses nothing, and nothing is told twice",
          "[log][fault][health][sweep]") {
  const Op op = GENERATE(Op::kWrite, Op::kSync, Op::kTruncate);
  const Fault fault = GENERATE(Fault::kIoError, Fault::kFull, Fault::kReadOnly);
  const bool sticky = GENERATE(false, true);
  uint64_t fired = 0;
  const uint64_t step = testing::Scaled(100) < 100 ? 7 : 1;
  for (uint64_t nth = 1;; nth += step) {
    LogFixture f(256 << 10, nth);
    f.device.disk.FailNth(op, nth, fault, sticky);
    std::vector<std::string> want;
    for (int i = 0; i < 12; ++i) {
      want.push_back(absl::StrCat(i, std::string(3000, 'x')));
      f.Append(want.back());
      f.engine->Flush().IgnoreError();
      if (i % 4 == 3) f.device.clock.Advance(f.engine->RunOnce());
    }
    const uint64_t hits = f.device.disk.fault_count();
    f.device.disk.ClearFaults();
    INFO("op " << static_cast<int>(op) << ", fault " << static_cast<int>(fault) << ", nth " << nth
               << (sticky ? ", sticky" : ""));
    REQUIRE(PumpUntilGood(&f) > 0);
    f.device.clock.Advance(absl::Seconds(5));
    REQUIRE(f.engine->Flush().ok());
    f.CutAndReopen(nth);
    REQUIRE(f.Bodies() == want);
    if (hits == 0) break;
    fired += hits;
  }
  if (op != Op::kTruncate) CHECK(fired > 0);
}

}  // namespace
}  // namespace eddy::log
