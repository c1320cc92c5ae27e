// Syncs that fail while a store is opened, closed or checkpointed, more than one of them, and
// what the next process believes of what it finds then: the kernel shows it pages that the
// disk does not have, and what it acknowledges upon them is gone with the power.
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <catch2/generators/catch_generators.hpp>

#include "tests/fakes/scale.h"
#include "tests/unit/store/failed_sync_fixture.h"

namespace eddy {
namespace {

using testing::CrashDisk;
using testing::Looker;
using testing::Scaled;
using testing::SyncFixture;
using Strings = std::vector<std::string>;

TEST_CASE("a close whose syncs fail is not believed by the next open", "[store][sync][fault]") {
  const auto seeds = static_cast<uint64_t>(Scaled(20));
  for (uint64_t seed = 1; seed <= seeds; ++seed) {
    INFO("seed " << seed);
    SyncFixture f(seed);
    f.Open();
    f.PutAcknowledged("a");
    // The commit that says "closed cleanly", and then the copying of the WAL at the close.
    f.FailSyncs();
    f.store.reset();
    f.device.disk.ClearFaults();
    f.Open();  // the disk is well again
    f.PutAcknowledged("b");
    f.device.PowerCut(std::move(f.store), seed);
    f.OpenUndamaged();
    CHECK(f.Records() == Strings{"a", "b"});
  }
}

TEST_CASE("a first open whose syncs fail is not believed by the next", "[store][sync][fault]") {
  const auto seeds = static_cast<uint64_t>(Scaled(6));
  for (uint64_t nth = 1; nth <= 12; ++nth) {
    for (uint64_t seed = 1; seed <= seeds; ++seed) {
      SyncFixture f(seed);
      f.FailSyncs(nth);
      const absl::Status opened = f.TryOpen();
      INFO("from sync " << nth << " on, seed " << seed << ": " << opened.ToString());
      f.store.reset();
      f.device.disk.ClearFaults();
      f.Open();
      f.PutAcknowledged("b");
      f.device.PowerCut(std::move(f.store), seed);
      f.OpenUndamaged();
      CHECK(f.Records() == Strings{"b"});
    }
  }
}

// To prove what a dead process has left, an open copies the WAL, and writes a commit where it
// cannot.
TEST_CASE("a WAL that cannot be copied at the open is proven all the same",
          "[store][sync][fault]") {
  const bool full = GENERATE(false, true);  // the disk is; else a reader holds the copying up
  CAPTURE(full);
  const auto seeds = static_cast<uint64_t>(Scaled(20));
  for (uint64_t seed = 1; seed <= seeds; ++seed) {
    INFO("seed " << seed);
    SyncFixture f(seed);
    f.options.secure_delete = true;
    f.Open();
    f.PutAcknowledged("a");
    // A commit whose sync fails, and the death of the process.
    f.FailSyncs();
    REQUIRE_FALSE(f.Put(std::string(8000, 'u')).ok());
    f.device.Kill(std::move(f.store), "/store/eddy.intake");
    f.device.disk.ClearFaults();
    Looker looker;
    if (full) {
      f.device.disk.FailNth(CrashDisk::Op::kWrite, 1, CrashDisk::Fault::kFull, /*sticky=*/true,
                            "eddy.db");
    } else {
      REQUIRE(looker.Look(f.device.disk));
    }
    f.Open();
    f.PutAcknowledged("b");
    looker.Leave();
    f.device.PowerCut(std::move(f.store), seed);
    f.device.disk.ClearFaults();
    f.OpenUndamaged();
    // What was not acknowledged may be there between them.
    const Strings records = f.Records();
    const std::set<std::string> there(records.begin(), records.end());
    CHECK(there.count("a") == 1);
    CHECK(there.count("b") == 1);
  }
}

// All blocks lie in the database, and the WAL is copied at 1 MiB.
void MakeCheckpointsDue(StoreOptions* options) {
  options->secure_delete = true;
  options->quota_bytes = 16 << 20;
  options->intake_bytes = 1 << 20;
}

// Another process that only looks keeps the WAL's shared memory alive over a reopening, and
// with it how much of the WAL was copied.
TEST_CASE("beside a reader of another process a failed checkpoint is made good as well",
          "[store][sync][fault]") {
  const bool stays = GENERATE(false, true);  // over the reopening
  CAPTURE(stays);
  const auto seeds = static_cast<uint64_t>(Scaled(3));
  for (uint64_t seed = 1; seed <= seeds; ++seed) {
    INFO("seed " << seed);
    SyncFixture f(seed);
    MakeCheckpointsDue(&f.options);
    f.Open();
    Strings want;
    const auto put = [&](int count, size_t bytes) {
      for (int i = 0; i < count; ++i) {
        want.push_back(SyncFixture::Noise(static_cast<int>(want.size()), bytes));
        f.PutAcknowledged(want.back());
      }
    };
    const auto pump = [&] {
      f.device.clock.Advance(absl::Seconds(2));
      f.store->Pump();
    };
    put(10, 20000);
    Looker looker;
    REQUIRE(looker.Look(f.device.disk));
    put(60, 20000);  // the WAL is due: a part of it is copied, and not synced
    pump();
    looker.EndView();
    if (!stays) looker.Leave();
    // Now all of it is copied, and that sync fails.
    f.device.disk.FailNth(CrashDisk::Op::kSync, 1, CrashDisk::Fault::kIoError, /*sticky=*/false,
                          "eddy.db");
    for (int i = 0; i < 50 && f.device.disk.fault_count() == 0; ++i) {
      put(4, 20000);
      pump();
    }
    REQUIRE(f.device.disk.fault_count() == 1);
    for (int i = 0; i < 5; ++i) {
      pump();
      put(1, 1000);
    }
    REQUIRE(f.store->Stats().reopens == 1);
    REQUIRE(f.store->Stats().disk_state == DiskState::kGood);
    put(100, 20000);  // the WAL begins anew
    pump();
    put(1, 1000);
    REQUIRE((f.Records() == want));
    looker.Leave();
    f.device.PowerCut(std::move(f.store), seed);
    f.OpenUndamaged();
    CHECK((f.Records() == want));
  }
}

TEST_CASE("a checkpoint that cannot be made good is told as that for as long as it lasts",
          "[store][sync][fault][health]") {
  SyncFixture f(1);
  MakeCheckpointsDue(&f.options);
  f.Open();
  f.FailSyncs(1, "eddy.db");
  for (int i = 0; i < 200 && f.device.disk.fault_count() == 0; ++i) {
    f.PutAcknowledged(SyncFixture::Noise(i, 20000));
  }
  REQUIRE(f.device.disk.fault_count() > 0);
  std::set<absl::Time> since;
  std::map<int, int> states;
  for (int i = 0; i < 60; ++i) {
    f.device.clock.Advance(absl::Seconds(1));
    f.store->Pump();
    const StoreStats stats = f.store->Stats();
    ++states[static_cast<int>(stats.disk_state)];
    since.insert(stats.disk_state_since);
  }
  CHECK(states == std::map<int, int>{{static_cast<int>(DiskState::kSyncFailed), 60}});
  CHECK(since.size() == 1);
}

}  // namespace
}  // namespace eddy
