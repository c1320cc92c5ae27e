// Receivers that sleep: what wakes them, and how many are in flight at most.
#include <algorithm>
#include <atomic>
#include <thread>

#include "tests/unit/queue/queue_fixture.h"

namespace eddy::queue {
namespace {

// One that sleeps for up to 20 s at an empty queue, or at a full limit.
class LongPoll {
 public:
  explicit LongPoll(Queue& queue)
      : thread_([this, &queue] {
          ReceiveOptions options;
          options.wait_time = absl::Seconds(20);
          received_ = queue.Receive(options);
          done_ = true;
        }) {}
  ~LongPoll() {
    if (thread_.joinable()) thread_.join();
  }
  bool done() const { return done_; }
  Strings Bodies() {
    thread_.join();
    INFO(received_.status().ToString());
    REQUIRE(received_.ok());
    return queue::Bodies(*received_);
  }

 private:
  absl::StatusOr<std::vector<Message>> received_;
  std::atomic<bool> done_{false};
  std::thread thread_;
};

void AwaitSleepers(QueueHost& host, int count) {
  while (host.device.clock.WaiterCount() < count) std::this_thread::yield();
}

TEST_CASE("at the limit of messages in flight a short poll fails and a long one waits",
          "[queue][polling][limit]") {
  QueueHost host;
  QueueImpl& queue = host.Create("jobs");
  queue.LimitInFlight(2);
  for (const char* body : {"a", "b", "c"}) Send(queue, body);
  const std::vector<Message> taken = ReceiveUpTo(queue, 10);
  REQUIRE(taken.size() == 2);
  CHECK(absl::IsResourceExhausted(queue.Receive({}).status()));
  CHECK(queue.Describe().counts.in_flight == 2);

  SECTION("until a Delete makes room") {
    host.device.clock.SetAutoAdvance(false);
    LongPoll poll(queue);
    AwaitSleepers(host, 1);
    REQUIRE(queue.Delete(taken[0].receipt_handle, Durability::kDefault).ok());
    CHECK(poll.Bodies() == Strings{"c"});
  }
  SECTION("until one is given back") {
    host.device.clock.SetAutoAdvance(false);
    LongPoll poll(queue);
    AwaitSleepers(host, 1);
    REQUIRE(queue.ChangeVisibility(taken[1].receipt_handle, absl::ZeroDuration(),
                                   Durability::kDefault)
                .ok());
    CHECK(poll.Bodies() == Strings{"b"});
  }
  SECTION("until a timeout ends") {
    ReceiveOptions options;
    options.wait_time = absl::Seconds(20);
    host.device.clock.Advance(absl::Seconds(15));
    const auto received = queue.Receive(options);  // the clock goes on by itself
    REQUIRE(received.ok());
    CHECK(Bodies(*received) == Strings{"a"});
  }
  SECTION("and ends empty, without an error, when its own time is over") {
    ReceiveOptions options;
    options.wait_time = absl::Seconds(20);
    const auto received = queue.Receive(options);
    REQUIRE(received.ok());
    CHECK(received->empty());
  }
  host.device.clock.SetAutoAdvance(true);
}

TEST_CASE("of several sleeping receivers one gets the one message, and the others sleep on",
          "[queue][polling][threads]") {
  QueueHost host;
  QueueImpl& queue = host.Create("jobs");
  host.device.clock.SetAutoAdvance(false);
  std::vector<std::unique_ptr<LongPoll>> polls;
  for (int i = 0; i < 4; ++i) polls.push_back(std::make_unique<LongPoll>(queue));
  AwaitSleepers(host, 4);
  Send(queue, "x");
  const auto done = [&] {
    return std::count_if(polls.begin(), polls.end(), [](const auto& p) { return p->done(); });
  };
  while (done() == 0) std::this_thread::yield();
  AwaitSleepers(host, 3);
  CHECK(done() == 1);
  host.device.clock.Advance(absl::Seconds(20));
  Strings bodies;
  for (const auto& poll : polls) {
    for (const std::string& body : poll->Bodies()) bodies.push_back(body);
  }
  CHECK(bodies == Strings{"x"});
  host.device.clock.SetAutoAdvance(true);
}

// "Returns as soon as one message is there, or empty when the wait ends": with no wait at
// all that is now, whatever is to be moved.
TEST_CASE("a short poll does not move a whole backlog to the dead-letter queue",
          "[queue][polling][dlq]") {
  QueueHost host;
  host.Create("dead");
  QueueOptions options;
  options.dead_letter_queue = "dead";
  options.max_receive_count = 1;
  QueueImpl& jobs = host.Create("jobs", options);
  for (int i = 0; i < 500; ++i) Send(jobs, "poison");
  // All received once: the handler dies each time.
  for (int i = 0; i < 50; ++i) REQUIRE(ReceiveUpTo(jobs, 10, absl::Hours(1)).size() == 10);
  host.device.clock.Advance(absl::Hours(2));
  const uint64_t before = host.engine().Stats().commits;
  static_cast<void>(ReceiveUpTo(jobs, 1));
  const uint64_t commits = host.engine().Stats().commits - before;
  INFO(commits << " commits in one call; moved "
               << host.Find("dead").Describe().counts.visible);
  CHECK(commits <= 20);
}

}  // namespace
}  // namespace eddy::queue
