// The store's limits where blocks are large, so that their bytes lie in a file beside the
// database, and neither file's free space serves what the other needs.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/fakes/scale.h"
#include "tests/unit/stream/quota_fixture.h"

namespace eddy::stream {

TEST_CASE("a store of large blocks holds its quota in all its files",
          "[stream][quota][extents][sweep]") {
  constexpr uint64_t kLargeQuota = 16 << 20;
  StoreFixture f;
  const bool drops = GENERATE(true, false);
  f.OpenBounded(kLargeQuota, 2 << 20, drops ? AtLimit::kDropOldest : AtLimit::kRejectNew);
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
  CHECK(kept + f.Dropped() ==
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
  const bool drops = seed % 2 == 0;
  f.OpenBounded(kLargeQuota, 1 << 20, drops ? AtLimit::kDropOldest : AtLimit::kRejectNew);
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
  const int rounds = std::max(testing::Scaled(400), 100);
  for (int round = 0; round < rounds; ++round) {
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
    CHECK(kept + f.Dropped() == all);
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

// What goes lies between what stays: each place that becomes free is for one block.
TEST_CASE("at the quota no more is dropped than what comes needs, wherever it lies",
          "[stream][quota][extents][sweep]") {
  StoreFixture f;
  f.OpenBounded(16 << 20, 2 << 20, AtLimit::kDropOldest);
  Retention keeps;
  keeps.at_limit = AtLimit::kRejectNew;
  Stream& ledger = f.Stream1("ledger", keeps);
  Stream& telemetry = f.Stream1("telemetry");
  const size_t record_bytes = GENERATE(7000, 11000, 12000);
  size_t kept = 0;
  uint64_t before = 0;
  for (int round = 0; round < 400; ++round) {
    // The ledger has its half, and then no more comes.
    if (round < 70) {
      for (int i = 0; i < 5; ++i) kept += ledger.Put("key", std::string(record_bytes, 'l')).ok();
    }
    for (int i = 0; i < 5; ++i) Ok(telemetry.Put("key", std::string(record_bytes, 't')).status());
    f.Due();
    const uint64_t now = f.Dropped();
    INFO("round " << round);
    // And a few rounds ahead: a thirty-second.
    CHECK((now - before) * record_bytes <= 5 * record_bytes + (256 << 10) + 3 * (64 << 10));
    before = now;
  }
  Ok(f.store->Flush());
  CHECK(f.FileBytes() <= f.options.quota_bytes);
  CHECK(CountAll(ledger) == kept);
  CHECK(CountAll(telemetry) + f.Dropped() == 2000);
  CHECK(BytesOf(ledger) + BytesOf(telemetry) > f.options.quota_bytes * 2 / 5);
}

TEST_CASE("a commit that the disk refuses drops no more at each try",
          "[stream][quota][extents][sweep]") {
  StoreFixture f;
  f.OpenBounded(16 << 20, 2 << 20, AtLimit::kDropOldest);
  Stream& stream = f.Stream1("telemetry");
  for (int i = 0; i < 2000; ++i) {
    Ok(stream.Put("key", std::string(12000, 'x')).status());
    if (i % 40 == 0) f.Due();
  }
  Ok(f.store->Flush());
  const uint64_t before = f.Dropped();
  const auto fault =
      GENERATE(testing::CrashDisk::Fault::kFull, testing::CrashDisk::Fault::kIoError);
  f.device.disk.FailNth(testing::CrashDisk::Op::kWrite, 1, fault, /*sticky=*/true, "-wal");
  for (int i = 0; i < 30; ++i) Ok(stream.Put("key", std::string(12000, 'y')).status());
  for (int i = 0; i < 20; ++i) f.Due();
  CHECK(f.Dropped() - before <= 60);
  f.device.disk.ClearFaults();
  for (int i = 0; i < 5; ++i) f.Due();
  Ok(f.store->Flush());
  CHECK(f.Dropped() - before <= 60);
  CHECK(CountAll(stream) + f.Dropped() == 2030);
  CHECK(f.FileBytes() <= f.options.quota_bytes);
}

TEST_CASE("a store that has been at its quota for long still writes each byte once",
          "[stream][quota][extents][sweep]") {
  StoreFixture f;
  f.OpenBounded(8 << 20, 1 << 20, AtLimit::kDropOldest);
  Stream& stream = f.Stream1("telemetry");
  uint32_t state = 1;
  uint64_t put = 0;
  uint64_t written = 0;
  const int puts = std::max(testing::Scaled(8000), 1600);
  for (int i = 0; i < puts; ++i) {
    state = state * 1664525 + 1013904223;
    const size_t bytes = 8000 + (state >> 8) % 6000;
    Ok(stream.Put("key", std::string(bytes, 'x')).status());
    if (i % 20 == 0) f.Due();
    if (i == puts * 3 / 4) written = f.store->Stats().disk_bytes_written;
    if (i > puts * 3 / 4) put += bytes;
  }
  Ok(f.store->Flush());
  CHECK(f.FileBytes() <= f.options.quota_bytes);
  CHECK(static_cast<double>(f.store->Stats().disk_bytes_written - written) <
        1.4 * static_cast<double>(put));
}

// A store of before, say, in whose database there is room for all that comes.
TEST_CASE("on a full disk what is free in the database serves large blocks too",
          "[stream][quota][extents][sweep]") {
  StoreFixture f;
  f.options.intake_bytes = 1 << 20;
  f.options.secure_delete = true;  // so that they lie in the database
  f.files.Share(&f.device.disk, 0);
  f.Open();
  const auto put_some = [&f](int records) {
    Stream& stream = **f.store->OpenStream("telemetry");
    for (int i = 0; i < records; ++i) {
      Ok(stream.Put("key", std::string(12000, 'x')).status());
      if (i % 20 == 19) f.Due();
    }
    Ok(f.store->Flush());
    return &stream;
  };
  f.Stream1("telemetry");
  Stream* stream = put_some(400);
  Ok(stream->Trim(0, Ok(stream->Put("key", "last")).sequence_number));
  Ok(f.store->Flush());
  f.options.secure_delete = false;
  f.Open();
  stream = put_some(5);  // what is in doubt is settled, and the WAL has its length
  f.store.reset();
  f.Open();
  stream = put_some(5);
  f.files.FillDisk();
  f.device.disk.SetCapacity(f.FileBytes() + (64 << 10));
  put_some(40);
  CHECK(CountAll(**f.store->OpenStream("telemetry")) == 51);
}

TEST_CASE("a quota is kept where nothing more may go outside", "[stream][quota][extents][sweep]") {
  StoreFixture f;
  f.options.intake_bytes = 1 << 20;
  f.Open();
  Stream* stream = &f.Stream1("telemetry");
  SequenceNumber half = 0;
  for (int i = 0; i < 700; ++i) {
    const PutResult put = Ok(stream->Put("key", std::string(12000, 'x')));
    if (i == 350) half = put.sequence_number;
    if (i % 5 == 0) f.Due();
  }
  Ok(stream->Trim(0, half));
  Ok(f.store->Flush());
  f.options.quota_bytes = 16 << 20;
  f.options.secure_delete = true;
  f.options.at_quota = GENERATE(AtLimit::kRejectNew, AtLimit::kDropOldest);
  f.Open();
  stream = *f.store->OpenStream("telemetry");
  for (int i = 0; i < 1000 && stream->Put("key", std::string(12000, 'x')).ok(); ++i) {
    if (i % 5 == 0) f.Due();
  }
  Ok(f.store->Flush());
  CHECK(f.FileBytes() <= f.options.quota_bytes);
}

// A store that rejects: half of it, `stays` and `goes` in turn, is trimmed, so that all that
// is free lies in pieces of which none is sure to take a block.
void Scatter(StoreFixture& f) {
  f.OpenBounded(16 << 20, 2 << 20, AtLimit::kRejectNew);
  Stream& stays = f.Stream1("stays");
  Stream& goes = f.Stream1("goes");
  SequenceNumber last = 0;
  for (bool ok = true; ok;) {
    for (Stream* stream : {&stays, &goes}) {
      for (int i = 0; i < 5 && ok; ++i) {
        const auto put = stream->Put("key", std::string(12000, 'x'));
        ok = put.ok();
        if (ok && stream == &goes) last = put->sequence_number;
      }
      f.Due();
    }
  }
  Ok(goes.Trim(0, last));
}

TEST_CASE("a store that rejects brings its free places together", "[stream][quota][extents]") {
  StoreFixture f;
  Scatter(f);
  Stream& stays = **f.store->OpenStream("stays");
  Stream& goes = **f.store->OpenStream("goes");
  const size_t kept = CountAll(stays);
  const uint64_t written = f.store->Stats().disk_bytes_written;
  for (int i = 0; i < 20; ++i) f.Due();
  CHECK(!f.store->Stats().rejects);
  size_t more = 0;
  while (goes.Put("key", std::string(12000, 'y')).ok()) {
    if (++more % 5 == 0) f.Due();
  }
  CHECK(more * 12000 > 2 << 20);
  const uint64_t moved = f.store->Stats().disk_bytes_written - written;
  CHECK(moved < 16 << 20);
  Ok(f.store->Flush());
  CHECK(CountAll(stays) == kept);
  CHECK(f.FileBytes() <= f.options.quota_bytes);
  // And then it rests, however often it looks.
  const uint64_t then = f.store->Stats().disk_bytes_written;
  for (int i = 0; i < 100; ++i) f.Due();
  CHECK(f.store->Stats().disk_bytes_written - then < 100'000);
}

TEST_CASE("a disk that refuses is not written to again and again to bring places together",
          "[stream][quota][extents]") {
  StoreFixture f;
  Scatter(f);
  f.device.disk.FailNth(testing::CrashDisk::Op::kWrite, 1, testing::CrashDisk::Fault::kFull,
                        /*sticky=*/true, "-wal");
  const uint64_t written = f.device.disk.BytesWritten("-blocks");
  for (int i = 0; i < 60; ++i) f.Due();
  CHECK(f.device.disk.BytesWritten("-blocks") - written <= 4 << 20);  // in two minutes
  f.device.disk.ClearFaults();
  for (int i = 0; i < 90; ++i) f.Due();
  CHECK(!f.store->Stats().rejects);
  CHECK(f.store->Stats().blocks_damaged == 0);
}

}  // namespace eddy::stream
