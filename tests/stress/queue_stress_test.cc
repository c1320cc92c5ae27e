#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/fakes/scale.h"
#include "tests/stress/stress_store.h"

namespace eddy {
namespace {

using testing::Scaled;
using testing::StressStore;

TEST_CASE("each message is handled once by one of several consumers", "[stress][queue]") {
  constexpr int kSenders = 2;
  constexpr int kConsumers = 3;
  const Durability level = GENERATE(Durability::kProcess, Durability::kPower);
  const int messages = Scaled(level == Durability::kPower ? 1000 : 10000);  // of each sender
  StressStore store;
  QueueOptions options;
  options.visibility_timeout = absl::Hours(1);  // none comes back by itself
  options.durability = level;
  Queue* const queue = *store->CreateQueue("q", options);

  std::atomic<int> wrong{0};
  std::atomic<int> handled{0};
  std::mutex mu;
  std::map<std::string, int> times;
  std::vector<std::thread> threads;
  for (int s = 0; s < kSenders; ++s) {
    threads.emplace_back([&, s] {
      for (int i = 0; i < messages; ++i) {
        if (!queue->Send(absl::StrCat(s, "/", i)).ok()) ++wrong;
      }
    });
  }
  for (int c = 0; c < kConsumers; ++c) {
    threads.emplace_back([&] {
      ReceiveOptions receive;
      receive.max_messages = 10;
      receive.wait_time = absl::Milliseconds(200);
      while (handled < kSenders * messages) {
        const absl::StatusOr<std::vector<Message>> batch = queue->Receive(receive);
        if (!batch.ok()) {
          ++wrong;
          return;
        }
        for (const Message& message : *batch) {
          if (message.receive_count != 1) ++wrong;
          if (!queue->Delete(message.receipt_handle).ok()) ++wrong;
          const std::lock_guard<std::mutex> lock(mu);
          ++times[message.body];
          ++handled;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
  CHECK(times.size() == static_cast<size_t>(kSenders * messages));
  for (const auto& [body, count] : times) {
    if (count != 1) FAIL(body << " was handled " << count << " times");
  }
  const QueueCounts counts = queue->Describe().counts;
  CHECK(counts.visible + counts.in_flight + counts.delayed == 0);
}

}  // namespace
}  // namespace eddy
