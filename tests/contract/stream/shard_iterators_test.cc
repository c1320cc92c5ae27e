// CONTRACT 1.6 and traps 9 and 10: where an iterator starts.
#include "tests/contract/stream/kinesis_fixture.h"

namespace eddy {
namespace {

using Strings = std::vector<std::string>;

TEST_CASE("AT_SEQUENCE_NUMBER starts at the record, AFTER behind it",
          "[contract][stream]") {
  KinesisFixture f;
  f.Put("k", "a");
  const SequenceNumber b = f.Put("k", "b").sequence_number;
  f.Put("k", "c");
  if (GENERATE(false, true)) REQUIRE(f.store->Flush().ok());
  CHECK(f.Data(f.Iterator(ShardIteratorType::kAtSequenceNumber, b)) ==
        Strings{"b", "c"});
  CHECK(f.Data(f.Iterator(ShardIteratorType::kAfterSequenceNumber, b)) ==
        Strings{"c"});
}

TEST_CASE("a sequence number need not exist: the next higher is used",
          "[contract][stream]") {
  KinesisFixture f;
  const SequenceNumber a = f.Put("k", std::string(100, 'a')).sequence_number;
  f.Put("k", "b");
  if (GENERATE(false, true)) REQUIRE(f.store->Flush().ok());
  for (const SequenceNumber between : {a + 1, a + 4, a + 17, a + 50}) {
    CHECK(f.Data(f.Iterator(ShardIteratorType::kAtSequenceNumber, between)) ==
          Strings{"b"});
  }
  CHECK(f.Data(f.Iterator(ShardIteratorType::kAtSequenceNumber, 0)).size() ==
        2);
}

TEST_CASE("a number that was not given out yet is refused",
          "[contract][stream]") {
  KinesisFixture f;
  f.Put("k", "a");
  const SequenceNumber next = f.stream->Describe().shards[0].next;
  f.Iterator(ShardIteratorType::kAtSequenceNumber, next);
  f.Iterator(ShardIteratorType::kAfterSequenceNumber, next - 1);
  for (const SequenceNumber number : {next + 1, UINT64_MAX}) {
    CHECK(absl::IsInvalidArgument(
        f.TryIterator(ShardIteratorType::kAtSequenceNumber, number).status()));
  }
  for (const SequenceNumber number : {next, UINT64_MAX}) {
    CHECK(absl::IsInvalidArgument(
        f.TryIterator(ShardIteratorType::kAfterSequenceNumber, number)
            .status()));
  }
}

TEST_CASE("TRIM_HORIZON starts at the oldest record kept",
          "[contract][stream]") {
  KinesisFixture f;
  CHECK(f.Data(f.Iterator(ShardIteratorType::kTrimHorizon)).empty());
  f.Put("k", "a");
  REQUIRE(f.store->Flush().ok());
  const SequenceNumber b = f.Put("k", "b").sequence_number;
  REQUIRE(f.store->Flush().ok());
  CHECK(f.Data(f.Iterator(ShardIteratorType::kTrimHorizon)) ==
        Strings{"a", "b"});
  REQUIRE(f.stream->Trim(0, b).ok());
  f.device.clock.Advance(absl::Seconds(1));
  (void)f.store->Pump();  // with the commit that is due
  CHECK(f.Data(f.Iterator(ShardIteratorType::kTrimHorizon)) == Strings{"b"});
  // An old number goes on at the horizon.
  CHECK(f.Data(f.Iterator(ShardIteratorType::kAtSequenceNumber, 1)) ==
        Strings{"b"});
}

TEST_CASE("LATEST is fixed when the iterator is issued", "[contract][stream]") {
  KinesisFixture f;
  f.Put("k", "before");
  const std::string latest = f.Iterator(ShardIteratorType::kLatest);
  f.Put("k", "after the iterator, before the first read");
  if (GENERATE(false, true)) REQUIRE(f.store->Flush().ok());
  CHECK(f.Data(latest) == Strings{"after the iterator, before the first read"});
}

TEST_CASE("AT_TIMESTAMP starts at the first record that arrived at or after",
          "[contract][stream]") {
  KinesisFixture f;
  const absl::Time start = f.device.clock.WallNow();
  for (const char* const data : {"0", "10", "20", "30"}) {
    f.Put("k", data);
    f.device.clock.Advance(absl::Seconds(10));
  }
  if (GENERATE(false, true)) REQUIRE(f.store->Flush().ok());
  const auto data = [&](absl::Duration d) {
    return f.Data(f.Iterator(ShardIteratorType::kAtTimestamp, 0, start + d));
  };
  CHECK(data(absl::Seconds(10)) == Strings{"10", "20", "30"});
  CHECK(data(absl::Seconds(10) - absl::Milliseconds(1)).size() == 3);
  CHECK(data(absl::Seconds(10) + absl::Nanoseconds(1)) == Strings{"20", "30"});
  CHECK(data(absl::Seconds(31)).empty());
  CHECK(data(-absl::Hours(1)).size() == 4);
  CHECK(f.Data(f.Iterator(ShardIteratorType::kAtTimestamp, 0,
                          absl::InfinitePast()))
            .size() == 4);
}

TEST_CASE("AT_TIMESTAMP older than the horizon starts at the horizon",
          "[contract][stream]") {
  KinesisFixture f;
  const absl::Time start = f.device.clock.WallNow();
  f.Put("k", "trimmed");
  REQUIRE(f.store->Flush().ok());
  f.device.clock.Advance(absl::Seconds(10));
  const SequenceNumber kept = f.Put("k", "kept").sequence_number;
  if (GENERATE(false, true)) REQUIRE(f.store->Flush().ok());
  REQUIRE(f.stream->Trim(0, kept).ok());
  f.device.clock.Advance(absl::Seconds(10));
  (void)f.store->Pump();  // with the commit that is due
  for (const absl::Time old :
       {absl::InfinitePast(), start - absl::Hours(1), start}) {
    CHECK(f.Data(f.Iterator(ShardIteratorType::kAtTimestamp, 0, old)) ==
          Strings{"kept"});
  }
}

TEST_CASE("AT_TIMESTAMP takes the first one at or after though times go back",
          "[contract][stream]") {
  KinesisFixture f;
  for (const int seconds : {100, 300, 200, 400}) {
    f.device.clock.SetWall(absl::FromUnixSeconds(seconds));
    f.Put("k", absl::StrCat(seconds));
    if (seconds == 300 && GENERATE(false, true)) {
      REQUIRE(f.store->Flush().ok());
    }
  }
  const auto data = [&](int seconds) {
    return f.Data(f.Iterator(ShardIteratorType::kAtTimestamp, 0,
                             absl::FromUnixSeconds(seconds)));
  };
  CHECK(data(150) == Strings{"300", "200", "400"});
  CHECK(data(250) == Strings{"300", "200", "400"});
  CHECK(data(350) == Strings{"400"});
}

TEST_CASE("AT_TIMESTAMP in the future is refused", "[contract][stream]") {
  KinesisFixture f;
  const absl::Time now = f.device.clock.WallNow();
  CHECK(f.TryIterator(ShardIteratorType::kAtTimestamp, 0, now).ok());
  for (const absl::Time future :
       {now + absl::Milliseconds(1), absl::InfiniteFuture()}) {
    CHECK(absl::IsInvalidArgument(
        f.TryIterator(ShardIteratorType::kAtTimestamp, 0, future).status()));
  }
}

TEST_CASE("an iterator is a position: it may be used twice",
          "[contract][stream]") {
  KinesisFixture f;
  f.Put("k", "a");
  const std::string iterator = f.Iterator(ShardIteratorType::kTrimHorizon);
  CHECK(f.Data(iterator) == Strings{"a"});
  f.Put("k", "b");
  CHECK(f.Data(iterator) == Strings{"a", "b"});
}

TEST_CASE("an iterator is opaque text of at most 512 characters",
          "[contract][stream]") {
  KinesisFixture f;
  const std::string iterator = f.Iterator(ShardIteratorType::kLatest);
  CHECK_FALSE(iterator.empty());
  CHECK(iterator.size() <= 512);
  for (const char c : iterator) {
    CHECK(((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
           (c >= 'A' && c <= 'Z')));
  }
  for (const std::string& foreign :
       {std::string(), std::string("LATEST"), iterator + "0"}) {
    CHECK(absl::IsInvalidArgument(f.stream->GetRecords(foreign).status()));
  }
  Stream* const other = Must(f.store->CreateStream("other"));
  CHECK(absl::IsInvalidArgument(other->GetRecords(iterator).status()));
  CHECK(absl::IsInvalidArgument(
      f.stream->GetShardIterator(1, ShardIteratorPosition()).status()));
}

}  // namespace
}  // namespace eddy
