// The salvage at a quota, and on a disk that is nearly full: new records go before, nothing
// is lost silently, and it comes to its end.
#include <algorithm>

#include "tests/fakes/scale.h"
#include "tests/unit/store/salvage_fixture.h"

namespace eddy {
namespace {

using testing::SalvageFixture;

struct RoomFixture : SalvageFixture {
  RoomFixture() {
    options.intake_bytes = 32 << 10;
    options.append_timeout = absl::ZeroDuration();
    options.quota_bytes = 2 << 20;
  }

  Stream& Make(const std::string& name, const Retention& retention = {}) {
    StreamOptions stream;
    stream.retention = retention;
    const auto made = store->CreateStream(name, stream);
    INFO(made.status().ToString());
    REQUIRE(made.ok());
    return **made;
  }

  // As PutTo, of bytes that cannot be packed.
  absl::Status TryPut(const std::string& stream, size_t bytes) {
    std::string data(bytes, '\0');
    for (char& byte : data) byte = static_cast<char>(device.random.Next());
    const auto result = (*store->OpenStream(stream))->Put("key", data);
    if (!result.ok()) return result.status();
    records[{stream, 0}].push_back({result->sequence_number, data});
    return absl::OkStatus();
  }
  void Put(const std::string& stream, size_t bytes) {
    const absl::Status put = TryPut(stream, bytes);
    INFO(put.ToString());
    REQUIRE(put.ok());
  }
  void Due(absl::Duration time = absl::Seconds(2)) {
    device.clock.Advance(time);
    store->Pump();
  }

  void LoseFirstPage() {
    Close();
    std::string bytes = Database();
    bytes.replace(0, 4096, std::string(4096, '\0'));
    Damage(bytes);
  }

  bool Running() {
    const SalvageState state = store->Stats().salvage.state;
    return state == SalvageState::kRunning || state == SalvageState::kPaused;
  }
  // What counts for the quota: not what was set aside.
  uint64_t FileBytes() {
    uint64_t bytes = device.files.Size("/store/eddy.intake").value_or(0);
    for (const std::string& file : device.disk.List()) {
      if (file.find("damaged-") == std::string::npos) bytes += device.disk.Size(file);
    }
    return bytes;
  }

  // All are there but the oldest, of which gaps tell with their exact number.
  void JudgeNewest(const std::string& stream, size_t least) {
    const size_t missing = JudgeShard(stream, 0);
    const Read read = ReadAll(stream, 0);
    const auto& want = records[{stream, 0}];
    CHECK(read.lost() == missing);
    CHECK(read.records.size() >= least);
    REQUIRE_FALSE(read.records.empty());
    CHECK(read.records.front().first == want[missing].first);
    for (const Gap& gap : read.gaps) CHECK(gap.reason == GapReason::kQuota);
  }
};

TEST_CASE("at a full quota that drops the oldest the salvage ends, and takes nobody's room",
          "[store][salvage][quota][sweep]") {
  RoomFixture f;
  f.options.at_quota = AtLimit::kDropOldest;
  const bool two = GENERATE(false, true);
  const bool killed = GENERATE(false, true);
  const int each = GENERATE(1, 12, 40);  // new records between two steps
  CAPTURE(two, killed, each);
  f.Open();
  f.Make("s");
  f.Make("t");
  const auto put = [&](int i) { f.Put(two && i % 2 == 1 ? "t" : "s", 500); };
  for (int i = 0; i < 5000; ++i) {
    put(i);
    if (i % 4 == 3) f.Due();
  }
  f.LoseFirstPage();
  f.Open();
  uint64_t most = 0;
  int steps = 0;
  for (; f.Running() && steps < 600; ++steps) {
    for (int i = 0; i < each; ++i) put(i);
    REQUIRE(f.store->Flush().ok());
    f.Due(absl::Milliseconds(5));
    most = std::max(most, f.FileBytes());
    if (!killed) continue;
    f.Kill();
    f.Open();
  }
  CAPTURE(steps, f.store->Stats().salvage.cause.ToString());
  CHECK(f.store->Stats().salvage.state == SalvageState::kDone);
  CHECK(most <= f.options.quota_bytes);
  const size_t least = two ? 700 : 1400;
  f.JudgeNewest("s", least);
  if (two) f.JudgeNewest("t", least);
  for (int i = 0; i < 400; ++i) {
    put(i);
    if (i % 4 == 3) f.Due();
  }
  CHECK(f.FileBytes() <= f.options.quota_bytes);
  f.Close();
  f.Open();
  f.JudgeNewest("s", least);
  const StoreStats stats = f.store->Stats();
  const size_t kept = f.ReadAll("s", 0).records.size() + f.ReadAll("t", 0).records.size();
  size_t given = 0;
  for (const auto& [place, all] : f.records) given += all.size();
  CHECK(kept + stats.dropped[static_cast<size_t>(GapReason::kQuota)].records == given);
  CHECK(stats.salvage.records_lost == 0);
}

TEST_CASE("what is passed over is of the log that it was decided for, whatever fails meanwhile",
          "[store][salvage][quota]") {
  const int stride = std::max(1, 4 / testing::Scaled(4));
  for (int at = 1; at < 16; at += stride) {
    CAPTURE(at);
    RoomFixture f;
    f.options.quota_bytes = 0;
    f.options.intake_bytes = 1 << 20;
    f.Open();
    Retention hour;
    hour.age = absl::Hours(1);
    f.Make("s", hour);
    f.Make("t");  // keeps all
    for (int i = 0; i < 200; ++i) {
      f.Put(i % 2 == 1 ? "t" : "s", 60000);
      REQUIRE(f.store->Flush().ok());
    }
    REQUIRE(f.device.disk.Size("/store/eddy.db-blocks") > 0);
    f.device.clock.Advance(absl::Minutes(10));
    f.LoseFirstPage();
    f.Open();
    f.device.clock.Advance(absl::Minutes(70));
    for (int step = 0; step < 600 && f.Running(); ++step) {
      if (step == at) {
        f.device.disk.FailNth(testing::CrashDisk::Op::kWrite, 1,
                              testing::CrashDisk::Fault::kIoError, true);
      }
      if (step == at + 1) {
        f.device.disk.FailNth(testing::CrashDisk::Op::kRead, 1,
                              testing::CrashDisk::Fault::kIoError, true,
                              "damaged-1/eddy.db-blocks");
      }
      f.Due(absl::Milliseconds(1010));
      f.device.disk.ClearFaults();
    }
    CHECK(f.store->Stats().salvage.state == SalvageState::kDone);
    CHECK(f.JudgeShard("t", 0) == 0);
    CHECK(f.ReadAll("t", 0).gaps.empty());
  }
}

TEST_CASE("new records that fill the quota before the salvage ends are never refused",
          "[store][salvage][quota][sweep]") {
  RoomFixture f;
  f.options.at_quota = AtLimit::kDropOldest;
  f.Open();
  f.Make("s");
  for (int i = 0; i < 5000; ++i) {  // a block each
    f.Put("s", 300);
    f.Due();
  }
  f.LoseFirstPage();
  f.Open();
  size_t puts = 0;
  for (int step = 0; step < 600 && f.Running(); ++step) {
    for (int i = 0; i < 48; ++i, ++puts) f.Put("s", 600);
    REQUIRE(f.store->Flush().ok());
    f.Due(absl::Milliseconds(5));
  }
  CHECK(f.store->Stats().salvage.state == SalvageState::kDone);
  CHECK(f.FileBytes() <= f.options.quota_bytes);
  CHECK(puts * 600 > f.options.quota_bytes / 3);
  f.JudgeNewest("s", 1500);
}

TEST_CASE("at a quota that rejects the salvage pauses, says so, and goes on after a trim",
          "[store][salvage][quota]") {
  RoomFixture f;
  f.Open();
  Stream* stream = &f.Make("s");
  absl::Status put;
  for (int i = 0; put.ok(); ++i) {
    put = f.TryPut("s", 500);
    if (i % 4 == 3) f.Due();
  }
  REQUIRE(absl::IsResourceExhausted(put));
  f.LoseFirstPage();
  f.options.quota_bytes = 3 << 19;
  f.Open();
  stream = *f.store->OpenStream("s");
  for (int i = 0; i < 8; ++i) f.Put("s", 500);
  for (int i = 0; i < 100; ++i) f.Due();
  const SalvageStats paused = f.store->Stats().salvage;
  CHECK(paused.state == SalvageState::kPaused);
  CHECK(absl::IsResourceExhausted(paused.cause));
  CHECK(paused.cause.message().find("quota") != std::string::npos);
  CHECK(paused.blocks > 50);
  CHECK(f.FileBytes() <= f.options.quota_bytes);
  // The first ones are there, the last ones are not.
  const auto& all = f.records[{"s", 0}];
  const SequenceNumber late = all[all.size() - 20].first;
  const auto behind = stream->GetShardIterator(
      0, {ShardIteratorType::kAtSequenceNumber, late, absl::Time()});
  REQUIRE(behind.ok());
  CHECK(absl::IsUnavailable(stream->GetRecords(*behind).status()));
  const SequenceNumber keep = all[all.size() / 2].first;
  REQUIRE(stream->Trim(0, keep).ok());
  REQUIRE(f.store->Flush().ok());
  f.Salvage();
  f.Put("s", 500);
  const SalvageFixture::Read read = f.ReadAll("s", 0);
  CHECK(read.gaps.empty());
  REQUIRE(read.records.size() == all.size() - (all.size() - 1) / 2);
  CHECK(read.records.front().first == keep);
  CHECK(f.FileBytes() <= f.options.quota_bytes);
}

TEST_CASE("a stream that rejects waits for room, while one that drops is salvaged before it",
          "[store][salvage][quota]") {
  RoomFixture f;
  f.options.at_quota = AtLimit::kDropOldest;
  f.Open();
  Retention rejects;
  rejects.at_limit = AtLimit::kRejectNew;
  f.Make("s", rejects);  // its log is the first
  f.Make("t");
  for (int i = 0; i < 2400; ++i) {
    f.Put("t", 500);
    if (i % 2 == 0) f.Put("s", 500);
    if (i % 4 == 3) f.Due();
  }
  f.LoseFirstPage();
  f.options.quota_bytes = 1 << 20;  // not enough for the first alone
  f.Open();
  uint64_t most = 0;
  for (int i = 0; i < 60; ++i) {
    for (int k = 0; k < 8; ++k) f.Put("t", 500);
    f.Due();
    most = std::max(most, f.FileBytes());
  }
  CHECK(most <= f.options.quota_bytes);
  f.JudgeNewest("t", 8);
  f.options.quota_bytes = 4 << 20;
  f.Close();
  f.Open();
  f.Salvage();
  CHECK(f.JudgeShard("s", 0) == 0);
  f.JudgeNewest("t", 8);
}

TEST_CASE("what a stream's own limit would drop holds up nothing", "[store][salvage][retention]") {
  RoomFixture f;
  f.options.quota_bytes = 0;
  f.Open();
  Retention hour;
  hour.age = absl::Hours(1);
  f.Make("s", hour);
  for (int i = 0; i < 2000; ++i) {
    f.Put("s", 500);
    if (i % 4 == 3) f.Due();
  }
  f.LoseFirstPage();
  f.device.files.SetFreeBytes(1 << 20);
  f.Open();
  for (int i = 0; i < 10; ++i) f.Due();
  CHECK(f.store->Stats().salvage.state == SalvageState::kPaused);
  f.Put("s", 500);
  REQUIRE(f.store->Flush().ok());
  f.device.clock.Advance(absl::Hours(2));
  f.Salvage();
  CHECK(f.store->Stats().salvage.blocks == 0);
  f.Due();
  f.Put("s", 500);
  REQUIRE(f.store->Flush().ok());
  CHECK(f.JudgeShard("s", 0) == 2001);
  const SalvageFixture::Read read = f.ReadAll("s", 0);
  CHECK(read.lost() == 2001);
  for (const Gap& gap : read.gaps) CHECK(gap.reason == GapReason::kRetentionAge);
}

TEST_CASE("without a quota the salvage leaves the disk what the commits need",
          "[store][salvage][fault][sweep]") {
  RoomFixture f;
  f.options.quota_bytes = 0;
  f.Open();
  f.Make("s");
  for (int i = 0; i < 2000; ++i) {
    f.Put("s", 500);
    if (i % 4 == 3) f.Due();
  }
  f.LoseFirstPage();
  SECTION("and pauses, until there is more") {
    f.Open();
    f.device.files.SetFreeBytes(3 << 20);
    for (int i = 0; i < 20; ++i) {
      f.Put("s", 500);
      REQUIRE(f.store->Flush().ok());
      f.Due();
    }
    const SalvageStats paused = f.store->Stats().salvage;
    CHECK(paused.state == SalvageState::kPaused);
    CHECK(absl::IsResourceExhausted(paused.cause));
    CHECK(paused.cause.message().find("disk") != std::string::npos);
    CHECK(paused.blocks == 0);
    f.device.files.SetFreeBytes(36 << 20);
  }
  SECTION("but waits for no more than it takes itself, several times") {
    f.Open();
    f.device.files.SetFreeBytes(6 << 20);
  }
  f.device.clock.Advance(absl::Seconds(2));
  f.Salvage();
  CHECK(f.JudgeShard("s", 0) == 0);
}

}  // namespace
}  // namespace eddy
