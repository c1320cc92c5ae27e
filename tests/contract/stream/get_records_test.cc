// CONTRACT 1.3, 1.6 and traps 5, 7 and 10: GetRecords.
#include "tests/contract/stream/kinesis_fixture.h"

namespace eddy {
namespace {

TEST_CASE("an empty answer is not the end: there is a next iterator",
          "[contract][stream]") {
  KinesisFixture f;
  std::string iterator = f.Iterator(ShardIteratorType::kTrimHorizon);
  for (int i = 0; i < 3; ++i) {
    const RecordBatch batch = f.Get(iterator);
    CHECK(batch.records.empty());
    CHECK(batch.behind_latest == absl::ZeroDuration());
    REQUIRE_FALSE(batch.next_shard_iterator.empty());
    iterator = batch.next_shard_iterator;
  }
  f.Put("k", "d");
  CHECK(f.Data(iterator) == std::vector<std::string>{"d"});
}

TEST_CASE("a limit is 1 to 10000 records", "[contract][stream]") {
  KinesisFixture f;
  for (int i = 0; i < 10010; ++i) {
    f.Put("k", "d");
    if (i % 4000 == 0) REQUIRE(f.store->Flush().ok());
  }
  const std::string iterator = f.Iterator(ShardIteratorType::kTrimHorizon);
  CHECK(f.Get(iterator).records.size() == 10000);
  CHECK(f.Get(iterator, 10000).records.size() == 10000);
  CHECK(f.Get(iterator, 1).records.size() == 1);
  CHECK(f.Get(f.Get(iterator).next_shard_iterator).records.size() == 10);
  for (const size_t bad : {size_t{0}, size_t{10001}}) {
    GetRecordsOptions get;
    get.limit = bad;
    CHECK(
        absl::IsInvalidArgument(f.stream->GetRecords(iterator, get).status()));
  }
}

TEST_CASE("an answer is at most 10 MiB", "[contract][stream]") {
  KinesisFixture f;
  const std::string data(1000000, 'd');
  for (int i = 0; i < 12; ++i) f.Put("k", data);
  const RecordBatch batch = f.Get(f.Iterator(ShardIteratorType::kTrimHorizon));
  CHECK(batch.records.size() == 10);
  CHECK(f.Get(batch.next_shard_iterator).records.size() == 2);
}

TEST_CASE("behind_latest is zero only when all was read",
          "[contract][stream]") {
  KinesisFixture f;
  for (int i = 0; i < 10; ++i) f.Put("k", absl::StrCat(i));
  std::string iterator = f.Iterator(ShardIteratorType::kTrimHorizon);
  size_t records = 0;
  for (;;) {
    const RecordBatch batch = f.Get(iterator, 3);
    records += batch.records.size();
    iterator = batch.next_shard_iterator;
    if (batch.behind_latest == absl::ZeroDuration()) break;
  }
  CHECK(records == 10);
}

TEST_CASE("arrival times have milliseconds and may go back, the order does not",
          "[contract][stream]") {
  KinesisFixture f;
  const absl::Time later = absl::FromUnixMillis(1700000005123);
  f.device.clock.SetWall(later + absl::Microseconds(456));
  f.Put("k", "first");
  f.device.clock.SetWall(later - absl::Hours(1));
  f.Put("k", "second");
  const RecordBatch batch = f.Get(f.Iterator(ShardIteratorType::kTrimHorizon));
  REQUIRE(batch.records.size() == 2);
  CHECK(batch.records[0].data == "first");
  CHECK(batch.records[0].arrival == later);
  CHECK(batch.records[1].arrival == later - absl::Hours(1));
}

TEST_CASE(
    "the records of one partition key are read in the order they were put",
    "[contract][stream]") {
  KinesisFixture f(4);
  for (int i = 0; i < 400; ++i) {
    f.Put(absl::StrCat("k", i % 10), absl::StrCat(i));
    if (i % 90 == 0) REQUIRE(f.store->Flush().ok());
  }
  std::vector<int> last_of_key(10, -1);
  size_t records = 0;
  for (ShardId shard = 0; shard < 4; ++shard) {
    std::string iterator =
        Must(f.stream->GetShardIterator(shard, ShardIteratorPosition()));
    for (;;) {
      const RecordBatch batch = f.Get(iterator, 7);
      if (batch.records.empty()) break;
      for (const Record& record : batch.records) {
        const int number = std::stoi(std::string(record.data));
        int& last = last_of_key[static_cast<size_t>(number % 10)];
        CHECK(number > last);
        last = number;
        ++records;
      }
      iterator = batch.next_shard_iterator;
    }
  }
  CHECK(records == 400);
}

}  // namespace
}  // namespace eddy
