#include "tests/bench/cycle.h"

#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "tests/bench/bench.h"

namespace eddy::bench {
namespace {

void SendBatch(Queue* queue, const std::vector<SendEntry>& entries) {
  for (const auto& sent : Ok(queue->SendBatch(entries))) Ok(sent.status());
}

std::vector<SendEntry> Entries(const std::string& body) {
  std::vector<SendEntry> entries(kCycleBatch);
  for (SendEntry& entry : entries) entry.body = body;
  return entries;
}

}  // namespace

void SendMessages(Queue* queue, int messages) {
  const std::string body(kBodyBytes, 'x');
  const std::vector<SendEntry> entries = Entries(body);
  for (int i = 0; i < messages; i += kCycleBatch) SendBatch(queue, entries);
}

double PerSecond(int messages, int workers, const std::function<void()>& ten) {
  const int each = messages / kCycleBatch / workers;
  const auto work = [&] {
    for (int i = 0; i < each; ++i) ten();
  };
  const double start = Now();
  std::vector<std::thread> threads;
  for (int i = 1; i < workers; ++i) threads.emplace_back(work);
  work();
  for (std::thread& thread : threads) thread.join();
  return each * workers * kCycleBatch / (Now() - start);
}

void Cycle(Queue* queue, int messages, int workers) {
  const std::string body(kBodyBytes, 'x');
  const std::vector<SendEntry> entries = Entries(body);
  PerSecond(messages, workers, [&] {
    SendBatch(queue, entries);
    ReceiveOptions ten;
    ten.max_messages = kCycleBatch;
    // Whoever receives has sent as many, which are there or have gone in their place.
    const std::vector<Message> received = Ok(queue->Receive(ten));
    if (received.size() != kCycleBatch) Die("a receive gave fewer than there are");
    std::vector<std::string_view> handles;
    for (const Message& message : received) {
      if (message.body != body) Die("a message is not as it was sent");
      handles.push_back(message.receipt_handle);
    }
    for (const absl::Status& deleted : Ok(queue->DeleteBatch(handles))) Ok(deleted);
  });
}

}  // namespace eddy::bench
