// The power fails at every step of a run that drops its oldest blocks, for a stream's limit
// or for the store's. Whatever the cut leaves: each record that was committed is read or
// told as lost, none is both, and the gap says how many.
#include <memory>
#include <string>
#include <string_view>

#include <catch2/catch_test_macros.hpp>

#include "eddy/store.h"
#include "tests/fakes/device.h"
#include "tests/fakes/scale.h"

namespace eddy {
namespace {

constexpr uint64_t kRecordsKept = 20;
constexpr int kBlocks = 12;
constexpr int kRecordsABlock = 5;

struct Run {
  explicit Run(uint64_t seed) : device(seed) {
    options.intake_bytes = 32 << 10;
    options.platform = device.platform();
    options.threads = false;
  }
  absl::Status Open() {
    absl::StatusOr<std::unique_ptr<Store>> opened = Store::Open("/store", options);
    if (!opened.ok()) return opened.status();
    store = *std::move(opened);
    const absl::StatusOr<Stream*> found = store->OpenStream("s");
    if (!found.ok()) return found.status();
    stream = *found;
    return absl::OkStatus();
  }
  // Records carry their number.
  void Work(int blocks = kBlocks) {
    for (int block = 0; block < blocks; ++block) {
      for (int i = 0; i < kRecordsABlock; ++i) {
        if (!stream->Put("k", Data(put)).ok()) return;
        ++put;
      }
      if (!store->Flush().ok()) return;
      committed = put;
    }
  }

  std::string Data(uint64_t number) const {
    std::string data = std::to_string(number);
    if (data.size() < record_bytes) data.append(record_bytes - data.size(), ' ');
    return data;
  }
  // Reads all, and compares it with what was put.
  void Judge(GapReason reason) {
    const std::string from =
        *stream->GetShardIterator(0, {ShardIteratorType::kAtSequenceNumber, 0, {}});
    const absl::StatusOr<RecordBatch> batch = stream->GetRecords(from);
    REQUIRE(batch.ok());
    lost = batch->gap ? batch->gap->count : 0;
    CHECK(lost + batch->records.size() >= committed);
    CHECK(lost + batch->records.size() <= put);
    put = committed = lost + batch->records.size();  // the rest was never committed
    uint64_t next = lost;  // they went in order
    for (const Record& record : batch->records) {
      CHECK(record.data == Data(next++));
      if (batch->gap) CHECK(record.sequence_number > batch->gap->last);
    }
    CHECK(!stream->GetRecords(batch->next_shard_iterator)->gap);
    CHECK(store->Stats().dropped[static_cast<size_t>(reason)].records == lost);
    CHECK(store->Stats().blocks_damaged == 0);
  }

  testing::Device device;
  StoreOptions options;
  size_t record_bytes = 0;
  uint64_t lost = 0;
  std::unique_ptr<Store> store;
  Stream* stream = nullptr;
  uint64_t put = 0;
  uint64_t committed = 0;
};

}  // namespace

TEST_CASE("power cuts lose no record in silence while the oldest are dropped",
          "[crash][retention][sweep]") {
  uint64_t with_gap = 0;
  for (int repeat = 0; repeat < testing::Scaled(2); ++repeat) {
    for (uint64_t step = 0;; ++step) {
      const uint64_t seed = step * 1000 + static_cast<uint64_t>(repeat) + 1;
      CAPTURE(seed, step);
      Run run(seed);
      {
        absl::StatusOr<std::unique_ptr<Store>> made = Store::Open("/store", run.options);
        REQUIRE(made.ok());
        StreamOptions keep;
        keep.retention.records = kRecordsKept;
        REQUIRE((*made)->CreateStream("s", keep).ok());
      }
      REQUIRE(run.Open().ok());
      run.device.disk.CutAt(step);
      run.Work();
      const bool cut = run.device.disk.PowerIsOff();
      run.device.PowerCut(std::move(run.store), seed);
      REQUIRE(run.Open().ok());

      run.Judge(GapReason::kRetentionRecords);
      with_gap += run.lost != 0;
      if (!cut) break;
    }
  }
  CHECK(with_gap > 0);
}

// The blocks' bytes lie beside the database; places there are used again, and under a
// quota that is smaller than the last one the blocks at the end are moved to the front.
TEST_CASE("power cuts lose no record in silence while large blocks are dropped and moved",
          "[crash][retention][extents][sweep]") {
  uint64_t cut_shorter = 0;
  const uint64_t stride = testing::Scaled(10) < 10 ? 7 : 1;
  for (int repeat = 0; repeat < testing::Scaled(2); ++repeat) {
    for (uint64_t step = 0;; step += stride) {
      const uint64_t seed = step * 1000 + static_cast<uint64_t>(repeat) + 1;
      CAPTURE(seed, step);
      Run run(seed);
      run.record_bytes = 10000;
      run.options.intake_bytes = 256 << 10;
      run.options.at_quota = AtLimit::kDropOldest;
      run.options.quota_bytes = 2 << 20;
      const auto outside = [&run] { return run.device.disk.Size("/store/eddy.db-blocks"); };
      {
        absl::StatusOr<std::unique_ptr<Store>> made = Store::Open("/store", run.options);
        REQUIRE(made.ok());
        REQUIRE((*made)->CreateStream("s", {}).ok());
      }
      REQUIRE(run.Open().ok());
      run.Work(30);
      REQUIRE(run.committed == 30 * kRecordsABlock);
      const size_t before = outside();
      run.store.reset();
      run.options.quota_bytes = 1700 << 10;
      run.device.disk.CutAt(step);
      if (run.Open().ok()) run.Work(6);
      const bool cut = run.device.disk.PowerIsOff();
      run.device.PowerCut(std::move(run.store), seed);
      REQUIRE(run.Open().ok());
      run.Judge(GapReason::kQuota);
      run.Work(6);
      CHECK(run.committed == run.put);
      run.Judge(GapReason::kQuota);
      cut_shorter += outside() < before;
      if (!cut) break;
    }
  }
  CHECK(cut_shorter > 0);
}

}  // namespace eddy
