// CONTRACT 1.4 and traps 1 to 3: PutRecords.
#include "tests/contract/stream/kinesis_fixture.h"

namespace eddy {
namespace {

TEST_CASE("results stand in the order of the entries", "[contract][stream]") {
  KinesisFixture f(4);
  const std::vector<PutRecordsEntry> entries = {
      {"a", "0", ""}, {"b", "1", ""}, {"c", "2", ""}, {"a", "3", ""}};
  const auto results = Must(f.stream->PutRecords(entries));
  REQUIRE(results.size() == entries.size());
  for (size_t i = 0; i < results.size(); ++i) {
    const PutResult put = Must(results[i]);
    const RecordBatch batch = f.Get(
        Must(f.stream->GetShardIterator(
            put.shard,
            {ShardIteratorType::kAtSequenceNumber, put.sequence_number, {}})),
        1);
    REQUIRE(batch.records.size() == 1);
    CHECK(batch.records[0].data == absl::StrCat(i));
    CHECK(batch.records[0].partition_key == entries[i].partition_key);
  }
  CHECK(results[0]->shard == results[3]->shard);
  CHECK(results[0]->sequence_number < results[3]->sequence_number);
}

TEST_CASE("a record that fails does not stop those behind it",
          "[contract][stream]") {
  KinesisFixture f;
  const std::string large(1 << 20, 'd');
  const auto results = Must(f.stream->PutRecords({{"k", "first", ""},
                                                  {"", "no key", ""},
                                                  {"k", large, ""},
                                                  {"k", "hash", "-5"},
                                                  {"\xff", "utf-8", ""},
                                                  {"k", "last", ""}}));
  REQUIRE(results.size() == 6);
  CHECK(results[0].ok());
  for (size_t i = 1; i < 5; ++i) {
    CHECK(absl::IsInvalidArgument(results[i].status()));
  }
  CHECK(results[5].ok());
  CHECK(f.Data(f.Iterator(ShardIteratorType::kTrimHorizon)) ==
        std::vector<std::string>{"first", "last"});
}

TEST_CASE("a call takes 1 to 500 records", "[contract][stream]") {
  KinesisFixture f;
  CHECK(absl::IsInvalidArgument(f.stream->PutRecords({}).status()));
  const std::vector<PutRecordsEntry> most(500, {"k", "d", ""});
  CHECK(Must(f.stream->PutRecords(most)).size() == 500);
  const std::vector<PutRecordsEntry> more(501, {"k", "d", ""});
  CHECK(absl::IsInvalidArgument(f.stream->PutRecords(more).status()));
  CHECK(f.Get(f.Iterator(ShardIteratorType::kTrimHorizon)).records.size() ==
        500);
}

TEST_CASE("a call takes 5 MiB, partition keys counted", "[contract][stream]") {
  KinesisFixture f;
  const std::string data((1 << 20) - 4, 'd');
  std::vector<PutRecordsEntry> entries(5, {"four", data, ""});
  for (const auto& result : Must(f.stream->PutRecords(entries))) {
    CHECK(result.ok());
  }
  entries.push_back({"k", "", ""});
  CHECK(absl::IsInvalidArgument(f.stream->PutRecords(entries).status()));
}

}  // namespace
}  // namespace eddy
