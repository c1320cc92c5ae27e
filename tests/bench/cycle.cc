#include "tests/bench/cycle.h"

#include <string>
#include <string_view>
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

void Cycle(Queue* queue, int messages) {
  const std::string body(kBodyBytes, 'x');
  const std::vector<SendEntry> entries = Entries(body);
  ReceiveOptions ten;
  ten.max_messages = kCycleBatch;
  std::vector<std::string_view> handles;
  for (int i = 0; i < messages; i += kCycleBatch) {
    SendBatch(queue, entries);
    const std::vector<Message> received = Ok(queue->Receive(ten));
    if (received.size() != kCycleBatch) Die("a receive gave fewer than there are");
    handles.clear();
    for (const Message& message : received) {
      if (message.body != body) Die("a message is not as it was sent");
      handles.push_back(message.receipt_handle);
    }
    for (const absl::Status& deleted : Ok(queue->DeleteBatch(handles))) Ok(deleted);
  }
}

}  // namespace eddy::bench
