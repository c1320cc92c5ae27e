#include <atomic>
#include <map>
#include <mutex>
#include <thread>

#include "tests/unit/queue/queue_fixture.h"

namespace eddy::queue {
namespace {

// Time stands still here, so no lease ends: a message seen twice is a bug.
TEST_CASE("producers and consumers in parallel: each message is deleted exactly once",
          "[queue][threads]") {
  constexpr int kProducers = 3, kConsumers = 3, kMessages = 2000;
  QueueHost host(1, 256 << 10, absl::InfiniteDuration());
  host.device.clock.SetAutoAdvance(false);
  QueueOptions options;
  options.durability = Durability::kProcess;
  QueueImpl& queue = host.Create("jobs", options);

  std::mutex mu;
  std::map<std::string, int> deleted;
  std::atomic<int> deleted_count{0};
  std::atomic<int> failures{0};
  std::string what;  // of the failures; under mu
  const auto fail = [&](const std::string& how) {
    ++failures;
    std::lock_guard<std::mutex> lock(mu);
    what += how + "; ";
  };
  std::vector<std::thread> threads;
  for (int p = 0; p < kProducers; ++p) {
    threads.emplace_back([&, p] {
      for (int i = 0; i < kMessages; ++i) {
        const auto sent = queue.Send(std::to_string(p) + "/" + std::to_string(i), {});
        if (!sent.ok()) fail("send: " + sent.status().ToString());
      }
    });
  }
  for (int c = 0; c < kConsumers; ++c) {
    threads.emplace_back([&, c] {
      ReceiveOptions receive;
      receive.max_messages = 1 + 4 * c;
      while (deleted_count < kProducers * kMessages && failures == 0) {
        const auto messages = queue.Receive(receive);
        if (!messages.ok()) {
          fail("receive: " + messages.status().ToString());
          break;
        }
        if (messages->empty()) std::this_thread::yield();
        for (const Message& message : *messages) {
          if (message.receive_count != 1) fail("received twice: " + message.body);
          const absl::Status gone = queue.Delete(message.receipt_handle, Durability::kDefault);
          if (!gone.ok()) fail("delete: " + gone.ToString());
          ++deleted_count;
          std::lock_guard<std::mutex> lock(mu);
          ++deleted[message.body];
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  INFO(what);
  CHECK(failures == 0);
  CHECK(deleted.size() == kProducers * kMessages);
  for (const auto& [body, times] : deleted) {
    if (times != 1) FAIL(body << " was deleted " << times << " times");
  }
  CHECK(queue.StaleDeletes() == 0);
  CHECK(IsEmpty(queue));
  CHECK(queue.TouchedCount() == 0);
  CHECK(queue.Describe().counts.visible == 0);
  host.device.clock.SetAutoAdvance(true);
}

TEST_CASE("a sleeping receiver is woken by a send", "[queue][threads][polling]") {
  QueueHost host;
  host.device.clock.SetAutoAdvance(false);
  QueueImpl& queue = host.Create("jobs");
  absl::StatusOr<std::vector<Message>> received;
  std::thread receiver([&] {
    ReceiveOptions options;
    options.wait_time = absl::Seconds(20);
    received = queue.Receive(options);
  });
  while (host.device.clock.WaiterCount() == 0) std::this_thread::yield();
  REQUIRE(queue.Send("x", {}).ok());
  receiver.join();
  REQUIRE(received.ok());
  CHECK(Bodies(*received) == Strings{"x"});
  host.device.clock.SetAutoAdvance(true);
}

TEST_CASE("a sleeping receiver is woken when a message is made visible",
          "[queue][threads][polling]") {
  QueueHost host;
  QueueImpl& queue = host.Create("jobs");
  Send(queue, "x");
  const Message message = Receive(queue);
  host.device.clock.SetAutoAdvance(false);
  absl::StatusOr<std::vector<Message>> received;
  std::thread receiver([&] {
    ReceiveOptions options;
    options.wait_time = absl::Seconds(20);
    received = queue.Receive(options);
  });
  while (host.device.clock.WaiterCount() == 0) std::this_thread::yield();
  REQUIRE(queue.ChangeVisibility(message.receipt_handle, absl::ZeroDuration(),
                                 Durability::kDefault)
              .ok());
  receiver.join();
  REQUIRE(received.ok());
  CHECK(Bodies(*received) == Strings{"x"});
  host.device.clock.SetAutoAdvance(true);
}

}  // namespace
}  // namespace eddy::queue
