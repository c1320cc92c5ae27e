// A store with limits, on a disk that can be full.
#ifndef EDDY_TESTS_UNIT_STREAM_QUOTA_FIXTURE_H_
#define EDDY_TESTS_UNIT_STREAM_QUOTA_FIXTURE_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "eddy/store.h"
#include "tests/unit/stream/stream_fixture.h"

namespace eddy::stream {

inline constexpr char kReserve[] = "/store/eddy.reserve";

// A disk on which what FakeFiles keep and what SQLite writes take the same space.
class SharedDiskFiles final : public testing::FakeFiles {
 public:
  void Share(testing::CrashDisk* disk, uint64_t reserve_bytes) {
    disk_ = disk;
    reserve_bytes_ = reserve_bytes;
  }
  // No room but what the reserve takes, which is handed over when it goes.
  void FillDisk() {
    SetFreeBytes(0);
    capacity_ = Used();
    disk_->SetCapacity(capacity_);
  }
  absl::Status Remove(const std::string& path) override {
    const bool reserve = path == kReserve && Exists(path);
    EDDY_RETURN_IF_ERROR(FakeFiles::Remove(path));
    if (reserve && disk_ != nullptr) disk_->SetCapacity(capacity_ + reserve_bytes_);
    return absl::OkStatus();
  }

 private:
  uint64_t Used() const {
    uint64_t used = 0;
    for (const std::string& file : disk_->List()) used += disk_->Size(file);
    return used;
  }
  testing::CrashDisk* disk_ = nullptr;
  uint64_t reserve_bytes_ = 0;
  uint64_t capacity_ = 0;
};

struct StoreFixture {
  StoreFixture() {
    options.platform = device.platform();
    options.platform.files = &files;
    options.threads = false;
    options.append_timeout = absl::ZeroDuration();
    files.SetFreeBytes(uint64_t{1} << 40);
  }
  // Of large blocks.
  void OpenBounded(uint64_t quota_bytes, size_t intake_bytes, AtLimit at_quota) {
    options.quota_bytes = quota_bytes;
    options.intake_bytes = intake_bytes;
    options.at_quota = at_quota;
    Open();
  }
  uint64_t Dropped() const {
    return store->Stats().dropped[static_cast<size_t>(GapReason::kQuota)].records;
  }
  void Open() {
    store.reset();
    store = Ok(Store::Open("/store", options));
  }
  Stream& Stream1(const std::string& name, const Retention& retention = {}) {
    StreamOptions stream;
    stream.retention = retention;
    return *Ok(store->CreateStream(name, stream));
  }
  void Due() {
    device.clock.Advance(absl::Seconds(2));
    (void)store->Pump();
  }
  uint64_t FileBytes() const {
    uint64_t bytes = 0;
    for (const std::string& file : device.disk.List()) {
      bytes += device.disk.Size(file);
    }
    return bytes + files_size("/store/eddy.intake") + files_size(kReserve);
  }
  uint64_t BlocksFileBytes() const {
    return device.disk.Size("/store/eddy.db-blocks");
  }
  uint64_t files_size(const std::string& path) const {
    return const_cast<SharedDiskFiles&>(files).Size(path).value_or(0);
  }

  testing::Device device;
  SharedDiskFiles files;
  StoreOptions options;
  std::unique_ptr<Store> store;
};

inline std::vector<Record> All(Stream& stream, RecordBatch* batch) {
  const std::string from = Ok(stream.GetShardIterator(0, {}));
  *batch = Ok(stream.GetRecords(from, {}));
  return batch->records;
}

// How many records the stream still has, and their data.
inline std::pair<size_t, uint64_t> Sum(Stream& stream) {
  std::pair<size_t, uint64_t> sum;
  std::string at = Ok(stream.GetShardIterator(0, {}));
  for (;;) {
    const RecordBatch batch = Ok(stream.GetRecords(at, {}));
    if (batch.records.empty()) return sum;
    sum.first += batch.records.size();
    for (const Record& record : batch.records) sum.second += record.data.size();
    at = batch.next_shard_iterator;
  }
}
inline size_t CountAll(Stream& stream) { return Sum(stream).first; }
inline uint64_t BytesOf(Stream& stream) { return Sum(stream).second; }

}  // namespace eddy::stream

#endif  // EDDY_TESTS_UNIT_STREAM_QUOTA_FIXTURE_H_
