// A store on a disk in memory whose syncs fail, with what a test of that asks of it.
#ifndef EDDY_TESTS_UNIT_STORE_FAILED_SYNC_FIXTURE_H_
#define EDDY_TESTS_UNIT_STORE_FAILED_SYNC_FIXTURE_H_

#include <catch2/catch_test_macros.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "eddy/eddy.h"
#include "src/sql/database.h"
#include "tests/fakes/device.h"
#include "tests/fakes/fake_random.h"

namespace eddy::testing {

// Whoever looks at the store through a process of its own, as `eddy stream tail` does.
struct Looker {
  // Sees the store as it is now, until EndView. False: there is nothing to see yet.
  bool Look(const CrashDisk& disk) {
    sql::OpenOptions options;
    options.mode = sql::Mode::kReadOnly;
    options.vfs = disk.name();
    auto opened = sql::Database::Open("/store/eddy.db", options);
    if (!opened.ok()) return false;
    reader.emplace(*std::move(opened));
    auto begun = sql::Transaction::Begin(*reader);
    auto count = reader->Prepare("SELECT count(*) FROM sqlite_schema");
    if (!begun.ok() || !count.ok() || !count->Step().ok()) return false;
    view.emplace(*std::move(begun));
    return true;
  }
  void EndView() { view.reset(); }
  void Leave() {
    view.reset();
    reader.reset();
  }

  std::optional<sql::Database> reader;
  std::optional<sql::Transaction> view;
};

struct SyncFixture {
  explicit SyncFixture(uint64_t seed) : device(seed) {
    options.platform = device.platform();
    options.threads = false;
    options.intake_bytes = 256 << 10;
  }

  absl::Status TryOpen() {
    auto opened = Store::Open("/store", options);
    if (!opened.ok()) return opened.status();
    store = *std::move(opened);
    return absl::OkStatus();
  }
  void Open() {
    const absl::Status opened = TryOpen();
    INFO(opened.ToString());
    REQUIRE(opened.ok());
  }
  // Of what a power cut has left, which is no damage.
  void OpenUndamaged() {
    Open();
    CHECK(store->Stats().salvage.set_asides == 0);
    for (int i = 0; i < 1000 && store->Stats().salvage.state == SalvageState::kRunning; ++i) {
      device.clock.Advance(absl::Milliseconds(5));
      store->Pump();
    }
  }

  // The `nth` sync from now fails, of all files or of those so named; then all others too.
  void FailSyncs(uint64_t nth = 1, const std::string& suffix = "") {
    device.disk.FailNth(CrashDisk::Op::kSync, nth, CrashDisk::Fault::kIoError, /*sticky=*/true,
                        suffix);
  }

  // Nullptr where it cannot be made now.
  Stream* TheStream() {
    auto stream = store->OpenStream("s");
    if (!stream.ok()) stream = store->CreateStream("s");
    return stream.ok() ? *stream : nullptr;
  }
  absl::Status Put(const std::string& data) {
    Stream* const stream = TheStream();
    if (stream == nullptr) return absl::UnavailableError("no stream");
    PutOptions put;
    put.durability = Durability::kPower;
    return stream->Put("k", data, put).status();
  }
  void PutAcknowledged(const std::string& data) {
    const absl::Status put = Put(data);
    INFO(put.ToString());
    REQUIRE(put.ok());
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

  // Begins with the number, and cannot be packed.
  static std::string Noise(int number, size_t bytes) {
    std::string data = absl::StrCat("#", number, " ");
    FakeRandom random(static_cast<uint64_t>(number) + 1);
    while (data.size() < bytes) data += absl::StrCat(absl::Hex(random.Next()));
    return data;
  }

  Device device;
  StoreOptions options;
  std::unique_ptr<Store> store;
};

}  // namespace eddy::testing

#endif  // EDDY_TESTS_UNIT_STORE_FAILED_SYNC_FIXTURE_H_
