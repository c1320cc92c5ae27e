// Queues on the real engine, on a device in memory.
//
//   QueueHost host;
//   QueueImpl& queue = host.Create("jobs");
//   host.Kill();                             // the process dies, and starts again
//   host.Find("jobs").Receive({});
#ifndef EDDY_TESTS_UNIT_QUEUE_QUEUE_FIXTURE_H_
#define EDDY_TESTS_UNIT_QUEUE_QUEUE_FIXTURE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include "eddy/queue.h"
#include "src/log/engine.h"
#include "src/queue/queue_impl.h"
#include "tests/fakes/device.h"

namespace eddy::queue {

class QueueHost {
 public:
  // Where several threads wait on a clock that stands still, each look moves it a little:
  // there the timeout has to be without end.
  explicit QueueHost(uint64_t seed = 1, size_t intake_bytes = 256 << 10,
                     absl::Duration append_timeout = absl::Seconds(5))
      : device(seed), intake_bytes_(intake_bytes), append_timeout_(append_timeout) {
    Open();
  }

  QueueImpl& Create(std::string_view name, QueueOptions options = {}) {
    QueueImpl* dead_letter_queue = nullptr;
    if (!options.dead_letter_queue.empty()) dead_letter_queue = &Find(options.dead_letter_queue);
    auto queue = QueueImpl::Create(*process_->engine, name, options, dead_letter_queue);
    INFO(queue.status().ToString());
    REQUIRE(queue.ok());
    process_->queues.push_back(*std::move(queue));
    return *process_->queues.back();
  }

  QueueImpl& Find(std::string_view name) {
    for (const auto& queue : process_->queues) {
      if (queue->name() == name) return *queue;
    }
    FAIL("no queue " << name);
    std::abort();
  }

  void Reopen() {
    process_.reset();
    Open();
  }
  void Kill() {
    device.Kill(std::move(process_), std::string(kDirectory) + "/eddy.intake");
    Open();
  }
  void PowerCut(uint64_t seed) {
    device.PowerCut(std::move(process_), seed);
    Open();
  }

  log::Engine& engine() { return *process_->engine; }

  testing::Device device;

 private:
  static constexpr char kDirectory[] = "/store";

  struct Process {
    ~Process() {
      // What it says does not matter: the tests look at what the next open finds.
      if (engine != nullptr) engine->Close().IgnoreError();
      queues.clear();
    }
    std::unique_ptr<log::Engine> engine;
    std::vector<std::unique_ptr<QueueImpl>> queues;
  };

  void Open() {
    process_ = std::make_unique<Process>();
    log::EngineOptions options;
    options.directory = kDirectory;
    options.store.platform = device.platform();
    options.store.intake_bytes = intake_bytes_;
    options.store.threads = false;
    options.store.append_timeout = append_timeout_;
    auto engine = log::Engine::Open(options);
    INFO(engine.status().ToString());
    REQUIRE(engine.ok());
    process_->engine = *std::move(engine);
    auto queues = QueueImpl::LoadAll(*process_->engine);
    INFO(queues.status().ToString());
    REQUIRE(queues.ok());
    process_->queues = *std::move(queues);
    const absl::Status finished = process_->engine->FinishOpen();
    INFO(finished.ToString());
    REQUIRE(finished.ok());
    REQUIRE(QueueImpl::FinishLoad(*process_->engine, process_->queues).ok());
  }

  const size_t intake_bytes_;
  const absl::Duration append_timeout_;
  std::unique_ptr<Process> process_;
};

inline QueueOptions AtProcess() {
  QueueOptions options;
  options.durability = Durability::kProcess;
  return options;
}

// Short forms, for tests in which nothing may fail.

inline SendResult Send(Queue& queue, std::string_view body, const SendOptions& options = {}) {
  const auto sent = queue.Send(body, options);
  INFO(sent.status().ToString());
  REQUIRE(sent.ok());
  return *sent;
}

inline SendResult SendDelayed(Queue& queue, std::string_view body, absl::Duration delay) {
  SendOptions options;
  options.delay = delay;
  return Send(queue, body, options);
}

inline std::vector<Message> ReceiveUpTo(Queue& queue, int count,
                                        std::optional<absl::Duration> visibility = {}) {
  ReceiveOptions options;
  options.max_messages = count;
  options.visibility_timeout = visibility;
  auto messages = queue.Receive(options);
  INFO(messages.status().ToString());
  REQUIRE(messages.ok());
  return *std::move(messages);
}

// One message that must be there.
inline Message Receive(Queue& queue, std::optional<absl::Duration> visibility = {}) {
  std::vector<Message> messages = ReceiveUpTo(queue, 1, visibility);
  REQUIRE(messages.size() == 1);
  return messages.front();
}

inline void Delete(Queue& queue, const Message& message) {
  REQUIRE(queue.Delete(message.receipt_handle, Durability::kDefault).ok());
}

inline bool IsEmpty(Queue& queue) { return ReceiveUpTo(queue, 1).empty(); }

inline std::vector<std::string> Bodies(const std::vector<Message>& messages) {
  std::vector<std::string> bodies;
  for (const Message& message : messages) bodies.push_back(message.body);
  return bodies;
}

using Strings = std::vector<std::string>;

}  // namespace eddy::queue

#endif  // EDDY_TESTS_UNIT_QUEUE_QUEUE_FIXTURE_H_
