// A store that is in use while what was set aside comes back into it: what was lost is told,
// and trims, limits, a full disk and messages in flight are met by what comes.
#include <set>
#include <string>

#include "tests/unit/store/salvage_fixture.h"

namespace eddy {
namespace {

using testing::SalvageFixture;

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
  f.SpoilPage(GENERATE(size_t{1}, size_t{2}, size_t{4}));
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
  f.SpoilPage(1);
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
  f.SpoilPage(1);
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
  f.SpoilPage(GENERATE(size_t{1}, size_t{4}));
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
