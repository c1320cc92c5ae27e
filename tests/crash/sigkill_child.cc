#include "tests/crash/sigkill_child.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace eddy::sigkill {
namespace {

std::minstd_rand Random(int salt) {
  return std::minstd_rand(static_cast<unsigned>(::getpid() * 31 + salt));
}

void Produce(Stream* stream, int producer, Account* account) {
  std::minstd_rand random = Random(producer);
  while (!account->stop.load()) {
    const int key = static_cast<int>(random() % kKeysEach);
    Account::Key& noted = account->keys[producer][key];
    const uint64_t n = noted.tried.load() + 1;
    // One in some thousands is too large for a segment and commits at once.
    const size_t padding = random() % 4000 == 0 ? 300000 : random() % 200;
    const std::string data = absl::StrCat(n, ":", std::string(padding, 'd'));
    PutOptions options;
    if (producer == 0) options.durability = Durability::kPower;
    noted.tried.store(n);
    const absl::StatusOr<PutResult> put = stream->Put(KeyName(producer, key), data, options);
    if (put.ok()) {
      noted.numbers[n % kNumbersKept].store(put->sequence_number);
      noted.accepted.store(n);
    } else {
      ++account->errors;
    }
    if (random() % 64 == 0) std::this_thread::sleep_for(std::chrono::microseconds(300));
  }
}

// Either level survives the kill.
Durability AnyLevel(std::minstd_rand* random) {
  return (*random)() % 2 == 0 ? Durability::kPower : Durability::kProcess;
}

// Reads on, advances its place at either level, and trims behind it.
void Follow(Stream* stream, Account* account) {
  std::minstd_rand random = Random(17);
  const absl::StatusOr<Cursor*> cursor = stream->OpenCursor(kCursor);
  if (!cursor.ok()) ++account->errors;
  for (ShardId shard = 0; cursor.ok() && !account->stop.load(); shard = (shard + 1) % kShards) {
    Account::Place& noted = account->cursor[shard];
    GetRecordsOptions some;
    some.limit = 1 + random() % 100;
    some.wait_time = absl::Milliseconds(1);
    const absl::StatusOr<RecordBatch> batch = (*cursor)->Read(shard, some);
    if (!batch.ok()) ++account->errors;
    if (!batch.ok() || batch->records.empty()) continue;
    noted.tried.store(batch->next_sequence_number);
    if ((*cursor)->Advance(shard, batch->next_sequence_number, AnyLevel(&random)).ok()) {
      noted.accepted.store(batch->next_sequence_number);
    } else {
      ++account->errors;
    }
    if (random() % 16 == 0) {
      const uint64_t before = std::min(noted.judged.load(), noted.accepted.load());
      if (!stream->Trim(shard, before).ok()) ++account->errors;
    }
  }
}

void SendMessages(Queue* queue, Account* account) {
  std::minstd_rand random = Random(19);
  while (!account->stop.load()) {
    const uint64_t n = account->sends_tried.load() + 1;
    if (n >= kMessagesMax) return;
    account->sends_tried.store(n);
    SendOptions options;
    options.durability = AnyLevel(&random);
    if (queue->Send(absl::StrCat(n), options).ok()) {
      account->messages[n].accepted.store(true);
    } else {
      ++account->errors;
    }
  }
}

void Consume(Queue* queue, Account* account) {
  std::minstd_rand random = Random(23);
  while (!account->stop.load()) {
    ReceiveOptions options;
    options.max_messages = 5;
    options.wait_time = absl::Milliseconds(5);
    options.durability = AnyLevel(&random);
    const absl::StatusOr<std::vector<Message>> received = queue->Receive(options);
    if (!received.ok()) {
      ++account->errors;
      continue;
    }
    for (const Message& message : *received) {
      uint64_t n = 0;
      if (!absl::SimpleAtoi(message.body, &n) || n >= kMessagesMax) {
        ++account->errors;
        continue;
      }
      Account::Message& noted = account->messages[n];
      if (noted.deleted.load() || message.receive_count <= noted.count_shown.load()) {
        ++account->errors;  // came back, or its count did
      }
      noted.count_shown.store(static_cast<uint16_t>(message.receive_count));
      if (random() % 4 == 0) continue;  // left in flight
      noted.delete_tried.store(true);
      if (queue->Delete(message.receipt_handle, AnyLevel(&random)).ok()) {
        noted.deleted.store(true);
      } else {
        ++account->errors;
      }
    }
  }
}

}  // namespace

StoreOptions Options() {
  StoreOptions options;
  options.intake_bytes = 512 << 10;  // small: rotation and back-pressure all the time
  options.flush_interval = absl::Milliseconds(20);
  options.append_timeout = absl::Seconds(30);
  return options;
}

std::string KeyName(int producer, int key) { return absl::StrCat("p", producer, ".k", key); }

void RunChild(const std::string& directory, Account* account) {
  absl::StatusOr<std::unique_ptr<Store>> store = Store::Open(directory, Options());
  if (!store.ok()) {
    ::dprintf(2, "child: %s\n", store.status().ToString().c_str());
    ::_exit(2);
  }
  Stream* const stream = *(*store)->OpenStream(kStream);
  Queue* const queue = *(*store)->OpenQueue(kQueue);
  std::vector<std::thread> threads;
  for (int p = 0; p < kProducers; ++p) {
    threads.emplace_back([=] { Produce(stream, p, account); });
  }
  threads.emplace_back([=] { Follow(stream, account); });
  threads.emplace_back([=] { SendMessages(queue, account); });
  threads.emplace_back([=] { Consume(queue, account); });
  account->stage.store(kWorking);
  for (std::thread& thread : threads) thread.join();
  account->stage.store(kClosing);
  store->reset();
  account->stage.store(kClosed);
  ::_exit(0);
}

}  // namespace eddy::sigkill
