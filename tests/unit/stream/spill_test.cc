// Persist::kSpill: what every cursor has passed in time is not written; what one
// leaves lying is, and nothing else is missing because of it.
#include <string>
#include <vector>

#include "tests/unit/stream/stream_fixture.h"

namespace eddy::stream {
namespace {

using Strings = std::vector<std::string>;

StreamOptions Spilling(Strings readers = {"uplink"}) {
  StreamOptions options;
  options.persist = Persist::kSpill;
  options.readers = std::move(readers);
  return options;
}

struct SpillFixture : StreamFixture {
  explicit SpillFixture(const StreamOptions& stream_options = Spilling(),
                        size_t intake_bytes = 1 << 20, uint64_t seed = 1)
      : StreamFixture(stream_options, intake_bytes, seed) {}

  Cursor& Reader(std::string_view name = "uplink") {
    return *Ok(stream().OpenCursor(name));
  }
  // The link is up: reads what there is, and passes it.
  Strings Deliver(std::string_view name = "uplink", size_t limit = 10'000) {
    GetRecordsOptions get;
    get.limit = limit;
    const RecordBatch batch = Ok(Reader(name).Read(0, get));
    CHECK_FALSE(batch.gap.has_value());
    Strings data;
    for (const Record& record : batch.records) data.emplace_back(record.data);
    if (!data.empty()) {
      Ok(Reader(name).Advance(0, batch.records.back().sequence_number + 1));
    }
    return data;
  }
  void Round() {
    device.clock.Advance(options.store.flush_interval);
    engine->RunOnce();
  }
  void PutMany(int count, size_t size = 200) {
    for (int i = 0; i < count; ++i) Put("k", std::string(size, 'x'));
  }
  uint64_t Written() const { return device.disk.BytesWritten(); }
  uint64_t Blocks() { return engine->Stats().blocks_written; }
  uint64_t Next() { return stream().Describe().shards[0].next; }
};

TEST_CASE("while its readers keep up a spilling stream writes nothing",
          "[stream][spill]") {
  SpillFixture f(Spilling({"uplink", "local"}));
  f.PutMany(10);
  f.Deliver("uplink");
  f.Deliver("local");
  f.Round();  // positions are reserved
  const uint64_t written = f.Written();
  for (int round = 0; round < 50; ++round) {  // many times the intake
    f.PutMany(500);
    REQUIRE(f.Deliver("uplink").size() == 500);
    REQUIRE(f.Deliver("local").size() == 500);
    f.Round();
  }
  CHECK(f.Written() == written);
  CHECK(f.engine->Stats().payload_bytes_spared == (50 * 500 + 10) * 201);
  CHECK(f.engine->Stats().payload_bytes_committed == 0);
  f.CloseAndReopen();
  CHECK(f.Deliver("uplink").empty());
  CHECK(f.Blocks() == 0);
}

TEST_CASE("a slow stream whose reader keeps up is not written either",
          "[stream][spill]") {
  SpillFixture f;
  f.Put("k", "first");
  f.Deliver();
  f.Round();
  const uint64_t written = f.Written();
  for (int record = 0; record < 20; ++record) {
    for (int second = 0; second < 3; ++second) f.Round();
    f.Put("k", "x");
    f.Round();  // not passed yet, and young
    REQUIRE(f.Deliver().size() == 1);
  }
  CHECK(f.Written() == written);
}

TEST_CASE("one reader that stays behind is enough for all to be written",
          "[stream][spill]") {
  SpillFixture f(Spilling({"uplink", "local"}));
  f.PutMany(10);
  f.Deliver("uplink");
  f.Round();
  CHECK(f.Blocks() == 0);  // it has waited for no time yet, as far as is known
  f.Round();
  CHECK(f.Blocks() == 1);
  f.CutAndReopen();
  CHECK(f.Deliver("local").size() == 10);
  CHECK(f.Deliver("uplink").empty());
}

TEST_CASE("spill_after is how long records wait for their readers",
          "[stream][spill]") {
  StreamOptions options = Spilling();
  options.spill_after = absl::Seconds(10);
  SpillFixture f(options);
  f.PutMany(10);
  for (int second = 0; second < 10; ++second) f.Round();
  CHECK(f.Blocks() == 0);
  f.Round();
  CHECK(f.Blocks() == 1);
  f.PutMany(10);
  f.Round();  // while the reader is away the flush interval counts
  CHECK(f.Blocks() == 2);
}

TEST_CASE("a stream without a cursor is written as any other", "[stream][spill]") {
  SpillFixture f(Spilling({}));
  f.PutMany(10);
  f.Round();
  f.Round();
  CHECK(f.Blocks() == 1);
  f.CutAndReopen();
  CHECK(f.ReadShard().size() == 10);
  CHECK(f.Deliver("new").size() == 10);
}

TEST_CASE("what was written while the link was down is deleted once delivered",
          "[stream][spill]") {
  SpillFixture f;
  for (int second = 0; second < 20; ++second) {
    f.PutMany(100);
    f.Round();
  }
  REQUIRE(f.Blocks() > 10);
  REQUIRE(f.Deliver().size() == 2000);
  for (int second = 0; second < 3; ++second) {
    f.Round();
    f.PutMany(10);  // their delivery says that the last one written is passed
    REQUIRE(f.Deliver().size() == 10);
  }
  f.Round();
  const uint64_t written = f.Written();
  const uint64_t blocks = f.Blocks();
  for (int second = 0; second < 20; ++second) {
    f.PutMany(100);
    REQUIRE(f.Deliver().size() == 100);
    f.Round();
  }
  CHECK(f.Written() == written);
  CHECK(f.Blocks() == blocks);
  int64_t rows = -1;
  Ok(f.engine->WithDatabase([&](sql::Database& db) -> absl::Status {
    EDDY_ASSIGN_OR_RETURN(sql::Statement count, db.Prepare("SELECT count(*) FROM blocks"));
    EDDY_RETURN_IF_ERROR(count.Step().status());
    rows = count.ColumnInt(0);
    return absl::OkStatus();
  }));
  CHECK(rows == 0);
}

TEST_CASE("a killed process has all that its readers had not passed",
          "[stream][spill][crash]") {
  SpillFixture f(Spilling({"uplink", "local"}));
  for (int i = 0; i < 1000; ++i) {
    f.Put("k", absl::StrCat(i));
    if (i % 100 == 99) {
      f.Deliver("uplink");
      f.Deliver("local", 90);
      if (i % 300 == 299) f.Round();
    }
  }
  const SequenceNumber uplink = f.Reader("uplink").Position(0);
  const SequenceNumber local = f.Reader("local").Position(0);
  f.KillAndReopen();
  CHECK(f.Reader("uplink").Position(0) == uplink);
  CHECK(f.Reader("local").Position(0) == local);
  CHECK(f.Deliver("uplink").empty());
  const Strings left = f.Deliver("local");
  REQUIRE(left.size() == 100);
  CHECK(left.front() == "900");
}

TEST_CASE("a cursor does not lose its place where nothing was ever written",
          "[stream][spill][crash]") {
  SpillFixture f;
  for (int round = 0; round < 30; ++round) {
    f.PutMany(1000);
    REQUIRE(f.Deliver().size() == 1000);
    f.Round();
  }
  const SequenceNumber before = f.Reader().Position(0);
  const bool kill = GENERATE(true, false);
  if (kill) {
    f.KillAndReopen();
    CHECK(f.Reader().Position(0) == before);
  } else {
    f.CutAndReopen();
    CHECK(f.Reader().Position(0) <= before);
  }
  CHECK(f.Deliver().empty());
  CHECK(f.Put("k", "new").sequence_number >= before);
  CHECK(f.Deliver() == Strings{"new"});
}

TEST_CASE("a power cut takes no longer than was promised", "[stream][spill][crash]") {
  SpillFixture f;
  f.PutMany(5);
  f.Deliver();
  f.Round();
  f.Put("k", "old");
  f.Round();
  f.Round();  // twice spill_after
  f.Put("k", "young");
  f.CutAndReopen();
  CHECK(f.Deliver() == Strings{"old"});
}

TEST_CASE("what is asked for at kPower is written at once", "[stream][spill]") {
  SpillFixture f;
  PutOptions power;
  power.durability = Durability::kPower;
  f.Put("k", "a");
  f.Put("k", "b", power);
  CHECK(f.Blocks() == 1);
  f.Put("k", "c");
  SECTION("a Put") {
    f.CutAndReopen();
    CHECK(f.Deliver() == Strings{"a", "b"});
  }
  SECTION("a Flush") {
    Ok(f.engine->Flush());
    f.CutAndReopen();
    CHECK(f.Deliver() == Strings{"a", "b", "c"});
  }
  SECTION("a move of a cursor") {
    const SequenceNumber next = f.Next();
    Ok(f.Reader().Advance(0, next, Durability::kPower));
    f.CutAndReopen();
    CHECK(f.Reader().Position(0) == next);
    CHECK(f.Deliver().empty());
  }
  SECTION("a large record") {
    f.Put("k", std::string(40'000, 'l'));
    f.CutAndReopen();
    CHECK(f.Deliver().size() == 4);
  }
}

TEST_CASE("commits of others leave a spilling stream alone", "[stream][spill]") {
  SpillFixture f;
  Stream& other = f.Create("other", {});
  PutOptions power;
  power.durability = Durability::kPower;
  f.PutMany(100);
  const uint64_t blocks = f.Blocks();
  for (int i = 0; i < 10; ++i) Ok(other.Put("k", "x", power));
  CHECK(f.Blocks() == blocks + 10);
  CHECK(f.engine->Stats().payload_bytes_committed == 20);
  CHECK(f.Deliver().size() == 100);
  f.Round();
  CHECK(f.engine->Stats().payload_bytes_committed == 20);
}

TEST_CASE("a reader too slow for the intake costs writes, not records",
          "[stream][spill]") {
  SpillFixture f(Spilling(), 256 << 10);
  size_t delivered = 0;
  for (int i = 0; i < 200; ++i) {
    f.PutMany(100);  // no time passes: nothing is due
    delivered += f.Deliver("uplink", 50).size();
  }
  CHECK(f.Blocks() > 0);
  for (size_t batch = 1; batch > 0;) delivered += batch = f.Deliver().size();
  CHECK(delivered == 20'000);
}

TEST_CASE("a disk that refuses does not stop a stream whose readers keep up",
          "[stream][spill][fault]") {
  SpillFixture f;
  f.PutMany(10);
  f.Deliver();
  f.Round();
  const auto fault = GENERATE(testing::CrashDisk::Fault::kIoError, testing::CrashDisk::Fault::kFull);
  f.device.disk.FailNth(testing::CrashDisk::Op::kWrite, 1, fault, /*sticky=*/true);
  f.device.disk.FailNth(testing::CrashDisk::Op::kSync, 1, fault, /*sticky=*/true);
  CHECK_FALSE(f.engine->WithDatabase([](sql::Database& db) {
    return db.Exec("INSERT INTO meta VALUES ('x', 1)");
  }).ok());
  for (int round = 0; round < 50; ++round) {
    f.PutMany(500);
    REQUIRE(f.Deliver().size() == 500);
    f.Round();
  }
  f.device.disk.ClearFaults();
  f.device.clock.Advance(absl::Seconds(10));
  f.Put("k", "last");
  Ok(f.engine->Flush());
  f.CutAndReopen();
  CHECK(f.Deliver() == Strings{"last"});
}

TEST_CASE("a spent write budget does not stop a stream whose readers keep up",
          "[stream][spill]") {
  SpillFixture f;
  Ok(f.engine->Close());
  f.streams.clear();
  f.engine.reset();
  f.options.store.write_budget_bytes_per_day = 1 << 20;
  f.Open();
  f.PutMany(1000);
  Ok(f.engine->Flush());  // spends more than an hour's share
  f.Deliver();
  const uint64_t steps = f.device.disk.step_count();
  for (int round = 0; round < 50; ++round) {
    f.PutMany(500);
    REQUIRE(f.Deliver().size() == 500);
    f.Round();
  }
  CHECK(f.device.disk.step_count() == steps);  // these rounds release, and write nothing
}

TEST_CASE("a cursor that comes later begins with what is there", "[stream][spill]") {
  SpillFixture f;
  f.PutMany(10);
  f.Deliver();
  f.Round();
  f.Put("k", "kept");
  CHECK(f.Deliver("late") == Strings{"kept"});
  f.Put("k", "for both");
  f.Deliver();
  f.Round();
  f.Round();
  f.Round();
  f.CutAndReopen();  // it has held the record back, and had it written
  CHECK(f.Deliver("late") == Strings{"for both"});
  CHECK(f.Deliver().empty());
}

TEST_CASE("a stream that spills still does after it was opened again",
          "[stream][spill]") {
  StreamOptions options = Spilling();
  options.spill_after = absl::Seconds(20);
  SpillFixture f(options);
  f.CloseAndReopen();
  CHECK(f.stream().Describe().persist == Persist::kSpill);
  CHECK(f.stream().Describe().spill_after == absl::Seconds(20));
  CHECK(f.stream().ListCursors() == Strings{"uplink"});
  for (int round = 0; round < 50; ++round) {
    f.PutMany(100);
    f.Deliver();
    f.Round();
  }
  CHECK(f.Blocks() == 0);
}

// The bar of the benchmark, on a device in memory: bytes as SQLite's VFS counts them.
TEST_CASE("with the link up the flash takes a twentieth of the payload at most",
          "[stream][spill][wear][sweep]") {
  SpillFixture f(Spilling(), 8 << 20);
  const uint64_t before = f.engine->Stats().disk_bytes_written;
  const uint64_t seconds = 600;
  uint64_t payload = 0;
  for (uint64_t ms = 0; ms < seconds * 1000; ms += 100) {
    f.PutMany(100, 200);
    payload += 100 * 201;
    if (ms % 300 == 0) f.Deliver();
    f.device.clock.Advance(absl::Milliseconds(100));
    f.engine->RunOnce();
  }
  const uint64_t written = f.engine->Stats().disk_bytes_written - before;
  INFO(written << " bytes written for " << payload << " of payload");
  CHECK(written * 20 <= payload);
  CHECK(written * 500 <= payload);  // what it is in fact: a reservation or two
}

TEST_CASE("options that contradict each other are refused", "[stream][spill]") {
  SpillFixture f;
  StreamOptions options = Spilling();
  std::string named;
  SECTION("every commit of kPower would be a write") {
    options.durability = Durability::kPower;
    named = "kPower";
  }
  SECTION("too long") {
    options.spill_after = absl::Hours(2);
    named = "spill_after 2h";
  }
  SECTION("negative") {
    options.spill_after = -absl::Seconds(1);
    named = "spill_after -1s";
  }
  SECTION("of a stream that keeps all") {
    options.persist = Persist::kAll;
    options.spill_after = absl::Seconds(1);
    named = "Persist::kSpill";
  }
  SECTION("none that exists") {
    options.persist = static_cast<Persist>(9);
    named = "persist 9";
  }
  SECTION("no name") {
    options.readers = {"a b"};
    named = "'a b'";
  }
  SECTION("twice the same") {
    options.readers = {"a", "b", "a"};
    named = "a is named twice";
  }
  const auto made = StreamImpl::Create(*f.engine, "other", options);
  CHECK(absl::IsInvalidArgument(made.status()));
  CHECK(made.status().ToString().find(named) != std::string::npos);
}

}  // namespace
}  // namespace eddy::stream
