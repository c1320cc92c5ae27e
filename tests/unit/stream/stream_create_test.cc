#include <sqlite3.h>

#include "src/stream/hash_key.h"
#include "tests/unit/stream/stream_fixture.h"

namespace eddy::stream {
namespace {

// Runs one statement on the store's database while nobody has it open.
void Damage(StreamFixture& f, const char* sql) {
  Ok(f.engine->Close());
  f.streams.clear();
  f.engine.reset();
  sqlite3* db = nullptr;
  REQUIRE(sqlite3_open_v2("/store/eddy.db", &db, SQLITE_OPEN_READWRITE,
                          f.device.disk.name().c_str()) == SQLITE_OK);
  INFO(sqlite3_errmsg(db));
  REQUIRE(sqlite3_exec(db, sql, nullptr, nullptr, nullptr) == SQLITE_OK);
  sqlite3_close(db);
}

TEST_CASE("a stream is the same after the store was opened again",
          "[stream][catalog]") {
  StreamFixture f(StreamOptions{3, Durability::kPower});
  const StreamDescription before = f.stream().Describe();
  CHECK(before.name == "telemetry");
  CHECK(before.durability == Durability::kPower);
  CHECK(before.created ==
        absl::FromUnixSeconds(testing::FakeClock::kStartUnixSeconds));
  REQUIRE(before.shards.size() == 3);
  CHECK(before.shards[2].shard_id == "shardId-000000000002");
  f.device.clock.Advance(absl::Hours(1));

  SECTION("by a clean close") { f.CloseAndReopen(); }
  SECTION("by the death of the process") { f.KillAndReopen(); }
  SECTION("by a power cut") { f.CutAndReopen(); }

  REQUIRE(f.streams.size() == 1);
  const StreamDescription after = f.stream().Describe();
  CHECK(after.name == before.name);
  CHECK(after.created == before.created);
  CHECK(after.durability == before.durability);
  REQUIRE(after.shards.size() == 3);
  for (size_t i = 0; i < 3; ++i) {
    CHECK(after.shards[i].starting_hash_key ==
          before.shards[i].starting_hash_key);
    CHECK(after.shards[i].ending_hash_key == before.shards[i].ending_hash_key);
    CHECK(after.shards[i].next >= before.shards[i].next);
  }
}

TEST_CASE("a second stream of a name is refused by the catalog",
          "[stream][catalog]") {
  StreamFixture f;
  const auto again = StreamImpl::Create(*f.engine, "telemetry", {});
  CHECK(absl::IsAlreadyExists(again.status()));
  f.CloseAndReopen();
  CHECK(f.streams.size() == 1);
  f.Put("k", "still works");
}

TEST_CASE("a stream whose options are out of range is not created",
          "[stream][catalog]") {
  StreamFixture f;
  for (const auto& [name, options] :
       {std::pair<const char*, StreamOptions>{"a/b", {}},
        {"", {}},
        {"s", {0, Durability::kProcess}},
        {"s", {1001, Durability::kProcess}}}) {
    const auto made = StreamImpl::Create(*f.engine, name, options);
    CHECK(absl::IsInvalidArgument(made.status()));
  }
  f.CloseAndReopen();
  CHECK(f.streams.size() == 1);
}

TEST_CASE("a disk that fills during the creation leaves no half stream",
          "[stream][catalog][fault]") {
  StreamFixture f;
  f.device.disk.FailNth(testing::CrashDisk::Op::kWrite, 1,
                        testing::CrashDisk::Fault::kFull, /*sticky=*/true);
  const auto made =
      StreamImpl::Create(*f.engine, "events", {4, Durability::kProcess});
  CHECK_FALSE(made.ok());
  f.device.disk.ClearFaults();

  SECTION("and the same call works when there is room again") {
    Stream& events = f.Create("events", {4, Durability::kProcess});
    Ok(events.Put("k", "d"));
    f.CloseAndReopen();
    CHECK(f.streams.size() == 2);
  }
  SECTION("nor after the next open") {
    f.CutAndReopen();
    REQUIRE(f.streams.size() == 1);
    f.Put("k", "still works");
  }
}

TEST_CASE("a power cut at any step of a creation leaves all of it or nothing",
          "[stream][catalog][crash]") {
  uint64_t steps = 1;
  size_t whole = 0;
  for (uint64_t cut_at = 1; cut_at <= steps; ++cut_at) {
    StreamFixture f({}, 256 << 10, cut_at);
    const uint64_t before = f.device.disk.step_count();
    f.device.disk.CutAt(cut_at);
    const auto made =
        StreamImpl::Create(*f.engine, "events", {5, Durability::kProcess});
    if (made.ok()) {
      steps = cut_at;  // the creation needs no more steps
    } else {
      steps = cut_at + 1;
    }
    CHECK(f.device.disk.step_count() - before <= cut_at);
    f.CutAndReopen(cut_at);
    if (f.streams.size() == 2) {
      ++whole;
      CHECK(f.stream(1).shard_count() == 5);
      Ok(f.stream(1).Put("k", "d"));
    } else {
      CHECK_FALSE(made.ok());
      REQUIRE(f.streams.size() == 1);
      f.Create("events", {5, Durability::kProcess});
    }
  }
  CHECK(steps > 1);
  CHECK(whole >= 1);
}

TEST_CASE("two streams know nothing of each other", "[stream][catalog]") {
  StreamFixture f;
  Stream& other = f.Create("other", {1, Durability::kProcess});
  f.Put("k", "one");
  Ok(other.Put("k", "two"));
  CHECK(f.ReadShard() == std::vector<std::string>{"one"});
  const std::string theirs =
      Ok(other.GetShardIterator(0, ShardIteratorPosition()));
  CHECK(absl::IsInvalidArgument(f.stream().GetRecords(theirs).status()));
  Cursor* const a = Ok(f.stream().OpenCursor("c"));
  Cursor* const b = Ok(other.OpenCursor("c"));
  Ok(a->Advance(0, f.stream().Describe().shards[0].next));
  CHECK(Ok(a->Read(0)).records.empty());
  CHECK(Ok(b->Read(0)).records.size() == 1);
}

TEST_CASE("tables that do not fit together are data loss, not a guess",
          "[stream][catalog][fault]") {
  StreamFixture f(3u);
  Ok(f.stream().OpenCursor("reader"));
  const char* const damage = GENERATE(
      "DELETE FROM shards WHERE shard = 1", "DELETE FROM shards",
      "UPDATE shards SET ending_hash_key = x'00' WHERE shard = 2",
      "UPDATE shards SET starting_hash_key = zeroblob(16) WHERE shard = 1",
      "UPDATE shards SET log_id = 77 WHERE shard = 1",
      "UPDATE streams SET durability = 9",
      "UPDATE cursors SET shard = 5 WHERE shard = 2");
  Damage(f, damage);
  const absl::Status status = f.TryOpen();
  INFO(status.ToString());
  CHECK(absl::IsDataLoss(status));
  f.streams.clear();
}

}  // namespace
}  // namespace eddy::stream
