// CONTRACT 1.5: hash keys, shards, sequence numbers.
#include "tests/contract/stream/kinesis_fixture.h"

namespace eddy {
namespace {

constexpr char kLargest[] = "340282366920938463463374607431768211455";

// Decimal strings of up to 39 digits, compared and added to as numbers.
bool Below(const std::string& a, const std::string& b) {
  return a.size() != b.size() ? a.size() < b.size() : a < b;
}
std::string PlusOne(std::string decimal) {
  for (size_t i = decimal.size(); i-- > 0;) {
    if (decimal[i] != '9') {
      ++decimal[i];
      return decimal;
    }
    decimal[i] = '0';
  }
  return "1" + decimal;
}

TEST_CASE("shard i of N starts at i times floor(2^128 / N)",
          "[contract][stream]") {
  struct Row {
    uint32_t count;
    const char* step;
  };
  const Row row = GENERATE(Row{2, "170141183460469231731687303715884105728"},
                           Row{3, "113427455640312821154458202477256070485"},
                           Row{4, "85070591730234615865843651857942052864"});
  KinesisFixture f(row.count);
  const StreamDescription description = f.stream->Describe();
  REQUIRE(description.shards.size() == row.count);
  CHECK(description.shards[0].starting_hash_key == "0");
  CHECK(description.shards[1].starting_hash_key == row.step);
  CHECK(description.shards.back().ending_hash_key == kLargest);
}

TEST_CASE("the ranges of the shards tile the space, ends included",
          "[contract][stream]") {
  KinesisFixture f(GENERATE(1u, 2u, 3u, 7u, 64u, 1000u));
  const StreamDescription description = f.stream->Describe();
  std::string expected = "0";
  for (const ShardDescription& shard : description.shards) {
    CHECK(shard.starting_hash_key == expected);
    CHECK(Below(shard.starting_hash_key, shard.ending_hash_key));
    expected = PlusOne(shard.ending_hash_key);
  }
  CHECK(expected == PlusOne(kLargest));
}

TEST_CASE("a shard's id is 'shardId-' and twelve digits",
          "[contract][stream]") {
  KinesisFixture f(12);
  const StreamDescription description = f.stream->Describe();
  CHECK(description.shards[0].shard_id == "shardId-000000000000");
  CHECK(description.shards[11].shard_id == "shardId-000000000011");
}

TEST_CASE("a partition key goes where its MD5 lies", "[contract][stream]") {
  struct Row {
    const char* key;
    const char* hash_key;
  };
  const Row row =
      GENERATE(Row{"a", "16955237001963240173058271559858726497"},
               Row{"pk-a", "37734456349525827306212900493151175156"},
               Row{"pk-b", "85407741071154541078745004925322871391"});
  // Shards so small that the right one is no accident.
  KinesisFixture f(1000);
  const PutResult by_key = f.Put(row.key, "d");
  CHECK(f.Put("another", "d", row.hash_key).shard == by_key.shard);
  const ShardDescription shard = f.stream->Describe().shards[by_key.shard];
  CHECK_FALSE(Below(row.hash_key, shard.starting_hash_key));
  CHECK_FALSE(Below(shard.ending_hash_key, row.hash_key));
}

TEST_CASE(
    "an explicit hash key routes, at both ends of each range, and the "
    "partition key stays",
    "[contract][stream]") {
  KinesisFixture f(3);
  const StreamDescription description = f.stream->Describe();
  for (const ShardDescription& shard : description.shards) {
    for (const std::string& hash_key :
         {shard.starting_hash_key, shard.ending_hash_key}) {
      const PutResult put = f.Put("the key", "d", hash_key);
      CHECK(put.shard == shard.shard);
      const RecordBatch batch = f.Get(Must(f.stream->GetShardIterator(
          put.shard,
          {ShardIteratorType::kAtSequenceNumber, put.sequence_number, {}})));
      REQUIRE(batch.records.size() == 1);
      CHECK(batch.records[0].partition_key == "the key");
    }
  }
}

TEST_CASE(
    "sequence numbers rise strictly in a shard and need not be contiguous",
    "[contract][stream]") {
  KinesisFixture f;
  SequenceNumber last = 0;
  for (int i = 0; i < 1000; ++i) {
    const SequenceNumber number =
        f.Put(absl::StrCat("k", i % 7), std::string(i % 50, 'd'))
            .sequence_number;
    REQUIRE(number > last);
    last = number;
  }
  SequenceNumber read = 0;
  for (const Record& record :
       f.Get(f.Iterator(ShardIteratorType::kTrimHorizon)).records) {
    REQUIRE(record.sequence_number > read);
    read = record.sequence_number;
  }
  CHECK(read == last);
}

}  // namespace
}  // namespace eddy
