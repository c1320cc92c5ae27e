// The store's own limits: quota, headroom, reserve, and a disk that is full.
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "eddy/store.h"
#include "tests/unit/stream/stream_fixture.h"

namespace eddy::stream {
namespace {

constexpr uint64_t kQuota = 256 << 10;
constexpr char kReserve[] = "/store/eddy.reserve";

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
    for (const std::string& file : disk_->List()) used += disk_->Content(file).size();
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
      bytes += device.disk.Content(file).size();
    }
    return bytes + files_size("/store/eddy.intake") + files_size(kReserve);
  }
  uint64_t BlocksFileBytes() const {
    return device.disk.Content("/store/eddy.db-blocks").size();
  }
  uint64_t files_size(const std::string& path) const {
    return const_cast<SharedDiskFiles&>(files).Size(path).value_or(0);
  }

  testing::Device device;
  SharedDiskFiles files;
  StoreOptions options;
  std::unique_ptr<Store> store;
};

std::vector<Record> All(Stream& stream, RecordBatch* batch) {
  const std::string from = Ok(stream.GetShardIterator(0, {}));
  *batch = Ok(stream.GetRecords(from, {}));
  return batch->records;
}

}  // namespace

TEST_CASE("a store of 256 KiB holds its quota in all its files, dropping the oldest",
          "[stream][quota]") {
  StoreFixture f;
  f.options.quota_bytes = kQuota;
  f.options.intake_bytes = 32 << 10;
  f.options.at_quota = AtLimit::kDropOldest;
  f.Open();
  Stream& stream = f.Stream1("telemetry");
  uint64_t most = 0;
  for (int i = 0; i < 20000; ++i) {
    const auto put = stream.Put("key", std::string(100, 'x'));
    INFO(i << " " << put.status().ToString());
    REQUIRE(put.ok());
    if (i % 100 == 0) {
      f.Due();
      most = std::max(most, f.FileBytes());
    }
  }
  CHECK(most <= kQuota);
  Ok(f.store->Flush());
  const StoreStats stats = f.store->Stats();
  RecordBatch batch;
  const size_t kept = All(stream, &batch).size();
  CHECK(kept >= 200);
  CHECK(kept + stats.dropped[static_cast<size_t>(GapReason::kQuota)].records == 20000);
}

TEST_CASE("a store of 256 KiB that rejects loses nothing and keeps its quota",
          "[stream][quota]") {
  StoreFixture f;
  f.options.quota_bytes = kQuota;
  f.options.intake_bytes = 32 << 10;
  f.Open();
  Stream& stream = f.Stream1("telemetry");
  Queue& queue = *Ok(f.store->CreateQueue("jobs", {}));
  size_t accepted = 0;
  for (int i = 0; i < 5000; ++i) {
    const auto put = stream.Put("key", std::string(100, 'x'));
    if (put.ok()) {
      ++accepted;
    } else {
      CHECK(absl::IsResourceExhausted(put.status()));
    }
    if (i % 100 == 0) f.Due();
  }
  Ok(f.store->Flush());
  CHECK(f.FileBytes() <= kQuota);
  CHECK(f.store->Stats().rejects);
  CHECK(absl::IsResourceExhausted(queue.Send("a job", {}).status()));
  RecordBatch batch;
  CHECK(All(stream, &batch).size() == accepted);
  CHECK(accepted >= 200);

  SECTION("until room is made") {
    Ok(stream.Trim(0, batch.next_sequence_number));
    Ok(f.store->Flush());
    f.Due();
    CHECK(!f.store->Stats().rejects);
    CHECK(queue.Send("a job", {}).ok());
    CHECK(stream.Put("key", "again").ok());
  }
}

TEST_CASE("at the quota the lowest priority goes first, and a rejecting stream keeps all",
          "[stream][quota]") {
  StoreFixture f;
  f.options.quota_bytes = 1 << 20;
  f.options.intake_bytes = 32 << 10;
  f.options.at_quota = AtLimit::kDropByPriority;
  f.Open();
  Retention dear;
  dear.priority = 1;
  Retention rejecting;
  rejecting.at_limit = AtLimit::kRejectNew;
  Stream& alarms = f.Stream1("alarms", dear);
  Stream& chatter = f.Stream1("chatter");
  Stream& ledger = f.Stream1("ledger", rejecting);
  for (int i = 0; i < 100; ++i) {
    Ok(alarms.Put("key", std::string(1000, 'a')));
    Ok(ledger.Put("key", std::string(1000, 'l')));
  }
  for (int i = 0; i < 3000; ++i) {
    Ok(chatter.Put("key", std::string(1000, 'c')));
    if (i % 10 == 0) f.Due();
  }
  Ok(f.store->Flush());
  RecordBatch batch;
  CHECK(All(alarms, &batch).size() == 100);
  CHECK(All(ledger, &batch).size() == 100);
  const size_t kept = All(chatter, &batch).size();
  CHECK(kept < 1000);
  CHECK(kept > 0);
}

// How many records the stream still has, and their data.
std::pair<size_t, uint64_t> Sum(Stream& stream) {
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
size_t CountAll(Stream& stream) { return Sum(stream).first; }
uint64_t BytesOf(Stream& stream) { return Sum(stream).second; }

TEST_CASE("a store of large blocks holds its quota in all its files",
          "[stream][quota][extents][sweep]") {
  constexpr uint64_t kLargeQuota = 16 << 20;
  StoreFixture f;
  f.options.quota_bytes = kLargeQuota;
  f.options.intake_bytes = 2 << 20;
  f.options.at_quota = GENERATE(AtLimit::kDropOldest, AtLimit::kRejectNew);
  const bool drops = f.options.at_quota == AtLimit::kDropOldest;
  f.Open();
  Stream& stream = f.Stream1("telemetry");
  uint64_t most = 0;
  size_t accepted = 0;
  for (int i = 0; i < 3000; ++i) {
    const auto put = stream.Put("key", std::string(12000, static_cast<char>('a' + i % 26)));
    INFO(i << " " << put.status().ToString());
    REQUIRE((put.ok() || (!drops && absl::IsResourceExhausted(put.status()))));
    accepted += put.ok();
    if (i % 40 != 0) continue;
    f.Due();
    most = std::max(most, f.FileBytes());
  }
  Ok(f.store->Flush());
  most = std::max(most, f.FileBytes());
  CHECK(f.BlocksFileBytes() > kLargeQuota * 2 / 5);
  CHECK(most <= kLargeQuota);
  CHECK(accepted * 12000 > kLargeQuota * 2 / 5);
  CHECK(f.store->Stats().rejects == !drops);
  const size_t kept = CountAll(stream);
  CHECK(kept * 12000 > kLargeQuota * 2 / 5);
  CHECK(kept + f.store->Stats().dropped[static_cast<size_t>(GapReason::kQuota)].records ==
        accepted);
  CHECK(f.store->Stats().blocks_damaged == 0);
  // Each byte once, and what rows and their drops take.
  CHECK(f.store->Stats().disk_bytes_written < accepted * 12000 * 5 / 4);
}

// Several streams whose records differ in size, of which some go early and some stay: so
// what is free lies in pieces, of pages and of the other file.
TEST_CASE("at the quota, too, what is free serves blocks of any size",
          "[stream][quota][extents][sweep]") {
  constexpr uint64_t kLargeQuota = 8 << 20;
  constexpr int kStreams = 5;
  const int seed = GENERATE(0, 1, 2, 3, 4, 5);
  StoreFixture f;
  f.options.quota_bytes = kLargeQuota;
  f.options.intake_bytes = 1 << 20;
  const bool drops = seed % 2 == 0;
  f.options.at_quota = drops ? AtLimit::kDropOldest : AtLimit::kRejectNew;
  f.Open();
  std::vector<Stream*> streams;
  for (int i = 0; i < kStreams; ++i) streams.push_back(&f.Stream1(absl::StrCat("s", i)));
  uint32_t state = static_cast<uint32_t>(seed) * 2654435761u + 1;
  const auto random = [&state](uint32_t most) {
    state = state * 1664525 + 1013904223;
    return (state >> 8) % most;
  };
  uint64_t most = 0;
  size_t accepted[kStreams] = {};
  size_t refused = 0;
  std::vector<SequenceNumber> numbers[kStreams];
  for (int round = 0; round < 400; ++round) {
    for (int i = 0; i < kStreams; ++i) {
      const size_t records = random(i == 0 ? 200 : 8);
      for (size_t k = 0; k < records; ++k) {
        const auto put = streams[static_cast<size_t>(i)]->Put(
            "key", std::string(i == 0 ? 100 : 1 + random(30000), 'x'));
        INFO(put.status().ToString());
        REQUIRE((put.ok() || (!drops && absl::IsResourceExhausted(put.status()))));
        refused += !put.ok();
        if (!put.ok()) continue;
        ++accepted[i];
        numbers[i].push_back(put->sequence_number);
      }
    }
    f.Due();
    most = std::max(most, f.FileBytes());
    if (drops || round % 3 != 0) continue;
    // One is trimmed often, others seldom, one hardly ever.
    const size_t i = random(2) == 0 ? 1 : random(50) == 0 ? 4 : random(kStreams - 1);
    if (!numbers[i].empty()) Ok(streams[i]->Trim(0, numbers[i][random(static_cast<uint32_t>(numbers[i].size()))]));
  }
  Ok(f.store->Flush());
  CHECK(std::max(most, f.FileBytes()) <= kLargeQuota);
  CHECK(f.store->Stats().blocks_damaged == 0);
  if (drops) {
    size_t kept = 0;
    size_t all = 0;
    for (size_t i = 0; i < kStreams; ++i) {
      kept += CountAll(*streams[i]);
      all += accepted[i];
    }
    CHECK(kept + f.store->Stats().dropped[static_cast<size_t>(GapReason::kQuota)].records == all);
    CHECK(f.FileBytes() > kLargeQuota / 2);
    return;
  }
  CHECK(refused > 0);
  // All that is free is room again, within a few rounds.
  for (size_t i = 0; i < kStreams; ++i) {
    if (i != 4 && !numbers[i].empty()) Ok(streams[i]->Trim(0, numbers[i].back()));
  }
  for (int i = 0; i < 10; ++i) f.Due();
  CHECK(!f.store->Stats().rejects);
  uint64_t kept = BytesOf(*streams[4]);
  for (int i = 0; streams[1]->Put("key", std::string(30000, 'y')).ok(); ++i) {
    kept += 30000;
    if (i % 10 == 9) f.Due();
  }
  CHECK(kept > kLargeQuota * 2 / 5);
  Ok(f.store->Flush());
  CHECK(f.FileBytes() <= kLargeQuota);
}

TEST_CASE("a store that is given a quota later keeps what it has room for, and no more",
          "[stream][quota][extents][sweep]") {
  StoreFixture f;
  f.options.intake_bytes = 2 << 20;
  f.Open();
  f.Stream1("telemetry");
  const auto put_some = [&] {
    Stream& stream = **f.store->OpenStream("telemetry");
    for (int i = 0; i < 40; ++i) Ok(stream.Put("key", std::string(12000, 'x')).status());
    f.Due();
  };
  for (int i = 0; i < 40; ++i) put_some();
  f.store.reset();
  const uint64_t before = f.BlocksFileBytes();
  CHECK(before > 16'000'000);
  f.options.quota_bytes = 16 << 20;
  f.options.at_quota = AtLimit::kDropOldest;
  f.Open();
  for (int i = 0; i < 40; ++i) put_some();
  CHECK(f.FileBytes() <= f.options.quota_bytes);
  CHECK(f.BlocksFileBytes() > f.options.quota_bytes / 3);
  CHECK(CountAll(**f.store->OpenStream("telemetry")) * 12000 > f.options.quota_bytes / 3);
  CHECK(f.store->Stats().blocks_damaged == 0);
}

TEST_CASE("what is left of the file system is not taken below the headroom", "[stream][quota]") {
  StoreFixture f;
  f.options.headroom_bytes = 10 << 20;
  f.options.intake_bytes = 256 << 10;
  f.Open();
  Stream& stream = f.Stream1("telemetry");
  f.Due();
  CHECK(stream.Put("key", "data").ok());
  f.files.SetFreeBytes(10 << 20);  // somebody else has filled it
  f.Due();
  CHECK(f.store->Stats().rejects);
  CHECK(absl::IsResourceExhausted(stream.Put("key", "data").status()));
  f.files.SetFreeBytes(20 << 20);
  f.Due();
  CHECK(stream.Put("key", "data").ok());
}

TEST_CASE("a store is not made where its headroom of inodes is not free", "[stream][quota]") {
  StoreFixture f;
  f.options.headroom_inodes = 100;
  f.files.SetFreeInodes(99);
  CHECK(absl::IsResourceExhausted(Store::Open("/store", f.options).status()));
  f.files.SetFreeInodes(100);
  f.Open();
}

TEST_CASE("on a full disk the reserve lets trims and acknowledgements be committed",
          "[stream][quota]") {
  const bool with_reserve = GENERATE(true, false);
  CAPTURE(with_reserve);
  StoreFixture f;
  f.options.reserve_bytes = with_reserve ? 640 << 10 : 0;
  f.options.intake_bytes = 256 << 10;
  f.files.Share(&f.device.disk, f.options.reserve_bytes);
  f.Open();
  Stream& stream = f.Stream1("telemetry");
  Cursor* const cursor = Ok(stream.OpenCursor("reader"));
  for (int i = 0; i < 1000; ++i) Ok(stream.Put("key", std::string(1000, 'x'), {{}, {}, absl::Seconds(1)}));
  Ok(f.store->Flush());
  CHECK(f.store->Stats().reserve_held == with_reserve);
  f.files.FillDisk();
  for (int i = 0; i < 200; ++i) Ok(stream.Put("key", std::string(1000, 'y')));
  const absl::Status flushed = f.store->Flush();
  if (!with_reserve) {
    CHECK(absl::IsUnavailable(flushed));  // this is what the reserve is for
    return;
  }
  Ok(flushed);

  const RecordBatch batch = Ok(cursor->Read(0));
  const absl::Status advanced =
      cursor->Advance(0, batch.next_sequence_number, Durability::kPower);
  CHECK(advanced.ok());
  CHECK(!f.store->Stats().reserve_held);
  CHECK(absl::IsResourceExhausted(stream.Put("key", "no more").status()));
  Ok(stream.Trim(0, batch.next_sequence_number));
  Ok(f.store->Flush());
  CHECK(Ok(f.store->OpenStream("telemetry"))->Describe().shards[0].oldest ==
        batch.next_sequence_number);
  for (int i = 0; i < 100; ++i) {
    Ok(cursor->Advance(0, batch.next_sequence_number, Durability::kPower));
  }

  // Somebody makes room: the reserve is taken back, and records are taken again.
  f.files.SetFreeBytes(16 << 20);
  f.device.disk.SetCapacity(uint64_t{1} << 40);
  f.Due();
  CHECK(f.store->Stats().reserve_held);
  f.Due();
  CHECK(stream.Put("key", "again").ok());
}

}  // namespace eddy::stream
