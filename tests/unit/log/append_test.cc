#include <atomic>
#include <set>
#include <thread>

#include "absl/strings/str_cat.h"
#include "tests/unit/log/log_fixture.h"

namespace eddy::log {
namespace {

TEST_CASE("positions increase, and a frame's end is the next one's position", "[log][append]") {
  LogFixture f;
  const Appended a = f.Append("a");
  const Appended b = f.Append("bb");
  CHECK(a.position > 0);
  CHECK(b.position == a.end);
  CHECK(f.log->tail() == b.end);
}

TEST_CASE("positions stay contiguous over the end of a segment", "[log][append]") {
  LogFixture f;
  uint64_t end = 0;
  for (int i = 0; i < 300; ++i) {
    const Appended a = f.Append(std::string(1000, 'x'));
    if (i > 0) REQUIRE(a.position == end);
    end = a.end;
  }
  CHECK(f.Bodies().size() == 300);
}

TEST_CASE("a frame that fills a segment to its last byte seals it without a crosser", "[log][append]") {
  LogFixture f;
  // 65472 bytes of frames a segment: 4092 x 16.
  for (int i = 0; i < 4092 * 3; ++i) f.Append("", "");
  CHECK(f.Bodies().size() == 4092 * 3);
}

TEST_CASE("an append waits for the committer when the intake is full, and goes on", "[log][append]") {
  LogFixture f;  // 256 KiB
  for (int i = 0; i < 2000; ++i) f.Append(std::string(1000, 'x'));
  CHECK(f.Bodies().size() == 2000);
  CHECK(f.engine->Stats().commits > 0);
}

TEST_CASE("an append into a full intake over a full disk fails, and nothing accepted is lost",
          "[log][append][fault]") {
  LogFixture f;
  f.device.disk.SetCapacity(f.device.disk.Size("/store/eddy.db") + 64 * 1024);
  FrameParts parts;
  const std::string body(1000, 'x');
  parts.body = body;
  size_t accepted = 0;
  absl::Status status;
  while (status.ok()) {
    status = f.log->Append(parts, absl::Milliseconds(50)).status();
    if (status.ok()) ++accepted;
  }
  CHECK(absl::IsResourceExhausted(status));
  CHECK(f.Bodies().size() == accepted);
  SECTION("when there is room again, it heals") {
    f.device.disk.SetCapacity(UINT64_MAX);
    f.Append("after");
    CHECK(f.Bodies().size() == accepted + 1);
    CHECK(f.engine->Flush().ok());
  }
  SECTION("a killed process finds all of it again") {
    f.device.disk.SetCapacity(UINT64_MAX);
    f.KillAndReopen();
    CHECK(f.Bodies().size() == accepted);
  }
}

TEST_CASE("TryAppend never waits: a full intake is an error at once", "[log][append]") {
  LogFixture f;
  f.device.disk.SetCapacity(0);
  FrameParts parts;
  const std::string body(10000, 'x');
  parts.body = body;
  absl::Status status;
  for (int i = 0; i < 100 && status.ok(); ++i) status = f.log->TryAppend(parts).status();
  CHECK(absl::IsResourceExhausted(status));
}

TEST_CASE("a frame larger than a segment is committed before the append returns", "[log][append]") {
  LogFixture f;
  f.Append("before");
  const std::string large(700000, 'L');
  const Appended a = f.Append(large);
  CHECK(f.log->committed() >= a.end);
  f.Append("after");
  CHECK(f.Bodies() == std::vector<std::string>{"before", large, "after"});
  SECTION("and survives a power cut") {
    f.CutAndReopen();
    CHECK(f.Bodies() == std::vector<std::string>{"before", large});
  }
}

TEST_CASE("a large frame that cannot be committed is not accepted", "[log][append][fault]") {
  LogFixture f;
  f.Append("before");
  f.device.disk.SetCapacity(f.device.disk.Size("/store/eddy.db"));
  FrameParts parts;
  const std::string large(700000, 'L');
  parts.body = large;
  CHECK(absl::IsUnavailable(f.log->Append(parts, absl::Seconds(1)).status()));
  f.device.disk.SetCapacity(UINT64_MAX);
  f.Append("after");
  CHECK(f.engine->Flush().ok());
  CHECK(f.Bodies() == std::vector<std::string>{"before", "after"});
}

TEST_CASE("a frame above the largest size is refused", "[log][append]") {
  LogFixture f;
  FrameParts parts;
  const std::string body(kFrameBytesMax, 'x');
  parts.body = body;
  CHECK(absl::IsInvalidArgument(f.log->Append(parts, absl::Seconds(1)).status()));
}

TEST_CASE("several producers get a place each, in order for each of them", "[log][append][threads]") {
  LogFixture f;
  f.device.clock.SetAutoAdvance(false);
  constexpr int kProducers = 4;
  constexpr int kEach = 5000;
  std::atomic<bool> done{false};
  std::thread committer([&] {
    while (!done) {
      (void)f.engine->Flush();
      std::this_thread::yield();
    }
  });
  std::vector<std::thread> producers;
  std::atomic<int> failures{0};
  for (int p = 0; p < kProducers; ++p) {
    producers.emplace_back([&, p] {
      for (int i = 0; i < kEach; ++i) {
        const std::string body = absl::StrCat(p, ":", i, std::string(i % 97, '.'));
        FrameParts parts;
        parts.body = body;
        if (!f.log->Append(parts, absl::Hours(1)).ok()) ++failures;
      }
    });
  }
  for (std::thread& t : producers) t.join();
  done = true;
  committer.join();
  REQUIRE(failures == 0);
  std::vector<int> next(kProducers, 0);
  uint64_t from = 0;
  for (;;) {
    const absl::StatusOr<ReadResult> read = f.log->Read(from, {});
    REQUIRE(read.ok());
    if (read->frames.empty()) break;
    for (const FrameView& frame : read->frames) {
      const int p = frame.body[0] - '0';
      const std::string want = absl::StrCat(p, ":", next[p], std::string(next[p] % 97, '.'));
      REQUIRE(frame.body == want);
      ++next[p];
    }
    from = read->next;
  }
  CHECK(next == std::vector<int>(kProducers, kEach));
}

TEST_CASE("ten times more active logs than segments are slower, and neither fail nor hang",
          "[log][append]") {
  LogFixture f;  // 4 segments
  std::vector<Log*> logs;
  REQUIRE(f.engine
              ->WithDatabase([&](sql::Database& db) {
                for (int i = 0; i < 40; ++i) {
                  absl::StatusOr<Log*> made = f.engine->AddLog(db);
                  if (!made.ok()) return made.status();
                  logs.push_back(*made);
                }
                return absl::OkStatus();
              })
              .ok());
  FrameParts parts;
  parts.body = "reading";
  for (int round = 0; round < 10; ++round) {
    for (Log* log : logs) REQUIRE(log->Append(parts, absl::Seconds(5)).ok());
  }
  for (Log* log : logs) CHECK(log->Read(0, {})->frames.size() == 10);
}

}  // namespace
}  // namespace eddy::log
