// Retention and quota of streams, through stores that are opened again.
#include <string>
#include <vector>

#include "eddy/store.h"
#include "tests/unit/stream/stream_fixture.h"

namespace eddy::stream {
namespace {

StreamOptions Keep(Retention retention) {
  StreamOptions options;
  options.retention = retention;
  return options;
}

// A block of `count` records of 100 bytes.
void PutBlock(StreamFixture& f, int count = 10) {
  for (int i = 0; i < count; ++i) f.Put("key", std::string(100, 'x'));
  Ok(f.engine->Flush());
}

uint64_t DroppedRecords(StreamFixture& f, GapReason reason) {
  return f.engine->Stats().dropped[static_cast<size_t>(reason)].records;
}

RecordBatch ReadFrom(StreamFixture& f, SequenceNumber position) {
  return Ok(f.stream().GetRecords(
      f.Iterator(0, ShardIteratorType::kAtSequenceNumber, position), {}));
}

}  // namespace

TEST_CASE("a stream over its records drops whole blocks, and a reader there is told",
          "[stream][retention]") {
  Retention retention;
  retention.records = 30;
  StreamFixture f(Keep(retention));
  const SequenceNumber first = f.Put("key", "the first").sequence_number;
  Ok(f.engine->Flush());
  Cursor* const cursor = Ok(f.stream().OpenCursor("reader"));
  for (int i = 0; i < 5; ++i) PutBlock(f);

  const auto check = [&] {
    const RecordBatch batch = ReadFrom(f, first);
    REQUIRE(batch.gap);
    CHECK(batch.gap->first == first);
    CHECK(batch.gap->count == 21);
    CHECK(batch.gap->reason == GapReason::kRetentionRecords);
    CHECK(batch.records.size() == 30);
    CHECK(batch.records[0].sequence_number == batch.gap->last + 1);
    CHECK(!Ok(f.stream().GetRecords(batch.next_shard_iterator, {})).gap);
    CHECK(DroppedRecords(f, GapReason::kRetentionRecords) == 21);
  };
  check();
  SECTION("the cursor that stood there moves on with the gap") {
    const RecordBatch batch = Ok(cursor->Read(0));
    REQUIRE(batch.gap);
    CHECK(batch.gap->count == 21);
    Ok(cursor->Advance(0, batch.next_sequence_number));
    CHECK(!Ok(cursor->Read(0)).gap);
  }
  SECTION("after a close") { f.CloseAndReopen(); check(); }
  SECTION("after the death of the process") { f.KillAndReopen(); check(); }
  SECTION("after a power cut") { f.CutAndReopen(); check(); }
  SECTION("and the next block drops on after each") {
    f.CloseAndReopen();
    PutBlock(f);
    f.KillAndReopen();
    PutBlock(f);
    CHECK(ReadFrom(f, first).gap->count == 41);
    CHECK(ReadFrom(f, first).records.size() == 30);
  }
}

TEST_CASE("a reader that keeps within a few drops is told to the record", "[stream][retention]") {
  Retention retention;
  retention.bytes = 4000;  // about three blocks
  StreamFixture f(Keep(retention));
  SequenceNumber at = 0;
  uint64_t read = 0;
  uint64_t lost = 0;
  for (int i = 0; i < 200; ++i) {
    PutBlock(f);
    if (i % 20 != 19) continue;
    const RecordBatch batch = ReadFrom(f, at);
    if (batch.gap) lost += batch.gap->count;
    read += batch.records.size();
    at = batch.next_sequence_number;
  }
  CHECK(read + lost == 2000);
  // What was read before it was dropped is no loss to this reader.
  CHECK(lost == 1700);
  CHECK(DroppedRecords(f, GapReason::kRetentionBytes) == 1970);
}

TEST_CASE("the user's own trim makes no gap", "[stream][retention]") {
  StreamFixture f;
  const SequenceNumber first = f.Put("key", "a").sequence_number;
  PutBlock(f);
  PutBlock(f);
  Ok(f.stream().Trim(0, f.stream().Describe().shards[0].next));
  Ok(f.engine->Flush());
  CHECK(!ReadFrom(f, first).gap);
  CHECK(f.engine->Stats().dropped[0].records == 0);
}

TEST_CASE("records go by age, counted by the steady clock", "[stream][retention][time]") {
  Retention retention;
  retention.age = absl::Hours(1);
  StreamFixture f(Keep(retention));
  PutBlock(f);
  f.device.clock.Advance(absl::Minutes(30));
  PutBlock(f);

  SECTION("steps of the wall clock by 50 years change nothing") {
    for (const int years : {50, -100, 50}) {
      f.device.clock.SetWall(f.device.clock.WallNow() + absl::Hours(24 * 365 * years));
      f.CommitDue();
      CHECK(f.ReadShard().size() == 20);
    }
  }
  SECTION("one block after the other") {
    f.device.clock.Advance(absl::Minutes(29));
    f.CommitDue();
    CHECK(f.ReadShard().size() == 20);
    f.device.clock.Advance(absl::Minutes(1));
    f.CommitDue();
    CHECK(f.ReadShard().size() == 10);
    CHECK(ReadFrom(f, 0).gap->reason == GapReason::kRetentionAge);
    f.device.clock.Advance(absl::Minutes(31));
    f.CommitDue();
    CHECK(f.ReadShard().empty());
    const RecordBatch empty = ReadFrom(f, 0);
    CHECK(empty.gap->count == 20);
    CHECK(empty.next_sequence_number == empty.gap->last + 1);
  }
  SECTION("the age goes on over an open") {
    f.CloseAndReopen();
    f.device.clock.Advance(absl::Minutes(31));
    f.CommitDue();
    CHECK(f.ReadShard().size() == 10);
  }
}

TEST_CASE("a stream that rejects at its limit takes records again once it is trimmed",
          "[stream][retention]") {
  Retention retention;
  retention.records = 20;
  retention.at_limit = AtLimit::kRejectNew;
  StreamFixture f(Keep(retention));
  f.Create("other", {});
  PutBlock(f);
  CHECK(f.stream().Put("key", "still", {}).ok());
  PutBlock(f);
  CHECK(absl::IsResourceExhausted(f.stream().Put("key", "no more", {}).status()));
  CHECK(f.stream(1).Put("key", "no limit here", {}).ok());
  CHECK(f.ReadShard().size() == 21);
  Ok(f.stream().Trim(0, f.stream().Describe().shards[0].next));
  Ok(f.engine->Flush());
  CHECK(f.stream().Put("key", "again", {}).ok());
}

TEST_CASE("the retention of a stream is kept with it", "[stream][retention]") {
  Retention retention;
  retention.age = absl::Hours(24);
  retention.bytes = 1 << 30;
  retention.records = 1000000;
  retention.at_limit = AtLimit::kRejectNew;
  retention.priority = -7;
  StreamFixture f(Keep(retention));
  f.CloseAndReopen();
  const Retention kept = f.stream().Describe().retention;
  CHECK(kept.age == retention.age);
  CHECK(kept.bytes == retention.bytes);
  CHECK(kept.records == retention.records);
  CHECK(kept.at_limit == retention.at_limit);
  CHECK(kept.priority == retention.priority);
}

TEST_CASE("a drop that the disk refuses is made up for with the next commit",
          "[stream][retention]") {
  Retention retention;
  retention.records = 20;
  StreamFixture f(Keep(retention));
  PutBlock(f);
  PutBlock(f);
  f.Put("key", "one more");
  f.device.disk.FailNth(testing::CrashDisk::Op::kWrite, 1, testing::CrashDisk::Fault::kIoError,
                        /*sticky=*/true);
  CHECK(!f.engine->Flush().ok());
  CHECK(f.ReadShard().size() == 11);  // the gap is told from here on
  f.device.disk.ClearFaults();
  Ok(f.engine->Flush());
  f.CloseAndReopen();
  const RecordBatch batch = ReadFrom(f, 0);
  REQUIRE(batch.gap);
  CHECK(batch.gap->count == 10);
  CHECK(batch.records.size() == 11);
  CHECK(DroppedRecords(f, GapReason::kRetentionRecords) == 10);
}

}  // namespace eddy::stream
