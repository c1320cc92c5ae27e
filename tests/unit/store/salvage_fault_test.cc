// Setting aside and salvaging on a disk that fails, fills up, or loses its power; and what
// else happens meanwhile.
#include "tests/fakes/scale.h"
#include "tests/unit/store/salvage_fixture.h"

namespace eddy {
namespace {

using testing::CrashDisk;
using testing::FakeFiles;
using testing::kDatabase;
using testing::kWal;
using testing::SalvageFixture;

// Spoils what lies on a page: the schema is 1, meta 2, logs 3, blocks 4, ...
void SpoilPage(SalvageFixture* f, size_t page) {
  std::string bytes = f->Database();
  REQUIRE(bytes.size() >= page * 4096);
  for (size_t i = 0; i < 4096; ++i) bytes[(page - 1) * 4096 + i] = static_cast<char>(0xaa);
  f->Damage(bytes);
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
  SpoilPage(&f, 3);
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
  SECTION("a text") { bytes = "not a database, and longer than a header: " + std::string(9000, 'x'); }
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
  std::string wal = f.device.disk.Content(kWal);
  wal.replace(40 + 24, 2000, std::string(2000, '\x55'));  // in the first frame
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
  std::string wal = f.device.disk.Content(kWal);
  wal.replace(40 + 24, 2000, std::string(2000, '\x55'));
  f.device.disk.SetContent(kWal, wal);
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
      if (count.ok()) (void)count->Step();
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
    std::string data = absl::StrCat(i, " ");
    testing::FakeRandom random(static_cast<uint64_t>(i) + 1);
    while (data.size() < 60000) data += absl::StrCat(absl::Hex(random.Next()));
    REQUIRE((*f.store->OpenStream("large"))->Put("k", data).ok());
    REQUIRE(f.store->Flush().ok());
  }
  f.Fill(12, 300);
  f.Close();
  REQUIRE(f.device.disk.Size("/store/eddy.db-blocks") > 0);
  std::string database = f.Database();
  database.replace(0, 4096, std::string(4096, '\0'));
  f.Damage(database);
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
  CHECK(opened.ToString() == "OK");  // within a hundred hours
  if (!opened.ok()) return;
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
  std::string database = model.Database();
  database.replace(0, 4096, std::string(4096, '\0'));
  const std::string wal = "";
  const std::string intake = model.device.files.Content("/store/eddy.intake");
  int missing = 0;
  int again = 0;
  for (uint64_t nth = 1; nth <= 12; ++nth) {
    for (uint64_t seed = 1; seed <= 6; ++seed) {
      SalvageFixture f(seed);
      f.next = model.next;
      REQUIRE(f.device.files.PrepareDirectory("/store").ok());
      f.device.files.SetContent("/store/eddy.intake", intake);
      f.device.disk.SetContent(kDatabase, database);
      f.device.disk.FailNth(CrashDisk::Op::kSync, nth, CrashDisk::Fault::kIoError, true);
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
      again += f.device.disk.Exists("/store/damaged-2/eddy.db");
      f.Salvage();
      bool found = false;
      const auto stream = f.store->OpenStream(name);
      for (ShardId shard = 0; stream.ok() && shard < (*stream)->shard_count(); ++shard) {
        for (const auto& [number, data] : f.ReadAll(name, shard).records) {
          found = found || data == "acknowledged";
        }
      }
      CHECK(found);
      missing += !found;
    }
  }
  CHECK(missing == 0);
  CHECK(again == 0);
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
    wal.replace(40 + 24, 2000, std::string(2000, '\x55'));
  } else {
    database.replace(0, 4096, std::string(4096, '\0'));
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
  SpoilPage(&f, 1);
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

// --- Meanwhile -----------------------------------------------------------------

TEST_CASE("what was lost is told once, with its count", "[store][salvage]") {
  SalvageFixture f;
  f.Open();
  f.Fill(1);
  for (int i = 0; i < 30; ++i) {  // a block for five records
    f.PutTo("b", 0);
    f.PutTo("a", 0);
    if (i % 5 == 4) REQUIRE(f.store->Flush().ok());
  }
  f.Close();
  std::string bytes = f.Database();
  bytes.replace(0, 4096, std::string(4096, '\0'));
  // A record of "b" that lies in the middle of a block; the first one is apart.
  const std::string victim = f.records[{"b", 0}][13].second;
  const size_t at = bytes.find(victim.substr(0, 60));
  REQUIRE(at != std::string::npos);
  bytes[at + 3] = static_cast<char>(bytes[at + 3] ^ 1);
  f.Damage(bytes);
  f.Open();
  f.Salvage();
  CHECK(f.JudgeShard("a", 0) == 0);
  CHECK(f.JudgeShard("b", 0) == 5);
  const SalvageFixture::Read read = f.ReadAll("b", 0);
  REQUIRE(read.gaps.size() == 1);
  CHECK(read.gaps[0].count == 5);
  CHECK(read.gaps[0].reason == GapReason::kDamaged);
  CHECK(read.gaps[0].first == f.records[{"b", 0}][11].first);
  CHECK(read.gaps[0].last + 1 == f.records[{"b", 0}][16].first);
  CHECK(f.store->Stats().salvage.records_lost == 5);
  const auto dropped = [&] {
    return f.store->Stats().dropped[static_cast<size_t>(GapReason::kDamaged)].records;
  };
  CHECK(dropped() == 5);
  REQUIRE(f.store->Flush().ok());
  f.device.clock.Advance(absl::Seconds(2));
  f.store->Pump();
  f.Close();
  f.Open();
  CHECK(dropped() == 5);
  CHECK(f.ReadAll("b", 0).gaps.size() == 1);
}

TEST_CASE("a second damage in the midst of a salvage costs nothing that is intact",
          "[store][salvage][sweep]") {
  SalvageFixture f;
  f.Open();
  f.Fill(30, 9000);
  f.Close();
  std::string bytes = f.Database();
  bytes.replace(0, 4096, std::string(4096, '\0'));
  f.Damage(bytes);
  f.Open();
  for (int i = 0; i < 3; ++i) {
    f.PutTo("a", 1);
    f.device.clock.Advance(absl::Milliseconds(5));
    f.store->Pump();
  }
  REQUIRE(f.store->Stats().salvage.state == SalvageState::kRunning);
  REQUIRE(f.store->Stats().salvage.blocks > 0);
  f.Close();
  SpoilPage(&f, GENERATE(size_t{1}, size_t{2}, size_t{4}));
  f.Open();
  CHECK(f.store->Stats().salvage.set_asides == 2);
  f.PutTo("a", 1);
  f.Salvage();
  CHECK(f.JudgeShards() == 0);
  CHECK(f.Drain() == f.messages);
  CHECK(f.device.disk.Content("/store/damaged-1/eddy.db") == bytes);
}

TEST_CASE("what is trimmed during a salvage does not come, and holds up nothing",
          "[store][salvage]") {
  SalvageFixture f;
  f.Open();
  f.Fill(30, 9000);
  f.Close();
  std::string bytes = f.Database();
  bytes.replace(0, 4096, std::string(4096, '\0'));
  const size_t at = bytes.find(f.records[{"b", 0}][12].second.substr(0, 60));
  REQUIRE(at != std::string::npos);
  bytes[at + 3] = static_cast<char>(bytes[at + 3] ^ 1);  // a damaged block in what is trimmed
  f.Damage(bytes);
  f.Open();
  const SequenceNumber keep = f.records[{"b", 0}][17].first;  // within a block
  REQUIRE((*f.store->OpenStream("b"))->Trim(0, keep).ok());
  REQUIRE(f.store->Flush().ok());
  f.PutTo("b", 0);
  f.Salvage();
  REQUIRE(f.store->Flush().ok());
  const SalvageFixture::Read read = f.ReadAll("b", 0);
  CHECK(read.gaps.empty());
  REQUIRE_FALSE(read.records.empty());
  CHECK(read.records.front().first == keep);
  CHECK(read.records.size() == 30 - 17 + 1);
}

TEST_CASE("retention waits for the salvage, and then drops the oldest", "[store][salvage]") {
  SalvageFixture f;
  f.Open();
  StreamOptions few;
  few.retention.records = 20;
  REQUIRE(f.store->CreateStream("few", few).ok());
  for (int i = 0; i < 20; ++i) {
    f.PutTo("few", 0, 3000);
    if (i % 5 == 4) REQUIRE(f.store->Flush().ok());
  }
  f.Close();
  SpoilPage(&f, 1);
  f.Open();
  for (int i = 0; i < 30; ++i) {  // more than it keeps, before any of the old is there
    f.PutTo("few", 0, 3000);
    if (i % 5 == 4) REQUIRE(f.store->Flush().ok());
  }
  f.Salvage();
  f.device.clock.Advance(absl::Seconds(2));
  f.store->Pump();
  f.PutTo("few", 0, 3000);
  REQUIRE(f.store->Flush().ok());
  const size_t missing = f.JudgeShard("few", 0);
  const SalvageFixture::Read read = f.ReadAll("few", 0);
  CHECK(missing >= 30);
  CHECK(missing <= 36);
  CHECK(read.lost() == missing);
  for (const Gap& gap : read.gaps) CHECK(gap.reason == GapReason::kRetentionRecords);
}

TEST_CASE("without room the salvage pauses, says so, and goes on later",
          "[store][salvage][fault]") {
  SalvageFixture f;
  f.Open();
  f.Fill(40, 9000);
  f.Close();
  SpoilPage(&f, 1);
  f.Open();
  uint64_t used = 0;
  for (const std::string& file : f.device.disk.List()) used += f.device.disk.Size(file);
  f.device.disk.SetCapacity(used + 100'000);
  for (int i = 0; i < 20; ++i) {
    f.device.clock.Advance(absl::Seconds(1));
    f.store->Pump();
  }
  CHECK(f.store->Stats().salvage.state == SalvageState::kPaused);
  CHECK(absl::IsResourceExhausted(f.store->Stats().salvage.cause));
  f.device.disk.SetCapacity(UINT64_MAX);
  f.device.clock.Advance(absl::Seconds(2));
  f.Salvage();
  CHECK(f.JudgeShards() == 0);
  CHECK(f.Drain() == f.messages);
}

TEST_CASE("messages in flight, delayed and half done come through", "[store][salvage][queue]") {
  SalvageFixture f;
  f.Open();
  f.Fill(20, 3000);
  Queue* queue = *f.store->OpenQueue("q");
  ReceiveOptions ten;
  ten.max_messages = 10;
  std::set<std::string> gone;
  std::set<std::string> touched;
  const auto received = queue->Receive(ten);
  REQUIRE(received.ok());
  for (const Message& message : *received) {
    if (gone.size() < 5) {
      REQUIRE(queue->Delete(message.receipt_handle).ok());
      gone.insert(message.body);
    } else {
      touched.insert(message.body);
    }
  }
  f.Close();
  SpoilPage(&f, GENERATE(size_t{1}, size_t{4}));
  f.Open();
  f.Send();
  f.Salvage();
  queue = *f.store->OpenQueue("q");
  const auto again = queue->Receive(ten);
  REQUIRE(again.ok());
  for (const Message& message : *again) {
    CHECK(message.receive_count == (touched.count(message.body) != 0 ? 2 : 1));
    REQUIRE(queue->ChangeVisibility(message.receipt_handle, absl::ZeroDuration()).ok());
  }
  for (const std::string& body : gone) f.messages.erase(body);
  CHECK(f.Drain() == f.messages);
}

}  // namespace
}  // namespace eddy
