// The power fails at every step of a run that drops its oldest blocks. Whatever
// the cut leaves: each record that was committed is read or told as lost, none is
// both, and the gap says how many.
#include <memory>
#include <string>

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
  void Work() {
    for (int block = 0; block < kBlocks; ++block) {
      for (int i = 0; i < kRecordsABlock; ++i) {
        if (!stream->Put("k", std::to_string(put)).ok()) return;
        ++put;
      }
      if (!store->Flush().ok()) return;
      committed = put;
    }
  }

  testing::Device device;
  StoreOptions options;
  std::unique_ptr<Store> store;
  Stream* stream = nullptr;
  uint64_t put = 0;
  uint64_t committed = 0;
};

}  // namespace

TEST_CASE("power cuts lose no record in silence while the oldest are dropped",
          "[crash][retention]") {
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

      const std::string from =
          *run.stream->GetShardIterator(0, {ShardIteratorType::kAtSequenceNumber, 0, {}});
      const absl::StatusOr<RecordBatch> batch = run.stream->GetRecords(from);
      REQUIRE(batch.ok());
      const uint64_t lost = batch->gap ? batch->gap->count : 0;
      with_gap += lost != 0;
      CHECK(lost + batch->records.size() >= run.committed);
      CHECK(lost + batch->records.size() <= run.put);
      uint64_t next = lost;  // they went in order
      for (const Record& record : batch->records) {
        CHECK(record.data == std::to_string(next++));
        if (batch->gap) CHECK(record.sequence_number > batch->gap->last);
      }
      CHECK(!run.stream->GetRecords(batch->next_shard_iterator)->gap);
      CHECK(run.store->Stats().dropped[static_cast<size_t>(GapReason::kRetentionRecords)].records ==
            lost);
      if (!cut) break;
    }
  }
  CHECK(with_gap > 0);
}

}  // namespace eddy
