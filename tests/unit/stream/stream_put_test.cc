#include "src/stream/hash_key.h"
#include "tests/unit/stream/stream_fixture.h"

namespace eddy::stream {
namespace {

using testing::CrashDisk;

PutOptions Power() {
  PutOptions put;
  put.durability = Durability::kPower;
  return put;
}

TEST_CASE("a bad record is refused and nothing of it is kept",
          "[stream][put]") {
  StreamFixture f(2u);
  struct Bad {
    std::string key, data, hash_key;
  };
  const std::vector<Bad> table = {
      {"", "d", ""},     {std::string(257, 'k'), "d", ""},
      {"\xff", "d", ""}, {"k", std::string(kStreamRecordBytesMax, 'd'), ""},
      {"k", "d", "-1"},  {"k", "d", "00"},
      {"k", "d", "x"},   {"k", "d", "340282366920938463463374607431768211456"},
  };
  for (const Bad& bad : table) {
    PutOptions put;
    put.explicit_hash_key = bad.hash_key;
    const auto result = f.stream().Put(bad.key, bad.data, put);
    INFO(result.status().ToString());
    CHECK(absl::IsInvalidArgument(result.status()));
  }
  CHECK(f.ReadShard(0).empty());
  CHECK(f.ReadShard(1).empty());
}

TEST_CASE("a record is read back as it was put", "[stream][put]") {
  StreamFixture f(2u);
  const std::string key =
      GENERATE(std::string("k"), std::string(256, 'k'), std::string("\0", 1));
  const std::string data =
      GENERATE(std::string(), std::string("d"), std::string("\0\xff\0", 3),
               std::string(10000, 'x'), std::string(900000, 'y'));
  const std::string hash_key =
      GENERATE(std::string(), std::string("0"),
               std::string("340282366920938463463374607431768211455"));
  PutOptions put;
  put.explicit_hash_key = hash_key;
  const PutResult result = f.Put(key, data, put);
  if (!hash_key.empty()) CHECK(result.shard == (hash_key == "0" ? 0 : 1));

  const RecordBatch batch = Ok(f.stream().GetRecords(
      f.Iterator(result.shard, ShardIteratorType::kTrimHorizon)));
  REQUIRE(batch.records.size() == 1);
  const Record& record = batch.records[0];
  CHECK(record.sequence_number == result.sequence_number);
  CHECK(record.partition_key == key);
  CHECK(record.data == data);
  CHECK(record.arrival == f.device.clock.WallNow());
  CHECK(record.arrival_is_trusted);
  if (hash_key.empty()) {
    CHECK(record.explicit_hash_key.empty());
  } else {
    REQUIRE(record.explicit_hash_key.size() == kHashKeyBytes);
    CHECK(FormatHashKey(LoadHashKey(record.explicit_hash_key.data())) ==
          hash_key);
  }
}

TEST_CASE("an accepted record survives the process, a committed one the power",
          "[stream][put][crash]") {
  StreamFixture f;
  f.Put("k", "committed", Power());
  f.Put("k", "accepted");
  SECTION("the process dies") {
    f.KillAndReopen();
    CHECK(f.ReadShard() == std::vector<std::string>{"committed", "accepted"});
  }
  SECTION("the power fails") {
    f.CutAndReopen();
    CHECK(f.ReadShard() == std::vector<std::string>{"committed"});
  }
}

TEST_CASE("a stream's own durability is that of a Put that names none",
          "[stream][put][crash]") {
  StreamFixture f(StreamOptions{1, Durability::kPower});
  f.Put("k", "committed");
  PutOptions process;
  process.durability = Durability::kProcess;
  f.Put("k", "accepted", process);
  f.CutAndReopen();
  CHECK(f.ReadShard() == std::vector<std::string>{"committed"});
}

TEST_CASE("a power cut at any step of puts takes none that kPower has promised",
          "[stream][put][crash][sweep]") {
  for (uint64_t cut_at = 1; cut_at <= 40; ++cut_at) {
    StreamFixture f(StreamOptions{2, Durability::kPower}, 256 << 10, cut_at);
    f.device.disk.CutAt(cut_at);
    std::vector<std::string> promised[2];
    std::vector<SequenceNumber> handed_out;
    for (int i = 0; i < 12; ++i) {
      const auto put = f.stream().Put(absl::StrCat("k", i), absl::StrCat(i));
      if (!put.ok()) break;
      promised[put->shard].push_back(absl::StrCat(i));
    }
    f.CutAndReopen(cut_at);
    for (ShardId shard = 0; shard < 2; ++shard) {
      std::vector<std::string> found = f.ReadShard(shard);
      INFO("cut at " << cut_at << ", shard " << shard);
      REQUIRE(found.size() >= promised[shard].size());
      found.resize(promised[shard].size());
      CHECK(found == promised[shard]);
    }
  }
}

TEST_CASE("a failed sync at kPower says accepted, and the record is kept",
          "[stream][put][fault]") {
  StreamFixture f;
  f.device.disk.FailNth(CrashDisk::Op::kSync, 1, CrashDisk::Fault::kIoError);
  const auto put = f.stream().Put("k", "d", Power());
  CHECK(absl::IsUnavailable(put.status()));
  f.device.disk.ClearFaults();
  CHECK(f.ReadShard() == std::vector<std::string>{"d"});
  Ok(f.engine->Flush());
  f.CutAndReopen();
  CHECK(f.ReadShard() == std::vector<std::string>{"d"});
}

TEST_CASE(
    "a disk that is full lets puts fail when the intake is full, not before",
    "[stream][put][fault]") {
  StreamFixture f;
  f.device.disk.FailNth(CrashDisk::Op::kWrite, 1, CrashDisk::Fault::kFull,
                        /*sticky=*/true);
  PutOptions put;
  put.timeout = absl::Seconds(1);
  const std::string data(1000, 'd');
  size_t accepted = 0;
  absl::Status status;
  for (; accepted < 1000; ++accepted) {
    status = f.stream().Put("k", data, put).status();
    if (!status.ok()) break;
  }
  CHECK(absl::IsResourceExhausted(status));
  CHECK(accepted > 150);  // of 256 KiB
  f.device.disk.ClearFaults();
  Ok(f.stream().Put("k", data, put));
  CHECK(f.ReadShard().size() == accepted + 1);
}

TEST_CASE(
    "a record too large for the intake is not accepted when its commit fails",
    "[stream][put][fault]") {
  StreamFixture f;
  f.Put("k", "before");
  const std::string large(500000, 'l');
  f.device.disk.FailNth(CrashDisk::Op::kWrite, 1, CrashDisk::Fault::kFull,
                        /*sticky=*/true);
  PutOptions put;
  put.timeout = absl::Seconds(1);
  CHECK(absl::IsResourceExhausted(f.stream().Put("k", large, put).status()));
  f.device.disk.ClearFaults();
  f.Put("k", "after");
  CHECK(f.ReadShard() == std::vector<std::string>{"before", "after"});
  f.Put("k", large);
  f.CutAndReopen();
  CHECK(f.ReadShard().back() == large);
}

TEST_CASE(
    "a record that found no room does not stop a later one of its key",
    "[stream][put][fault]") {
  StreamFixture f;
  const std::string large(500000, 'l');
  f.device.disk.FailNth(CrashDisk::Op::kWrite, 1, CrashDisk::Fault::kFull,
                        /*sticky=*/true);
  PutOptions put;
  put.timeout = absl::Seconds(1);
  const auto results = Ok(
      f.stream().PutRecords({{"k", large, ""}, {"k", "later", ""}}, put));
  CHECK(absl::IsResourceExhausted(results[0].status()));
  CHECK(results[1].ok());
  f.device.disk.ClearFaults();
  f.Put("k", large);
  CHECK(f.ReadShard() == std::vector<std::string>{"later", large});
}

TEST_CASE("a durability that does not exist is refused, and nothing is accepted",
          "[stream][put]") {
  constexpr auto kNone = static_cast<Durability>(3);
  StreamFixture f;
  PutOptions put;
  put.durability = kNone;
  CHECK(absl::IsInvalidArgument(f.stream().Put("k", "d", put).status()));
  CHECK(absl::IsInvalidArgument(
      f.stream().PutRecords({{"k", "d", ""}}, put).status()));
  CHECK(f.ReadShard().empty());
  const SequenceNumber number = f.Put("k", "d").sequence_number;
  Cursor* const cursor = Ok(f.stream().OpenCursor("reader"));
  const SequenceNumber before = cursor->Position(0);
  CHECK(absl::IsInvalidArgument(cursor->Advance(0, number + 1, kNone)));
  CHECK(cursor->Position(0) == before);
}

TEST_CASE("PutRecords at kPower costs one commit", "[stream][put]") {
  StreamFixture f(StreamOptions{4, Durability::kPower});
  std::vector<std::string> keys;
  for (int i = 0; i < 500; ++i) keys.push_back(absl::StrCat("k", i));
  std::vector<PutRecordsEntry> entries;
  for (const std::string& key : keys) entries.push_back({key, "d", ""});
  const uint64_t commits = f.engine->Stats().commits;
  const auto results = Ok(f.stream().PutRecords(entries));
  REQUIRE(results.size() == 500);
  for (const auto& result : results) Ok(result.status());
  CHECK(f.engine->Stats().commits == commits + 1);
  f.CutAndReopen();
  size_t count = 0;
  for (ShardId shard = 0; shard < 4; ++shard)
    count += f.ReadShard(shard).size();
  CHECK(count == 500);
}

TEST_CASE("PutRecords with a failed sync says so of each record it covered",
          "[stream][put][fault]") {
  StreamFixture f(StreamOptions{2, Durability::kPower});
  f.device.disk.FailNth(CrashDisk::Op::kSync, 1, CrashDisk::Fault::kIoError,
                        /*sticky=*/true);
  const auto results = Ok(
      f.stream().PutRecords({{"a", "1", ""}, {"", "2", ""}, {"b", "3", ""}}));
  CHECK(absl::IsUnavailable(results[0].status()));
  CHECK(absl::IsInvalidArgument(results[1].status()));
  CHECK(absl::IsUnavailable(results[2].status()));
  f.device.disk.ClearFaults();
  CHECK(f.ReadShard(0).size() + f.ReadShard(1).size() == 2);
}

TEST_CASE(
    "PutRecords waits once, not once a record, when nothing can be accepted",
    "[stream][put][fault]") {
  StreamFixture f;
  f.device.disk.FailNth(CrashDisk::Op::kWrite, 1, CrashDisk::Fault::kFull,
                        /*sticky=*/true);
  const std::string data(4000, 'd');
  const std::vector<PutRecordsEntry> entries(300, {"k", data, ""});
  PutOptions put;
  put.timeout = absl::Seconds(2);
  const absl::Duration before = f.device.clock.SinceBoot();
  const auto results = Ok(f.stream().PutRecords(entries, put));
  CHECK(f.device.clock.SinceBoot() - before < absl::Seconds(4));
  CHECK(results[0].ok());
  CHECK(absl::IsResourceExhausted(results[299].status()));
}

TEST_CASE("PutRecords does not outlast its timeout on a slow disk by more than a few commits",
          "[stream][put][time]") {
  StreamFixture f;
  const bool large = GENERATE(false, true);  // above a quarter of a segment, or not
  const std::string data(large ? 20'000 : 4'000, 'd');
  const std::vector<PutRecordsEntry> entries(large ? 250 : 500, {"k", data, ""});
  PutOptions put;
  put.timeout = absl::Seconds(2);
  f.device.disk.OnStep([&] { f.device.clock.Advance(absl::Milliseconds(100)); });
  absl::Duration before = f.device.clock.SinceBoot();
  f.Put("k", std::string(60'000, 'd'));
  const absl::Duration commit = f.device.clock.SinceBoot() - before;
  before = f.device.clock.SinceBoot();
  const auto results = Ok(f.stream().PutRecords(entries, put));
  const absl::Duration took = f.device.clock.SinceBoot() - before;
  f.device.disk.OnStep(nullptr);
  int accepted = 0;
  for (const auto& result : results) accepted += result.ok();
  INFO("a commit takes " << absl::FormatDuration(commit) << ", the call took "
       << absl::FormatDuration(took) << " and accepted " << accepted);
  CHECK(took < absl::Seconds(2) + 6 * commit);
}

TEST_CASE("a hash key in the options is for the entries that name none",
          "[stream][put]") {
  StreamFixture f(2u);
  PutOptions put;
  put.explicit_hash_key = "0";
  const auto results = Ok(f.stream().PutRecords(
      {{"a", "1", ""},
       {"b", "2", "340282366920938463463374607431768211455"},
       {"c", "3", ""}},
      put));
  CHECK(Ok(results[0]).shard == 0);
  CHECK(Ok(results[1]).shard == 1);
  CHECK(Ok(results[2]).shard == 0);
}

TEST_CASE("a record says whether the wall clock was set when it came",
          "[stream][put][time]") {
  StreamFixture f;
  // A wall clock that is lost is not followed: the time since boot goes on.
  const absl::Time known = f.device.clock.WallNow();
  f.device.clock.SetTrusted(false);
  f.device.clock.SetWall(absl::FromUnixSeconds(60));
  f.Put("k", "before");
  f.device.clock.SetTrusted(true);
  f.device.clock.SetWall(absl::FromUnixSeconds(1700000000));
  f.Put("k", "after");
  const RecordBatch batch =
      Ok(f.stream().GetRecords(f.Iterator(0, ShardIteratorType::kTrimHorizon)));
  REQUIRE(batch.records.size() == 2);
  CHECK(batch.records[0].arrival == known);
  CHECK_FALSE(batch.records[0].arrival_is_trusted);
  CHECK(batch.records[1].arrival_is_trusted);
}

}  // namespace
}  // namespace eddy::stream
