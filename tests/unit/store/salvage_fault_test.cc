// The verdict, setting aside and salvaging on a disk that fails or loses its power.
#include <algorithm>
#include <string>
#include <utility>

#include "tests/fakes/scale.h"
#include "tests/unit/store/salvage_fixture.h"

namespace eddy {
namespace {

using testing::CrashDisk;
using testing::FakeFiles;
using testing::kDatabase;
using testing::kWal;
using testing::SalvageFixture;

// Damage to the first frame of a WAL, behind which nothing of it counts.
std::string SpoilFirstFrame(std::string wal) {
  return wal.replace(40 + 24, 2000, std::string(2000, '\x55'));
}
// Damage to the database that an open cannot miss.
std::string SpoilHeader(std::string database) {
  return database.replace(0, 4096, std::string(4096, '\0'));
}

// --- The verdict -------------------------------------------------------------

TEST_CASE("a read that fails sets nothing aside, wherever in an open it comes",
          "[store][salvage][fault][sweep]") {
  SalvageFixture f;
  f.Open();
  f.Fill(10);
  if (GENERATE(false, true)) {
    f.Kill();  // with a WAL
  } else {
    f.Close();
  }
  // An error; one that SQLite takes for damage; a read that brings nothing.
  const CrashDisk::Fault fault =
      GENERATE(CrashDisk::Fault::kIoError, CrashDisk::Fault::kReadOnly, CrashDisk::Fault::kFull);
  const bool sticky = GENERATE(false, true);
  const std::string database = f.Database();
  const std::string wal = f.device.disk.Content(kWal);
  const std::string intake = f.device.files.Content("/store/eddy.intake");
  int reads = 0;
  for (int nth = 1;; ++nth) {
    f.device.disk.FailNth(CrashDisk::Op::kRead, static_cast<uint64_t>(nth), fault, sticky);
    const uint64_t faults = f.device.disk.fault_count();
    const absl::Status opened = f.TryOpen();
    const bool hit = f.device.disk.fault_count() > faults;
    f.device.disk.ClearFaults();
    INFO("read " << nth << ": " << opened.ToString());
    REQUIRE_FALSE(f.device.disk.Exists("/store/damaged-1/eddy.db"));
    if (!opened.ok()) REQUIRE(absl::IsUnavailable(opened));
    f.device.disk.KillProcess();
    f.store.reset();
    f.Damage(database);  // as it was
    f.device.disk.SetContent(kWal, wal);
    f.device.files.SetContent("/store/eddy.intake", intake);
    if (!hit) break;
    ++reads;
  }
  CHECK(reads > 20);
  f.Open();
  CHECK(f.JudgeShards() == 0);
}

TEST_CASE("a read that fails beside real damage puts the verdict off", "[store][salvage][fault]") {
  SalvageFixture f;
  f.Open();
  f.Fill(10);
  f.Close();
  f.SpoilPage(3);
  f.device.disk.FailNth(CrashDisk::Op::kRead, 1, CrashDisk::Fault::kIoError, /*sticky=*/true);
  CHECK(absl::IsUnavailable(f.TryOpen()));
  CHECK_FALSE(f.device.disk.Exists("/store/damaged-1/eddy.db"));
  f.device.disk.ClearFaults();
  f.Open();
  f.Salvage();
  CHECK(f.JudgeShards() == 0);
}

TEST_CASE("files of others and newer schemas are left as they are", "[store][salvage]") {
  SalvageFixture f;
  REQUIRE(f.device.files.PrepareDirectory("/store").ok());
  std::string bytes;
  SECTION("a text") {
    bytes = "not a database, and longer than a header: " + std::string(9000, 'x');
  }
  SECTION("a newer schema") {
    f.Open();
    f.Close();
    bytes = f.Database();
    bytes[63] = 99;  // user_version
  }
  f.Damage(bytes);
  CHECK(absl::IsFailedPrecondition(f.TryOpen()));
  CHECK(f.Database() == bytes);
  CHECK_FALSE(f.device.disk.Exists("/store/damaged-1/eddy.db"));
}

TEST_CASE("a WAL without its database, or a database emptied, is set aside",
          "[store][salvage]") {
  SalvageFixture f;
  f.Open();
  f.Fill(10);
  SECTION("the WAL holds all") {
    const std::string wal = f.device.disk.Content(kWal);
    f.Kill();
    f.device.disk.SetContent(kDatabase, "");
    REQUIRE(f.device.disk.Content(kWal) == wal);
    f.Open();
    f.Salvage();
    CHECK(f.JudgeShards() == 0);
    CHECK(f.Drain() == f.messages);
    f.Kill();
    f.Open();  // and the new database is not taken for an interrupted set-aside
    CHECK(f.JudgeShards() == 0);
  }
  SECTION("there is nothing, but numbers are not given twice") {
    const SequenceNumber last = f.records[{"b", 0}].back().first;
    f.Close();
    f.Damage("");
    f.Open();
    CHECK(f.store->Stats().salvage.set_asides == 1);
    CHECK(f.store->ListStreams().empty());
    Stream* const again = *f.store->CreateStream("b");
    const auto put = again->Put("k", "d");
    REQUIRE(put.ok());
    CHECK(put->sequence_number > last);
  }
}

// --- Setting aside -------------------------------------------------------------

TEST_CASE("what cannot be moved stays, and the open says why", "[store][salvage][fault]") {
  SalvageFixture f;
  f.Open();
  f.Fill(10);
  f.Kill();
  const std::string database = f.Database();
  const std::string wal = SpoilFirstFrame(f.device.disk.Content(kWal));
  f.device.disk.SetContent(kWal, wal);
  const int skip = GENERATE(0, 1);  // the WAL's renaming, the database's
  f.device.files.FailNext(FakeFiles::Op::kRename, absl::PermissionDeniedError("read-only"), skip,
                          /*sticky=*/true);
  const absl::Status opened = f.TryOpen();
  CHECK(absl::IsPermissionDenied(opened));
  CHECK(opened.message().find("could not be set aside") != std::string::npos);
  CHECK(f.Database() == database);
  f.device.files.ClearFaults();
  f.Open();
  f.Salvage();
  CHECK(f.device.disk.Content("/store/damaged-1/eddy.db-wal") == wal);
  CHECK_FALSE(f.device.disk.Exists("/store/damaged-2/eddy.db"));
  CHECK(f.JudgeShards() == 0);
  CHECK(f.Drain() == f.messages);
}

// Whoever looks meanwhile (eddy status, eddy check) reads through SQLite, which makes an
// empty WAL in the place of the one that was moved: see R1 of read_only_store.h.
TEST_CASE("a look at a store whose set-aside was interrupted does not stop it for good",
          "[store][salvage][fault]") {
  SalvageFixture f;
  f.Open();
  f.Fill(12, 4000);
  f.Kill();
  f.device.disk.SetContent(kWal, SpoilFirstFrame(f.device.disk.Content(kWal)));
  // The WAL has been moved, what comes next has not.
  f.device.files.FailNext(FakeFiles::Op::kRename, absl::UnavailableError("EIO"), /*skip=*/1);
  REQUIRE_FALSE(f.TryOpen().ok());
  f.device.files.ClearFaults();
  REQUIRE(f.device.disk.Exists("/store/damaged-1/eddy.db-wal"));
  REQUIRE(f.device.disk.Exists(kDatabase));
  {
    sql::OpenOptions look;
    look.mode = sql::Mode::kReadOnly;
    look.vfs = f.device.disk.name();
    auto reader = sql::Database::Open(kDatabase, look);
    if (reader.ok()) {
      auto count = reader->Prepare("SELECT count(*) FROM meta");
      if (count.ok()) (void)count->Step();  // whatever it sees
    }
  }
  CAPTURE(f.device.disk.Exists(kWal));
  for (int i = 0; i < 3 && f.store == nullptr; ++i) {
    const absl::Status opened = f.TryOpen();
    CHECK(opened.ToString() == "OK");
  }
  REQUIRE(f.store != nullptr);
  f.Salvage();
  CHECK(f.JudgeShards() == 0);
}

// A place on the medium that cannot be read, ever.
TEST_CASE("blocks that cannot be read cost themselves, not the store", "[store][salvage][fault]") {
  SalvageFixture f;
  f.options.intake_bytes = 1 << 20;
  f.Open();
  REQUIRE(f.store->CreateStream("large").ok());
  for (int i = 0; i < 40; ++i) {
    std::string data;  // that cannot be packed
    testing::FakeRandom random(static_cast<uint64_t>(i) + 1);
    while (data.size() < 60000) data += absl::StrCat(absl::Hex(random.Next()));
    REQUIRE((*f.store->OpenStream("large"))->Put("k", data).ok());
    REQUIRE(f.store->Flush().ok());
  }
  f.Fill(12, 300);
  f.Close();
  REQUIRE(f.device.disk.Size("/store/eddy.db-blocks") > 0);
  f.Damage(SpoilHeader(f.Database()));
  const bool at_open = GENERATE(true, false);
  CAPTURE(at_open);
  const auto break_blocks = [&] {
    f.device.disk.FailNth(CrashDisk::Op::kRead, 1, CrashDisk::Fault::kIoError, /*sticky=*/true,
                          "damaged-1/eddy.db-blocks");
  };
  if (at_open) break_blocks();
  absl::Status opened;
  for (int i = 0; i < 100; ++i) {
    opened = f.TryOpen();
    if (opened.ok()) break;
    f.device.clock.Advance(absl::Hours(1));
  }
  INFO(opened.ToString());
  REQUIRE(opened.ok());  // within a hundred hours
  break_blocks();
  SalvageState state = SalvageState::kRunning;
  for (int i = 0; i < 5000 && state != SalvageState::kDone; ++i) {
    f.device.clock.Advance(absl::Minutes(1));
    f.store->Pump();
    state = f.store->Stats().salvage.state;
  }
  CAPTURE(f.store->Stats().salvage.cause.ToString());
  CHECK(state == SalvageState::kDone);  // within three days
  CHECK(f.JudgeShards() == 0);  // whose blocks are in the database
}

TEST_CASE("an open that salvages, and whose syncs fail, is not believed by the next",
          "[store][salvage][fault]") {
  SalvageFixture model;
  model.Open();
  model.Fill(12, 4000);
  model.Kill();
  const std::string database = SpoilHeader(model.Database());
  const std::string intake = model.device.files.Content("/store/eddy.intake");
  const auto seeds = static_cast<uint64_t>(testing::Scaled(6));
  for (uint64_t nth = 1; nth <= 12; ++nth) {
    for (uint64_t seed = 1; seed <= seeds; ++seed) {
      SalvageFixture f(seed);
      f.next = model.next;
      REQUIRE(f.device.files.PrepareDirectory("/store").ok());
      f.device.files.SetContent("/store/eddy.intake", intake);
      f.device.disk.SetContent(kDatabase, database);
      f.device.disk.FailNth(CrashDisk::Op::kSync, nth, CrashDisk::Fault::kIoError,
                            /*sticky=*/true);
      const absl::Status opened = f.TryOpen();
      f.store.reset();
      f.device.disk.ClearFaults();
      INFO("from sync " << nth << " on, seed " << seed << ": " << opened.ToString());
      f.Open();
      PutOptions put;
      put.durability = Durability::kPower;
      const std::string name = f.store->ListStreams().empty() ? "new" : f.store->ListStreams()[0];
      if (name == "new") REQUIRE(f.store->CreateStream("new").ok());
      REQUIRE((*f.store->OpenStream(name))->Put("k", "acknowledged", put).ok());
      f.device.PowerCut(std::move(f.store), seed);
      f.Open();
      CHECK_FALSE(f.device.disk.Exists("/store/damaged-2/eddy.db"));
      f.Salvage();
      bool found = false;
      const auto stream = f.store->OpenStream(name);
      for (ShardId shard = 0; stream.ok() && shard < (*stream)->shard_count(); ++shard) {
        for (const auto& [number, data] : f.ReadAll(name, shard).records) {
          found = found || data == "acknowledged";
        }
      }
      CHECK(found);
    }
  }
}

TEST_CASE("a power cut at any step of setting aside and salvaging loses and doubles nothing",
          "[store][salvage][crash][sweep]") {
  SalvageFixture model;
  model.Open();
  model.Fill(12, 4000);
  const bool killed = GENERATE(false, true);
  if (killed) {
    model.Kill();
  } else {
    model.Close();
  }
  std::string database = model.Database();
  std::string wal = model.device.disk.Content(kWal);
  if (killed) {
    wal = SpoilFirstFrame(wal);
  } else {
    database = SpoilHeader(database);
  }
  const std::string intake = model.device.files.Content("/store/eddy.intake");
  const int stride = std::max(1, 40 / testing::Scaled(40));
  int cuts = 0;
  for (int step = 1;; step += stride) {
    SalvageFixture f(static_cast<uint64_t>(step));
    f.records = model.records;
    f.highest = model.highest;
    f.given = model.given;
    f.messages = model.messages;
    f.next = model.next;
    REQUIRE(f.device.files.PrepareDirectory("/store").ok());
    f.device.files.SetContent("/store/eddy.intake", intake);
    f.device.disk.SetContent(kDatabase, database);
    f.device.disk.SetContent(kWal, wal);
    INFO("step " << step);
    f.device.disk.CutAt(static_cast<uint64_t>(step));
    bool done = false;
    if (f.TryOpen().ok()) {
      for (int i = 0; i < 400 && !f.device.disk.PowerIsOff() && !done; ++i) {
        f.device.clock.Advance(absl::Milliseconds(5));
        f.store->Pump();
        done = f.store->Stats().salvage.state == SalvageState::kDone;
      }
    }
    const bool cut = f.device.disk.PowerIsOff();
    f.device.PowerCut(std::move(f.store), static_cast<uint64_t>(step) * 31);
    ++cuts;
    f.Open();
    for (const char* stream : {"a", "b"}) f.PutTo(stream, 0);  // no number is given twice
    f.Salvage();
    REQUIRE(f.JudgeShards() == 0);
    REQUIRE(f.Drain() == f.messages);
    REQUIRE(f.store->Stats().salvage.records_lost == 0);
    INFO("why: " << f.device.files.Content("/store/damaged-2/why.txt"));
    REQUIRE_FALSE(f.device.disk.Exists("/store/damaged-2/eddy.db"));
    if (!cut) break;
  }
  CHECK(cuts > 40 / stride);
}

TEST_CASE("a salvage that is killed after each step goes on where it was",
          "[store][salvage][recovery][sweep]") {
  SalvageFixture f;
  f.Open();
  f.Fill(150, 200);  // more blocks of each log than a step copies
  f.Close();
  f.SpoilPage(1);
  const bool killed = GENERATE(false, true);
  int lives = 0;
  for (bool done = false; !done; ++lives) {
    f.Open();
    f.PutTo("a", 0);
    f.device.clock.Advance(absl::Milliseconds(5));
    f.store->Pump();
    done = f.store->Stats().salvage.state == SalvageState::kDone;
    if (killed) {
      f.Kill();
    } else {
      f.Close();
    }
    REQUIRE(lives < 100);
  }
  CHECK(lives > 8);
  f.Open();
  CHECK(f.JudgeShards() == 0);
  CHECK(f.Drain() == f.messages);
  CHECK(f.store->Stats().salvage.records == 600);
  CHECK(f.store->Stats().salvage.records_lost == 0);
  REQUIRE_FALSE(f.device.disk.Exists("/store/damaged-2/eddy.db"));
}

}  // namespace
}  // namespace eddy
