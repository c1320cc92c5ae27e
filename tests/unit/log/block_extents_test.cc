// The bytes of large blocks, in a file beside the database.
#include "src/log/block_extents.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "src/log/block_store.h"
#include "tests/fakes/scale.h"
#include "tests/unit/log/log_fixture.h"

namespace eddy::log {
namespace {

constexpr char kDatabasePath[] = "/store/eddy.db";
constexpr char kBlocksPath[] = "/store/eddy.db-blocks";
constexpr size_t kRecordBytes = 30000;  // four of them a block

std::string Body(int number) { return RawBody(number, kRecordBytes); }

struct ExtentsFixture : LogFixture {
  ExtentsFixture() : LogFixture(4 << 20) {}

  // One block of four records; their numbers go on.
  Appended PutBlock() {
    const Appended first = Append(Body(next));
    bodies.push_back(Body(next++));
    for (int i = 1; i < 4; ++i) {
      Append(Body(next));
      bodies.push_back(Body(next++));
    }
    return first;
  }
  Appended PutFlushed() {
    const Appended first = PutBlock();
    REQUIRE(engine->Flush().ok());
    return first;
  }
  void Close() {
    REQUIRE(engine->Close().ok());
    engine.reset();
  }
  // And what came before the `dropped` oldest is gone.
  bool IsAllThere(size_t dropped = 0) {
    const std::vector<std::string> want(bodies.begin() + static_cast<long>(dropped), bodies.end());
    return Bodies() == want;
  }
  size_t FileBytes() const { return device.disk.Size(kBlocksPath); }

  int next = 0;
  std::vector<std::string> bodies;
};

TEST_CASE("the bytes of a large block are written once, beside the database",
          "[log][extents][wear]") {
  ExtentsFixture f;
  const uint64_t wal_before = f.device.disk.BytesWritten("-wal");
  f.PutFlushed();
  const uint64_t written = f.device.disk.BytesWritten("-blocks");
  CHECK(written >= 4 * kRecordBytes);
  CHECK(written < 4 * kRecordBytes + 1000);
  CHECK(f.device.disk.BytesWritten("-wal") - wal_before < 40000);
  CHECK(f.IsAllThere());
  f.CloseAndReopen();
  CHECK(f.IsAllThere());
  f.CutAndReopen();
  CHECK(f.IsAllThere());
  CHECK(f.device.disk.BytesWritten("-blocks") == written);
}

TEST_CASE("a small block lies in the database, and the file beside it stays empty",
          "[log][extents]") {
  ExtentsFixture f;
  f.Append(Body(0));
  REQUIRE(f.engine->Flush().ok());
  CHECK(f.device.disk.Exists(kBlocksPath));  // made with the store, which makes none later
  CHECK(f.FileBytes() == 0);
  f.CloseAndReopen();
  CHECK(f.Bodies() == std::vector<std::string>{Body(0)});
}

TEST_CASE("what was trimmed is used again, and the file does not grow", "[log][extents][trim]") {
  ExtentsFixture f;
  for (int i = 0; i < 3; ++i) {
    f.PutFlushed();
  }
  size_t most = 0;
  for (int i = 0; i < 10; ++i) {
    const Appended at = f.PutBlock();
    REQUIRE(f.log->Trim(at.position).ok());
    f.bodies.erase(f.bodies.begin(), f.bodies.end() - 4);
    REQUIRE(f.engine->Flush().ok());
    most = std::max(most, f.FileBytes());
    CHECK(f.IsAllThere());
    if (i % 3 == 0) f.CloseAndReopen();
    if (i % 3 == 1) f.KillAndReopen();
  }
  CHECK(most <= 6 * (4 * kRecordBytes + kExtentAlignment));
  CHECK(f.IsAllThere());
}

TEST_CASE("a file whose end is free is cut", "[log][extents][trim]") {
  ExtentsFixture f;
  for (int i = 0; i < 16; ++i) {
    f.PutFlushed();
  }
  CHECK(f.FileBytes() > 1800000);
  const Appended last = f.PutFlushed();
  REQUIRE(f.log->Trim(last.position).ok());
  REQUIRE(f.engine->Flush().ok());
  f.bodies.erase(f.bodies.begin(), f.bodies.end() - 4);
  f.PutBlock();  // at the begin
  REQUIRE(f.engine->Flush().ok());
  REQUIRE(f.log->Trim(f.log->committed() - 1).ok());
  f.bodies.clear();
  REQUIRE(f.engine->Flush().ok());
  f.PutFlushed();
  CHECK(f.FileBytes() < 500000);
}

// Each step of a round that writes a block and drops another: before, between and after
// its syncs.
TEST_CASE("a power cut at any step leaves every block that was committed",
          "[log][extents][power][sweep]") {
  const auto seeds = static_cast<uint64_t>(testing::Scaled(3));
  for (uint64_t step = 0;; ++step) {
    for (uint64_t seed = 1; seed <= seeds; ++seed) {
      ExtentsFixture f;
      f.PutFlushed();
      const Appended second = f.PutFlushed();
      const size_t kept = f.bodies.size();
      REQUIRE(f.log->Trim(second.position).ok());
      f.device.disk.CutAt(step);
      f.PutBlock();
      bool flushed = f.engine->Flush().ok();
      const size_t flushed_to = flushed ? f.bodies.size() : kept;
      if (flushed) {
        f.PutBlock();
        flushed = f.engine->Flush().ok();  // in the place of the first
      }
      const size_t flushed_all = flushed ? f.bodies.size() : flushed_to;
      const bool over = !f.device.disk.PowerIsOff();
      f.device.PowerCut(std::move(f.engine), seed);
      f.Open();
      INFO("step " << step << ", seed " << seed);
      // From the first or from the second block on, without a hole, to what was flushed.
      const std::vector<std::string> found = f.Bodies();
      const auto begin = std::find(f.bodies.begin(), f.bodies.end(), found.at(0));
      REQUIRE((begin == f.bodies.begin() || begin == f.bodies.begin() + 4));
      REQUIRE(begin + static_cast<long>(found.size()) >=
              f.bodies.begin() + static_cast<long>(flushed_all));
      REQUIRE(std::equal(found.begin(), found.end(), begin));
      REQUIRE(f.engine->Stats().blocks_damaged == 0);
      if (over && seed == seeds) return;
    }
  }
}

TEST_CASE("a round that fails takes no space for good, and the next one has it all",
          "[log][extents][fault][sweep]") {
  using Op = testing::CrashDisk::Op;
  ExtentsFixture f;
  f.PutFlushed();
  const char* const suffix = GENERATE("-blocks", "-wal");
  const Op op = GENERATE(Op::kWrite, Op::kSync);
  const auto fault = GENERATE(testing::CrashDisk::Fault::kFull, testing::CrashDisk::Fault::kIoError);
  f.PutBlock();
  f.device.disk.FailNth(op, 1, fault, /*sticky=*/true, suffix);
  for (int i = 0; i < 20; ++i) CHECK_FALSE(f.engine->Flush().ok());
  CHECK(f.FileBytes() < 6 * 4 * kRecordBytes);
  CHECK(f.IsAllThere());
  SECTION("it heals") {
    f.device.disk.ClearFaults();
    f.device.clock.Advance(absl::Seconds(10));
    REQUIRE(f.engine->Flush().ok());
    f.CutAndReopen();
    CHECK(f.IsAllThere());
    CHECK(f.engine->Stats().blocks_damaged == 0);
  }
  SECTION("the process dies") {
    f.device.disk.ClearFaults();
    f.KillAndReopen();
    REQUIRE(f.engine->Flush().ok());
    CHECK(f.IsAllThere());
  }
}

TEST_CASE("bytes that are damaged cost their block, and are told", "[log][extents][fault]") {
  ExtentsFixture f;
  f.PutFlushed();
  f.PutFlushed();
  f.Close();
  std::string bytes = f.device.disk.Content(kBlocksPath);
  SECTION("a byte of the first") { bytes[5000] = static_cast<char>(bytes[5000] ^ 1); }
  SECTION("a file that has lost its end") { bytes.resize(bytes.size() - 1000); }
  f.device.disk.SetContent(kBlocksPath, bytes);
  f.Open();
  const absl::StatusOr<ReadResult> read = f.log->Read(0, {});
  REQUIRE(read.ok());
  CHECK(f.Bodies().size() == 4);
  CHECK(f.engine->Stats().blocks_damaged == 1);
  CHECK(f.engine->Stats().records_damaged == 4);
}

TEST_CASE("without the file its blocks are gaps, and new ones go into another",
          "[log][extents][fault]") {
  ExtentsFixture f;
  f.PutFlushed();
  f.Close();
  REQUIRE(f.device.disk.Rename(kBlocksPath, "/store/elsewhere").ok());
  f.Open();
  CHECK(f.Bodies().empty());
  CHECK(f.engine->Stats().blocks_damaged == 1);
  f.bodies.clear();
  f.PutFlushed();
  f.CloseAndReopen();
  CHECK(f.Bodies() == f.bodies);
}

TEST_CASE("a reader that finds the place used again looks for the row again",
          "[log][extents][threads]") {
  ExtentsFixture f;
  f.PutFlushed();
  // A second reader, with a view of its own: what it reads it has not seen before.
  sql::OpenOptions options;
  options.vfs = f.device.disk.name();
  options.mode = sql::Mode::kReadOnly;
  absl::StatusOr<sql::Database> db = sql::Database::Open(kDatabasePath, options);
  REQUIRE(db.ok());
  absl::StatusOr<sql::Statement> row = db->Prepare("SELECT bytes, checksum, id, span FROM blocks");
  REQUIRE(row.ok());
  REQUIRE(*row->Step());
  REQUIRE(row->ColumnIsInt(0));
  const int64_t ref = row->ColumnInt(0);
  row->Reset();
  const Appended next = f.PutBlock();
  REQUIRE(f.log->Trim(next.position).ok());
  REQUIRE(f.engine->Flush().ok());
  f.PutFlushed();
  REQUIRE(*row->Step());  // the third block lies where the first did
  ExtentReader reader(kDatabasePath, f.device.disk.name());
  std::unique_ptr<char[]> memory;
  const absl::StatusOr<std::string_view> bytes = reader.Read(ref, &memory);
  REQUIRE(bytes.ok());
  CHECK(bytes->find("record 8 ") != std::string_view::npos);
  f.bodies.erase(f.bodies.begin(), f.bodies.begin() + 4);
  CHECK(f.IsAllThere());
  CHECK(f.engine->Stats().blocks_damaged == 0);
}

TEST_CASE("where deleted data is overwritten nothing lies beside the database",
          "[log][extents]") {
  ExtentsFixture f;
  f.options.store.secure_delete = true;
  f.CloseAndReopen();
  f.PutFlushed();
  CHECK(f.FileBytes() == 0);
  CHECK(f.IsAllThere());
}

// The commit of a killed process may lie in the WAL without having been synced; what it
// gave free is still referred to after a power cut. The first round of the open that
// follows has blocks to write.
TEST_CASE("what a killed process gave free is not used before its commit is durable",
          "[log][extents][power][sweep]") {
  using Op = testing::CrashDisk::Op;
  const auto stride = static_cast<uint64_t>(100 / testing::Scaled(100));
  for (uint64_t step = 1; step <= 100; step += stride) {
    ExtentsFixture f;
    f.PutFlushed();
    const Appended second = f.PutBlock();
    f.device.disk.FailNth(Op::kSync, 1, testing::CrashDisk::Fault::kIoError);
    CHECK_FALSE(f.engine->Flush().ok());  // so that a life before has counted up
    REQUIRE(f.engine->Flush().ok());
    f.CloseAndReopen();
    REQUIRE(f.log->Trim(second.position).ok());
    f.device.disk.LieAboutSyncs(true);
    REQUIRE(f.engine->Flush().ok());
    f.device.disk.LieAboutSyncs(false);
    f.PutBlock();
    // As the process dies the WAL holds the trim, and nobody has synced it.
    f.device.Kill(std::move(f.engine), kIntake);
    f.device.disk.CutAt(step);
    {
      absl::StatusOr<std::unique_ptr<Engine>> opened = Engine::Open(f.options);
      if (opened.ok()) (void)(*opened)->FinishOpen();
      f.device.PowerCut(opened.ok() ? *std::move(opened) : nullptr, step);
    }
    f.Open();
    INFO("step " << step);
    const std::vector<std::string> found = f.Bodies();
    REQUIRE(f.engine->Stats().blocks_damaged == 0);
    REQUIRE(found.size() >= 4);
    const auto begin = std::find(f.bodies.begin(), f.bodies.end(), found[0]);
    REQUIRE((begin == f.bodies.begin() || begin == f.bodies.begin() + 4));
    REQUIRE(std::equal(found.begin(), found.end(), begin));
  }
}

TEST_CASE("a commit that failed may turn up, and then its bytes are there",
          "[log][extents][fault]") {
  using Op = testing::CrashDisk::Op;
  ExtentsFixture f;
  f.PutFlushed();
  for (int i = 0; i < 12; ++i) f.PutBlock();  // so that there would be much to cut
  f.device.disk.FailNth(Op::kSync, 1, testing::CrashDisk::Fault::kIoError, /*sticky=*/true, "-wal");
  CHECK_FALSE(f.engine->Flush().ok());
  f.device.disk.ClearFaults();
  f.KillAndReopen();
  CHECK(f.IsAllThere());
  CHECK(f.engine->Stats().blocks_damaged == 0);
  REQUIRE(f.engine->Flush().ok());
  f.CutAndReopen();
  CHECK(f.IsAllThere());
  CHECK(f.engine->Stats().blocks_damaged == 0);
}

// Somebody has copied the database without it: old rows must not give free what is new.
TEST_CASE("rows that refer to what is not there give nothing free", "[log][extents][fault]") {
  ExtentsFixture f;
  f.PutFlushed();
  f.Close();
  f.device.disk.SetContent(kBlocksPath, "");
  f.Open();
  f.bodies.clear();
  const Appended first = f.PutBlock();  // where the lost ones were
  REQUIRE(f.engine->Flush().ok());
  REQUIRE(f.log->Trim(first.position).ok());
  REQUIRE(f.engine->Flush().ok());
  for (int i = 0; i < 3; ++i) {
    f.PutFlushed();
  }
  CHECK(f.IsAllThere());
  CHECK(f.engine->Stats().blocks_damaged == 0);
}

TEST_CASE("an index that cannot be read stops neither the open nor the blocks",
          "[log][extents][fault]") {
  ExtentsFixture f;
  f.PutFlushed();
  f.Close();
  sql::OpenOptions options;
  options.vfs = f.device.disk.name();
  {
    absl::StatusOr<sql::Database> db = sql::Database::Open(kDatabasePath, options);
    REQUIRE(db.ok());
    REQUIRE(db->Exec("DROP INDEX blocks_outside").ok());
  }
  f.Open();
  const uint64_t before = f.device.disk.BytesWritten("-blocks");
  f.PutFlushed();
  CHECK(f.IsAllThere());
  CHECK(f.device.disk.BytesWritten("-blocks") == before);  // in the database
}

// A store of many small blocks (of a database below 1 MiB an open checks all) and three
// large ones; the first of these is said to be where the second is, which the index does
// not know. Returns the third.
Appended MisplaceFirst(ExtentsFixture& f) {
  for (int i = 0; i < 45; ++i) {
    f.Append(Body(f.next));
    f.bodies.push_back(Body(f.next++));
    REQUIRE(f.engine->Flush().ok());
  }
  const Appended first = f.PutFlushed();
  f.PutFlushed();
  const Appended third = f.PutFlushed();
  f.Close();
  sql::OpenOptions options;
  options.vfs = f.device.disk.name();
  size_t page = 0;
  {
    absl::StatusOr<sql::Database> db = sql::Database::Open(kDatabasePath, options);
    REQUIRE(db.ok());
    absl::StatusOr<sql::Statement> root =
        db->Prepare("SELECT rootpage FROM sqlite_master WHERE name = 'blocks_outside'");
    REQUIRE(root.ok());
    REQUIRE(*root->Step());
    page = static_cast<size_t>(root->ColumnInt(0));
  }
  const std::string before = f.device.disk.Content(kDatabasePath).substr((page - 1) * 4096, 4096);
  {
    absl::StatusOr<sql::Database> again = sql::Database::Open(kDatabasePath, options);
    REQUIRE(again.ok());
    REQUIRE(again->Exec(absl::StrCat("UPDATE blocks SET bytes = (SELECT bytes FROM blocks ",
                                     "ORDER BY id LIMIT 1 OFFSET 46) WHERE id = ",
                                     BlockId(f.id, first.position)).c_str()).ok());
  }
  std::string database = f.device.disk.Content(kDatabasePath);
  database.replace((page - 1) * 4096, 4096, before);
  f.device.disk.SetContent(kDatabasePath, database);
  f.Open();
  return third;
}

TEST_CASE("a place in a row that is not as it was costs that block, and stops no commit",
          "[log][extents][fault]") {
  ExtentsFixture f;
  const Appended third = MisplaceFirst(f);
  REQUIRE(f.log->Trim(third.position).ok());
  f.PutFlushed();
  f.bodies.erase(f.bodies.begin(), f.bodies.begin() + 45 + 8);
  CHECK(f.IsAllThere());
  f.CloseAndReopen();
  f.PutFlushed();
  CHECK(f.IsAllThere());
  CHECK(f.engine->Stats().blocks_damaged == 0);
}

// The index is made anew by a commit of its own, whose sync may fail as any other.
TEST_CASE("a sync that fails while the index is made anew loses nothing that was committed",
          "[log][extents][fault][sweep]") {
  for (uint64_t nth = 1;; ++nth) {
    ExtentsFixture f;
    const Appended third = MisplaceFirst(f);
    f.bodies.erase(f.bodies.begin(), f.bodies.begin() + 45 + 8);
    REQUIRE(f.log->Trim(third.position).ok());
    f.device.disk.FailNth(testing::CrashDisk::Op::kSync, nth, testing::CrashDisk::Fault::kIoError);
    f.PutBlock();
    bool flushed = f.engine->Flush().ok();
    for (int i = 0; i < 3 && !flushed; ++i) {
      f.device.clock.Advance(absl::Minutes(2));
      flushed = f.engine->Flush().ok();
    }
    INFO("sync " << nth);
    REQUIRE(flushed);
    const bool hit = f.device.disk.fault_count() > 0;
    f.device.disk.ClearFaults();
    f.PutFlushed();
    f.CutAndReopen(nth);
    REQUIRE(f.IsAllThere());
    REQUIRE(f.engine->Stats().blocks_damaged == 0);
    if (!hit) return;
    REQUIRE(nth < 20);
  }
}

TEST_CASE("blocks without their database are not written over", "[log][extents][salvage]") {
  ExtentsFixture f;
  f.PutBlock();
  f.Close();
  f.device.disk.SetContent(kDatabasePath, "");
  const absl::StatusOr<std::unique_ptr<Engine>> opened = Engine::Open(f.options);
  CHECK(absl::IsDataLoss(opened.status()));
}

TEST_CASE("a store of the version before is opened, and then is of this one", "[log][extents]") {
  ExtentsFixture f;
  f.Append(Body(0));
  f.Close();
  sql::OpenOptions options;
  options.vfs = f.device.disk.name();
  {
    absl::StatusOr<sql::Database> db = sql::Database::Open(kDatabasePath, options);
    REQUIRE(db.ok());
    REQUIRE(db->Exec("DROP INDEX blocks_outside; PRAGMA user_version = 2").ok());
  }
  f.Open();
  f.bodies = {Body(0)};
  f.next = 1;
  f.PutFlushed();
  f.CloseAndReopen();
  CHECK(f.IsAllThere());
}

}  // namespace
}  // namespace eddy::log
