// When the WAL is copied into the database.
#include <algorithm>
#include <string>

#include "tests/unit/log/log_fixture.h"

namespace eddy::log {
namespace {

constexpr uint64_t kShort = 2 << 20;

uint64_t WalBytes(const LogFixture& f) {
  return f.device.disk.Size("/store/eddy.db-wal");
}

void CommitOne(LogFixture* f) {
  const Appended one = f->Append("a job");
  REQUIRE(f->engine->WaitCommitted(f->id, one.end, absl::Seconds(1)).ok());
}

TEST_CASE("a WAL of small commits is copied while it is short, whoever commits",
          "[log][checkpoint][sweep]") {
  LogFixture f;
  int wakes = 0;
  f.engine->OnCommitDue([&wakes] { ++wakes; });
  uint64_t longest = 0;
  for (int i = 0; i < 1500; ++i) {
    CommitOne(&f);
    longest = std::max(longest, WalBytes(f));
  }
  CHECK(wakes > 0);  // nobody came: the commits did it, at twice the length
  CHECK(longest >= 2 * kShort);
  CHECK(longest < 2 * kShort + (64 << 10));
}

TEST_CASE("RunOnce copies a WAL as soon as it is due, also between flushes",
          "[log][checkpoint][sweep]") {
  LogFixture f;
  bool due = false;
  f.engine->OnCommitDue([&due] { due = true; });
  uint64_t longest = 0;
  for (int i = 0; i < 1500; ++i) {
    CommitOne(&f);
    if (due) f.engine->RunOnce();
    due = false;
    longest = std::max(longest, WalBytes(f));
  }
  CHECK(longest >= kShort);
  CHECK(longest < kShort + (64 << 10));
}

TEST_CASE("a WAL of blocks grows longer, for what is deleted soon is never copied",
          "[log][checkpoint]") {
  LogFixture f(1 << 20);
  f.options.store.secure_delete = true;  // so that they lie in the database
  f.CloseAndReopen();
  const std::string body(8 << 10, 'x');
  for (int i = 0; i < 8 * 128; ++i) {
    f.Append(body);
    if (i % 32 == 31) REQUIRE(f.engine->Flush().ok());
  }
  CHECK(WalBytes(f) > 2 * kShort);
}

}  // namespace
}  // namespace eddy::log
