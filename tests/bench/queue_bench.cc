// A queue's whole cycle, send + receive + delete, 256 B in batches of 10, by one
// thread; beside the row queue at the same durability. Memory and flash count
// nothing but what SQLite wrote for the store (StoreStats::disk_bytes_written).
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "eddy/eddy.h"
#include "tests/bench/peers.h"
#include "tests/bench/report.h"

namespace eddy::bench {
namespace {

constexpr int kBatch = 10;
constexpr size_t kBody = 256;

double CyclesPerSecond(const std::string& directory, Durability durability, int messages,
                       int backlog, double* flash_ratio) {
  absl::StatusOr<std::unique_ptr<Store>> store = Store::Open(directory);
  if (!store.ok()) Die(store.status().ToString());
  QueueOptions options;
  options.durability = durability;
  absl::StatusOr<Queue*> queue = (*store)->CreateQueue("cycle", options);
  if (!queue.ok()) Die(queue.status().ToString());
  const std::string body(kBody, 'x');
  std::vector<SendEntry> entries(kBatch);
  for (SendEntry& entry : entries) entry.body = body;
  const auto send = [&](const SendOptions& how) {
    const auto sent = (*queue)->SendBatch(entries, how);
    if (!sent.ok()) Die(sent.status().ToString());
    for (const auto& one : *sent) {
      if (!one.ok()) Die(one.status().ToString());
    }
  };
  SendOptions accepted;
  accepted.durability = Durability::kProcess;
  for (int i = 0; i < backlog; i += kBatch) send(accepted);
  if (!(*store)->Flush().ok()) Die("flush failed");
  const double disk_before = static_cast<double>((*store)->Stats().disk_bytes_written);
  ReceiveOptions ten;
  ten.max_messages = kBatch;
  const double start = Now();
  for (int i = 0; i < messages; i += kBatch) {
    send({});
    const auto received = (*queue)->Receive(ten);
    if (!received.ok()) Die(received.status().ToString());
    if (received->size() != kBatch) Die("a receive gave fewer than there are");
    std::vector<std::string_view> handles;
    for (const Message& message : *received) handles.push_back(message.receipt_handle);
    const auto deleted = (*queue)->DeleteBatch(handles);
    if (!deleted.ok()) Die(deleted.status().ToString());
    for (const absl::Status& one : *deleted) {
      if (!one.ok()) Die(one.ToString());
    }
  }
  const double rate = messages / (Now() - start);
  const double disk = static_cast<double>((*store)->Stats().disk_bytes_written) - disk_before;
  *flash_ratio = disk / (static_cast<double>(messages) * kBody);
  return rate;
}

}  // namespace

void RunQueue(const Setup& setup, Report* report) {
  const std::string& d = setup.directory;
  const int synced = setup.Scaled(20000);
  const int fast = setup.Scaled(2000000);
  double flash_power = 0;
  double flash_process = 0;
  double unused = 0;
  const double row_full = SqliteQueueCyclesPerSecond(d + "-full", synced, true);
  const double row_normal = SqliteQueueCyclesPerSecond(d + "-normal", setup.Scaled(400000), false);
  const double power = CyclesPerSecond(d + "-p", Durability::kPower, synced, 0, &flash_power);
  const double process = CyclesPerSecond(d + "-k", Durability::kProcess, fast, 0, &flash_process);
  const double few = CyclesPerSecond(d + "-few", Durability::kProcess, fast, 10000, &unused);
  const double many = CyclesPerSecond(d + "-many", Durability::kProcess, fast,
                                      setup.Scaled(10000000), &unused);
  report->Add("row queue, FULL", row_full, "cycles/s");
  report->Add("queue kPower", power, "cycles/s");
  report->Add("queue kPower / row queue FULL", power / row_full, "ratio", AtLeast(5));
  report->Add("queue kPower, disk / body bytes", flash_power, "ratio");
  report->Add("row queue, NORMAL", row_normal, "cycles/s");
  report->Add("queue kProcess", process / 1e6, "M cycles/s", AtLeast(1));
  report->Add("queue kProcess / row queue NORMAL", process / row_normal, "ratio", AtLeast(10));
  report->Add("queue kProcess, disk / body bytes", flash_process, "ratio", AtMost(0.1));
  report->Add("queue, 10 M backlog / 10 k backlog, rate", many / few, "ratio", AtLeast(0.9));
}

}  // namespace eddy::bench
