// Times on a board that wakes up in 1970 and learns the time later.
#include <set>

#include "tests/unit/stream/stream_fixture.h"

namespace eddy::stream {
namespace {

constexpr absl::Duration kYear = absl::Hours(24 * 365);

void LoseTheTime(testing::FakeClock* clock) {
  clock->SetTrusted(false);
  clock->SetWall(absl::FromUnixSeconds(7));
}
void LearnTheTime(testing::FakeClock* clock, absl::Time now) {
  clock->SetWall(now);
  clock->SetTrusted(true);
}

// A reboot into 1970.
void WakeUp(StreamFixture* f) {
  f->CutAndReopenInto([&] { LoseTheTime(&f->device.clock); });
}

std::vector<Record> All(StreamFixture* f, std::vector<RecordBatch>* keep) {
  keep->push_back(Ok(f->stream().GetRecords(f->Iterator(0, ShardIteratorType::kTrimHorizon))));
  return keep->back().records;
}

TEST_CASE("times taken before the clock was set are repaired once it is", "[stream][time]") {
  StreamFixture f;
  WakeUp(&f);
  const absl::Time now = absl::FromUnixSeconds(1800000000);
  f.Put("k", "first");
  f.device.clock.Advance(absl::Seconds(100));
  f.Put("k", "100 s later");
  if (GENERATE(false, true)) Ok(f.engine->Flush());
  const bool killed = GENERATE(false, true);
  if (killed) f.KillAndReopen();  // within the boot
  f.Put("k", "last before");
  std::vector<RecordBatch> keep;
  for (const Record& record : All(&f, &keep)) {
    CHECK_FALSE(record.arrival_is_trusted);
    CHECK(record.arrival < absl::FromUnixSeconds(1000));
  }

  f.device.clock.Advance(absl::Seconds(20));
  LearnTheTime(&f.device.clock, now);
  f.device.clock.Advance(absl::Seconds(1));
  f.engine->RunOnce();
  f.Put("k", "after");
  const auto check = [&] {
    const std::vector<Record> records = All(&f, &keep);
    REQUIRE(records.size() == 4);
    for (const Record& record : records) CHECK(record.arrival_is_trusted);
    CHECK(records[0].arrival == now - absl::Seconds(120));
    CHECK(records[1].arrival == now - absl::Seconds(20));
    CHECK(records[2].arrival == now - absl::Seconds(20));
    CHECK(records[3].arrival >= now);
    // And a time leads to them.
    const std::string iterator = Ok(f.stream().GetShardIterator(
        0, {ShardIteratorType::kAtTimestamp, 0, now - absl::Seconds(20)}));
    CHECK(Ok(f.stream().GetRecords(iterator)).records.at(0).data == "100 s later");
  };
  check();
  SECTION("for good") {
    Ok(f.engine->Flush());
    check();
    f.KillAndReopen();
    check();
    f.CutAndReopenInto([] {});
    check();
  }
}

// The wall clock of a board may as well be ahead before it is set.
TEST_CASE("a clock that is set back leaves records to be found by their time", "[stream][time]") {
  StreamFixture f;
  const absl::Time now = absl::FromUnixSeconds(1800000000);
  // An hour fast, and nobody vouches for it.
  f.CutAndReopenInto([&] {
    f.device.clock.SetTrusted(false);
    f.device.clock.SetWall(now + absl::Hours(1));
  });
  f.Put("k", "guess");
  const bool apart = GENERATE(true, false);  // in a block of its own
  if (apart) Ok(f.engine->Flush());
  f.device.clock.Advance(absl::Seconds(100));
  LearnTheTime(&f.device.clock, now + absl::Seconds(100));
  f.device.clock.Advance(absl::Seconds(10));
  const absl::Time put_at = f.device.clock.WallNow();
  f.Put("k", "known");
  f.CommitDue();  // the round, and behind it the repair
  const std::string iterator =
      Ok(f.stream().GetShardIterator(0, {ShardIteratorType::kAtTimestamp, 0, put_at}));
  const RecordBatch batch = Ok(f.stream().GetRecords(iterator));
  REQUIRE(batch.records.size() == 1);
  CHECK(batch.records[0].data == "known");
  CHECK(batch.records[0].arrival == put_at);
}

TEST_CASE("a repair outlives two more boots", "[stream][time]") {
  StreamFixture f;
  WakeUp(&f);
  const absl::Time now = absl::FromUnixSeconds(1800000000);
  f.Put("k", "guess");
  Ok(f.engine->Flush());
  f.device.clock.Advance(absl::Seconds(100));
  LearnTheTime(&f.device.clock, now);
  f.device.clock.Advance(absl::Seconds(1));
  f.engine->RunOnce();
  for (int boot = 0; boot < 3; ++boot) {
    CAPTURE(boot);
    std::vector<RecordBatch> keep;
    const std::vector<Record> records = All(&f, &keep);
    REQUIRE(records.size() == 1);
    CHECK(records[0].arrival_is_trusted);
    CHECK(records[0].arrival == now - absl::Seconds(100));
    f.CutAndReopenInto([&] { LearnTheTime(&f.device.clock, now + absl::Hours(1)); });
  }
}

int64_t CountRows(StreamFixture* f, const std::string& table) {
  int64_t count = 0;
  Ok(f->engine->WithDatabase([&](sql::Database& db) -> absl::Status {
    EDDY_ASSIGN_OR_RETURN(sql::Statement select,
                          db.Prepare(absl::StrCat("SELECT count(*) FROM ", table)));
    EDDY_RETURN_IF_ERROR(select.Step().status());
    count = select.ColumnInt(0);
    return absl::OkStatus();
  }));
  return count;
}

// As every board does that has to ask the network for the time.
TEST_CASE("boots that begin without the time leave no rows behind for ever", "[stream][time]") {
  StreamFixture f(4u);
  for (int boot = 0; boot < 100; ++boot) {
    WakeUp(&f);
    f.device.clock.Advance(absl::Seconds(10));
    LearnTheTime(&f.device.clock, absl::FromUnixSeconds(1800000000 + boot * 10000));
    // One shard is used, read and trimmed; the others lie idle.
    const PutResult put = f.Put("k", "reading");
    f.CommitDue();
    Ok(f.engine->Flush());
    Ok(f.stream().Trim(put.shard, put.token.end));
    f.CommitDue();
  }
  CHECK(CountRows(&f, "clock_starts") < 5 * 5);  // five logs
  CHECK(CountRows(&f, "clock_boots") < 5);
}

TEST_CASE("a boot that never learns the time keeps its guess and the mark", "[stream][time]") {
  StreamFixture f;
  WakeUp(&f);
  f.Put("k", "guess");
  Ok(f.engine->Flush());
  // The next boot knows the time: nothing of it may be put on the guess.
  f.CutAndReopenInto([&] { LearnTheTime(&f.device.clock, absl::FromUnixSeconds(1800000000)); });
  f.device.clock.Advance(absl::Seconds(1));
  f.engine->RunOnce();
  f.Put("k", "known");
  std::vector<RecordBatch> keep;
  const std::vector<Record> records = All(&f, &keep);
  REQUIRE(records.size() == 2);
  CHECK_FALSE(records[0].arrival_is_trusted);
  CHECK(records[0].arrival < absl::FromUnixSeconds(1000));
  CHECK(records[1].arrival_is_trusted);
}

TEST_CASE("two boots without the time are each repaired by their own offset", "[stream][time]") {
  StreamFixture f;
  for (int boot = 0; boot < 2; ++boot) {
    WakeUp(&f);
    f.Put("k", "before");
    f.device.clock.Advance(absl::Seconds(10));
    LearnTheTime(&f.device.clock, absl::FromUnixSeconds(1800000000 + boot * 1000000));
    f.device.clock.Advance(absl::Seconds(1));
    f.engine->RunOnce();
    Ok(f.engine->Flush());
  }
  std::vector<RecordBatch> keep;
  const std::vector<Record> records = All(&f, &keep);
  REQUIRE(records.size() == 2);
  CHECK(records[0].arrival == absl::FromUnixSeconds(1800000000 - 10));
  CHECK(records[1].arrival == absl::FromUnixSeconds(1801000000 - 10));
}

// What is committed between the moment at which the clock is set, back from a time to come,
// and the repair, which comes with the next flush, bears right times already.
TEST_CASE("a clock that is set back repairs no time that was right", "[stream][time]") {
  StreamOptions keep;
  keep.retention.age = absl::Hours(24 * 365);
  StreamFixture f(keep);
  f.CutAndReopenInto([&] {
    f.device.clock.SetTrusted(false);
    f.device.clock.SetWall(absl::FromUnixSeconds(4102444800));  // 2100
  });
  f.Put("k", "before");
  Ok(f.engine->Flush());
  f.device.clock.Advance(absl::Seconds(100));
  const absl::Time now = absl::FromUnixSeconds(1800000000);
  LearnTheTime(&f.device.clock, now);
  f.device.clock.Advance(absl::Milliseconds(100));
  f.Put("k", "after");
  Ok(f.engine->Flush());  // as somebody does who waits for a commit
  f.device.clock.Advance(absl::Seconds(1));
  f.engine->RunOnce();
  std::vector<RecordBatch> keep_alive;
  const std::vector<Record> records = All(&f, &keep_alive);
  REQUIRE(records.size() == 2);
  CHECK(records[0].arrival == now - absl::Seconds(100));
  CHECK(records[1].arrival >= now);
  SECTION("a time leads to it") {
    const std::string iterator =
        Ok(f.stream().GetShardIterator(0, {ShardIteratorType::kAtTimestamp, 0, now}));
    const RecordBatch batch = Ok(f.stream().GetRecords(iterator));
    CHECK(batch.records.size() == 1);
  }
  SECTION("and it does not age by the years that never were") {
    f.CloseAndReopen();
    f.device.clock.Advance(absl::Seconds(2));
    f.engine->RunOnce();
    Ok(f.engine->Flush());
    CHECK(All(&f, &keep_alive).size() == 2);
  }
}

// There is no repair after which it could be.
TEST_CASE("a boot that never learns the time is forgotten with the last of its frames",
          "[stream][time]") {
  StreamFixture f;
  for (int boot = 0; boot < 30; ++boot) {
    if (boot % 2 == 0) {
      WakeUp(&f);
    } else {
      f.CutAndReopenInto([&] { LearnTheTime(&f.device.clock, absl::FromUnixSeconds(1800000000)); });
    }
    const PutResult put = f.Put("k", "soon gone");
    Ok(f.engine->Flush());
    Ok(f.stream().Trim(0, put.sequence_number + 1));
    Ok(f.engine->Flush());
  }
  CAPTURE(CountRows(&f, "clock_starts"));
  CHECK(CountRows(&f, "clock_boots") <= 3);
}

TEST_CASE("the repair of the times of a long offline boot keeps to the quota",
          "[stream][time][quota]") {
  StreamFixture f;
  f.options.store.quota_bytes = 16 << 20;
  f.CloseAndReopen();
  WakeUp(&f);
  uint32_t state = 1;
  int puts = 0;
  for (; puts < 2500; ++puts) {  // a record a second, some 40 minutes, that cannot be packed
    std::string body;
    while (body.size() < 3000) {
      state = state * 1664525 + 1013904223;
      body.push_back(static_cast<char>(state >> 24));
    }
    if (!f.stream().Put("k", body, {}).ok()) break;
    f.device.clock.Advance(absl::Seconds(1));
    f.engine->RunOnce();
  }
  const auto files = [&] {
    uint64_t bytes = f.device.files.Content(kIntake).size();
    for (const char* name : {"/store/eddy.db", "/store/eddy.db-wal", "/store/eddy.db-blocks"}) {
      if (f.device.disk.Exists(name)) bytes += f.device.disk.Size(name);
    }
    return bytes;
  };
  CAPTURE(puts, files());
  CHECK(files() <= f.options.store.quota_bytes);
  const bool little_room = GENERATE(false, true);
  if (little_room) f.device.disk.SetCapacity(files() + (1 << 20));
  LearnTheTime(&f.device.clock, absl::FromUnixSeconds(1800000000));
  f.device.clock.Advance(absl::Seconds(1));
  const uint64_t written = f.device.disk.BytesWritten();
  f.engine->RunOnce();
  const uint64_t by_one = f.device.disk.BytesWritten() - written;
  for (int i = 0; i < 20; ++i) {
    f.device.clock.Advance(absl::Seconds(1));
    f.engine->RunOnce();
  }
  const uint64_t by_all = f.device.disk.BytesWritten() - written;
  CAPTURE(little_room, by_one, by_all, f.device.disk.Size("/store/eddy.db-wal"));
  CHECK(files() <= f.options.store.quota_bytes);
  CHECK(by_one <= (4 << 20));  // a bounded step
  CHECK(by_all <= (40 << 20));
}

TEST_CASE("a clock that is stepped by fifty years at any moment disturbs nothing but itself",
          "[stream][time]") {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    StreamFixture f;
    testing::FakeRandom random(seed);
    SequenceNumber last = 0;
    Cursor* const cursor = Ok(f.stream().OpenCursor("c"));
    int put = 0;
    int read = 0;
    for (int step = 0; step < 200; ++step) {
      switch (random.Below(6)) {
        case 0:
          f.device.clock.SetWall(f.device.clock.WallNow() +
                                 (random.OneIn(2) ? 1 : -1) * random.Below(50) * kYear);
          break;
        case 1: f.device.clock.SetTrusted(random.OneIn(2)); break;
        case 2: f.device.clock.Advance(absl::Milliseconds(random.Below(1500))); break;
        case 3: f.engine->RunOnce(); break;
        case 4: {
          const PutResult result = f.Put("k", absl::StrCat(put++));
          REQUIRE(result.sequence_number > last);
          last = result.sequence_number;
          break;
        }
        default: {
          const RecordBatch batch = Ok(cursor->Read(0));
          for (const Record& record : batch.records) {
            REQUIRE(record.data == absl::StrCat(read++));
          }
          Ok(cursor->Advance(0, batch.next_sequence_number));
        }
      }
    }
    INFO("seed " << seed);
    REQUIRE(f.engine->Stats().last_commit.ok());
    const RecordBatch rest = Ok(cursor->Read(0));
    REQUIRE(read + static_cast<int>(rest.records.size()) == put);
  }
}

}  // namespace
}  // namespace eddy::stream
