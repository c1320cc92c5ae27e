// A real process that does nothing but transactions, beside a plain producer, is
// killed with SIGKILL at random moments. One token goes round: a message with a
// number. Each transaction deletes it, sends the next one, puts a record with the next
// number, and counts in a row. So afterwards, whenever the kill came:
//
//   - one token is there, neither none nor two
//   - its number, the row's and that of the last record are the same
//   - the records are all numbers up to there, in order, once
//   - the number is that of the last transaction of which the child was told OK, or of
//     the one that it had begun
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <memory>
#include <new>
#include <random>
#include <string>
#include <thread>

#include <catch2/catch_test_macros.hpp>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "eddy/eddy.h"
#include "src/base/status.h"
#include "tests/fakes/scale.h"

namespace eddy {
namespace {

struct Account {
  std::atomic<uint64_t> tried;
  std::atomic<uint64_t> committed;
  std::atomic<uint32_t> errors;
  std::atomic<bool> working;
  uint64_t judged;  // the judge's: up to here records were there, and are trimmed
};
static_assert(std::atomic<uint64_t>::is_always_lock_free, "shared between processes");

StoreOptions Options() {
  StoreOptions options;
  options.intake_bytes = 256 << 10;
  options.flush_interval = absl::Milliseconds(20);
  return options;
}

absl::Status PassOn(Store* store, Stream* stream, Queue* queue, uint64_t number,
                    const Message* token) {
  // One in some is above a segment.
  const size_t padding = number % 16 == 0 ? 100000 : 10;
  return store
      ->Transact([&](Transaction& t) -> absl::Status {
        if (token != nullptr) EDDY_RETURN_IF_ERROR(t.Delete(*queue, token->receipt_handle));
        EDDY_RETURN_IF_ERROR(t.Send(*queue, absl::StrCat(number)));
        EDDY_RETURN_IF_ERROR(
            t.Put(*stream, "key", absl::StrCat(number, ":", std::string(padding, 'x'))));
        return t.sql().Run("REPLACE INTO app_count VALUES (1, ?)", {int64_t(number)}).status();
      })
      .status();
}

[[noreturn]] void RunChild(const std::string& directory, Account* account) {
  const auto store = Store::Open(directory, Options());
  if (!store.ok()) {
    ::dprintf(2, "child: %s\n", store.status().ToString().c_str());
    ::_exit(2);
  }
  Stream* const stream = *(*store)->OpenStream("s");
  Queue* const queue = *(*store)->OpenQueue("q");
  std::thread producer([&] {
    for (;;) {
      if (!stream->Put("key", "plain").ok()) ++account->errors;
      std::this_thread::yield();
    }
  });
  account->working.store(true);
  for (;;) {
    ReceiveOptions options;
    options.durability = account->tried % 2 == 0 ? Durability::kProcess : Durability::kPower;
    const auto received = queue->Receive(options);
    uint64_t number = 0;
    if (!received.ok() || received->size() != 1 ||
        !absl::SimpleAtoi(received->front().body, &number)) {
      ++account->errors;
      ::_exit(3);
    }
    account->tried.store(number + 1);
    if (!PassOn(store->get(), stream, queue, number + 1, &received->front()).ok()) {
      ++account->errors;
    }
    account->committed.store(number + 1);
  }
}

void Judge(const std::string& directory, Account* account) {
  const auto opened = Store::Open(directory, Options());
  INFO(opened.status().ToString());
  REQUIRE(opened.ok());
  Store& store = **opened;
  const auto rows = store.Query("SELECT n FROM app_count");
  REQUIRE(rows.ok());
  REQUIRE(rows->size() == 1);
  const uint64_t number = static_cast<uint64_t>(std::get<int64_t>(rows->at(0).at(0)));
  REQUIRE(number >= account->committed.load());
  REQUIRE(number <= account->tried.load());
  account->tried.store(number);
  account->committed.store(number);

  Queue* const queue = *store.OpenQueue("q");
  ReceiveOptions ten;
  ten.max_messages = 10;
  ten.visibility_timeout = absl::ZeroDuration();
  const auto tokens = queue->Receive(ten);
  REQUIRE(tokens.ok());
  REQUIRE(tokens->size() == 1);
  REQUIRE(tokens->front().body == absl::StrCat(number));

  Stream* const stream = *store.OpenStream("s");
  uint64_t last = account->judged;
  auto iterator = stream->GetShardIterator(0, {});
  SequenceNumber next = 0;
  for (;;) {
    const auto batch = stream->GetRecords(*iterator);
    REQUIRE(batch.ok());
    if (batch->records.empty()) break;
    for (const Record& record : batch->records) {
      if (record.data == "plain") continue;
      const std::string data(record.data);
      uint64_t found = 0;
      REQUIRE(absl::SimpleAtoi(data.substr(0, data.find(':')), &found));
      if (found <= account->judged) continue;  // of a block that is trimmed in part
      REQUIRE(found == last + 1);
      last = found;
    }
    next = batch->next_sequence_number;
    iterator = batch->next_shard_iterator;
  }
  REQUIRE(last == number);
  account->judged = number;
  REQUIRE(stream->Trim(0, next).ok());
}

TEST_CASE("a process killed within transactions leaves each of them whole or not at all",
          "[crash][sigkill][transact]") {
  char name[] = "/tmp/eddy-transact-XXXXXX";
  REQUIRE(::mkdtemp(name) != nullptr);
  const std::string directory = std::string(name) + "/store";
  void* const shared = ::mmap(nullptr, sizeof(Account), PROT_READ | PROT_WRITE,
                              MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  REQUIRE(shared != MAP_FAILED);
  Account* const account = new (shared) Account();
  {
    const auto store = Store::Open(directory, Options());
    REQUIRE(store.ok());
    Stream* const stream = *(*store)->CreateStream("s");
    QueueOptions an_hour;
    an_hour.visibility_timeout = absl::Hours(1);  // only a new open makes visible again
    Queue* const queue = *(*store)->CreateQueue("q", an_hour);
    REQUIRE((*store)
                ->Transact([](Transaction& t) {
                  return t.sql()
                      .Run("CREATE TABLE app_count (id INTEGER PRIMARY KEY, n INTEGER)")
                      .status();
                })
                .ok());
    REQUIRE(PassOn(store->get(), stream, queue, 1, nullptr).ok());
    account->tried.store(1);
    account->committed.store(1);
  }
  std::mt19937 random(20);
  const int kills = testing::Scaled(60);
  for (int i = 0; i < kills; ++i) {
    account->working.store(false);
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) RunChild(directory, account);
    // Every other one lives until it has committed, however slow the machine is.
    const uint64_t least = i % 2 == 0 ? account->committed.load() + 3 : 0;
    while (!account->working.load() || account->committed.load() < least) {
      std::this_thread::sleep_for(std::chrono::microseconds(200));
      REQUIRE(account->errors.load() == 0);
    }
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 15000));
    REQUIRE(::kill(child, SIGKILL) == 0);
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    INFO("kill " << i);
    REQUIRE(WIFSIGNALED(status));
    REQUIRE(account->errors.load() == 0);
    Judge(directory, account);
  }
  INFO(account->committed.load() << " transactions");
  CHECK(account->committed.load() > static_cast<uint64_t>(kills));
  ::munmap(shared, sizeof(Account));
  std::filesystem::remove_all(name);
}

}  // namespace
}  // namespace eddy
