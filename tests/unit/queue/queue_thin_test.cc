// What lies behind a message that stays gives its room back, and nothing that is
// still wanted goes with it, whatever dies.
#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/log/thinner.h"
#include "tests/fakes/fake_random.h"
#include "tests/fakes/scale.h"
#include "tests/unit/queue/queue_fixture.h"

namespace eddy::queue {
namespace {

constexpr size_t kIntakeBytes = 1 << 20;
constexpr size_t kBodyBytes = 300;
constexpr int kBlockMessages = 100;

QueueOptions WithLongLeases() {
  QueueOptions options = AtProcess();
  options.visibility_timeout = absl::Hours(1);
  return options;
}

std::string Body(int number) {
  std::string body = std::to_string(number);
  body.resize(kBodyBytes, '.');
  return body;
}
int NumberOf(const Message& message) { return std::stoi(message.body); }

void Round(QueueHost& host, absl::Duration time = absl::Seconds(1)) {
  host.device.clock.Advance(time);
  host.engine().RunOnce();
}

// As many as it takes for the walk to come around, twice.
void Rounds(QueueHost& host) {
  for (int i = 0; i < 6; ++i) Round(host, log::kThinAfter);
}

struct Stored {
  int64_t blocks = 0;
  int64_t frames = 0;
  int64_t bytes = 0;
};

Stored Blocks(QueueHost& host) {
  Stored stored;
  REQUIRE(host.engine()
              .WithDatabase([&](sql::Database& db) -> absl::Status {
                EDDY_ASSIGN_OR_RETURN(
                    sql::Statement sum,
                    db.Prepare("SELECT count(*), coalesce(sum(frame_count), 0), "
                               "coalesce(sum(" EDDY_BLOCK_BYTES "), 0) FROM blocks"));
                EDDY_RETURN_IF_ERROR(sum.Step().status());
                stored = {sum.ColumnInt(0), sum.ColumnInt(1), sum.ColumnInt(2)};
                return absl::OkStatus();
              })
              .ok());
  return stored;
}

// The sums that the next open starts from are those of the rows they stand for.
bool CountsAreRight(QueueHost& host) {
  bool right = false;
  REQUIRE(host.engine()
              .WithDatabase([&](sql::Database& db) -> absl::Status {
                EDDY_ASSIGN_OR_RETURN(
                    sql::Statement compare,
                    db.Prepare("SELECT count(*) FROM logs l WHERE l.id <> 0 AND "
                               "(l.counted_blocks, l.counted_frames, l.counted_bytes) <> "
                               "(SELECT count(*), coalesce(sum(b.frame_count), 0), "
                               " coalesce(sum(" EDDY_BLOCK_BYTES "), 0) FROM blocks b "
                               " WHERE b.id >= l.id << 47 AND "
                               " b.id < (l.id << 47) + (l.counted_position >> 2))"));
                EDDY_RETURN_IF_ERROR(compare.Step().status());
                right = compare.ColumnInt(0) == 0;
                return absl::OkStatus();
              })
              .ok());
  return right;
}

// Sends `blocks` blocks of messages, receives them all, and deletes those that are
// not kept. Returns those that are.
template <typename Keep>
std::vector<Message> Fill(QueueHost& host, int blocks, const Keep& keep) {
  Queue& queue = host.Find("jobs");
  for (int i = 0; i < blocks * kBlockMessages; ++i) {
    Send(queue, Body(i));
    if (i % kBlockMessages == kBlockMessages - 1) Round(host);
  }
  std::vector<Message> kept;
  for (;;) {
    const std::vector<Message> some = ReceiveUpTo(queue, 10);
    if (some.empty()) return kept;
    for (const Message& message : some) {
      if (keep(NumberOf(message))) {
        kept.push_back(message);
      } else {
        Delete(queue, message);
      }
    }
  }
}

Strings BodiesOf(const std::vector<Message>& messages) { return Bodies(messages); }

// Whatever has died: exactly these are there, in order. (Their leases have ended.)
void CheckHolds(QueueHost& host, const std::vector<Message>& kept) {
  Queue& queue = host.Find("jobs");
  CHECK(queue.Describe().counts.visible == kept.size());
  Strings bodies;
  for (;;) {
    const std::vector<Message> some = ReceiveUpTo(queue, 10);
    if (some.empty()) break;
    for (const Message& message : some) bodies.push_back(message.body);
  }
  CHECK(bodies == BodiesOf(kept));
}

TEST_CASE("blocks in which nothing is left go although an older message stays",
          "[queue][thin]") {
  QueueHost host(1, kIntakeBytes);
  host.Create("jobs", WithLongLeases());
  const std::vector<Message> kept = Fill(host, 40, [](int i) { return i == 0; });
  Round(host);
  Round(host);
  CHECK(Blocks(host).blocks == 1);
  CHECK(CountsAreRight(host));

  SECTION("and its own block shrinks to it, in time") {
    Rounds(host);
    const Stored stored = Blocks(host);
    CHECK(stored.blocks == 1);
    CHECK(stored.frames == 1);
    CHECK(CountsAreRight(host));
    // Once: after it nothing is written any more.
    const uint64_t written = host.device.disk.BytesWritten();
    Rounds(host);
    CHECK(host.device.disk.BytesWritten() == written);
  }
  SECTION("and its receipt is good") {
    Rounds(host);
    Delete(host.Find("jobs"), kept.front());
    Round(host);
    Round(host);
    CHECK(Blocks(host).blocks == 0);
    host.Reopen();
    CHECK(IsEmpty(host.Find("jobs")));
    return;
  }
  const int death = GENERATE(0, 1, 2);
  if (death == 0) host.Reopen();
  if (death == 1) host.Kill();
  if (death == 2) host.PowerCut(3);
  CheckHolds(host, kept);
}

TEST_CASE("the last block of a log may go, and its positions do not come again",
          "[queue][thin]") {
  QueueHost host(1, kIntakeBytes);
  Queue& queue = host.Create("jobs", WithLongLeases());
  const std::vector<Message> kept = Fill(host, 3, [](int i) { return i == 0; });
  const uint64_t end = Send(queue, "x").token.end;
  Delete(queue, Receive(queue));
  Round(host);
  Rounds(host);
  REQUIRE(Blocks(host).blocks == 1);
  const int death = GENERATE(0, 1, 2);
  if (death == 0) host.Reopen();
  if (death == 1) host.Kill();
  if (death == 2) host.PowerCut(3);
  const uint64_t next = Send(host.Find("jobs"), "y").token.end;
  CHECK(next > end);
}

TEST_CASE("blocks with little left in them are written anew", "[queue][thin]") {
  QueueHost host(1, kIntakeBytes);
  Queue& queue = host.Create("jobs", WithLongLeases());
  const std::vector<Message> kept = Fill(host, 10, [](int i) { return i % 10 < 2 && i % 3 > 0; });
  Round(host);
  const Stored before = Blocks(host);
  const uint64_t written = host.device.disk.BytesWritten();
  SECTION("not at once: most go as a whole") {
    Round(host);
    CHECK(Blocks(host).bytes == before.bytes);
    return;
  }
  for (int i = 0; i < 30; ++i) Round(host, absl::Seconds(2));
  const Stored after = Blocks(host);
  CHECK(after.frames == static_cast<int64_t>(kept.size()));
  CHECK(after.bytes * 4 < before.bytes);
  // A page once in the WAL, once in the database, and the tree above.
  CHECK(host.device.disk.BytesWritten() - written < 6 * static_cast<uint64_t>(before.bytes));
  CHECK(CountsAreRight(host));

  SECTION("they are read as before") {
    for (const Message& message : kept) {
      REQUIRE(queue.ChangeVisibility(message.receipt_handle, absl::ZeroDuration(),
                                     Durability::kDefault)
                  .ok());
    }
    CheckHolds(host, kept);
  }
  SECTION("and deleted as before") {
    for (const Message& message : kept) Delete(queue, message);
    Round(host);
    Round(host);
    CHECK(Blocks(host).blocks == 0);
  }
  SECTION("after each death too") {
    const int death = GENERATE(0, 1, 2);
    if (death == 0) host.Reopen();
    if (death == 1) host.Kill();
    if (death == 2) host.PowerCut(3);
    CheckHolds(host, kept);
  }
}

TEST_CASE("blocks of which half is left stay as they are", "[queue][thin]") {
  QueueHost host(1, kIntakeBytes);
  host.Create("jobs", WithLongLeases());
  Fill(host, 10, [](int i) { return i % 2 == 0; });
  Round(host);
  const Stored before = Blocks(host);
  for (int i = 0; i < 30; ++i) Round(host, absl::Seconds(2));
  CHECK(Blocks(host).frames == before.frames);
  CHECK(Blocks(host).bytes == before.bytes);
}

TEST_CASE("a damaged block that is to be thinned stays, and costs nothing else",
          "[queue][thin]") {
  QueueHost host(1, kIntakeBytes);
  host.Create("jobs", WithLongLeases());
  const std::vector<Message> kept = Fill(host, 3, [](int i) { return i % 100 == 50; });
  REQUIRE(kept.size() == 3);
  Round(host);
  REQUIRE(Blocks(host).blocks == 3);
  int64_t damaged = 0;
  REQUIRE(host.engine()
              .WithDatabase([&](sql::Database& db) -> absl::Status {
                EDDY_ASSIGN_OR_RETURN(
                    sql::Statement damage,
                    db.Prepare("UPDATE blocks SET checksum = checksum + 1 WHERE id = (SELECT id "
                               "FROM blocks ORDER BY id LIMIT 1 OFFSET 1) RETURNING frame_count"));
                EDDY_RETURN_IF_ERROR(damage.Step().status());
                damaged = damage.ColumnInt(0);
                return damage.Step().status();
              })
              .ok());
  Rounds(host);
  const Stored stored = Blocks(host);
  CHECK(stored.blocks == 3);
  CHECK(stored.frames == 2 + damaged);
  CHECK(CountsAreRight(host));
}

TEST_CASE("a power cut at any step of the thinning takes nothing that stays",
          "[queue][thin][crash]") {
  const uint64_t stride = testing::Scaled(100) < 100 ? 7 : 1;
  bool cut = true;
  uint64_t steps = 0;
  for (uint64_t step = 0; cut; step += stride) {
    INFO("step " << step);
    QueueHost host(step + 1, kIntakeBytes);
    host.Create("jobs", WithLongLeases());
    const std::vector<Message> kept = Fill(host, 4, [](int i) { return i % 40 == 7; });
    REQUIRE(host.engine().Flush().ok());
    host.device.disk.CutAt(step);
    Rounds(host);
    cut = host.device.disk.PowerIsOff();
    steps = step;
    host.PowerCut(step);
    CheckHolds(host, kept);
    if (!cut) CHECK(Blocks(host).frames == static_cast<int64_t>(kept.size()));
  }
  CHECK(steps > 4);
}

// Messages come, some stay long, and all three deaths come in between.
TEST_CASE("a queue that is thinned out agrees with a plain list, whatever dies",
          "[queue][thin][crash]") {
  for (int seed = 1; seed <= testing::Scaled(25); ++seed) {
    INFO("seed " << seed);
    QueueHost host(static_cast<uint64_t>(seed), kIntakeBytes);
    testing::FakeRandom random(static_cast<uint64_t>(seed) * 101);
    host.Create("jobs", WithLongLeases());
    std::vector<int> there;  // in order
    std::vector<Message> held;
    int sent = 0;
    for (int step = 0; step < 150; ++step) {
      Queue& queue = host.Find("jobs");
      switch (random.Below(8)) {
        case 0: case 1:
          for (int n = random.Below(150); n > 0; --n) {
            there.push_back(sent);
            Send(queue, Body(sent++));
          }
          break;
        case 2: case 3: case 4:
          for (int n = random.Below(12); n > 0; --n) {
            for (const Message& message : ReceiveUpTo(queue, 10)) held.push_back(message);
          }
          break;
        case 5:
          for (size_t i = 0; i < held.size();) {
            if (random.OneIn(12)) {
              ++i;
              continue;
            }
            Delete(queue, held[i]);
            there.erase(std::find(there.begin(), there.end(), NumberOf(held[i])));
            held.erase(held.begin() + static_cast<std::ptrdiff_t>(i));
          }
          break;
        case 6:
          Round(host, absl::Seconds(static_cast<int64_t>(1 + random.Below(12u))));
          break;
        default: {
          if (!random.OneIn(4)) break;
          const uint64_t kind = random.Below(uint64_t{3});
          Round(host);
          if (kind == 0) host.Reopen();
          if (kind == 1) host.Kill();
          if (kind == 2) host.PowerCut(random.Next());
          held.clear();
          REQUIRE(host.Find("jobs").Describe().counts.visible == there.size());
          break;
        }
      }
      const QueueCounts counts = host.Find("jobs").Describe().counts;
      REQUIRE(counts.visible + counts.in_flight == there.size());
      REQUIRE(counts.in_flight == held.size());
    }
    host.Kill();
    std::vector<int> found;
    for (;;) {
      const std::vector<Message> some = ReceiveUpTo(host.Find("jobs"), 10);
      if (some.empty()) break;
      for (const Message& message : some) found.push_back(NumberOf(message));
    }
    REQUIRE(found == there);
    REQUIRE(CountsAreRight(host));
  }
}

}  // namespace
}  // namespace eddy::queue
