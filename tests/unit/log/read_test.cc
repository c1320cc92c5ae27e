#include <thread>

#include "absl/strings/str_cat.h"
#include "tests/unit/log/log_fixture.h"

namespace eddy::log {
namespace {

TEST_CASE("a reader sees a frame at once, before any commit", "[log][read]") {
  LogFixture f;
  f.Append("a");
  CHECK(f.Bodies() == std::vector<std::string>{"a"});
  SECTION("but a reader of committed frames only after it") {
    ReadOptions committed;
    committed.committed_only = true;
    CHECK(f.Bodies(0, committed).empty());
    REQUIRE(f.engine->Flush().ok());
    CHECK(f.Bodies(0, committed) == std::vector<std::string>{"a"});
  }
}

TEST_CASE("a block is read from any place in it, in any order", "[log][read]") {
  LogFixture f(1 << 20);
  std::vector<uint64_t> positions;
  for (int i = 0; i < 500; ++i) {
    positions.push_back(f.Append(absl::StrCat("body-", i, std::string(i % 7, 'x'))).position);
  }
  REQUIRE(f.engine->Flush().ok());
  testing::FakeRandom random(11);
  ReadOptions three;
  three.frames_max = 3;
  size_t i = 0;
  for (int step = 0; step < 2000; ++step) {
    // Mostly on, as readers go; else anywhere, and into the middle of a frame too.
    if (i + 3 > positions.size() || random.OneIn(5)) i = random.Below(positions.size() - 3);
    const bool within = i > 0 && random.OneIn(5);
    const absl::StatusOr<ReadResult> read =
        f.log->Read(within ? positions[i] - kFrameAlignment : positions[i], three);
    REQUIRE(read.ok());
    REQUIRE(read->frames.size() == 3);
    for (const FrameView& frame : read->frames) REQUIRE(frame.position == positions[i++]);
    REQUIRE(read->more == (i < positions.size()));
  }
}

TEST_CASE("a reader does not notice the move from intake to block", "[log][read]") {
  LogFixture f;
  std::vector<std::string> want;
  std::vector<std::string> got;
  uint64_t from = 0;
  for (int i = 0; i < 3000; ++i) {
    want.push_back(absl::StrCat("body-", i));
    f.Append(want.back());
    if (i % 7 == 0) REQUIRE(f.engine->Flush().ok());
    if (i % 3 == 0) {
      ReadOptions two;
      two.frames_max = 2;
      const absl::StatusOr<ReadResult> read = f.log->Read(from, two);
      REQUIRE(read.ok());
      for (const FrameView& frame : read->frames) got.emplace_back(frame.body);
      from = read->next;
    }
  }
  for (const std::string& body : f.Bodies(from)) got.push_back(body);
  CHECK(got == want);
}

TEST_CASE("any position leads to the next frame at or above it", "[log][read]") {
  LogFixture f;
  const Appended a = f.Append("aaaaaaaaaa");
  const Appended b = f.Append("b");
  const bool in_block = GENERATE(false, true);
  if (in_block) REQUIRE(f.engine->Flush().ok());
  for (uint64_t p = a.position + 1; p <= b.position; ++p) {
    CHECK(f.log->Read(p, {})->frames.at(0).position == b.position);
  }
  CHECK(f.log->Read(b.position + 1, {})->frames.empty());
  CHECK(f.log->Read(b.end + 1000000, {})->frames.empty());
}

TEST_CASE("limits stop a read, and it says that there is more", "[log][read]") {
  LogFixture f;
  for (int i = 0; i < 10; ++i) f.Append(std::string(100, 'x'), "k", 5000 + i);
  ReadOptions three;
  three.frames_max = 3;
  const absl::StatusOr<ReadResult> read = f.log->Read(0, three);
  REQUIRE(read.ok());
  CHECK(read->frames.size() == 3);
  CHECK(read->more);
  CHECK(read->next_time_ms == 5003);
  SECTION("a byte limit returns one frame even if that is larger") {
    ReadOptions tiny;
    tiny.bytes_max = 1;
    CHECK(f.log->Read(0, tiny)->frames.size() == 1);
  }
  SECTION("at the end there is no more") {
    const absl::StatusOr<ReadResult> all = f.log->Read(read->next, {});
    CHECK(all->frames.size() == 7);
    CHECK_FALSE(all->more);
  }
}

TEST_CASE("a frame in a damaged block is never handed out", "[log][read][fault]") {
  LogFixture f;
  f.Append(std::string(5000, 'A'));
  REQUIRE(f.engine->Close().ok());
  f.engine.reset();
  std::string db = f.device.disk.Content("/store/eddy.db");
  const size_t at = db.find(std::string(64, 'A'));
  REQUIRE(at != std::string::npos);
  db[at + 10] = 'B';
  f.device.disk.SetContent("/store/eddy.db", db);
  f.Open();
  const absl::StatusOr<ReadResult> read = f.log->Read(0, {});
  REQUIRE(read.ok());
  CHECK(read->frames.empty());
  REQUIRE(read->gap);
  CHECK(read->gap->end == f.log->tail());
}

TEST_CASE("a waiting reader is woken by an append", "[log][read][threads]") {
  LogFixture f;
  f.device.clock.SetAutoAdvance(false);
  bool woken = false;
  std::thread reader([&] { woken = f.log->WaitForFrame(f.log->tail(), absl::Hours(1)); });
  while (f.device.clock.WaiterCount() == 0) std::this_thread::yield();
  f.Append("a");
  reader.join();
  CHECK(woken);
}

TEST_CASE("a wait for a frame ends when its time is over", "[log][read]") {
  LogFixture f;
  const absl::Duration before = f.device.clock.SinceBoot();
  CHECK_FALSE(f.log->WaitForFrame(f.log->tail(), absl::Seconds(3)));
  CHECK(f.device.clock.SinceBoot() - before >= absl::Seconds(3));
}

TEST_CASE("a time leads to the first frame that arrived at or after it", "[log][read]") {
  LogFixture f;
  std::vector<Appended> places;
  for (int i = 0; i < 20; ++i) {
    places.push_back(f.Append("x", "k", 1000 + i * 10));
    if (i == 9) REQUIRE(f.engine->Flush().ok());
  }
  CHECK(*f.log->FindTime(0) == places[0].position);
  CHECK(*f.log->FindTime(1045) == places[5].position);
  CHECK(*f.log->FindTime(1150) == places[15].position);
  CHECK(*f.log->FindTime(9999) == f.log->tail());
}

TEST_CASE("trimming deletes whole blocks below a position, and readers start behind them",
          "[log][trim]") {
  LogFixture f;
  const Appended a = f.Append("a");
  REQUIRE(f.engine->Flush().ok());
  const Appended b = f.Append("b");
  REQUIRE(f.engine->Flush().ok());
  REQUIRE(f.log->Trim(b.position).ok());
  REQUIRE(f.engine->Flush().ok());
  CHECK(f.log->oldest() == b.position);
  CHECK(f.Bodies(a.position) == std::vector<std::string>{"b"});
  SECTION("a log trimmed empty goes on behind its last position after a reopen") {
    REQUIRE(f.log->Trim(b.end).ok());
    f.CloseAndReopen();
    CHECK(f.Bodies().empty());
    CHECK(f.Append("c").position >= b.end);
  }
}

}  // namespace
}  // namespace eddy::log
