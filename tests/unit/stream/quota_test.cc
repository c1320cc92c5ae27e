// The store's own limits: quota, headroom, reserve, and a disk that is full.
#include <string>
#include <vector>

#include "eddy/queue.h"
#include "tests/unit/stream/quota_fixture.h"

namespace eddy::stream {
namespace {

constexpr uint64_t kQuota = 256 << 10;

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
  PutOptions patient;
  patient.timeout = absl::Seconds(1);
  for (int i = 0; i < 1000; ++i) Ok(stream.Put("key", std::string(1000, 'x'), patient));
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

// Wherever in it that is: also where what waits to be written is asked for by a read.
TEST_CASE("a round that meets the full disk is made again with the reserve",
          "[stream][quota][fault]") {
  int met = 0;
  for (uint64_t nth = 1;; ++nth) {
    CAPTURE(nth);
    StoreFixture f;
    f.options.secure_delete = true;  // blocks are rows, more than the connection's cache takes
    f.options.reserve_bytes = 18 << 20;
    f.Open();
    Stream& stream = f.Stream1("telemetry");
    Queue& queue = *Ok(f.store->CreateQueue("jobs"));
    ReceiveOptions ten;
    ten.max_messages = 10;
    ten.durability = Durability::kProcess;
    for (int i = 0; i < 100; ++i) Ok(queue.Send("job"));
    Ok(queue.Receive(ten));
    Ok(f.store->Flush());  // so that what is known of messages is in the WAL
    for (int i = 0; i < 300; ++i) Ok(stream.Put("key", std::string(10'000, 'x')));
    Ok(queue.Receive(ten));
    f.device.disk.FailNth(testing::CrashDisk::Op::kWrite, nth, testing::CrashDisk::Fault::kFull);
    const absl::Status flushed = f.store->Flush();
    if (f.device.disk.fault_count() == 0) break;
    ++met;
    INFO(flushed.ToString());
    CHECK(flushed.ok());
    CHECK(CountAll(stream) == 300);
    f.Open();
    CHECK(CountAll(*Ok(f.store->OpenStream("telemetry"))) == 300);
  }
  CHECK(met > 10);
}

// As PosixFiles, whose probe of the directory writes a byte, answers on a full disk.
class FullFiles final : public testing::FakeFiles {
 public:
  absl::Status PrepareDirectory(const std::string& path) override {
    if (full) return absl::ResourceExhaustedError("prepare directory: ENOSPC");
    return FakeFiles::PrepareDirectory(path);
  }
  bool full = false;
};

TEST_CASE("a second owner that is refused leaves the reserve of the first alone",
          "[stream][quota][reserve]") {
  testing::Device device;
  FullFiles files;
  StoreOptions options;
  options.platform = device.platform();
  options.platform.files = &files;
  options.threads = false;
  options.intake_bytes = 256 << 10;
  options.reserve_bytes = 1 << 20;
  const auto first = Ok(Store::Open("/store", options));
  REQUIRE(files.Exists(kReserve));
  files.full = true;
  files.SetFreeBytes(0);
  CHECK_FALSE(Store::Open("/store", options).ok());
  CHECK(files.Exists(kReserve));
}

}  // namespace eddy::stream
