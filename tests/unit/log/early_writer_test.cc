// Blocks of the next round, written by whoever waits for room while this one syncs.
//
// On one thread: the disk calls back from within the sync of the blocks' file, and there an
// appender fills the intake and waits.
#include "src/log/early_writer.h"

#include <algorithm>
#include <atomic>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include <catch2/generators/catch_generators.hpp>

#include "absl/strings/str_cat.h"
#include "src/log/segment_log.h"
#include "src/log/segment_tail.h"
#include "tests/fakes/scale.h"
#include "tests/unit/log/log_fixture.h"

namespace eddy::log {
namespace {

using Op = testing::CrashDisk::Op;
using Fault = testing::CrashDisk::Fault;

constexpr size_t kEarlyRecordBytes = 12000;  // five of them a segment
constexpr size_t kSegments = 8;

std::string EarlyBody(int number) { return RawBody(number, kEarlyRecordBytes); }

struct EarlyFixture : LogFixture {
  explicit EarlyFixture(StoreOptions store = {}) : LogFixture(kSegments * (128 << 10)) {
    store.platform = options.store.platform;
    store.intake_bytes = options.store.intake_bytes;
    if (store.quota_bytes == 0 && store.write_budget_bytes_per_day == 0) return;
    options.store = store;
    CloseAndReopen();
  }
  ~EarlyFixture() { device.disk.OnStep(nullptr); }

  bool TryPut() {
    FrameParts parts;
    parts.kind = 5;
    parts.time_ms = time_ms;
    parts.time_trusted = trusted;
    const std::string body = tiny ? "x" : EarlyBody(static_cast<int>(bodies.size()));
    parts.body = body;
    const absl::StatusOr<Appended> appended = log->Append(parts, absl::Milliseconds(50));
    if (appended.ok()) bodies.push_back(body);
    if (appended.ok()) last_position = appended->position;
    last = appended.status();
    return appended.ok();
  }
  // Two segments, and most of a third.
  void PutSome() {
    for (int i = 0; i < 14; ++i) REQUIRE(TryPut());
  }
  // During the next sync of the blocks' file an appender comes, and finds the intake full
  // in the end.
  void ComeDuringSync() {
    came = false;
    blocks_before = Blocks();
    syncs_before = device.disk.sync_count();
    device.disk.OnStep([this] {
      if (Blocks() == blocks_before) syncs_before = device.disk.sync_count();
      if (came || device.disk.sync_count() == syncs_before) return;
      came = true;  // first: it writes, too
      const uint64_t before = Blocks();
      if (first) first();
      while (TryPut()) {
      }
      early_bytes = Blocks() - before;
      if (then) then();
    });
  }
  // One round with early blocks behind it.
  void RoundWithEarly() {
    PutSome();
    ComeDuringSync();
    REQUIRE(engine->Flush().ok());
    REQUIRE(came);
    REQUIRE(absl::IsResourceExhausted(last));
    REQUIRE(early_bytes > (kSegments - 3) * 10 * kEarlyRecordBytes);
  }
  // One in which nothing was written early, and the next.
  void RoundWithoutEarly() {
    PutSome();
    ComeDuringSync();
    REQUIRE(engine->Flush().ok());
    REQUIRE(came);
    CHECK(early_bytes == 0);
    REQUIRE(engine->Flush().ok());
    CHECK(IsAllThere());
  }
  uint64_t Blocks() const { return device.disk.BytesWritten("-blocks"); }
  bool IsAllThere() { return Bodies() == bodies; }

  std::vector<std::string> bodies;
  absl::Status last;
  uint64_t last_position = 0;
  std::function<void()> first;
  std::function<void()> then;
  int64_t time_ms = 1000;
  bool trusted = true;
  bool tiny = false;
  bool came = false;
  uint64_t early_bytes = 0;
  uint64_t blocks_before = 0;
  uint64_t syncs_before = 0;
};

TEST_CASE("who waits for room writes the next round's blocks while this one syncs",
          "[log][early]") {
  EarlyFixture f;
  f.RoundWithEarly();
  CHECK(f.IsAllThere());
  const uint64_t before = f.Blocks();
  REQUIRE(f.engine->Flush().ok());
  SECTION("the round takes them as they are, and writes but the rest") {
    CHECK(f.Blocks() - before < 13 * kEarlyRecordBytes);
  }
  SECTION("they survive a power cut once it has committed") { f.CutAndReopen(); }
  SECTION("and a close") { f.CloseAndReopen(); }
  CHECK(f.IsAllThere());
  CHECK(f.engine->Stats().blocks_damaged == 0);
}

TEST_CASE("each round may have early blocks, and their places are used again", "[log][early]") {
  EarlyFixture f;
  size_t most = 0;
  size_t trimmed = 0;
  for (int i = 0; i < 8; ++i) {
    f.PutSome();
    f.ComeDuringSync();
    REQUIRE(f.engine->Flush().ok());
    REQUIRE(f.came);
    REQUIRE(f.engine->Flush().ok());
    CHECK(f.Bodies() == std::vector<std::string>(f.bodies.begin() + static_cast<long>(trimmed),
                                                 f.bodies.end()));
    REQUIRE(f.log->Trim(f.log->committed()).ok());
    REQUIRE(f.engine->Flush().ok());
    trimmed = f.bodies.size();
    most = std::max(most, f.device.disk.Size("/store/eddy.db-blocks"));
  }
  CHECK(most <= 3 * (kSegments + 2) * (128 << 10));
}

TEST_CASE("before its round commits an early block is nothing: the intake has its frames",
          "[log][early]") {
  EarlyFixture f;
  f.RoundWithEarly();
  SECTION("the process dies") {
    f.KillAndReopen();
    CHECK(f.IsAllThere());
  }
  SECTION("the power fails: what was flushed is there, the rest was not promised") {
    f.CutAndReopen();
    f.bodies.resize(f.Bodies().size());
    CHECK(f.bodies.size() >= 14);
    CHECK(f.IsAllThere());
  }
  f.PutSome();
  REQUIRE(f.engine->Flush().ok());
  f.CutAndReopen();
  CHECK(f.IsAllThere());
  CHECK(f.engine->Stats().blocks_damaged == 0);
}

// As that of a thread which lost the processor between its claim and the end of its copy.
TEST_CASE("a frame that is still being filled is in no early block, nor is what lies behind it",
          "[log][early]") {
  EarlyFixture f;
  std::atomic<uint32_t>* word = nullptr;
  uint32_t published = 0;
  uint64_t round_end = 0;
  uint64_t whole = 0;  // bytes of segments that may be written
  // The round ends one record before the end of a segment, which is too little for an early
  // block; after it the frame is in the first whole segment, or in the fourth.
  const int before = GENERATE(3, 18);
  CAPTURE(before);
  f.first = [&] {
    for (int i = 0; i < before; ++i) REQUIRE(f.TryPut());
    const LogCut cut = static_cast<SegmentLog*>(f.log)->Cut();
    for (const CutRun& run : cut.runs) {
      if (run.first > f.last_position || f.last_position >= run.end) continue;
      word = Word0(const_cast<char*>(run.frames + (f.last_position - run.first)));
      whole = run.first - round_end - (f.log->tail() - round_end) / static_cast<uint64_t>(before);
    }
    REQUIRE(word != nullptr);
    published = word->exchange(0);
  };
  f.PutSome();
  round_end = f.log->tail();
  f.ComeDuringSync();
  REQUIRE(f.engine->Flush().ok());
  REQUIRE(f.came);
  CHECK((whole > 0) == (before > 3));
  CHECK(f.early_bytes == whole);  // as they are: they cannot be packed
  word->store(published);
  REQUIRE(f.engine->Flush().ok());
  CHECK(f.IsAllThere());
  f.CutAndReopen();
  CHECK(f.IsAllThere());
  CHECK(f.engine->Stats().blocks_damaged == 0);
}

TEST_CASE("a round that fails forgets what was written early", "[log][early][fault]") {
  EarlyFixture f;
  f.PutSome();
  f.ComeDuringSync();
  SECTION("its own commit, after they were written") {
    f.device.disk.FailNth(Op::kSync, 1, Fault::kIoError, /*sticky=*/false, "-wal");
    CHECK_FALSE(f.engine->Flush().ok());
    REQUIRE(f.came);
  }
  SECTION("the sync that would have been theirs") {
    REQUIRE(f.engine->Flush().ok());
    REQUIRE(f.came);
    f.device.disk.FailNth(Op::kSync, 1, Fault::kIoError, /*sticky=*/false, "-blocks");
    CHECK_FALSE(f.engine->Flush().ok());
  }
  REQUIRE(f.early_bytes > 0);
  CHECK(f.IsAllThere());
  const uint64_t before = f.Blocks();
  f.device.clock.Advance(absl::Seconds(10));
  REQUIRE(f.engine->Flush().ok());
  CHECK(f.Blocks() - before >= f.early_bytes);  // anew: they may not be on the disk
  f.CutAndReopen();
  CHECK(f.IsAllThere());
  CHECK(f.engine->Stats().blocks_damaged == 0);
}

TEST_CASE("a round that fails, and took early blocks, leaves no hole where they were",
          "[log][early][fault]") {
  EarlyFixture f;
  f.RoundWithEarly();
  // No sync failed: the database is not opened anew.
  f.device.disk.FailNth(Op::kWrite, 1, Fault::kFull, /*sticky=*/false, "-wal");
  CHECK_FALSE(f.engine->Flush().ok());
  REQUIRE(f.engine->Flush().ok());
  CHECK(f.IsAllThere());
  f.PutSome();
  REQUIRE(f.engine->Flush().ok());
  REQUIRE(f.log->Trim(f.log->committed()).ok());
  REQUIRE(f.engine->Flush().ok());
  REQUIRE(f.engine->Flush().ok());
  CHECK(f.device.disk.Size("/store/eddy.db-blocks") < 1 << 20);  // all but what is not cut
}

TEST_CASE("an early block that the disk refuses is the round's to write", "[log][early][fault]") {
  const auto fault = GENERATE(Fault::kFull, Fault::kIoError, Fault::kReadOnly);
  EarlyFixture f;
  f.PutSome();
  f.ComeDuringSync();
  // The round's own two or three writes of the file pass.
  f.device.disk.FailNth(Op::kWrite, 8, fault, /*sticky=*/false, "-blocks");
  REQUIRE(f.engine->Flush().ok());
  REQUIRE(f.came);
  REQUIRE(f.device.disk.fault_count() == 1);
  CHECK(f.early_bytes < (kSegments - 4) * 10 * kEarlyRecordBytes);  // and it gave up
  REQUIRE(f.engine->Flush().ok());
  f.CutAndReopen();
  CHECK(f.IsAllThere());
}

TEST_CASE("what may turn out not to be needed is not written early", "[log][early][wear]") {
  EarlyFixture f;
  SECTION("of a log that discards") { f.log->SetDiscard([] { return uint64_t{0}; }); }
  SECTION("of one that holds") { f.log->SetHold(absl::Seconds(1)); }
  f.RoundWithoutEarly();
}

TEST_CASE("only the round knows what room there is, and what may be written",
          "[log][early][quota][wear]") {
  StoreOptions store;
  SECTION("a store of bounded size") { store.quota_bytes = 16 << 20; }
  SECTION("a budget") { store.write_budget_bytes_per_day = int64_t{1} << 40; }
  EarlyFixture f(store);
  f.RoundWithoutEarly();
}

TEST_CASE("times of an early block are repaired though it has no row when the clock is set",
          "[log][early][time]") {
  EarlyFixture f;
  f.trusted = false;
  f.device.clock.SetTrusted(false);
  f.CloseAndReopen();
  f.time_ms = f.engine->boot_base_ms() + absl::ToInt64Milliseconds(f.device.clock.SinceBoot());
  f.PutSome();
  f.ComeDuringSync();
  // The first answer of a time server, while the round that wrote early is under way.
  f.then = [&f] {
    f.device.clock.SetWall(f.device.clock.WallNow() + absl::Hours(24 * 365));
    f.device.clock.SetTrusted(true);
  };
  f.device.clock.Advance(absl::Seconds(10));
  f.engine->RunOnce();  // and repairs the tables
  REQUIRE(f.came);
  REQUIRE(f.early_bytes > 0);
  REQUIRE(f.engine->Flush().ok());
  CHECK(f.IsAllThere());
  // All of them arrived about then, and an hour before that none had.
  const int64_t repaired_ms = absl::ToUnixMillis(f.device.clock.WallNow() - absl::Hours(1));
  const absl::StatusOr<ReadResult> first = f.log->Read(0, {});
  REQUIRE(first.ok());
  CHECK(first->frames.front().time_ms > repaired_ms);
  CHECK(*f.log->FindTime(repaired_ms) == first->frames.front().position);
}

TEST_CASE("a block that is to lie in the database is not written early", "[log][early]") {
  EarlyFixture f;
  f.PutSome();
  f.tiny = true;  // 3 bytes each, packed
  f.ComeDuringSync();
  REQUIRE(f.engine->Flush().ok());
  REQUIRE(f.came);
  REQUIRE(f.bodies.size() > 10000);
  CHECK(f.early_bytes == 0);
  REQUIRE(f.engine->Flush().ok());
  f.CutAndReopen();
  CHECK(f.IsAllThere());
}

TEST_CASE("a power cut at each step of rounds with early blocks", "[log][early][crash][sweep]") {
  // Each of them with EDDY_TEST_SCALE above 1.
  const uint64_t stride = testing::Scaled(2) > 2 ? 1 : 7;
  uint64_t step = 0;
  for (int cuts = 0;; ++cuts) {
    step += stride;
    EarlyFixture f;
    f.device.disk.CutAt(step);
    size_t durable = 0;
    for (int round = 0; round < 3 && !f.device.disk.PowerIsOff(); ++round) {
      for (int i = 0; i < 14 && f.TryPut(); ++i) {
      }
      f.ComeDuringSync();
      const size_t before = f.bodies.size();
      if (f.engine->Flush().ok()) durable = before;
    }
    f.device.disk.OnStep(nullptr);
    const bool done = !f.device.disk.PowerIsOff();
    const auto was = f.bodies;
    INFO("CutAt " << step);
    f.CutAndReopen(step);
    const std::vector<std::string> there = f.Bodies();
    REQUIRE(there.size() >= durable);
    REQUIRE(there.size() <= was.size());
    REQUIRE(std::equal(there.begin(), there.end(), was.begin()));
    REQUIRE(f.engine->Stats().blocks_damaged == 0);
    if (done) {
      CHECK(cuts > 20);
      return;
    }
  }
}

TEST_CASE("many appenders at a full intake, the committer and early blocks",
          "[log][early][threads]") {
  LogFixture f(256 << 10);
  f.device.clock.SetAutoAdvance(false);
  constexpr int kThreads = 3;
  const int count = testing::Scaled(400);
  std::atomic<int> left{kThreads};
  // Each sync takes until something was written early, or for a while: so as a rule it is.
  std::atomic<uint64_t> syncs{f.device.disk.sync_count()};
  f.device.disk.OnStep([&] {
    const uint64_t now = f.device.disk.sync_count();
    if (syncs.exchange(now) == now) return;
    const uint64_t written = f.device.disk.BytesWritten("-blocks");
    for (int i = 0; i < 300; ++i) {
      if (f.device.disk.BytesWritten("-blocks") != written) return;
      std::this_thread::yield();
    }
  });
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < count; ++i) {
        FrameParts parts;
        parts.kind = 5;
        parts.time_trusted = true;
        const std::string key(1, static_cast<char>('a' + t));
        const std::string body = EarlyBody(i);
        parts.key = key;
        parts.body = body;
        if (!f.log->Append(parts, absl::InfiniteDuration()).ok()) break;
      }
      left.fetch_sub(1);
    });
  }
  std::thread committer([&] {
    while (left.load() > 0) {
      if (!f.engine->Flush().ok()) return;
    }
  });
  for (std::thread& thread : threads) thread.join();
  committer.join();
  f.device.disk.OnStep(nullptr);
  REQUIRE(f.engine->Flush().ok());
  f.CutAndReopen();
  std::vector<int> seen(kThreads, 0);
  uint64_t from = 0;
  for (;;) {
    const absl::StatusOr<ReadResult> read = f.log->Read(from, {});
    REQUIRE(read.ok());
    if (read->frames.empty()) break;
    for (const FrameView& frame : read->frames) {
      int& next = seen[static_cast<size_t>(frame.key[0] - 'a')];
      REQUIRE(frame.body == EarlyBody(next));
      ++next;
    }
    from = read->next;
  }
  CHECK(seen == std::vector<int>(kThreads, count));
}

}  // namespace
}  // namespace eddy::log
