// Damage and refusals: what a failed sync or read, a damaged table or a moved intake
// does to a log, and what a refused large frame leaves behind.
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "src/log/intake.h"
#include "tests/unit/log/log_fixture.h"

namespace eddy::log {
namespace {

using testing::CrashDisk;

absl::Status AppendLarge(LogFixture* f, size_t bytes, absl::Duration timeout = absl::Seconds(1)) {
  const std::string body(bytes, 'L');
  FrameParts parts;
  parts.body = body;
  return f->log->Append(parts, timeout).status();
}

void RunSql(testing::Device* device, const char* sql) {
  sql::OpenOptions options;
  options.vfs = device->disk.name();
  absl::StatusOr<sql::Database> db = sql::Database::Open("/store/eddy.db", options);
  REQUIRE(db.ok());
  REQUIRE(db->Exec(sql).ok());
}

TEST_CASE("a sync that failed is not believed by the next process either",
          "[log][recovery][fault]") {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    LogFixture f(256 << 10, seed);
    const Appended a = f.Append("a");
    // COMMIT writes all of its pages, then the sync fails: from now on the
    // kernel shows what the disk does not have.
    f.device.disk.FailNth(CrashDisk::Op::kSync, 1, CrashDisk::Fault::kIoError);
    REQUIRE(absl::IsUnavailable(f.engine->WaitCommitted(f.id, a.end, absl::Seconds(1))));
    f.KillAndReopen();
    f.Append("b");
    REQUIRE(f.engine->Flush().ok());
    f.CutAndReopen(seed);
    INFO("seed " << seed);
    REQUIRE(f.Bodies() == std::vector<std::string>{"a", "b"});
  }
}

// What overwrites it in the WAL has to be a change each time, whatever earlier lives did.
TEST_CASE("a commit whose sync failed is overwritten in every life of a store",
          "[log][recovery][fault]") {
  LogFixture f;
  std::vector<std::string> want;
  for (int life = 0; life < 4; ++life) {
    want.push_back(absl::StrCat("of life ", life));
    f.Append(want.back());
    f.device.disk.FailNth(CrashDisk::Op::kSync, 1, CrashDisk::Fault::kIoError);
    CHECK_FALSE(f.engine->Flush().ok());
    const absl::Status again = f.engine->Flush();
    INFO("life " << life << ": " << again.ToString());
    REQUIRE(again.ok());
    CHECK(f.Bodies() == want);
    if (life % 2 == 0) f.CloseAndReopen();
    if (life % 2 == 1) f.KillAndReopen();
  }
  f.CutAndReopen();
  CHECK(f.Bodies() == want);
}

TEST_CASE("after a checkpoint whose sync failed the WAL is kept", "[log][fault][sweep]") {
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    LogFixture f(1 << 20, seed);
    f.options.store.quota_bytes = 16 << 20;  // of which the WAL may take a sixteenth
    f.options.store.secure_delete = true;    // all of them lie in the database
    f.CloseAndReopen();
    f.device.disk.FailNth(CrashDisk::Op::kSync, 1, CrashDisk::Fault::kIoError, /*sticky=*/true,
                          "eddy.db");
    std::vector<std::string> want;
    for (int i = 0; i < 100; ++i) {  // 4 MB: a checkpoint is due
      want.push_back(absl::StrCat(i, std::string(40000, 'x')));
      f.Append(want.back());
    }
    REQUIRE(f.engine->Flush().ok());
    CHECK(absl::IsUnavailable(f.engine->Stats().last_commit));
    f.device.disk.ClearFaults();
    f.Append("last");
    want.push_back("last");
    REQUIRE(f.engine->Flush().ok());
    f.CutAndReopen(seed);
    INFO("seed " << seed);
    REQUIRE(f.Bodies() == want);
  }
}

TEST_CASE("numbers that cannot be are a damaged table, not a crash", "[log][recovery][fault]") {
  LogFixture f;
  f.Append("a");
  REQUIRE(f.engine->Close().ok());
  f.engine.reset();
  const char* const damage =
      GENERATE("UPDATE logs SET end_position = -4 WHERE id = 1",
               "UPDATE logs SET end_position = 9223372036854775804 WHERE id = 1",
               "UPDATE logs SET end_position = end_position + 1 WHERE id = 1",
               "UPDATE logs SET oldest_position = -1 WHERE id = 1",
               "UPDATE logs SET id = 999999999 WHERE id = 1");
  RunSql(&f.device, damage);
  INFO(damage);
  CHECK(absl::IsDataLoss(Engine::Open(f.options).status()));
}

TEST_CASE("an intake that was moved between two opens is emptied where it lay",
          "[log][recovery]") {
  LogFixture f;
  f.Append("a");
  REQUIRE(f.device.files.PrepareDirectory("/run").ok());
  f.options.store.intake_directory = "/run";
  f.KillAndReopen();
  CHECK(f.Bodies() == std::vector<std::string>{"a"});
  CHECK_FALSE(f.engine->Stats().intake_distrusted);
  CHECK_FALSE(f.device.files.Exists(kIntake));
  SECTION("and back again") {
    REQUIRE(f.engine->Close().ok());
    f.engine.reset();
    f.options.store.intake_directory = "";
    f.Open();
    f.Append("b");
    f.KillAndReopen();
    CHECK(f.Bodies() == std::vector<std::string>{"a", "b"});
  }
}

TEST_CASE("a segment whose header alone went lost holds no old frames for the next log",
          "[log][recovery][fault]") {
  LogFixture f;
  for (int i = 0; i < 50; ++i) f.Append(std::string(1000, 'o'));
  f.device.disk.KillProcess();
  std::string intake = f.device.files.Content(kIntake);
  f.engine.reset();
  for (size_t at = kIntakeHeaderBytes; at < intake.size(); at += 64 << 10) {
    intake.replace(at, 64, std::string(64, '\0'));
  }
  f.device.files.SetContent(kIntake, intake);
  f.Open();
  f.Append("n", "new key");
  // Zeroed when it was taken, not before; the others have still to be.
  const std::string fresh = f.device.files.Content(kIntake);
  const size_t at = fresh.find("new key");
  REQUIRE(at != std::string::npos);
  const size_t segment = at - (at - kIntakeHeaderBytes) % (64 << 10);
  CHECK(fresh.substr(segment, 64 << 10).find(std::string(100, 'o')) == std::string::npos);
  REQUIRE(f.engine->Flush().ok());
  CHECK(f.Bodies() == std::vector<std::string>{"n"});
}

// --- Large frames that the disk refuses --------------------------------------

TEST_CASE("a refused large frame holds up neither a flush nor a reader", "[log][large][fault]") {
  LogFixture f;
  f.Append("before");
  f.device.disk.SetCapacity(f.device.disk.Size("/store/eddy.db"));
  CHECK(absl::IsUnavailable(AppendLarge(&f, 100000)));
  const Appended behind = f.Append("behind");
  CHECK(f.log->WaitForFrame(behind.position, absl::ZeroDuration()));
  f.device.disk.SetCapacity(UINT64_MAX);
  CHECK(f.engine->Flush().ok());
  CHECK(f.Bodies() == std::vector<std::string>{"before", "behind"});
  SECTION("also when it was the last that was appended") {
    f.device.disk.FailNth(CrashDisk::Op::kSync, 1, CrashDisk::Fault::kIoError);
    CHECK(absl::IsUnavailable(AppendLarge(&f, 100000)));
    CHECK(f.engine->Flush().ok());
    const absl::Status waited = f.engine->WaitCommitted(f.id, f.log->tail(), absl::Seconds(1));
    CHECK(waited.ok());
  }
}

TEST_CASE("refused large frames do not run ahead of what a power cut is allowed to forget",
          "[log][large][fault]") {
  LogFixture f;
  f.device.disk.SetCapacity(f.device.disk.Size("/store/eddy.db"));
  absl::Status refused;
  for (int i = 0; i < 100; ++i) refused = AppendLarge(&f, 1000000);
  CHECK(absl::IsResourceExhausted(refused));
  SECTION("and are taken again once the disk takes anything, with nothing else to write") {
    f.device.disk.SetCapacity(UINT64_MAX);
    f.device.clock.Advance(absl::Minutes(1));
    f.engine->RunOnce();
    CHECK(AppendLarge(&f, 1000000).ok());
    return;
  }
  const Appended seen = f.Append("seen by the world");
  f.device.disk.SetCapacity(UINT64_MAX);
  f.CutAndReopen();
  CHECK(f.Append("next").position > seen.position);
  SECTION("which a commit after it knows") {
    REQUIRE(f.engine->Flush().ok());
    CHECK(AppendLarge(&f, 1000000).ok());
  }
}

TEST_CASE("a commit that nobody asked for can be waited for no longer than there is something",
          "[log][commit]") {
  LogFixture f;
  const Appended a = f.Append("a");
  CHECK(absl::IsInvalidArgument(f.engine->WaitCommitted(f.id, a.end + 4, absl::Seconds(1))));
}

// --- Positions within a frame ------------------------------------------------

// A disk that is about to go, or a controller that is reset: the reader is told to come again.
TEST_CASE("a read that fails for a while costs no record, wherever its block lies",
          "[log][extents][read][fault]") {
  LogFixture f(4 << 20);
  const bool outside = GENERATE(false, true);  // beside the database
  CAPTURE(outside);
  std::vector<std::string> want;
  const auto put = [&](size_t bytes) {
    want.push_back(RawBody(static_cast<int>(want.size()), bytes));
    f.Append(want.back());
  };
  for (int i = 0; i < 4; ++i) {
    put(7000);
    if (!outside) REQUIRE(f.engine->Flush().ok());  // too little for a block outside
  }
  for (int i = 0; outside && i < 4; ++i) put(30000);
  REQUIRE(f.engine->Flush().ok());
  f.CloseAndReopen();
  REQUIRE((f.device.disk.Size("/store/eddy.db-blocks") > 0) == outside);
  // Not EIO, which SQLite takes for damage: see CrashDisk::Fault.
  f.device.disk.FailNth(CrashDisk::Op::kRead, 1, CrashDisk::Fault::kIoError, /*sticky=*/true,
                        outside ? "-blocks" : "eddy.db");
  const absl::StatusOr<ReadResult> read = f.log->Read(0, {});
  f.device.disk.ClearFaults();
  CHECK_FALSE(read.ok());
  CHECK(f.engine->Stats().blocks_damaged == 0);
  CHECK((f.Bodies() == want));
}

TEST_CASE("behind the last frame of a sealed run the next run is read", "[log][read]") {
  LogFixture f;
  std::vector<Appended> places;
  for (int i = 0; i < 130; ++i) places.push_back(f.Append(std::string(1000, 'x')));
  // 1017 B and a header: 63 frames a segment. No commit has been made.
  for (size_t i = 0; i + 1 < places.size(); ++i) {
    const absl::StatusOr<ReadResult> read = f.log->Read(places[i].position + 1, {});
    REQUIRE(read.ok());
    REQUIRE_FALSE(read->frames.empty());
    REQUIRE(read->frames[0].position == places[i + 1].position);
    REQUIRE(f.log->WaitForFrame(places[i].position + 1, absl::ZeroDuration()));
  }
}

TEST_CASE("a reader that has consumed the last frame sleeps", "[log][read]") {
  LogFixture f;
  const bool committed = GENERATE(false, true);
  const Appended a = f.Append("aaaaaaaaaaaaaaaa");
  if (committed) REQUIRE(f.engine->Flush().ok());
  // A read that finds nothing says where to wait.
  for (uint64_t p = a.position + 1; p <= a.end; ++p) {
    const absl::StatusOr<ReadResult> read = f.log->Read(p, {});
    REQUIRE(read.ok());
    REQUIRE(read->frames.empty());
    REQUIRE(read->next == a.end);
    REQUIRE_FALSE(f.log->WaitForFrame(read->next, absl::ZeroDuration()));
  }
}

}  // namespace
}  // namespace eddy::log
