// A database that cannot be opened is set aside, and what is intact comes into a new one.
#include "tests/unit/store/salvage_fixture.h"

namespace eddy {
namespace {

using testing::kDatabase;
using testing::kWal;
using testing::SalvageFixture;

TEST_CASE("a database whose first page is gone is set aside, and all comes into a new one",
          "[store][salvage]") {
  SalvageFixture f;
  f.Open();
  f.Fill();
  const SequenceNumber passed = f.records[{"b", 0}][10].first;
  REQUIRE((*(*f.store->OpenStream("b"))->OpenCursor("c"))->Advance(0, passed).ok());
  f.Close();
  std::string bytes = f.Database();
  bytes.replace(0, 4096, std::string(4096, '\0'));
  f.Damage(bytes);
  f.Open();
  CHECK(f.store->Stats().salvage.set_asides == 1);
  CHECK(f.store->Stats().salvage.state == SalvageState::kRunning);
  CHECK(f.device.disk.Content("/store/damaged-1/eddy.db") == bytes);
  CHECK(f.device.files.Content("/store/damaged-1/why.txt").find("not be read back") !=
        std::string::npos);
  f.PutTo("a", 0);
  f.Salvage();
  CHECK(f.JudgeShards() == 0);
  CHECK(f.Drain() == f.messages);
  CHECK((*(*f.store->OpenStream("b"))->OpenCursor("c"))->Position(0) == passed);
  const SalvageStats salvage = f.store->Stats().salvage;
  CHECK(salvage.state == SalvageState::kDone);
  CHECK(salvage.records_lost == 0);
  CHECK(salvage.blocks_orphaned == 0);
  CHECK(salvage.records == 240);
  SECTION("which is a store like others from then on") {
    f.Close();
    f.Open();
    CHECK(f.store->Stats().salvage.state == SalvageState::kDone);
    CHECK(f.store->Stats().salvage.records == 240);
    CHECK(f.JudgeShards() == 0);
    CHECK(f.device.disk.Exists("/store/damaged-1/eddy.db"));
  }
}

TEST_CASE("blocks whose bytes lie beside the database go with it, and come into the new one",
          "[store][salvage][extents]") {
  constexpr char kBlocks[] = "/store/eddy.db-blocks";
  constexpr char kOldBlocks[] = "/store/damaged-1/eddy.db-blocks";
  SalvageFixture f;
  f.options.intake_bytes = 4 << 20;
  f.Open();
  f.Fill(10, 70000);
  f.Close();
  std::string blocks = f.device.disk.Content(kBlocks);
  REQUIRE(blocks.size() > 1000000);
  const bool spoilt = GENERATE(false, true);
  if (spoilt) {
    blocks[70000] = static_cast<char>(blocks[70000] ^ 1);
    f.device.disk.SetContent(kBlocks, blocks);
  }
  std::string bytes = f.Database();
  bytes.replace(0, 4096, std::string(4096, '\0'));
  f.Damage(bytes);
  f.Open();
  CHECK(f.device.disk.Content(kOldBlocks) == blocks);
  f.PutTo("a", 0, 70000);
  f.Salvage();
  CHECK(f.device.disk.Content(kOldBlocks) == blocks);
  CHECK(f.store->Stats().salvage.state == SalvageState::kDone);
  if (!spoilt) {
    CHECK(f.JudgeShards() == 0);
    CHECK(f.store->Stats().salvage.records_lost == 0);
    CHECK(f.Drain() == f.messages);
  } else {
    CHECK(f.JudgeShards() <= 1);  // of one block, or of the queue's
    CHECK(f.store->Stats().salvage.records_lost == 1);
  }
}

TEST_CASE("the tables of the user come along", "[store][salvage][sql]") {
  SalvageFixture f;
  f.Open();
  f.Fill(5);
  const auto rows = f.Query("SELECT * FROM app_rows ORDER BY id");
  const auto keys = f.Query("SELECT * FROM app_keys ORDER BY n");
  f.Close();
  std::string bytes = f.Database();
  // The page of the journal's row and those of the logs: they are no longer known.
  bytes.replace(2 * 4096, 4096, std::string(4096, '\xff'));
  f.Damage(bytes);
  f.Open();
  CHECK(f.Query("SELECT * FROM app_rows ORDER BY id") == rows);
  CHECK(f.Query("SELECT * FROM app_keys ORDER BY n") == keys);
}

TEST_CASE("a bit that makes the database one of a version to come is damage", "[store][salvage]") {
  SalvageFixture f;
  f.Open();
  f.Fill(10);
  f.Close();
  std::string bytes = f.Database();
  bytes[18] ^= 4;  // SQLite would open it read-only
  f.Damage(bytes);
  f.Open();
  CHECK(f.store->Stats().salvage.set_asides == 1);
  f.Salvage();
  CHECK(f.JudgeShards() == 0);
  CHECK(f.Drain() == f.messages);
}

// "a" has logs 1 and 2, "b" log 3, the queue 4.
TEST_CASE("of two rows that name one log the order says which is damaged", "[store][salvage]") {
  SalvageFixture f;
  f.Open();
  f.Fill(10);
  f.Close();
  f.Change(GENERATE(as<std::string>(), "UPDATE shards SET log_id = 3 WHERE log_id = 2",
                    "UPDATE shards SET log_id = 2 WHERE log_id = 3",
                    "UPDATE queues SET log_id = 1",
                    "UPDATE shards SET log_id = 4 WHERE log_id = 1"));
  f.Open();
  CHECK(f.store->Stats().salvage.set_asides == 1);
  f.Salvage();
  CHECK(f.JudgeShards() == 0);
  CHECK(f.Drain() == f.messages);
}

TEST_CASE("a log that two rows name, and nothing says whose it is, is given to neither",
          "[store][salvage]") {
  SalvageFixture f;
  f.Open();
  f.Fill(10);
  f.Close();
  // There is no log that one of the two could have had instead.
  f.Change("DELETE FROM blocks WHERE id >> 47 = 2; DELETE FROM logs WHERE id = 2;"
           "UPDATE shards SET log_id = 3 WHERE log_id = 2");
  f.Open();
  f.Salvage();
  CHECK(f.ReadAll("a", 1).records.empty());
  CHECK(f.ReadAll("b", 0).records.empty());
  CHECK(f.ReadAll("a", 0).records.size() == 10);
  CHECK(f.store->Stats().salvage.blocks_orphaned > 0);
  CHECK(f.Drain() == f.messages);
}

TEST_CASE("one who refuses finds everything as it was", "[store][salvage]") {
  SalvageFixture f;
  f.Open();
  f.Fill(5);
  f.Close();
  std::string bytes = f.Database();
  bytes.replace(2 * 4096, 4096, std::string(4096, '\xff'));
  f.Damage(bytes);
  f.options.on_damage = OnDamage::kRefuse;
  CHECK(absl::IsDataLoss(f.TryOpen()));
  CHECK(f.Database() == bytes);
  CHECK_FALSE(f.device.disk.Exists("/store/damaged-1/eddy.db"));
}

TEST_CASE("a reader below the frontier waits, new records do not", "[store][salvage]") {
  SalvageFixture f;
  f.Open();
  f.Fill(40, 9000);
  f.Close();
  std::string bytes = f.Database();
  bytes.replace(0, 4096, std::string(4096, '\0'));
  f.Damage(bytes);
  f.Open();
  Stream* const stream = *f.store->OpenStream("b");
  const std::string oldest = *stream->GetShardIterator(0, {});
  CHECK(absl::IsUnavailable(stream->GetRecords(oldest).status()));
  CHECK(absl::IsUnavailable((*f.store->OpenQueue("q"))->Receive().status()));
  const std::string latest = *stream->GetShardIterator(0, {ShardIteratorType::kLatest, 0, {}});
  f.PutTo("b", 0);
  f.Send();
  REQUIRE(f.store->Flush().ok());
  const auto batch = stream->GetRecords(latest);
  REQUIRE(batch.ok());
  REQUIRE(batch->records.size() == 1);
  CHECK(batch->records[0].data == f.records[{"b", 0}].back().second);
  CHECK(absl::IsUnavailable(stream->GetRecords(oldest).status()));
  f.Salvage();
  CHECK(f.JudgeShards() == 0);
  CHECK(f.Drain() == f.messages);
}

TEST_CASE("what the intake held at a kill is taken over, with the store's name",
          "[store][salvage][recovery]") {
  SalvageFixture f;
  f.Open();
  f.Fill(10);
  for (int i = 0; i < 20; ++i) {
    f.PutTo("a", 0);
    f.PutTo("b", 0);
  }
  f.Kill();
  std::string bytes = f.Database();
  const int page = GENERATE(0, 1, 2, 3);  // the schema, meta, logs, blocks
  CAPTURE(page);
  bytes.resize(std::max<size_t>(bytes.size(), 20 * 4096));
  // In the file as well as in the WAL.
  for (size_t at = static_cast<size_t>(page) * 4096, i = 0; i < 4096; ++i) {
    bytes[at + i] = static_cast<char>(0xaa);
  }
  std::string wal = f.device.disk.Content(kWal);
  for (size_t at = 32; at + 24 + 4096 <= wal.size(); at += 24 + 4096) {
    if (static_cast<unsigned char>(wal[at + 3]) == page + 1) {
      wal.replace(at + 24, 4096, std::string(4096, '\xaa'));
    }
  }
  f.Damage(bytes);
  f.device.disk.SetContent(kWal, wal);
  f.Open();
  CHECK(f.store->Stats().salvage.set_asides == 1);
  CHECK(f.store->Stats().frames_recovered >= 40);
  f.Salvage();
  for (int i = 0; i < 3; ++i) f.PutTo("a", 0);
  CHECK(f.JudgeShards() == 0);
  CHECK(f.Drain() == f.messages);
}

}  // namespace
}  // namespace eddy
