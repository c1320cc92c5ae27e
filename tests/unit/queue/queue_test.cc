// What eddy's queue does beyond the contract of SQS: restarts, durability,
// memory, trimming.
#include <set>

#include "tests/unit/queue/queue_fixture.h"

namespace eddy::queue {
namespace {

TEST_CASE("a killed process forgets no message, no count and no delete", "[queue][restart]") {
  QueueHost host;
  QueueImpl& queue = host.Create("jobs", AtProcess());
  for (const char* body : {"a", "b", "c", "d"}) Send(queue, body);
  const std::vector<Message> messages = ReceiveUpTo(queue, 3);
  REQUIRE(queue.Delete(messages[1].receipt_handle, Durability::kDefault).ok());
  host.Kill();
  QueueImpl& again = host.Find("jobs");
  CHECK(again.Describe().counts.visible == 3);
  CHECK(again.Describe().counts.in_flight == 0);  // the leases have ended
  const std::vector<Message> left = ReceiveUpTo(again, 10);
  CHECK(Bodies(left) == Strings{"a", "c", "d"});
  CHECK(left[0].receive_count == 2);
  CHECK(left[1].receive_count == 2);
  CHECK(left[2].receive_count == 1);
  CHECK(left[0].first_received == messages[0].first_received);
  CHECK(left[0].message_id == messages[0].message_id);
}

TEST_CASE("a power cut forgets nothing that was asked for at kPower", "[queue][restart]") {
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    INFO("seed " << seed);
    QueueHost host(seed);
    QueueImpl& queue = host.Create("jobs");
    for (const char* body : {"a", "b", "c", "d"}) Send(queue, body);
    const std::vector<Message> messages = ReceiveUpTo(queue, 3);
    REQUIRE(queue.Delete(messages[1].receipt_handle, Durability::kDefault).ok());
    host.PowerCut(seed);
    const std::vector<Message> left = ReceiveUpTo(host.Find("jobs"), 10);
    CHECK(Bodies(left) == Strings{"a", "c", "d"});
    CHECK(left[0].receive_count == 2);
    CHECK(left[2].receive_count == 1);
  }
}

TEST_CASE("messages of a batch share one commit", "[queue][durability]") {
  QueueHost host;
  QueueImpl& queue = host.Create("jobs");
  const uint64_t before = host.engine().Stats().commits;
  std::vector<SendEntry> entries(10);
  for (SendEntry& entry : entries) entry.body = "x";
  REQUIRE(queue.SendBatch(entries, {}).ok());
  CHECK(host.engine().Stats().commits == before + 1);
}

TEST_CASE("a message that comes and goes at kProcess leaves no row and no entry",
          "[queue][memory]") {
  QueueHost host;
  QueueImpl& queue = host.Create("jobs", AtProcess());
  for (int i = 0; i < 100; ++i) {
    Send(queue, "x");
    REQUIRE(queue.Delete(Receive(queue).receipt_handle, Durability::kDefault).ok());
  }
  CHECK(queue.TouchedCount() == 0);
  REQUIRE(host.engine().Flush().ok());
  int64_t rows = -1;
  REQUIRE(host.engine()
              .WithDatabase([&](sql::Database& db) -> absl::Status {
                auto count = db.Prepare("SELECT COUNT(*) FROM deliveries");
                REQUIRE(count.ok());
                REQUIRE(*count->Step());
                rows = count->ColumnInt(0);
                return absl::OkStatus();
              })
              .ok());
  CHECK(rows == 0);
}

TEST_CASE("memory is that of the touched messages, however long the backlog",
          "[queue][memory]") {
  constexpr int kBacklog = 100000;
  QueueHost host(1, 1 << 20);
  QueueImpl& queue = host.Create("jobs", AtProcess());
  for (int i = 0; i < kBacklog; ++i) Send(queue, "message");
  CHECK(queue.Describe().counts.visible == kBacklog);
  CHECK(queue.TouchedCount() == 0);
  size_t most = 0;
  for (int i = 0; i < 200; ++i) {
    for (const Message& message : ReceiveUpTo(queue, 10)) {
      REQUIRE(queue.Delete(message.receipt_handle, Durability::kDefault).ok());
    }
    most = std::max(most, queue.TouchedCount());
  }
  CHECK(most <= 10);
  CHECK(queue.Describe().counts.visible == kBacklog - 2000);

  SECTION("the same after a restart, with the counts right") {
    const std::vector<Message> messages = ReceiveUpTo(queue, 10);
    host.Kill();
    QueueImpl& again = host.Find("jobs");
    CHECK(again.Describe().counts.visible == kBacklog - 2000);
    CHECK(Receive(again).message_id == messages[0].message_id);
    CHECK(again.TouchedCount() <= 20);
  }
}

int64_t BlockCount(QueueHost& host) {
  int64_t count = -1;
  REQUIRE(host.engine()
              .WithDatabase([&](sql::Database& db) -> absl::Status {
                auto select = db.Prepare("SELECT COUNT(*) FROM blocks");
                REQUIRE(*select->Step());
                count = select->ColumnInt(0);
                return absl::OkStatus();
              })
              .ok());
  return count;
}

TEST_CASE("blocks whose messages are all gone are deleted", "[queue][trim]") {
  QueueHost host;
  QueueImpl& queue = host.Create("jobs", AtProcess());
  const std::string body(1000, 'x');
  for (int i = 0; i < 1000; ++i) Send(queue, body);
  REQUIRE(host.engine().Flush().ok());
  CHECK(BlockCount(host) > 5);
  for (int i = 0; i < 100; ++i) {
    std::vector<std::string_view> handles;
    const std::vector<Message> messages = ReceiveUpTo(queue, 10);
    for (const Message& message : messages) handles.push_back(message.receipt_handle);
    REQUIRE(queue.DeleteBatch(handles, Durability::kProcess).ok());
  }
  // The commit that stores the head, and the one that deletes below it.
  for (int i = 0; i < 3; ++i) {
    Send(queue, "last");
    REQUIRE(host.engine().Flush().ok());
  }
  CHECK(BlockCount(host) <= 3);
  host.Reopen();
  CHECK(ReceiveUpTo(host.Find("jobs"), 10).size() == 3);
}

TEST_CASE("a queue that is empty and idle keeps no block", "[queue][trim]") {
  QueueHost host;
  QueueImpl& queue = host.Create("jobs", AtProcess());
  Send(queue, "x");
  SECTION("of a message that came and went between two commits") {
    REQUIRE(queue.Delete(Receive(queue).receipt_handle, Durability::kProcess).ok());
  }
  SECTION("of one that was committed before") {
    REQUIRE(host.engine().Flush().ok());
    CHECK(BlockCount(host) == 1);
    REQUIRE(queue.Delete(Receive(queue).receipt_handle, Durability::kProcess).ok());
  }
  SECTION("after a death between the commit of its head and the trim") {
    REQUIRE(host.engine().Flush().ok());  // or there would be no block at all
    REQUIRE(queue.Delete(Receive(queue).receipt_handle, Durability::kPower).ok());
    CHECK(BlockCount(host) == 1);
    host.Kill();
  }
  REQUIRE(host.engine().Flush().ok());
  CHECK(BlockCount(host) == 0);
  CHECK(IsEmpty(host.Find("jobs")));
}

TEST_CASE("after a restart a delayed message counts as visible until a receive comes by it",
          "[queue][restart][time]") {
  QueueHost host;
  SendDelayed(host.Create("jobs"), "later", absl::Seconds(60));
  CHECK(host.Find("jobs").Describe().counts.delayed == 1);
  host.Reopen();
  QueueImpl& queue = host.Find("jobs");
  CHECK(queue.Describe().counts.visible == 1);
  CHECK(IsEmpty(queue));
  CHECK(queue.Describe().counts.visible == 0);
  CHECK(queue.Describe().counts.delayed == 1);
}

TEST_CASE("a delay goes on through a restart and ends to the millisecond",
          "[queue][restart][time]") {
  QueueHost host;
  SendDelayed(host.Create("jobs"), "later", absl::Seconds(60));
  host.device.clock.Advance(absl::Seconds(20));
  host.device.clock.SetWall(absl::FromUnixSeconds(5));  // of no effect within a boot
  host.Reopen();
  QueueImpl& queue = host.Find("jobs");
  host.device.clock.Advance(absl::Seconds(40) - absl::Milliseconds(1));
  CHECK(IsEmpty(queue));
  host.device.clock.Advance(absl::Milliseconds(1));
  CHECK(Receive(queue).body == "later");
}

TEST_CASE("a delay after another boot is measured by the wall clock", "[queue][restart][time]") {
  QueueHost host;
  SendDelayed(host.Create("jobs"), "later", absl::Seconds(60));
  host.device.clock.Advance(absl::Seconds(20));
  host.PowerCut(1);
  QueueImpl& queue = host.Find("jobs");
  CHECK(IsEmpty(queue));
  host.device.clock.Advance(absl::Seconds(39));
  CHECK(IsEmpty(queue));
  host.device.clock.Advance(absl::Seconds(1));
  CHECK(Receive(queue).body == "later");
}

TEST_CASE("a receipt from before a restart deletes while nobody has received since",
          "[queue][restart][receipt]") {
  QueueHost host;
  QueueImpl& queue = host.Create("jobs", AtProcess());
  Send(queue, "x");
  const Message old = Receive(queue);
  host.Kill();
  QueueImpl& again = host.Find("jobs");
  SECTION("and so it may extend, as after a timeout") {
    CHECK(again.ChangeVisibility(old.receipt_handle, absl::Seconds(10), Durability::kDefault)
              .ok());
    CHECK(IsEmpty(again));
  }
  SECTION("it deletes") {
    CHECK(again.Delete(old.receipt_handle, Durability::kDefault).ok());
    CHECK(again.StaleDeletes() == 0);
    CHECK(again.Describe().counts.visible == 0);
    CHECK(IsEmpty(again));
  }
  SECTION("not after a new receive") {
    CHECK(Receive(again).receive_count == 2);
    CHECK(again.Delete(old.receipt_handle, Durability::kDefault).ok());
    CHECK(again.StaleDeletes() == 1);
    CHECK(again.Describe().counts.in_flight == 1);
  }
}

TEST_CASE("a count forgotten in a power cut does not let an old receipt hit a new receive",
          "[queue][restart][receipt]") {
  QueueHost host;
  QueueImpl& queue = host.Create("jobs");
  Send(queue, "x");
  ReceiveOptions at_process;
  at_process.durability = Durability::kProcess;
  const auto old = queue.Receive(at_process);
  REQUIRE(old.ok());
  host.PowerCut(3);
  QueueImpl& again = host.Find("jobs");
  const Message message = Receive(again);
  CHECK(message.receive_count == 1);  // again: the price of kProcess
  CHECK(again.Delete(old->front().receipt_handle, Durability::kDefault).ok());
  CHECK(again.StaleDeletes() == 1);
  CHECK(again.Delete(message.receipt_handle, Durability::kDefault).ok());
  CHECK(again.Describe().counts.in_flight == 0);
}

TEST_CASE("a batch received from a full intake makes room for itself", "[queue][full]") {
  QueueHost host;
  QueueImpl& queue = host.Create("jobs", AtProcess());
  const std::string body(10000, 'x');
  for (int i = 0; i < 200; ++i) Send(queue, body);  // eight times the intake
  for (int i = 0; i < 20; ++i) {
    const std::vector<Message> messages = ReceiveUpTo(queue, 10);
    REQUIRE(messages.size() == 10);
    for (const Message& message : messages) {
      REQUIRE(queue.Delete(message.receipt_handle, Durability::kDefault).ok());
    }
  }
  CHECK(IsEmpty(queue));
}

TEST_CASE("SendBatch waits once, not once an entry, when nothing can be accepted",
          "[queue][full][fault]") {
  QueueHost host;
  QueueImpl& queue = host.Create("jobs", AtProcess());
  host.device.disk.FailNth(testing::CrashDisk::Op::kWrite, 1, testing::CrashDisk::Fault::kFull,
                           /*sticky=*/true);
  const std::string body(4000, 'x');
  SendOptions options;
  options.timeout = absl::ZeroDuration();
  while (queue.Send(body, options).ok()) {
  }
  options.timeout = absl::Seconds(2);
  const std::vector<SendEntry> entries(10, SendEntry{body, {}});
  const absl::Duration before = host.device.clock.SinceBoot();
  const auto results = queue.SendBatch(entries, options);
  CHECK(host.device.clock.SinceBoot() - before < absl::Seconds(3));
  REQUIRE(results.ok());
  for (const auto& result : *results) CHECK(absl::IsResourceExhausted(result.status()));
}

TEST_CASE("creating a queue needs its dead-letter queue", "[queue]") {
  QueueHost host;
  QueueOptions options;
  options.dead_letter_queue = "nowhere";
  CHECK(absl::IsNotFound(QueueImpl::Create(host.engine(), "jobs", options, nullptr).status()));
}

TEST_CASE("a receive whose commit fails hands out nothing and keeps the count",
          "[queue][fault]") {
  QueueHost host;
  QueueImpl& queue = host.Create("jobs");
  Send(queue, "x");
  host.device.disk.FailNth(testing::CrashDisk::Op::kSync, 1, testing::CrashDisk::Fault::kIoError,
                           /*sticky=*/true);
  CHECK(absl::IsUnavailable(queue.Receive({}).status()));
  CHECK(queue.Describe().counts.in_flight == 0);
  CHECK(queue.Describe().counts.visible == 1);
  host.device.disk.ClearFaults();
  CHECK(Receive(queue).receive_count == 2);
}

TEST_CASE("a send whose commit fails is unavailable, and the message stays accepted",
          "[queue][fault]") {
  QueueHost host;
  QueueImpl& queue = host.Create("jobs");
  host.device.disk.FailNth(testing::CrashDisk::Op::kSync, 1, testing::CrashDisk::Fault::kIoError,
                           /*sticky=*/true);
  CHECK(absl::IsUnavailable(queue.Send("x", {}).status()));
  host.device.disk.ClearFaults();
  CHECK(Receive(queue).body == "x");
}

TEST_CASE("a delete repeated after a failed commit waits for the first one's commit",
          "[queue][fault]") {
  QueueHost host;
  QueueImpl& queue = host.Create("jobs");
  Send(queue, "x");
  const Message message = Receive(queue);
  host.device.disk.FailNth(testing::CrashDisk::Op::kSync, 1, testing::CrashDisk::Fault::kIoError,
                           /*sticky=*/true);
  CHECK(absl::IsUnavailable(queue.Delete(message.receipt_handle, Durability::kDefault)));
  CHECK(absl::IsUnavailable(queue.Delete(message.receipt_handle, Durability::kDefault)));
  host.device.disk.ClearFaults();
  CHECK(queue.Delete(message.receipt_handle, Durability::kDefault).ok());
  host.PowerCut(2);
  CHECK(IsEmpty(host.Find("jobs")));
}

}  // namespace
}  // namespace eddy::queue
