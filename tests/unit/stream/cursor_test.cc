#include "tests/unit/stream/stream_fixture.h"

namespace eddy::stream {
namespace {

using testing::CrashDisk;

SequenceNumber Next(StreamFixture& f, ShardId shard = 0) {
  return f.stream().Describe().shards[shard].next;
}

TEST_CASE("a cursor reads from its place and stays until it is advanced",
          "[stream][cursor]") {
  StreamFixture f;
  Cursor* const cursor = Ok(f.stream().OpenCursor("reader"));
  CHECK(cursor->name() == "reader");
  f.Put("k", "a");
  f.Put("k", "b");
  for (int i = 0; i < 2; ++i) {
    const RecordBatch batch = Ok(cursor->Read(0));
    REQUIRE(batch.records.size() == 2);
    CHECK(batch.records[0].data == "a");
  }
  const RecordBatch batch = Ok(cursor->Read(0));

  SECTION("to the record behind the first") {
    Ok(cursor->Advance(0, batch.records[0].sequence_number + 1));
    CHECK(cursor->Position(0) == batch.records[0].sequence_number + 1);
    REQUIRE(Ok(cursor->Read(0)).records.size() == 1);
    CHECK(Ok(cursor->Read(0)).records[0].data == "b");
  }
  SECTION("to the place the batch names") {
    Ok(cursor->Advance(0, batch.next_sequence_number));
    CHECK(Ok(cursor->Read(0)).records.empty());
    f.Put("k", "c");
    CHECK(Ok(cursor->Read(0)).records[0].data == "c");
  }
}

TEST_CASE("a cursor moves neither back nor beyond what was written",
          "[stream][cursor]") {
  StreamFixture f(2u);
  Cursor* const cursor = Ok(f.stream().OpenCursor("reader"));
  PutOptions put;
  put.explicit_hash_key = "0";
  f.Put("k", "a", put);
  const SequenceNumber next = Next(f);
  CHECK(absl::IsOutOfRange(cursor->Advance(0, next + 1)));
  CHECK(absl::IsOutOfRange(cursor->Advance(0, UINT64_MAX)));
  CHECK(absl::IsOutOfRange(cursor->Advance(1, next)));  // written in shard 0
  Ok(cursor->Advance(0, next));
  CHECK(absl::IsOutOfRange(cursor->Advance(0, next - 1)));
  CHECK(absl::IsOutOfRange(cursor->Advance(0, 0)));
  Ok(cursor->Advance(0, next));  // staying is no move
  CHECK(cursor->Position(0) == next);
  CHECK(cursor->Position(1) == 0);
  CHECK(absl::IsInvalidArgument(cursor->Advance(2, 0)));
  CHECK(absl::IsInvalidArgument(cursor->Read(2).status()));
  CHECK(cursor->Position(2) == 0);
}

TEST_CASE("a cursor is one object however often it is opened",
          "[stream][cursor]") {
  StreamFixture f;
  Cursor* const cursor = Ok(f.stream().OpenCursor("reader"));
  CHECK(Ok(f.stream().OpenCursor("reader")) == cursor);
  CHECK(Ok(f.stream().OpenCursor("other")) != cursor);
  CHECK(f.stream().ListCursors() ==
        std::vector<std::string>{"other", "reader"});
  CHECK(absl::IsInvalidArgument(f.stream().OpenCursor("a b").status()));
  CHECK(absl::IsInvalidArgument(f.stream().OpenCursor("").status()));
  CHECK(absl::IsInvalidArgument(
      f.stream().OpenCursor(std::string(129, 'c')).status()));
  CHECK(f.stream().ListCursors().size() == 2);
}

TEST_CASE("a new cursor starts at the oldest record kept, an old one stays",
          "[stream][cursor]") {
  StreamFixture f;
  Cursor* const old = Ok(f.stream().OpenCursor("old"));
  f.Put("k", "a");
  Ok(f.engine->Flush());
  f.Put("k", "b");
  Ok(f.engine->Flush());
  Ok(f.stream().Trim(0, Next(f)));
  f.Put("k", "c");
  Ok(f.engine->Flush());
  const SequenceNumber oldest = f.stream().Describe().shards[0].oldest;
  CHECK(oldest > 0);
  Cursor* const fresh = Ok(f.stream().OpenCursor("fresh"));
  CHECK(fresh->Position(0) == oldest);
  CHECK(old->Position(0) == 0);
  for (Cursor* const cursor : {old, fresh}) {
    const RecordBatch batch = Ok(cursor->Read(0));
    REQUIRE(batch.records.size() == 1);
    CHECK(batch.records[0].data == "c");
  }
}

TEST_CASE("Advance journals a few bytes and no sync at kProcess",
          "[stream][cursor]") {
  StreamFixture f;
  Cursor* const cursor = Ok(f.stream().OpenCursor("reader"));
  f.Put("k", "a");
  const uint64_t syncs = f.device.disk.sync_count();
  Ok(cursor->Advance(0, Next(f)));
  CHECK(f.device.disk.sync_count() == syncs);
  Ok(cursor->Advance(0, Next(f), Durability::kPower));
  CHECK(f.device.disk.sync_count() > syncs);
}

TEST_CASE("many advances between two commits are one row", "[stream][cursor]") {
  StreamFixture f(3u);
  Cursor* const cursor = Ok(f.stream().OpenCursor("reader"));
  for (int i = 0; i < 200; ++i) {
    const PutResult put = f.Put(absl::StrCat("k", i), "d");
    Ok(cursor->Advance(put.shard, put.sequence_number + 1));
  }
  const uint64_t commits = f.engine->Stats().commits;
  Ok(f.engine->Flush());
  CHECK(f.engine->Stats().commits == commits + 1);
  std::vector<SequenceNumber> want;
  for (ShardId s = 0; s < 3; ++s) want.push_back(cursor->Position(s));
  f.CutAndReopen();
  Cursor* const again = Ok(f.stream().OpenCursor("reader"));
  for (ShardId s = 0; s < 3; ++s) CHECK(again->Position(s) == want[s]);
}

TEST_CASE(
    "a failed commit forgets no move, and overwrites none that came later",
    "[stream][cursor][fault]") {
  StreamFixture f(2u);
  Cursor* const cursor = Ok(f.stream().OpenCursor("reader"));
  PutOptions first;
  first.explicit_hash_key = "0";
  PutOptions last;
  last.explicit_hash_key = "340282366920938463463374607431768211455";
  const SequenceNumber a = f.Put("k", "a", first).sequence_number;
  const SequenceNumber b = f.Put("k", "b", last).sequence_number;
  Ok(cursor->Advance(0, a + 1));
  Ok(cursor->Advance(1, b + 1));
  f.device.disk.FailNth(CrashDisk::Op::kSync, 1, CrashDisk::Fault::kIoError);
  CHECK_FALSE(f.engine->Flush().ok());
  f.device.disk.ClearFaults();
  const SequenceNumber c = f.Put("k", "c", first).sequence_number;
  Ok(cursor->Advance(0, c + 1));
  Ok(f.engine->Flush());
  f.CutAndReopen();
  Cursor* const again = Ok(f.stream().OpenCursor("reader"));
  CHECK(again->Position(0) == c + 1);
  CHECK(again->Position(1) == b + 1);
}

TEST_CASE("an advance at kPower that could not be synced says so",
          "[stream][cursor][fault]") {
  StreamFixture f;
  Cursor* const cursor = Ok(f.stream().OpenCursor("reader"));
  f.Put("k", "a");
  f.device.disk.FailNth(CrashDisk::Op::kSync, 1, CrashDisk::Fault::kIoError,
                        /*sticky=*/true);
  const SequenceNumber next = Next(f);
  CHECK(absl::IsUnavailable(cursor->Advance(0, next, Durability::kPower)));
  CHECK(absl::IsUnavailable(cursor->Advance(0, next, Durability::kPower)));
  f.device.disk.ClearFaults();
  Ok(cursor->Advance(0, next, Durability::kPower));
  f.CutAndReopen();
  CHECK(Ok(f.stream().OpenCursor("reader"))->Position(0) == next);
}

TEST_CASE("an advance into a full intake waits for room, then gives up unmoved",
          "[stream][cursor][fault]") {
  StreamFixture f;
  Cursor* const cursor = Ok(f.stream().OpenCursor("reader"));
  const SequenceNumber a = f.Put("k", "a").sequence_number;
  f.device.disk.FailNth(CrashDisk::Op::kWrite, 1, CrashDisk::Fault::kFull,
                        /*sticky=*/true);
  PutOptions put;
  put.timeout = absl::ZeroDuration();
  while (f.stream().Put("k", std::string(1000, 'd'), put).ok()) {
  }
  const absl::Duration before = f.device.clock.SinceBoot();
  CHECK(absl::IsResourceExhausted(cursor->Advance(0, a + 1)));
  CHECK(f.device.clock.SinceBoot() - before >= f.options.store.append_timeout);
  CHECK(cursor->Position(0) == 0);
  f.device.disk.ClearFaults();
  Ok(cursor->Advance(0, a + 1));
  CHECK(cursor->Position(0) == a + 1);
}

TEST_CASE("a cursor whose creation failed does not exist",
          "[stream][cursor][fault]") {
  StreamFixture f;
  f.device.disk.FailNth(CrashDisk::Op::kWrite, 1, CrashDisk::Fault::kFull,
                        /*sticky=*/true);
  CHECK(absl::IsResourceExhausted(f.stream().OpenCursor("reader").status()));
  f.device.disk.ClearFaults();
  CHECK(f.stream().ListCursors().empty());
  Ok(f.stream().OpenCursor("reader"));
  f.CutAndReopen();
  CHECK(f.stream().ListCursors() == std::vector<std::string>{"reader"});
}

}  // namespace
}  // namespace eddy::stream
