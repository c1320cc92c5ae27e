// What lies between head and scan: gone, but for what has a row.
#include <string>

#include "tests/unit/queue/queue_fixture.h"

namespace eddy::queue {
namespace {

enum class End { kClose, kKill, kPowerCut };

void EndProcess(QueueHost* host, End end) {
  if (end == End::kClose) host->Reopen();
  if (end == End::kKill) host->Kill();
  if (end == End::kPowerCut) host->PowerCut(3);
}

int64_t DeliveryRows(QueueHost* host) {
  int64_t rows = -1;
  REQUIRE(host->engine()
              .WithDatabase([&](sql::Database& db) -> absl::Status {
                auto count = db.Prepare("SELECT COUNT(*) FROM deliveries");
                REQUIRE(count.ok());
                REQUIRE(*count->Step());
                rows = count->ColumnInt(0);
                return absl::OkStatus();
              })
              .ok());
  return rows;
}

TEST_CASE("what was deleted behind a held message stays deleted, without a row each",
          "[queue][scan][crash]") {
  const auto end = GENERATE(End::kClose, End::kKill, End::kPowerCut);
  const bool commit_each = GENERATE(false, true);
  QueueHost host;
  host.Create("jobs", AtProcess());
  Queue& queue = host.Find("jobs");
  Send(queue, "held");
  REQUIRE(Receive(queue).body == "held");
  for (int i = 0; i < 300; ++i) {
    Send(queue, "gone " + std::to_string(i));
    const Message message = Receive(queue);
    if (commit_each && i % 10 == 0) REQUIRE(host.engine().Flush().ok());
    REQUIRE(queue.Delete(message.receipt_handle, Durability::kDefault).ok());
  }
  Send(queue, "fresh");
  REQUIRE(host.engine().Flush().ok());
  CHECK(DeliveryRows(&host) == 1);
  CHECK(host.Find("jobs").TouchedCount() == 1);
  EndProcess(&host, end);
  CHECK(host.Find("jobs").Describe().counts.visible == 2);
  const std::vector<Message> left = ReceiveUpTo(host.Find("jobs"), 10);
  CHECK(Bodies(left) == Strings{"held", "fresh"});
  CHECK(left[0].receive_count == 2);
  CHECK(left[1].receive_count == 1);
}

TEST_CASE("a delayed message that the scan has passed is still delayed after a restart",
          "[queue][scan][time]") {
  const auto end = GENERATE(End::kClose, End::kKill, End::kPowerCut);
  QueueHost host;
  host.Create("jobs", AtProcess());
  Queue& queue = host.Find("jobs");
  const absl::Duration sent = host.device.clock.SinceBoot();
  for (int i = 0; i < 25; ++i) {
    SendDelayed(queue, "later " + std::to_string(i), absl::Seconds(100));
    Send(queue, "now");
    REQUIRE(queue.Delete(Receive(queue).receipt_handle, Durability::kDefault).ok());
  }
  REQUIRE(host.engine().Flush().ok());
  CHECK(DeliveryRows(&host) == 25);
  EndProcess(&host, end);
  Queue& again = host.Find("jobs");
  CHECK(IsEmpty(again));
  CHECK(again.Describe().counts.delayed == 25);
  CHECK(again.Describe().counts.visible == 0);
  if (end != End::kPowerCut) {  // another boot knows only the wall clock
    host.device.clock.Advance(sent + absl::Seconds(100) - absl::Milliseconds(1) -
                              host.device.clock.SinceBoot());
    CHECK(IsEmpty(again));
  }
  host.device.clock.Advance(absl::Seconds(101));
  Strings bodies;
  for (int i = 0; i < 3; ++i) {
    for (const Message& message : ReceiveUpTo(again, 10)) {
      bodies.push_back(message.body);
      CHECK(message.receive_count == 1);
    }
  }
  REQUIRE(bodies.size() == 25);
  for (size_t i = 0; i < 25; ++i) CHECK(bodies[i] == "later " + std::to_string(i));
}

TEST_CASE("a power cut at any moment leaves every message that was not deleted",
          "[queue][scan][crash]") {
  bool cut = true;
  for (uint64_t step = 0; cut; ++step) {
    INFO("step " << step);
    QueueHost host(step + 1);
    host.Create("jobs", AtProcess());
    Queue& queue = host.Find("jobs");
    Send(queue, "held");
    SendDelayed(queue, "later", absl::Seconds(5));
    for (int i = 0; i < 20; ++i) Send(queue, "m" + std::to_string(i));
    REQUIRE(host.engine().Flush().ok());
    // In the commit that fails the scan passes a delayed message, and deletes lie
    // on both sides of it.
    const std::vector<Message> taken = ReceiveUpTo(queue, 10);
    REQUIRE(taken.size() == 10);
    for (size_t i = 1; i < taken.size(); ++i) {
      REQUIRE(queue.Delete(taken[i].receipt_handle, Durability::kDefault).ok());
    }
    SendDelayed(queue, "much later", absl::Seconds(5));
    host.device.disk.CutAt(step);
    const bool committed = host.engine().Flush().ok();
    cut = host.device.disk.PowerIsOff();
    host.PowerCut(step);
    Queue& again = host.Find("jobs");
    host.device.clock.Advance(absl::Seconds(20));
    Strings bodies;
    for (;;) {
      const std::vector<Message> messages = ReceiveUpTo(again, 10, absl::Hours(1));
      if (messages.empty()) break;
      for (const Message& message : messages) bodies.push_back(message.body);
    }
    Strings expected = {"held", "later"};
    // All of the deletes or none.
    const bool deleted = bodies.size() < 20;
    for (int i = deleted ? 9 : 0; i < 20; ++i) expected.push_back("m" + std::to_string(i));
    if (!bodies.empty() && bodies.back() == "much later") expected.push_back("much later");
    if (committed) CHECK((deleted && bodies.back() == "much later"));
    CHECK(bodies == expected);
  }
}

}  // namespace
}  // namespace eddy::queue
