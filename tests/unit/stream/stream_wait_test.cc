// Readers that wait just behind the last record, where the next will not begin:
// at its sequence number + 1, as AFTER_SEQUENCE_NUMBER and consumers have it.
#include <future>
#include <thread>

#include "tests/unit/stream/stream_fixture.h"

namespace eddy::stream {
namespace {

enum class Where { kIntake, kBlock, kBlockAfterRestart };

// A shard of which the last record is `data`, and that record's number.
SequenceNumber Fill(StreamFixture& f, Where where) {
  f.Put("k", "first");
  const SequenceNumber last = f.Put("k", std::string(100, 'd')).sequence_number;
  if (where == Where::kBlock) Ok(f.engine->Flush());
  if (where == Where::kBlockAfterRestart) f.KillAndReopen();
  return last;
}

absl::StatusOr<RecordBatch> ReadBehind(StreamFixture& f, SequenceNumber last,
                                       bool by_cursor,
                                       const GetRecordsOptions& get) {
  if (!by_cursor) {
    return f.stream().GetRecords(
        f.Iterator(0, ShardIteratorType::kAfterSequenceNumber, last), get);
  }
  Cursor* const cursor = Ok(f.stream().OpenCursor("reader"));
  Ok(cursor->Advance(0, last + 1));
  return cursor->Read(0, get);
}

TEST_CASE("a reader at the last sequence number + 1 sleeps for its whole wait",
          "[stream][read][time]") {
  StreamFixture f;
  const SequenceNumber last =
      Fill(f, GENERATE(Where::kIntake, Where::kBlock, Where::kBlockAfterRestart));
  GetRecordsOptions get;
  get.wait_time = absl::Seconds(5);
  get.read_committed = GENERATE(false, true);
  const bool by_cursor = GENERATE(false, true);
  const absl::Duration before = f.device.clock.SinceBoot();
  CHECK(Ok(ReadBehind(f, last, by_cursor, get)).records.empty());
  CHECK(f.device.clock.SinceBoot() - before == absl::Seconds(5));
}

TEST_CASE("a reader at the last sequence number + 1 is woken by the next record",
          "[stream][read][threads]") {
  StreamFixture f;
  const SequenceNumber last =
      Fill(f, GENERATE(Where::kIntake, Where::kBlock, Where::kBlockAfterRestart));
  const bool by_cursor = GENERATE(false, true);
  f.device.clock.SetAutoAdvance(false);
  const absl::Duration before = f.device.clock.SinceBoot();
  GetRecordsOptions get;
  get.wait_time = absl::Seconds(5);
  auto read = std::async(std::launch::async, [&] {
    return ReadBehind(f, last, by_cursor, get);
  });
  // One that spins never sleeps, and this never ends.
  while (f.device.clock.WaiterCount() == 0) std::this_thread::yield();
  f.Put("k", "next");
  const RecordBatch batch = Ok(read.get());
  REQUIRE(batch.records.size() == 1);
  CHECK(batch.records[0].data == "next");
  CHECK(f.device.clock.SinceBoot() == before);
  f.device.clock.SetAutoAdvance(true);
}

}  // namespace
}  // namespace eddy::stream
