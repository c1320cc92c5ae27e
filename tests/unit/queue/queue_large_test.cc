// Messages too large for the intake: each goes straight into a commit, and is
// accepted by it.
#include <chrono>
#include <functional>
#include <future>
#include <thread>

#include "tests/unit/queue/queue_fixture.h"

namespace eddy::queue {
namespace {

using testing::CrashDisk;

const std::string& Large() {
  static const std::string body(300000, 'L');
  return body;
}

void BreakDisk(QueueHost& host) {
  host.device.disk.FailNth(CrashDisk::Op::kSync, 1, CrashDisk::Fault::kIoError, /*sticky=*/true);
}

// Runs `work` while no commit can begin.
void WithoutCommits(QueueHost& host, const std::function<void()>& work) {
  REQUIRE(host.engine()
              .WithDatabase([&](sql::Database&) {
                work();
                return absl::OkStatus();
              })
              .ok());
}

// A queue whose messages move after one receive.
struct MovingHost {
  MovingHost() : dead(host.Create("dead", AtProcess())), jobs(host.Create("jobs", Options())) {}
  static QueueOptions Options() {
    QueueOptions options = AtProcess();
    options.dead_letter_queue = "dead";
    options.max_receive_count = 1;
    return options;
  }
  log::Log& dead_log() { return **host.engine().OpenLog(1); }

  QueueHost host;
  QueueImpl& dead;
  QueueImpl& jobs;
};

TEST_CASE("messages larger than a segment keep their place among the others",
          "[queue][large]") {
  QueueHost host;
  QueueImpl& queue = host.Create("jobs", AtProcess());
  const std::string large(kMessageBytesMax, 'L');
  Send(queue, "before");
  Send(queue, large);
  Send(queue, "after");
  const std::vector<Message> messages = ReceiveUpTo(queue, 10);
  CHECK(Bodies(messages) == Strings{"before", large, "after"});
  host.Kill();
  CHECK(Bodies(ReceiveUpTo(host.Find("jobs"), 10)) == Strings{"before", large, "after"});
}

TEST_CASE("a large dead letter moves too", "[queue][large][dlq]") {
  QueueHost host;
  QueueImpl& dead = host.Create("dead", AtProcess());
  QueueOptions options = AtProcess();
  options.dead_letter_queue = "dead";
  options.max_receive_count = 1;
  QueueImpl& queue = host.Create("jobs", options);
  const std::string large(300000, 'L');
  const std::string id = Send(queue, large).message_id;
  Receive(queue, absl::ZeroDuration());
  CHECK(IsEmpty(queue));
  CHECK(queue.Describe().counts.in_flight == 0);
  const Message moved = Receive(dead);
  CHECK(moved.message_id == id);
  CHECK(moved.body == large);
  CHECK(queue.TouchedCount() == 0);
}

TEST_CASE("a large message whose commit fails is not accepted, and says so",
          "[queue][large][fault]") {
  QueueHost host;
  QueueImpl& queue = host.Create("jobs", AtProcess());
  Send(queue, "before");
  // Full, not a failed sync: that one's pages may be found by the next life.
  host.device.disk.FailNth(CrashDisk::Op::kWrite, 1, CrashDisk::Fault::kFull, /*sticky=*/true);
  SendOptions options;
  options.durability = GENERATE(Durability::kProcess, Durability::kPower);
  SECTION("of Send") {
    CHECK(absl::IsResourceExhausted(queue.Send(Large(), options).status()));
  }
  SECTION("of SendDeadLetter") {
    CHECK(absl::IsResourceExhausted(
        queue.SendDeadLetter(Large(), "source", "reason", options).status()));
  }
  SECTION("of an entry of SendBatch, which the others survive") {
    options.durability = Durability::kProcess;
    const auto results = queue.SendBatch({{Large(), {}}, {"small", {}}}, options);
    REQUIRE(results.ok());
    CHECK(absl::IsResourceExhausted((*results)[0].status()));
    CHECK((*results)[1].ok());
    CHECK(queue.Describe().counts.visible == 2);
    host.device.disk.ClearFaults();
    CHECK(Bodies(ReceiveUpTo(queue, 10)) == Strings{"before", "small"});
    return;
  }
  CHECK(queue.Describe().counts.visible == 1);
  host.device.disk.ClearFaults();
  Send(queue, "after");
  CHECK(Bodies(ReceiveUpTo(queue, 10)) == Strings{"before", "after"});
  host.Kill();
  CHECK(Bodies(ReceiveUpTo(host.Find("jobs"), 10)) == Strings{"before", "after"});
}

TEST_CASE("a receiver that sleeps behind a large message is woken when that is refused",
          "[queue][large][fault][threads][polling]") {
  QueueHost host;
  QueueImpl& queue = host.Create("jobs", AtProcess());
  host.device.clock.SetAutoAdvance(false);
  const log::Log& log = **host.engine().OpenLog(1);
  const uint64_t tail = log.tail();
  std::future<absl::Status> sent;
  std::future<absl::StatusOr<std::vector<Message>>> received;
  WithoutCommits(host, [&] {
    sent = std::async(std::launch::async, [&] { return queue.Send(Large(), {}).status(); });
    while (log.tail() == tail) std::this_thread::yield();
    Send(queue, "behind");
    received = std::async(std::launch::async, [&] {
      ReceiveOptions options;
      options.wait_time = absl::Seconds(20);
      return queue.Receive(options);
    });
    // The sender for its commit, the receiver for a message.
    while (host.device.clock.WaiterCount() < 2) std::this_thread::yield();
    BreakDisk(host);
  });
  CHECK(absl::IsResourceExhausted(sent.get()));
  // Bounded for a bug only.
  const bool woken = received.wait_for(std::chrono::seconds(20)) == std::future_status::ready;
  CHECK(woken);
  if (!woken) host.device.clock.Advance(absl::Seconds(20));
  const auto messages = received.get();
  REQUIRE(messages.ok());
  CHECK(Bodies(*messages) == Strings{"behind"});
  host.device.disk.ClearFaults();
  host.device.clock.SetAutoAdvance(true);
}

TEST_CASE("nobody reaches a large message while it moves to the dead-letter queue",
          "[queue][large][dlq][threads]") {
  MovingHost f;
  Send(f.jobs, Large());
  const Message received = Receive(f.jobs, absl::ZeroDuration());
  f.host.device.clock.SetAutoAdvance(false);
  const uint64_t tail = f.dead_log().tail();
  std::future<bool> nothing_left;
  WithoutCommits(f.host, [&] {
    nothing_left = std::async(std::launch::async, [&] {
      const auto messages = f.jobs.Receive({});
      return messages.ok() && messages->empty();
    });
    while (f.dead_log().tail() == tail) std::this_thread::yield();

    CHECK(f.jobs.Describe().counts.in_flight == 1);
    CHECK(f.jobs.Delete(received.receipt_handle, Durability::kProcess).ok());
    CHECK(f.jobs.StaleDeletes() == 1);
    CHECK(absl::IsAborted(f.jobs.ChangeVisibility(received.receipt_handle, absl::ZeroDuration(),
                                                  Durability::kProcess)));
    CHECK(IsEmpty(f.jobs));
  });
  CHECK(nothing_left.get());
  f.host.device.clock.SetAutoAdvance(true);
  CHECK(f.jobs.TouchedCount() == 0);
  CHECK(f.jobs.Describe().counts.in_flight == 0);
  const std::vector<Message> letters = ReceiveUpTo(f.dead, 10);
  REQUIRE(letters.size() == 1);
  CHECK(letters[0].message_id == received.message_id);
  CHECK(letters[0].dead_letter_reason == "receive count 2 above 1");
}

TEST_CASE("a large dead letter that finds no room stays, and the receive says so",
          "[queue][large][dlq][fault]") {
  MovingHost f;
  Send(f.jobs, Large());
  Receive(f.jobs, absl::ZeroDuration());
  BreakDisk(f.host);
  SECTION("if it found nothing else") {
    CHECK(absl::IsResourceExhausted(f.jobs.Receive({}).status()));
  }
  SECTION("and else in the next") {
    Send(f.jobs, "good");
    CHECK(Bodies(ReceiveUpTo(f.jobs, 10)) == Strings{"good"});
    CHECK(absl::IsResourceExhausted(f.jobs.Receive({}).status()));
  }
  CHECK(f.jobs.Describe().counts.visible == 1);
  CHECK(IsEmpty(f.dead));
  f.host.device.disk.ClearFaults();
  CHECK(IsEmpty(f.jobs));
  CHECK(Receive(f.dead).body == Large());
}

}  // namespace
}  // namespace eddy::queue
