// Syncs that fail while a store is opened or closed, more than one of them, and what the
// next process believes of what it finds then.
#include <cstdlib>
#include <map>
#include <memory>
#include <optional>
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

// The proof of what a dead process has left meets a reader, or a disk that is full.
TEST_CASE("a WAL that cannot be copied at the open is proven all the same", "[store][sync][fault]") {
  const bool full = GENERATE(false, true);
  CAPTURE(full);
  int lost = 0;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    SyncFixture f(seed);
    f.options.secure_delete = true;
    f.Open();
    f.PutAcknowledged("a");
    sql::OpenOptions look;
    look.mode = sql::Mode::kReadOnly;
    look.vfs = f.device.disk.name();
    // A commit whose sync fails, and the death of the process.
    auto stream = f.store->OpenStream("s");
    PutOptions put;
    put.durability = Durability::kPower;
    f.device.disk.FailNth(CrashDisk::Op::kSync, 1, CrashDisk::Fault::kIoError, /*sticky=*/true);
    REQUIRE_FALSE((*stream)->Put("k", std::string(8000, 'u'), put).ok());
    f.device.Kill(std::move(f.store), "/store/eddy.intake");
    f.device.disk.ClearFaults();
    std::optional<sql::Database> reader;
    std::optional<sql::Transaction> view;
    if (full) {
      f.device.disk.FailNth(CrashDisk::Op::kWrite, 1, CrashDisk::Fault::kFull, /*sticky=*/true,
                            "eddy.db");
    } else {
      // Somebody looks at what the process before it had committed.
      auto opened = sql::Database::Open("/store/eddy.db", look);
      REQUIRE(opened.ok());
      reader.emplace(*std::move(opened));
      auto begun = sql::Transaction::Begin(*reader);
      REQUIRE(begun.ok());
      auto count = reader->Prepare("SELECT count(*) FROM blocks");
      REQUIRE(count->Step().ok());
      view.emplace(*std::move(begun));
      reader->page_counts();
    }
    f.Open();
    f.PutAcknowledged("b");
    view.reset();
    reader.reset();
    f.device.PowerCut(std::move(f.store), seed);
    f.device.disk.ClearFaults();
    INFO("seed " << seed);
    f.Open();
    for (int i = 0; i < 1000 && f.store->Stats().salvage.state == SalvageState::kRunning; ++i) {
      f.device.clock.Advance(absl::Milliseconds(5));
      f.store->Pump();
    }
    const std::vector<std::string> records = f.Records();
    const std::set<std::string> there(records.begin(), records.end());
    const bool all = there.count("a") == 1 && there.count("b") == 1;
    CHECK(all);
    lost += !all;
    CHECK(f.store->Stats().salvage.set_asides == 0);
  }
  CHECK(lost == 0);
}

// Syncs that fail for a while, once and again, whatever the store is at: opening, working,
// closing, being killed; beside another process that looks.
TEST_CASE("whatever syncs fail, what was acknowledged is there after a power cut",
          "[store][sync][fault][sweep]") {
  const char* const from = std::getenv("FROM");
  const char* const many = std::getenv("SEEDS");
  const uint64_t first = from == nullptr ? 1 : std::strtoull(from, nullptr, 10);
  const uint64_t seeds = many == nullptr ? 400 : std::strtoull(many, nullptr, 10);
  int lost = 0;
  int damaged = 0;
  for (uint64_t seed = first; seed < first + seeds; ++seed) {
    testing::FakeRandom random(seed);
    SyncFixture f(seed);
    f.options.secure_delete = random.OneIn(2);
    if (random.OneIn(2)) f.options.quota_bytes = 4 << 20;
    std::set<std::string> acknowledged;
    std::set<std::string> maybe;
    std::set<std::string> refused;  // by a transaction, in a process that lives on
    std::optional<sql::Database> reader;
    std::optional<sql::Transaction> view;
    int number = 0;
    bool ever_opened = false;
    std::string trace;
    const auto end_look = [&] {
      view.reset();
      reader.reset();
    };
    const auto well = [&] { f.device.disk.ClearFaults(); };
    for (int step = 0; step < 60; ++step) {
      const uint64_t what = random.Below(14);
      absl::StrAppend(&trace, " ", what);
      if (f.store == nullptr && what < 10) {
        const absl::Status opened = f.TryOpen();
        ever_opened = ever_opened || opened.ok();
        absl::StrAppend(&trace, opened.ok() ? "(open)" : absl::IsUnavailable(opened) ? "(sync)" : absl::StrCat("(", opened.ToString(), ")"));
        continue;
      }
      const auto body = [&](size_t bytes) {
        std::string data = absl::StrCat("#", ++number, " ");
        testing::FakeRandom noise(static_cast<uint64_t>(number));
        while (data.size() < bytes) data += absl::StrCat(absl::Hex(noise.Next()));
        return data;
      };
      switch (what) {
        case 0: case 1: case 2: {
          auto stream = f.store->OpenStream("s");
          if (!stream.ok()) stream = f.store->CreateStream("s");
          if (!stream.ok()) break;
          const std::string data = body(random.OneIn(4) ? 50000 : random.Below(9000));
          PutOptions put;
          put.durability = Durability::kPower;
          maybe.insert(data);
          const auto result = (*stream)->Put("k", data, put);
          if (result.ok()) acknowledged.insert(data);
          absl::StrAppend(&trace, result.ok() ? "(ok)" : "(no)");
          break;
        }
        case 3: case 4: {
          auto stream = f.store->OpenStream("s");
          if (!stream.ok()) break;
          const std::string data = body(random.Below(9000));
          maybe.insert(data);
          const auto result = f.store->Transact([&](Transaction& t) { return t.Put(**stream, "k", data); });
          if (result.ok()) {
            acknowledged.insert(data);
          } else {
            refused.insert(data);
          }
          absl::StrAppend(&trace, result.ok() ? "(ok)" : "(no)");
          break;
        }
        case 5: case 6:
          f.device.clock.Advance(absl::Milliseconds(1 + random.Below(3000)));
          f.store->Pump();
          break;
        case 7:
          if (f.store->Flush().ok() && f.store->OpenStream("s").ok()) {
            const std::vector<std::string> records = f.Records();
            const std::set<std::string> there(records.begin(), records.end());
            INFO("seed " << seed << trace);
            REQUIRE(there.size() == records.size());  // nothing twice
            for (const std::string& data : acknowledged) REQUIRE(there.count(data) == 1);
            for (const std::string& data : refused) REQUIRE(there.count(data) == 0);
          }
          break;
        case 8:
          f.store.reset();
          refused.clear();
          break;
        case 9:
          f.device.Kill(std::move(f.store), "/store/eddy.intake");
          end_look();
          refused.clear();
          break;
        case 10: case 11:
          f.device.disk.FailNth(CrashDisk::Op::kSync, 1 + random.Below(4),
                                CrashDisk::Fault::kIoError, random.OneIn(2));
          break;
        case 12:
          well();
          break;
        default:
          if (std::getenv("NO_READER") != nullptr) break;
          if (!ever_opened) break;  // not yet in WAL mode, perhaps
          if (reader) {
            if (view && random.OneIn(2)) {
              view.reset();
            } else {
              end_look();
            }
          } else {
            sql::OpenOptions look;
            look.mode = sql::Mode::kReadOnly;
            look.vfs = f.device.disk.name();
            auto opened = sql::Database::Open("/store/eddy.db", look);
            if (!opened.ok()) break;
            reader.emplace(*std::move(opened));
            auto begun = sql::Transaction::Begin(*reader);
            auto count = reader->Prepare("SELECT count(*) FROM sqlite_schema");
            if (begun.ok() && count.ok() && count->Step().ok() &&
                std::getenv("NO_VIEW") == nullptr) {
              view.emplace(*std::move(begun));
            }
          }
      }
    }
    well();
    INFO("seed " << seed << trace);
    if (f.store == nullptr) f.Open();
    for (int i = 0; i < 10; ++i) {
      f.device.clock.Advance(absl::Seconds(6));
      f.store->Pump();
    }
    f.PutAcknowledged("last");
    acknowledged.insert("last");
    maybe.insert("last");
    end_look();
    f.device.PowerCut(std::move(f.store), seed);
    const absl::Status opened = f.TryOpen();
    CHECK(opened.ToString() == "OK");
    if (!opened.ok()) {
      ++lost;
      continue;
    }
    const uint64_t aside = f.store->Stats().salvage.set_asides;
    damaged += aside > 0;
    for (int i = 0; i < 1000 && f.store->Stats().salvage.state == SalvageState::kRunning; ++i) {
      f.device.clock.Advance(absl::Milliseconds(5));
      f.store->Pump();
    }
    const std::vector<std::string> records = f.Records();
    const std::set<std::string> there(records.begin(), records.end());
    CHECK(there.size() == records.size());
    size_t missing = 0;
    for (const std::string& data : acknowledged) missing += there.count(data) == 0;
    for (const std::string& data : there) CHECK(maybe.count(data) == 1);
    CHECK(missing == 0);
    CHECK(aside == 0);
    lost += missing > 0;
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
