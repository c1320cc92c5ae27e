// Rows of queues that damage has changed or taken: what was acknowledged is given out or
// told of, and the queue goes on.
#include <algorithm>
#include <set>
#include <string>

#include "src/sql/schema.h"
#include "tests/fakes/scale.h"
#include "tests/unit/store/salvage_fixture.h"

namespace eddy {
namespace {

using testing::SalvageFixture;

Queue& TheQueue(SalvageFixture* f) { return **f->store->OpenQueue("q"); }

std::vector<Message> ReceiveTen(SalvageFixture* f, absl::Duration visibility) {
  ReceiveOptions ten;
  ten.max_messages = 10;
  ten.visibility_timeout = visibility;
  const auto received = TheQueue(f).Receive(ten);
  INFO(received.status().ToString());
  REQUIRE(received.ok());
  return *received;
}

// A queue that has been in use: some are gone, `live` are received once and visible again,
// all committed.
void Use(SalvageFixture* f, int live) {
  f->Open();
  REQUIRE(f->store->CreateQueue("q").ok());
  for (int i = 0; i < 3; ++i) f->Send();
  for (const Message& message : ReceiveTen(f, absl::Seconds(30))) {
    REQUIRE(TheQueue(f).Delete(message.receipt_handle).ok());
    f->messages.erase(message.body);
  }
  for (int i = 0; i < live; ++i) f->Send();
  if (live > 0) {
    // And one behind them is gone, so that the scan has passed them.
    f->Send();
    const std::vector<Message> received = ReceiveTen(f, absl::ZeroDuration());
    REQUIRE(received.size() == static_cast<size_t>(live) + 1);
    REQUIRE(TheQueue(f).Delete(received.back().receipt_handle).ok());
    f->messages.erase(received.back().body);
  }
  REQUIRE(f->store->Flush().ok());
  f->Close();
}

TEST_CASE("a scan that cannot be does not swallow what is sent from then on",
          "[store][salvage][queue]") {
  SalvageFixture f;
  Use(&f, 0);
  // One bit of one number: far above all that the log has ever given out.
  f.Change("UPDATE queues SET scan_position = scan_position | (1 << 40)");
  f.Open();
  f.Salvage();
  f.Send();  // at kPower: acknowledged
  f.Send();
  f.store.reset();
  f.Open();
  CHECK(f.Drain() == f.messages);
}

TEST_CASE("a visibility that cannot be is not the end of a queue",
          "[store][salvage][queue]") {
  SalvageFixture f;
  Use(&f, 0);
  f.Change("UPDATE queues SET visibility_ms = visibility_ms | (1 << 40)");
  f.Open();
  f.Salvage();
  f.Send();
  CHECK(f.Drain() == f.messages);
}

TEST_CASE("who has lost a name takes none of another's", "[store][salvage][queue]") {
  SalvageFixture f;
  f.Open();
  for (const char* name : {"q", "other"}) {
    REQUIRE(f.store->CreateQueue(name).ok());
    REQUIRE(f.store->CreateStream(name).ok());
  }
  f.Send();
  f.Close();
  for (const std::string table : {"queues", "streams"}) {
    f.Change("UPDATE " + table + " SET name = 'damaged-' || (SELECT id FROM " + table +
             " WHERE name = 'other') WHERE name = 'q'");
    f.Change("UPDATE " + table + " SET name = 'no name!' WHERE name = 'other'");
  }
  f.Open();
  f.Salvage();
  CHECK(f.store->ListQueues().size() == 2);
  CHECK(f.store->ListStreams().size() == 2);
}

TEST_CASE("a row of a message that is none does not stop the queue",
          "[store][salvage][queue]") {
  SalvageFixture f;
  Use(&f, 3);
  // One bit, of the middle one of three: no frame begins there.
  f.Change(
      "UPDATE deliveries SET position = position + CASE WHEN position & 4 THEN -4 ELSE 4 END "
      "WHERE position = (SELECT position FROM deliveries ORDER BY position LIMIT 1 OFFSET 1)");
  f.Open();
  f.Salvage();
  // Whatever becomes of that one, the two others come, and what is sent from now on; if not
  // at once, then after the next open.
  f.Send();
  ReceiveOptions ten;
  ten.max_messages = 10;
  absl::StatusOr<std::vector<Message>> received = TheQueue(&f).Receive(ten);
  for (int life = 0; life < 3 && !received.ok(); ++life) {
    f.store.reset();
    f.Open();
    f.Salvage();
    received = TheQueue(&f).Receive(ten);
  }
  INFO(received.status().ToString());
  REQUIRE(received.ok());
  CHECK(received->size() >= 3);
}

TEST_CASE("a row of a message far above the log does not refuse each open",
          "[store][salvage][queue]") {
  SalvageFixture f;
  Use(&f, 3);
  f.Change(
      "UPDATE deliveries SET position = position | (1 << 40) "
      "WHERE position = (SELECT max(position) FROM deliveries)");
  for (int life = 0; life < 3; ++life) {
    const absl::Status opened = f.TryOpen();
    INFO(opened.ToString());
    CHECK(opened.ok());
    f.store.reset();
  }
}

TEST_CASE("messages whose rows are lost with a page come again, or are told of",
          "[store][salvage][queue]") {
  SalvageFixture f;
  Use(&f, 5);
  const auto roots = sql::TableRoots(4096);
  REQUIRE(roots.ok());
  f.SpoilPage(roots->at("deliveries"));
  f.Open();
  f.Salvage();
  CHECK(f.store->Stats().salvage.set_asides == 1);
  std::set<std::string> got;
  for (;;) {
    const std::vector<Message> batch = ReceiveTen(&f, absl::Seconds(30));
    if (batch.empty()) break;
    for (const Message& message : batch) got.insert(message.body);
  }
  // And of those that were deleted what lies in the same blocks.
  for (const std::string& message : f.messages) CHECK(got.count(message) == 1);
}

TEST_CASE("what the salvage brings is counted", "[store][salvage][queue]") {
  SalvageFixture f;
  f.Open();
  f.Fill(20, 3000);
  f.Close();
  f.SpoilPage(1);
  f.Open();
  f.Salvage();
  CHECK(TheQueue(&f).Describe().counts.visible == f.messages.size());
  CHECK(f.Drain() == f.messages);
  f.Send();
  CHECK(TheQueue(&f).Describe().counts.visible == 1);
}

TEST_CASE("a head above the scan does not end the process at each open",
          "[store][salvage][queue]") {
  SalvageFixture f;
  Use(&f, 0);
  f.Change("UPDATE queues SET head_position = head_position | (1 << 40)");
  f.Open();
  f.Salvage();
  f.Send();
  CHECK(f.Drain() == f.messages);
}

// --- Every bit --------------------------------------------------------------------

// kOldMissing: a message of before is neither given out nor told of. A row that says of it
// that it is done cannot be told from one that a flip has made say so.
enum Outcome { kWell, kOldMissing, kStuck, kNewMissing, kRefused };

Outcome JudgeFlip(const SalvageFixture& model, const std::string& database) {
  SalvageFixture f;
  f.messages = model.messages;
  f.next = model.next;
  if (!f.device.files.PrepareDirectory("/store").ok()) return kRefused;
  f.Damage(database);
  if (!f.TryOpen().ok()) return kRefused;
  for (int i = 0; i < 2000 && f.store->Stats().salvage.state == SalvageState::kRunning; ++i) {
    f.device.clock.Advance(absl::Milliseconds(5));
    f.store->Pump();
  }
  auto queue = f.store->OpenQueue("q");
  if (!queue.ok()) return kWell;  // renamed, or lost and told
  if (!(*queue)->Send("new").ok()) return kStuck;
  std::set<std::string> got;
  int failures = 0;
  for (int empty = 0; empty < 2;) {
    ReceiveOptions ten;
    ten.max_messages = 10;
    const auto batch = (*queue)->Receive(ten);
    if (!batch.ok()) {
      if (++failures == 4) return kStuck;
      f.store.reset();
      if (!f.TryOpen().ok()) return kRefused;
      for (int i = 0; i < 2000 && f.store->Stats().salvage.state == SalvageState::kRunning; ++i) {
        f.device.clock.Advance(absl::Milliseconds(5));
        f.store->Pump();
      }
      queue = f.store->OpenQueue("q");
      if (!queue.ok()) return kWell;
      continue;
    }
    if (batch->empty()) {
      f.device.clock.Advance(absl::Hours(13));
      ++empty;
    }
    for (const Message& message : *batch) {
      got.insert(message.body);
      if (!(*queue)->Delete(message.receipt_handle).ok()) return kStuck;
    }
  }
  if (got.count("new") == 0) return kNewMissing;
  const StoreStats stats = f.store->Stats();
  for (const std::string& body : model.messages) {
    if (got.count(body) == 0 && stats.salvage.records_lost == 0 && stats.records_damaged == 0) {
      return kOldMissing;
    }
  }
  return kWell;
}

TEST_CASE("a flip of a bit of a queue's rows stops nothing, and swallows nothing new",
          "[store][salvage][queue][flip]") {
  SalvageFixture model;
  Use(&model, 5);
  const auto roots = sql::TableRoots(4096);
  REQUIRE(roots.ok());
  const std::string original = model.Database();
  constexpr size_t kBits = 4096 * 8;
  // Odd, so that all bits of a byte have their turn.
  const size_t stride = kBits / static_cast<size_t>(testing::Scaled(400)) | 1;
  for (const char* table : {"queues", "deliveries"}) {
    const size_t page = (roots->at(table) - 1) * 4096;
    for (size_t bit = 0; bit < kBits; bit += stride) {
      const size_t at = bit / 8;
      if (original[page + at] == 0 && at > 200 && at < 3800) continue;
      std::string database = original;
      database[page + at] = static_cast<char>(database[page + at] ^ (1 << (bit % 8)));
      CAPTURE(table, at, bit % 8);
      const Outcome outcome = JudgeFlip(model, database);
      CHECK((outcome == kWell || outcome == kOldMissing));
    }
  }
}

}  // namespace
}  // namespace eddy
