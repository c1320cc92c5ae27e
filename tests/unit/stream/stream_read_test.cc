#include "tests/unit/stream/stream_fixture.h"

namespace eddy::stream {
namespace {

std::vector<std::string> Numbers(int from, int to) {
  std::vector<std::string> numbers;
  for (int i = from; i < to; ++i) numbers.push_back(absl::StrCat(i));
  return numbers;
}

TEST_CASE("a reader does not notice the move from the intake into blocks",
          "[stream][read]") {
  StreamFixture f;
  for (int i = 0; i < 100; ++i) f.Put("k", absl::StrCat(i));
  const int commit_after = GENERATE(0, 1, 3, 7, 12);
  GetRecordsOptions get;
  get.limit = 7;
  std::string iterator = f.Iterator(0, ShardIteratorType::kTrimHorizon);
  std::vector<std::string> found;
  for (int read = 0; found.size() < 150; ++read) {
    if (read == commit_after) {
      Ok(f.engine->Flush());
      for (int i = 100; i < 150; ++i) f.Put("k", absl::StrCat(i));
    }
    const RecordBatch batch = Ok(f.stream().GetRecords(iterator, get));
    REQUIRE_FALSE(batch.records.empty());
    CHECK(batch.records.size() <= 7);
    for (const Record& record : batch.records) found.emplace_back(record.data);
    iterator = batch.next_shard_iterator;
  }
  CHECK(found == Numbers(0, 150));
}

TEST_CASE("a batch keeps its bytes while the records move and are trimmed",
          "[stream][read]") {
  StreamFixture f;
  f.Put("key", "in the intake");
  RecordBatch first =
      Ok(f.stream().GetRecords(f.Iterator(0, ShardIteratorType::kTrimHorizon)));
  Ok(f.engine->Flush());
  RecordBatch second =
      Ok(f.stream().GetRecords(f.Iterator(0, ShardIteratorType::kTrimHorizon)));
  Ok(f.stream().Trim(0, f.stream().Describe().shards[0].next));
  f.CommitDue();
  // Enough to use the segment again, and to push the block out of the cache.
  for (int i = 0; i < 1000; ++i) f.Put("k", std::string(1000, 'x'));
  (void)f.ReadShard();
  for (const RecordBatch* batch : {&first, &second}) {
    REQUIRE(batch->records.size() == 1);
    CHECK(batch->records[0].partition_key == "key");
    CHECK(batch->records[0].data == "in the intake");
  }
}

TEST_CASE("limits of a read are checked", "[stream][read]") {
  StreamFixture f;
  f.Put("k", "d");
  const std::string iterator = f.Iterator(0, ShardIteratorType::kTrimHorizon);
  GetRecordsOptions get;
  SECTION("at their borders they are right") {
    get.limit = GENERATE(size_t{1}, kGetRecordsMax);
    get.bytes_max = GENERATE(size_t{1}, kGetRecordsBytesMax);
    CHECK(Ok(f.stream().GetRecords(iterator, get)).records.size() == 1);
  }
  SECTION("limit 0") { get.limit = 0; }
  SECTION("limit 10001") { get.limit = kGetRecordsMax + 1; }
  SECTION("bytes_max 0") { get.bytes_max = 0; }
  SECTION("bytes_max too large") { get.bytes_max = kGetRecordsBytesMax + 1; }
  SECTION("wait_time below zero") { get.wait_time = absl::Nanoseconds(-1); }
  if (get.limit == 0 || get.limit > kGetRecordsMax || get.bytes_max == 0 ||
      get.bytes_max > kGetRecordsBytesMax ||
      get.wait_time < absl::ZeroDuration()) {
    CHECK(
        absl::IsInvalidArgument(f.stream().GetRecords(iterator, get).status()));
  }
}

TEST_CASE("bytes_max bounds a batch, but one record always comes",
          "[stream][read]") {
  StreamFixture f;
  for (int i = 0; i < 10; ++i) f.Put("k", std::string(1000, 'd'));
  if (GENERATE(false, true)) Ok(f.engine->Flush());
  const std::string iterator = f.Iterator(0, ShardIteratorType::kTrimHorizon);
  GetRecordsOptions get;
  get.bytes_max = 3500;
  CHECK(Ok(f.stream().GetRecords(iterator, get)).records.size() == 3);
  get.bytes_max = 10;
  CHECK(Ok(f.stream().GetRecords(iterator, get)).records.size() == 1);
  CHECK(f.ReadAll(iterator, get).size() == 10);
}

// More than the log is asked for at once.
TEST_CASE("a large batch ends where its limits say, and the next one goes on there",
          "[stream][read]") {
  StreamFixture f;
  for (int i = 1000; i < 3500; ++i) f.Put("k", absl::StrCat(i));  // frames of 24 bytes
  if (GENERATE(false, true)) Ok(f.engine->Flush());
  const std::string iterator = f.Iterator(0, ShardIteratorType::kTrimHorizon);
  GetRecordsOptions get;
  SECTION("of records") {
    get.limit = GENERATE(size_t{999}, size_t{1000}, size_t{1001}, size_t{2000}, size_t{2499});
    CHECK(Ok(f.stream().GetRecords(iterator, get)).records.size() == get.limit);
  }
  SECTION("of bytes") {
    get.bytes_max = GENERATE(size_t{24 * 1000}, size_t{24 * 1000 + 23}, size_t{24 * 1001},
                             size_t{24 * 2345 + 5});
    CHECK(Ok(f.stream().GetRecords(iterator, get)).records.size() == get.bytes_max / 24);
  }
  SECTION("none but that of what is there") {
    const RecordBatch batch = Ok(f.stream().GetRecords(iterator, get));
    CHECK(batch.records.size() == 2500);
    CHECK(batch.behind_latest == absl::ZeroDuration());
  }
  CHECK(f.ReadAll(iterator, get) == Numbers(1000, 3500));
}

TEST_CASE(
    "behind_latest is the age of the next unread record, zero only if none",
    "[stream][read][time]") {
  StreamFixture f;
  GetRecordsOptions get;
  get.limit = 1;
  const std::string start = f.Iterator(0, ShardIteratorType::kTrimHorizon);
  CHECK(Ok(f.stream().GetRecords(start)).behind_latest == absl::ZeroDuration());
  f.Put("k", "a");
  f.device.clock.Advance(absl::Seconds(3));
  f.Put("k", "b");
  f.device.clock.Advance(absl::Milliseconds(1500) + absl::Microseconds(300));
  if (GENERATE(false, true)) Ok(f.engine->Flush());

  const RecordBatch first = Ok(f.stream().GetRecords(start, get));
  CHECK(first.behind_latest == absl::Milliseconds(1500));
  const RecordBatch second =
      Ok(f.stream().GetRecords(first.next_shard_iterator, get));
  CHECK(second.behind_latest == absl::ZeroDuration());

  SECTION("a clock that went back makes it no less than a millisecond") {
    f.device.clock.SetWall(absl::FromUnixSeconds(1000));
    CHECK(Ok(f.stream().GetRecords(start, get)).behind_latest ==
          absl::Milliseconds(1));
  }
  SECTION("a record of this millisecond counts as one") {
    f.Put("k", "c");
    CHECK(Ok(f.stream().GetRecords(first.next_shard_iterator, get))
              .behind_latest == absl::Milliseconds(1));
  }
}

TEST_CASE("behind_latest of a committed read knows committed records only",
          "[stream][read][time]") {
  StreamFixture f;
  for (const char* const data : {"a", "b", "c"}) f.Put("k", data);
  Ok(f.engine->Flush());
  f.device.clock.Advance(absl::Seconds(2));
  f.Put("k", "not committed");
  f.device.clock.Advance(absl::Seconds(1));
  GetRecordsOptions get;
  get.read_committed = true;
  get.limit = 2;
  const RecordBatch first = Ok(f.stream().GetRecords(
      f.Iterator(0, ShardIteratorType::kTrimHorizon), get));
  CHECK(first.records.size() == 2);
  CHECK(first.behind_latest == absl::Seconds(3));
  const RecordBatch last =
      Ok(f.stream().GetRecords(first.next_shard_iterator, get));
  CHECK(last.records.size() == 1);
  CHECK(last.behind_latest == absl::ZeroDuration());
  get.read_committed = false;
  CHECK(Ok(f.stream().GetRecords(last.next_shard_iterator, get))
            .records[0]
            .data == "not committed");
}

TEST_CASE("a read that waits ends empty when its time is over",
          "[stream][read][time]") {
  StreamFixture f;
  f.Put("k", "d");
  if (GENERATE(false, true)) Ok(f.engine->Flush());
  GetRecordsOptions get;
  get.wait_time = absl::Seconds(10);
  get.read_committed = GENERATE(false, true);
  const absl::Duration before = f.device.clock.SinceBoot();
  const RecordBatch batch =
      Ok(f.stream().GetRecords(f.Iterator(0, ShardIteratorType::kLatest), get));
  CHECK(batch.records.empty());
  CHECK(batch.next_shard_iterator.size() > 0);
  CHECK(f.device.clock.SinceBoot() - before == absl::Seconds(10));
}

TEST_CASE("read_committed shows a record once its commit came, and not before",
          "[stream][read][time]") {
  StreamFixture f;
  const std::string start = f.Iterator(0, ShardIteratorType::kTrimHorizon);
  f.Put("k", "d");
  GetRecordsOptions get;
  get.read_committed = true;
  CHECK(Ok(f.stream().GetRecords(start, get)).records.empty());

  SECTION("a commit that somebody makes") {
    Ok(f.engine->Flush());
    CHECK(Ok(f.stream().GetRecords(start, get)).records.size() == 1);
  }
  SECTION("one that is due while the reader waits, and no sooner") {
    get.wait_time = absl::Seconds(20);
    const absl::Duration before = f.device.clock.SinceBoot();
    CHECK(Ok(f.stream().GetRecords(start, get)).records.size() == 1);
    const absl::Duration waited = f.device.clock.SinceBoot() - before;
    CHECK(waited >= f.options.store.flush_interval - absl::Milliseconds(1));
    CHECK(waited <= f.options.store.flush_interval + absl::Milliseconds(50));
  }
  SECTION("its waiting ends though the record stays uncommitted") {
    get.wait_time = absl::Milliseconds(300);
    CHECK(Ok(f.stream().GetRecords(start, get)).records.empty());
    CHECK(f.engine->Stats().commits == 0);
  }
}

TEST_CASE(
    "a reader in the gap that a power cut left sleeps, and goes on behind it",
    "[stream][read][crash]") {
  StreamFixture f;
  f.Put("k", "committed");
  Ok(f.engine->Flush());
  const std::string behind = f.Iterator(0, ShardIteratorType::kLatest);
  f.Put("k", "lost");
  const std::string behind_lost = f.Iterator(0, ShardIteratorType::kLatest);
  f.CutAndReopen();
  const std::string iterator = GENERATE_COPY(behind, behind_lost);
  GetRecordsOptions get;
  get.wait_time = absl::Seconds(5);
  get.read_committed = GENERATE(false, true);
  const absl::Duration before = f.device.clock.SinceBoot();
  const RecordBatch empty = Ok(f.stream().GetRecords(iterator, get));
  CHECK(empty.records.empty());
  CHECK(f.device.clock.SinceBoot() - before == absl::Seconds(5));
  f.Put("k", "new");
  CHECK(f.ReadAll(iterator) == std::vector<std::string>{"new"});
  CHECK(f.ReadAll(empty.next_shard_iterator) ==
        std::vector<std::string>{"new"});
}

TEST_CASE("an iterator is good in the next life of the store",
          "[stream][read][crash]") {
  StreamFixture f;
  f.Put("k", "a");
  const std::string iterator = f.Iterator(0, ShardIteratorType::kLatest);
  f.Put("k", "b");
  SECTION("after a clean close") { f.CloseAndReopen(); }
  SECTION("after the death of the process") { f.KillAndReopen(); }
  CHECK(f.ReadAll(iterator) == std::vector<std::string>{"b"});
}

TEST_CASE(
    "a place in a record too large for the intake, lost with the process, is "
    "filled anew",
    "[stream][read][crash]") {
  // The tail a dying process has shown may lie above the one that is recovered.
  StreamFixture f;
  f.Put("k", "a");
  const ShardIteratorCodec codec(1, "telemetry",
                                 testing::FakeClock::kStartUnixSeconds * 1000);
  const std::string beyond = codec.Encode({0, uint64_t{1} << 40});
  const RecordBatch empty = Ok(f.stream().GetRecords(beyond));
  CHECK(empty.records.empty());
  CHECK(empty.next_sequence_number == f.stream().Describe().shards[0].next);
  f.Put("k", "b");
  CHECK(f.ReadAll(empty.next_shard_iterator) == std::vector<std::string>{"b"});
}

TEST_CASE("trimmed records are gone, and a reader below goes on at the horizon",
          "[stream][read]") {
  StreamFixture f;
  const std::string start = f.Iterator(0, ShardIteratorType::kTrimHorizon);
  f.Put("k", "old");
  Ok(f.engine->Flush());
  const SequenceNumber kept = f.Put("k", "new").sequence_number;
  Ok(f.engine->Flush());
  Ok(f.stream().Trim(0, kept));
  f.CommitDue();
  CHECK(f.ReadAll(start) == std::vector<std::string>{"new"});
  CHECK(f.stream().Describe().shards[0].oldest > 0);
  CHECK(f.stream().Describe().shards[0].oldest <= kept);

  SECTION("trimming all, and more than there is, spares what comes later") {
    Ok(f.stream().Trim(0, UINT64_MAX));
    f.Put("k", "later");
    Ok(f.engine->Flush());
    CHECK(f.ReadShard() == std::vector<std::string>{"later"});
  }
  SECTION("a shard that does not exist is refused") {
    CHECK(absl::IsInvalidArgument(f.stream().Trim(1, 0)));
  }
}

TEST_CASE("oldest, committed and next stand in order in a description",
          "[stream][read]") {
  StreamFixture f;
  for (int i = 0; i < 5; ++i) {
    f.Put("k", std::string(100, 'd'));
    if (i == 2) Ok(f.engine->Flush());
    const ShardDescription shard = f.stream().Describe().shards[0];
    CHECK(shard.oldest <= shard.committed);
    CHECK(shard.committed <= shard.next);
  }
  const ShardDescription shard = f.stream().Describe().shards[0];
  CHECK(shard.committed < shard.next);
  CHECK(f.Put("k", "d").sequence_number == shard.next);
}

TEST_CASE("a block that is not as it was written costs its readers that block only",
          "[stream][read][fault]") {
  StreamFixture f;
  f.Put("k", std::string(2000, 'Q'));
  f.CloseAndReopen();
  Ok(f.engine->Close());
  f.streams.clear();
  f.engine.reset();
  std::string bytes = f.device.disk.Content("/store/eddy.db");
  const size_t at = bytes.find(std::string(100, 'Q'));
  REQUIRE(at != std::string::npos);
  bytes[at + 50] = 'q';
  f.device.disk.SetContent("/store/eddy.db", bytes);
  f.Open();
  const auto read =
      f.stream().GetRecords(f.Iterator(0, ShardIteratorType::kTrimHorizon));
  REQUIRE(read.ok());
  CHECK(read->records.empty());
  REQUIRE(read->gap);
  CHECK(read->gap->reason == GapReason::kDamaged);
  CHECK(read->gap->count == 1);
  CHECK(read->next_sequence_number == read->gap->last + 1);
  CHECK(f.engine->Stats().blocks_damaged == 1);
  f.Put("k", "behind");
  const auto next = Ok(f.stream().GetRecords(read->next_shard_iterator));
  CHECK_FALSE(next.gap);
  REQUIRE(next.records.size() == 1);
}

// The gap lies behind more records than the log is asked for at once.
TEST_CASE("what lies before a damaged block is read first, all of it", "[stream][read][fault]") {
  StreamFixture f;
  for (int i = 0; i < 1500; ++i) f.Put("k", absl::StrCat(i));
  Ok(f.engine->Flush());
  f.Put("k", std::string(2000, 'Q'));
  f.CloseAndReopen();
  Ok(f.engine->Close());
  f.streams.clear();
  f.engine.reset();
  std::string bytes = f.device.disk.Content("/store/eddy.db");
  const size_t at = bytes.find(std::string(100, 'Q'));
  REQUIRE(at != std::string::npos);
  bytes[at + 50] = 'q';
  f.device.disk.SetContent("/store/eddy.db", bytes);
  f.Open();
  const auto before =
      Ok(f.stream().GetRecords(f.Iterator(0, ShardIteratorType::kTrimHorizon)));
  CHECK_FALSE(before.gap);
  CHECK(before.records.size() == 1500);
  const auto behind = Ok(f.stream().GetRecords(before.next_shard_iterator));
  CHECK(behind.records.empty());
  REQUIRE(behind.gap);
  CHECK(behind.gap->first == before.next_sequence_number);
}

}  // namespace
}  // namespace eddy::stream
