// Syncs that fail while a store is opened or closed, more than one of them, and what the
// next process believes of what it finds then.
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include "absl/strings/str_cat.h"
#include "eddy/eddy.h"
#include "src/sql/database.h"
#include "tests/fakes/device.h"
#include "tests/fakes/fake_random.h"

namespace eddy {
namespace {

using testing::CrashDisk;

constexpr char kDirectory[] = "/store";

struct SyncFixture {
  explicit SyncFixture(uint64_t seed) : device(seed) {
    options.platform = device.platform();
    options.threads = false;
    options.intake_bytes = 256 << 10;
  }
  absl::Status TryOpen() {
    auto opened = Store::Open(kDirectory, options);
    if (!opened.ok()) return opened.status();
    store = *std::move(opened);
    return absl::OkStatus();
  }
  void Open() {
    const absl::Status opened = TryOpen();
    INFO(opened.ToString());
    REQUIRE(opened.ok());
  }
  void PutAcknowledged(const std::string& data) {
    auto stream = store->OpenStream("s");
    if (!stream.ok()) stream = store->CreateStream("s");
    REQUIRE(stream.ok());
    PutOptions put;
    put.durability = Durability::kPower;
    const auto result = (*stream)->Put("k", data, put);
    INFO(result.status().ToString());
    REQUIRE(result.ok());
  }
  std::vector<std::string> Records() {
    std::vector<std::string> records;
    const auto stream = store->OpenStream("s");
    if (!stream.ok()) return records;
    std::string iterator =
        (*stream)->GetShardIterator(0, {ShardIteratorType::kTrimHorizon, 0, absl::Time()}).value();
    for (;;) {
      const auto batch = (*stream)->GetRecords(iterator);
      INFO(batch.status().ToString());
      REQUIRE(batch.ok());
      if (batch->records.empty() && !batch->gap) return records;
      for (const Record& record : batch->records) records.emplace_back(record.data);
      iterator = batch->next_shard_iterator;
    }
  }
  testing::Device device;
  StoreOptions options;
  std::unique_ptr<Store> store;
};

TEST_CASE("a close whose syncs fail is not believed by the next open", "[store][sync][fault]") {
  int damaged = 0;
  int lost = 0;
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    SyncFixture f(seed);
    f.Open();
    f.PutAcknowledged("a");
    // The commit that says "closed cleanly", and then the copying of the WAL at the close.
    f.device.disk.FailNth(CrashDisk::Op::kSync, 1, CrashDisk::Fault::kIoError, /*sticky=*/true);
    f.store.reset();
    f.device.disk.ClearFaults();
    f.Open();  // the disk is well again
    f.PutAcknowledged("b");
    f.device.PowerCut(std::move(f.store), seed);
    INFO("seed " << seed);
    f.Open();
    damaged += f.store->Stats().salvage.set_asides > 0;
    for (int i = 0; i < 1000 && f.store->Stats().salvage.state == SalvageState::kRunning; ++i) {
      f.device.clock.Advance(absl::Milliseconds(5));
      f.store->Pump();
    }
    const bool all = f.Records() == std::vector<std::string>{"a", "b"};
    lost += !all;
    CHECK(all);
  }
  CHECK(lost == 0);
  CHECK(damaged == 0);
}

TEST_CASE("a first open whose syncs fail is not believed by the next", "[store][sync][fault]") {
  int damaged = 0;
  int lost = 0;
  for (uint64_t nth = 1; nth <= 12; ++nth) {
    for (uint64_t seed = 1; seed <= 10; ++seed) {
      SyncFixture f(seed);
      f.device.disk.FailNth(CrashDisk::Op::kSync, nth, CrashDisk::Fault::kIoError, /*sticky=*/true);
      const absl::Status opened = f.TryOpen();
      f.store.reset();
      f.device.disk.ClearFaults();
      f.Open();
      f.PutAcknowledged("b");
      f.device.PowerCut(std::move(f.store), seed);
      INFO("from sync " << nth << " on, seed " << seed << ": " << opened.ToString());
      f.Open();
      damaged += f.store->Stats().salvage.set_asides > 0;
      for (int i = 0; i < 1000 && f.store->Stats().salvage.state == SalvageState::kRunning; ++i) {
        f.device.clock.Advance(absl::Milliseconds(5));
        f.store->Pump();
      }
      const bool all = f.Records() == std::vector<std::string>{"b"};
      lost += !all;
      CHECK(all);
    }
  }
  CHECK(lost == 0);
  CHECK(damaged == 0);
}

// Another process that only looks (eddy stream tail --follow) keeps the WAL's shared memory
// alive over a reopening, and with it how much of the WAL was copied.
TEST_CASE("beside a reader of another process a failed checkpoint is made good as well",
          "[store][sync][fault]") {
  const bool alone = GENERATE(true, false);  // the reader has gone before: that is well
  CAPTURE(alone);
  int lost = 0;
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    SyncFixture f(seed);
    f.options.secure_delete = true;  // all blocks lie in the database
    f.options.quota_bytes = 16 << 20;  // the WAL is copied at 1 MiB
    f.options.intake_bytes = 1 << 20;
    f.Open();
    std::vector<std::string> want;
    const auto put = [&](int count, size_t bytes) {
      for (int i = 0; i < count; ++i) {
        testing::FakeRandom random(want.size() + 1);
        std::string data = absl::StrCat(want.size(), " ");
        while (data.size() < bytes) data += absl::StrCat(absl::Hex(random.Next()));
        want.push_back(data);
        f.PutAcknowledged(data);
      }
    };
    put(10, 20000);
    sql::OpenOptions look;
    look.mode = sql::Mode::kReadOnly;
    look.vfs = f.device.disk.name();
    auto reader = sql::Database::Open("/store/eddy.db", look);
    REQUIRE(reader.ok());
    {
      auto view = sql::Transaction::Begin(*reader);
      REQUIRE(view.ok());
      auto count = reader->Prepare("SELECT count(*) FROM blocks");
      REQUIRE(count->Step().value());
      count->Reset();
      put(60, 20000);  // the WAL is due: a part of it is copied, and not synced
      f.device.clock.Advance(absl::Seconds(2));
      f.store->Pump();
    }
    if (alone) (void)reader->Close();
    // The reader's look is over. Now all of it is copied, and that sync fails.
    f.device.disk.FailNth(CrashDisk::Op::kSync, 1, CrashDisk::Fault::kIoError, /*sticky=*/false,
                          "eddy.db");
    for (int i = 0; i < 50 && f.device.disk.fault_count() == 0; ++i) {
      put(4, 20000);
      f.device.clock.Advance(absl::Seconds(2));
      f.store->Pump();
    }
    REQUIRE(f.device.disk.fault_count() == 1);
    for (int i = 0; i < 5; ++i) {
      f.device.clock.Advance(absl::Seconds(2));
      f.store->Pump();
      put(1, 1000);
    }
    REQUIRE(f.store->Stats().reopens == 1);
    REQUIRE(f.store->Stats().disk_state == DiskState::kGood);
    put(100, 20000);  // the WAL begins anew
    f.device.clock.Advance(absl::Seconds(2));
    f.store->Pump();
    put(1, 1000);
    REQUIRE(f.Records() == want);
    if (!alone) (void)reader->Close();
    f.device.PowerCut(std::move(f.store), seed);
    INFO("seed " << seed);
    const absl::Status opened = f.TryOpen();
    CHECK(opened.ToString() == "OK");
    if (!opened.ok()) {
      ++lost;
      continue;
    }
    CHECK(f.store->Stats().salvage.set_asides == 0);
    for (int i = 0; i < 1000 && f.store->Stats().salvage.state == SalvageState::kRunning; ++i) {
      f.device.clock.Advance(absl::Milliseconds(5));
      f.store->Pump();
    }
    const bool all = f.Records() == want;
    CHECK(all);
    lost += !all;
  }
  CHECK(lost == 0);
}

TEST_CASE("a checkpoint that cannot be made good is told as that for as long as it lasts",
          "[store][sync][fault][health]") {
  SyncFixture f(1);
  f.options.secure_delete = true;
  f.options.quota_bytes = 16 << 20;
  f.options.intake_bytes = 1 << 20;
  f.Open();
  f.device.disk.FailNth(CrashDisk::Op::kSync, 1, CrashDisk::Fault::kIoError, /*sticky=*/true,
                        "eddy.db");
  for (int i = 0; i < 200 && f.device.disk.fault_count() == 0; ++i) {
    testing::FakeRandom random(static_cast<uint64_t>(i) + 1);
    std::string data;
    while (data.size() < 20000) data += absl::StrCat(absl::Hex(random.Next()));
    f.PutAcknowledged(data);
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
  CAPTURE(states);
  CHECK(states.size() == 1);
  CHECK(states.count(static_cast<int>(DiskState::kSyncFailed)) == 1);
  CHECK(since.size() == 1);
}

}  // namespace
}  // namespace eddy
