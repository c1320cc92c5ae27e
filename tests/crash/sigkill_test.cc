// A real process is killed with SIGKILL at a random moment, over and over, on
// one store. Several producers put and send while consumers receive and delete;
// what they were told they note in memory shared with the test, right after each
// call. Then the store is opened here and held to its promise: everything
// accepted is there, once, and in order per key.
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "eddy/eddy.h"
#include "tests/fakes/scale.h"

namespace eddy {
namespace {

constexpr int kProducers = 3;
constexpr int kKeysEach = 4;
constexpr uint64_t kMessagesMax = 1 << 20;

// Lives in memory shared between the test and the child.
struct Account {
  struct Key {
    std::atomic<uint64_t> tried;     // before the Put
    std::atomic<uint64_t> accepted;  // after its OK
  };
  Key keys[kProducers][kKeysEach];
  std::atomic<uint64_t> sends_tried;
  std::atomic<uint64_t> sends_accepted;
  std::atomic<uint8_t> deletes_tried[kMessagesMax];
  std::atomic<uint8_t> deletes_accepted[kMessagesMax];
  std::atomic<uint32_t> errors;
  std::atomic<uint32_t> ready;
};

StoreOptions Options() {
  StoreOptions options;
  options.intake_bytes = 512 << 10;  // small: rotation and back-pressure all the time
  options.flush_interval = absl::Milliseconds(20);
  options.append_timeout = absl::Seconds(30);
  return options;
}

std::string KeyName(int producer, int key) { return absl::StrCat("p", producer, ".k", key); }

void Produce(Stream* stream, int producer, Account* account) {
  std::minstd_rand random(static_cast<unsigned>(::getpid() * 31 + producer));
  for (;;) {
    const int key = static_cast<int>(random() % kKeysEach);
    Account::Key& counters = account->keys[producer][key];
    const uint64_t n = counters.tried.load() + 1;
    // One in some thousands is too large for a segment and commits at once.
    const size_t padding = random() % 4000 == 0 ? 300000 : random() % 200;
    const std::string data = absl::StrCat(n, ":", std::string(padding, 'd'));
    PutOptions options;
    if (producer == 0) options.durability = Durability::kPower;
    counters.tried.store(n);
    if (stream->Put(KeyName(producer, key), data, options).ok()) {
      counters.accepted.store(n);
    } else {
      ++account->errors;
    }
    if (random() % 64 == 0) std::this_thread::sleep_for(std::chrono::microseconds(300));
  }
}

void SendMessages(Queue* queue, Account* account) {
  for (;;) {
    const uint64_t n = account->sends_tried.load() + 1;
    if (n >= kMessagesMax) return;
    account->sends_tried.store(n);
    if (queue->Send(absl::StrCat(n)).ok()) {
      account->sends_accepted.store(n);
    } else {
      ++account->errors;
    }
  }
}

void Consume(Queue* queue, Account* account) {
  std::minstd_rand random(static_cast<unsigned>(::getpid()));
  for (;;) {
    ReceiveOptions options;
    options.max_messages = 5;
    options.wait_time = absl::Milliseconds(50);
    const absl::StatusOr<std::vector<Message>> messages = queue->Receive(options);
    if (!messages.ok()) {
      ++account->errors;
      continue;
    }
    for (const Message& message : *messages) {
      if (random() % 4 == 0) continue;  // left in flight
      uint64_t n = 0;
      if (!absl::SimpleAtoi(message.body, &n) || n >= kMessagesMax) std::abort();
      if (account->deletes_accepted[n].load() != 0) ++account->errors;  // came back
      account->deletes_tried[n].store(1);
      if (queue->Delete(message.receipt_handle).ok()) account->deletes_accepted[n].store(1);
    }
  }
}

[[noreturn]] void Child(const std::string& directory, Account* account) {
  absl::StatusOr<std::unique_ptr<Store>> store = Store::Open(directory, Options());
  if (!store.ok()) {
    ::dprintf(2, "child: %s\n", store.status().ToString().c_str());
    ::_exit(2);
  }
  Stream* const stream = *(*store)->OpenStream("s");
  Queue* const queue = *(*store)->OpenQueue("q");
  std::vector<std::thread> threads;
  for (int p = 0; p < kProducers; ++p) {
    threads.emplace_back([=] { Produce(stream, p, account); });
  }
  threads.emplace_back([=] { SendMessages(queue, account); });
  threads.emplace_back([=] { Consume(queue, account); });
  account->ready.store(1);
  for (std::thread& thread : threads) thread.join();
  ::_exit(0);
}

class SigkillRun {
 public:
  SigkillRun() {
    char name[] = "/tmp/eddy-sigkill-XXXXXX";
    REQUIRE(::mkdtemp(name) != nullptr);
    root_ = name;
    directory_ = root_ + "/store";
    void* shared = ::mmap(nullptr, sizeof(Account), PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    REQUIRE(shared != MAP_FAILED);
    account_ = new (shared) Account();
    StreamOptions two;
    two.shard_count = 2;
    OpenHere();
    REQUIRE(store_->CreateStream("s", two).ok());
    QueueOptions queue;
    queue.visibility_timeout = absl::Hours(1);
    REQUIRE(store_->CreateQueue("q", queue).ok());
    store_.reset();
  }
  ~SigkillRun() {
    store_.reset();
    ::munmap(account_, sizeof(Account));
    std::filesystem::remove_all(root_);
  }

  void OpenHere() {
    StoreOptions options = Options();
    options.threads = false;  // no thread may live when the next child is forked
    absl::StatusOr<std::unique_ptr<Store>> store = Store::Open(directory_, options);
    INFO(store.status().ToString());
    REQUIRE(store.ok());
    store_ = *std::move(store);
  }

  void KillAfter(std::chrono::microseconds time) {
    account_->ready.store(0);
    const pid_t pid = ::fork();
    REQUIRE(pid >= 0);
    if (pid == 0) Child(directory_, account_);
    int status = 0;
    while (account_->ready.load() == 0) {
      if (::waitpid(pid, &status, WNOHANG) == pid) FAIL("the child ended by itself");
      std::this_thread::sleep_for(std::chrono::microseconds(100));
    }
    std::this_thread::sleep_for(time);
    REQUIRE(::kill(pid, SIGKILL) == 0);
    REQUIRE(::waitpid(pid, &status, 0) == pid);
    REQUIRE(WIFSIGNALED(status));
    REQUIRE(account_->errors.load() == 0);
  }

  // What was read before stays read: only the new records are looked at.
  void CheckStream() {
    Stream* const stream = *store_->OpenStream("s");
    for (ShardId shard = 0; shard < 2; ++shard) {
      ShardIteratorPosition from;
      from.type = ShardIteratorType::kAtSequenceNumber;
      from.sequence_number = read_to_[shard];
      std::string iterator = *stream->GetShardIterator(shard, from);
      for (;;) {
        const absl::StatusOr<RecordBatch> batch = stream->GetRecords(iterator);
        INFO(batch.status().ToString());
        REQUIRE(batch.ok());
        if (batch->records.empty()) break;
        for (const Record& record : batch->records) {
          const std::string text(record.data.substr(0, record.data.find(':')));
          uint64_t n = 0;
          REQUIRE(absl::SimpleAtoi(text, &n));
          uint64_t& last = last_[std::string(record.partition_key)];
          if (n != last + 1) {
            // A put that was tried and never accepted leaves its number unused.
            INFO("key " << record.partition_key << ": " << n << " after " << last);
            REQUIRE(n > last);
            REQUIRE(n == last + 1);
          }
          last = n;
        }
        iterator = batch->next_shard_iterator;
        read_to_[shard] = batch->next_sequence_number;
      }
    }
    for (int p = 0; p < kProducers; ++p) {
      for (int k = 0; k < kKeysEach; ++k) {
        Account::Key& counters = account_->keys[p][k];
        const uint64_t found = last_[KeyName(p, k)];
        INFO("key " << KeyName(p, k));
        REQUIRE(found >= counters.accepted.load());
        REQUIRE(found <= counters.tried.load());
        // The one in the air when the kill came may have been accepted or not.
        counters.tried.store(found);
        counters.accepted.store(found);
      }
    }
  }

  // Receives everything once: each accepted message that nobody tried to delete
  // is there, once; none whose delete was accepted.
  void CheckQueue() {
    Queue* const queue = *store_->OpenQueue("q");
    std::set<uint64_t> seen;
    for (;;) {
      ReceiveOptions options;
      options.max_messages = 10;
      const absl::StatusOr<std::vector<Message>> messages = queue->Receive(options);
      REQUIRE(messages.ok());
      if (messages->empty()) break;
      for (const Message& message : *messages) {
        uint64_t n = 0;
        REQUIRE(absl::SimpleAtoi(message.body, &n));
        INFO("message " << n);
        REQUIRE(seen.insert(n).second);
        REQUIRE(account_->deletes_accepted[n].load() == 0);
        REQUIRE(n <= account_->sends_tried.load());
        // Back to the child's consumers, or the queue only grows.
        REQUIRE(queue->ChangeVisibility(message.receipt_handle, absl::Hours(2)).ok());
      }
    }
    for (uint64_t n = 1; n <= account_->sends_accepted.load(); ++n) {
      if (account_->deletes_tried[n].load() != 0 && seen.count(n) == 0) continue;
      if (seen.count(n) == 0) {
        INFO("message " << n);
        // A number tried, not accepted before a kill, is then counted as
        // accepted with its successors.
        REQUIRE(unknown_.count(n) == 1);
      }
    }
    for (uint64_t n = account_->sends_accepted.load() + 1; n <= account_->sends_tried.load(); ++n) {
      unknown_.insert(n);
    }
  }

  void Reopen() { OpenHere(); }
  void CloseHere() { store_.reset(); }
  uint64_t RecordsSeen() const {
    uint64_t sum = 0;
    for (const auto& [key, last] : last_) sum += last;
    return sum;
  }

 private:
  std::string root_, directory_;
  Account* account_ = nullptr;
  std::unique_ptr<Store> store_;
  std::map<ShardId, SequenceNumber> read_to_;
  std::map<std::string, uint64_t> last_;
  std::set<uint64_t> unknown_;
};

TEST_CASE("60 kills of a busy process lose nothing that was accepted", "[crash][sigkill]") {
  std::random_device entropy;
  const unsigned seed = entropy();
  std::mt19937 random(seed);
  INFO("seed " << seed << " (the moments of the kills; the scheduler is not repeatable)");
  SigkillRun run;
  const int kills = testing::Scaled(60);
  for (int kill = 0; kill < kills; ++kill) {
    INFO("kill " << kill);
    run.KillAfter(std::chrono::microseconds(500 + random() % 60000));
    run.Reopen();
    run.CheckStream();
    run.CheckQueue();
    run.CloseHere();
  }
  // The test is worth nothing if the children did no work.
  CHECK(run.RecordsSeen() > static_cast<uint64_t>(kills) * 20);
}

}  // namespace
}  // namespace eddy
