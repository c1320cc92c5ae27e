// A real process is killed with SIGKILL at a random moment, over and over, on
// one store: while it opens and recovers, at work, while it closes. Then the
// store is opened here and held to its promises:
//
//   - every accepted record is there, once, in order per key, under the sequence
//     number that its Put returned; so no number is given to a second record
//   - a cursor is where it was accepted, or where it was going
//   - every accepted message is there, once, until its delete was tried; none
//     whose delete was accepted
//   - a receive count that a caller saw is not forgotten
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <map>
#include <memory>
#include <new>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include "absl/strings/numbers.h"
#include "tests/crash/sigkill_child.h"
#include "tests/fakes/scale.h"

namespace eddy::sigkill {
namespace {

using std::chrono::microseconds;
using std::chrono::steady_clock;

constexpr int kKillsMin = 50;  // in every build, however slow
constexpr microseconds kWorkMin{300};
constexpr microseconds kWorkMax{15000};

class SigkillRun {
 public:
  SigkillRun() {
    char name[] = "/tmp/eddy-sigkill-XXXXXX";
    REQUIRE(::mkdtemp(name) != nullptr);
    root_ = name;
    void* const shared = ::mmap(nullptr, sizeof(Account), PROT_READ | PROT_WRITE,
                                MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    REQUIRE(shared != MAP_FAILED);
    account_ = new (shared) Account();
    OpenHere();
    StreamOptions stream;
    stream.shard_count = kShards;
    REQUIRE(store_->CreateStream(kStream, stream).ok());
    QueueOptions queue;
    queue.visibility_timeout = absl::Hours(1);  // only a new open makes visible again
    REQUIRE(store_->CreateQueue(kQueue, queue).ok());
    store_.reset();
  }
  ~SigkillRun() {
    store_.reset();
    ::munmap(account_, sizeof(Account));
    std::filesystem::remove_all(root_);
  }

  // Starts a process and kills it somewhere in `stage`, or later if that was over
  // sooner than the last time.
  void KillIn(Stage stage, std::mt19937* random) {
    account_->stage.store(kOpening);
    account_->stop.store(false);
    const auto start = steady_clock::now();
    pid_ = ::fork();
    REQUIRE(pid_ >= 0);
    if (pid_ == 0) RunChild(root_ + "/store", account_);
    if (stage != kOpening) {
      WaitFor(kWorking);
      durations_[kOpening] = Since(start);
      std::this_thread::sleep_for(Between(kWorkMin, kWorkMax, random));
    }
    if (stage == kClosing) {
      account_->stop.store(true);
      WaitFor(kClosing);
    }
    if (stage != kWorking) {
      std::this_thread::sleep_for(Between(microseconds(0), durations_[stage], random));
    }
    ::kill(pid_, SIGKILL);  // a child that has ended is still ours to wait for
    int status = 0;
    REQUIRE(::waitpid(pid_, &status, 0) == pid_);
    const uint32_t reached = account_->stage.load();
    INFO("killed in stage " << reached);
    REQUIRE(account_->errors.load() == 0);
    if (WIFSIGNALED(status)) {
      ++kills_;
      if (reached < kStages) ++kills_in_[reached];
    } else {
      REQUIRE((WEXITSTATUS(status) == 0 && reached == kClosed));
    }
    // Aim a little shorter next time if this was too late, and longer if not.
    durations_[stage] = reached > stage ? durations_[stage] * 3 / 4
                                        : durations_[stage] + microseconds(50);
  }

  void Judge() {
    OpenHere();
    Stream* const stream = *store_->OpenStream(kStream);
    for (ShardId shard = 0; shard < kShards; ++shard) JudgeShard(stream, shard);
    JudgeKeys();
    JudgeCursor(stream);
    JudgeQueue(*store_->OpenQueue(kQueue));
    store_.reset();
  }

  int kills() const { return kills_; }
  int kills_in(Stage stage) const { return kills_in_[stage]; }
  uint64_t records() const {
    uint64_t sum = 0;
    for (const auto& [key, last] : last_) sum += last;
    return sum;
  }
  uint64_t messages() const { return account_->sends_tried.load(); }

 private:
  static microseconds Since(steady_clock::time_point start) {
    return std::chrono::duration_cast<microseconds>(steady_clock::now() - start);
  }
  static microseconds Between(microseconds low, microseconds high, std::mt19937* random) {
    return std::uniform_int_distribution<int64_t>(low.count(), high.count())(*random) *
           microseconds(1);
  }

  void WaitFor(Stage stage) {
    while (account_->stage.load() < stage) {
      int status = 0;
      if (::waitpid(pid_, &status, WNOHANG) == pid_) FAIL("the child ended by itself");
      std::this_thread::sleep_for(microseconds(50));
    }
  }

  void OpenHere() {
    StoreOptions options = Options();
    options.threads = false;  // no thread may live when the next child is forked
    absl::StatusOr<std::unique_ptr<Store>> store = Store::Open(root_ + "/store", options);
    INFO(store.status().ToString());
    REQUIRE(store.ok());
    store_ = *std::move(store);
  }

  // What was read before stays read: only the new records are looked at.
  void JudgeShard(Stream* stream, ShardId shard) {
    ShardIteratorPosition from;
    from.type = ShardIteratorType::kAtSequenceNumber;
    from.sequence_number = account_->cursor[shard].judged.load();
    std::string iterator = *stream->GetShardIterator(shard, from);
    SequenceNumber next = from.sequence_number;
    for (;;) {
      const absl::StatusOr<RecordBatch> batch = stream->GetRecords(iterator);
      INFO(batch.status().ToString());
      REQUIRE(batch.ok());
      if (batch->records.empty()) break;
      for (const Record& record : batch->records) {
        JudgeRecord(record);
        REQUIRE(record.sequence_number >= next);
        next = record.sequence_number + 1;
      }
      iterator = batch->next_shard_iterator;
      REQUIRE(batch->next_sequence_number >= next);
      next = batch->next_sequence_number;
    }
    account_->cursor[shard].judged.store(next);
  }

  void JudgeRecord(const Record& record) {
    const std::string key(record.partition_key);
    INFO("key " << key << ", number " << record.sequence_number);
    uint64_t n = 0;
    REQUIRE(absl::SimpleAtoi(std::string(record.data.substr(0, record.data.find(':'))), &n));
    REQUIRE(n == last_[key] + 1);
    last_[key] = n;
    const Account::Key& noted = account_->keys[key[1] - '0'][key[4] - '0'];
    const uint64_t accepted = noted.accepted.load();
    // The oldest place may already hold the number of one that was in the air.
    if (n <= accepted && n + kNumbersKept > accepted + 1) {
      REQUIRE(record.sequence_number == noted.numbers[n % kNumbersKept].load());
    }
  }

  void JudgeKeys() {
    for (int p = 0; p < kProducers; ++p) {
      for (int k = 0; k < kKeysEach; ++k) {
        Account::Key& noted = account_->keys[p][k];
        const uint64_t found = last_[KeyName(p, k)];
        INFO("key " << KeyName(p, k));
        REQUIRE(found >= noted.accepted.load());
        REQUIRE(found <= noted.tried.load());
        noted.tried.store(found);  // the one in the air is now known
      }
    }
  }

  void JudgeCursor(Stream* stream) {
    Cursor* const cursor = *stream->OpenCursor(kCursor);
    for (ShardId shard = 0; shard < kShards; ++shard) {
      Account::Place& noted = account_->cursor[shard];
      const uint64_t position = cursor->Position(shard);
      INFO("shard " << shard << ": the cursor is at " << position);
      if (noted.tried.load() == 0) continue;  // never moved
      REQUIRE(position >= noted.accepted.load());
      REQUIRE(position <= noted.tried.load());
      noted.accepted.store(position);
    }
  }

  // Receives everything once.
  void JudgeQueue(Queue* queue) {
    std::set<uint64_t> seen;
    ReceiveOptions options;
    options.max_messages = 10;
    options.durability = Durability::kProcess;  // quick; the close commits
    for (;;) {
      const absl::StatusOr<std::vector<Message>> received = queue->Receive(options);
      INFO(received.status().ToString());
      REQUIRE(received.ok());
      if (received->empty()) break;
      for (const Message& message : *received) {
        uint64_t n = 0;
        REQUIRE(absl::SimpleAtoi(message.body, &n));
        INFO("message " << n);
        REQUIRE(seen.insert(n).second);
        REQUIRE(n <= account_->sends_tried.load());
        Account::Message& noted = account_->messages[n];
        REQUIRE_FALSE(noted.deleted.load());
        // This receive, and perhaps one in the air at the kill.
        REQUIRE(message.receive_count > noted.count_shown.load());
        REQUIRE(message.receive_count <= noted.count_shown.load() + 2);
        noted.count_shown.store(static_cast<uint16_t>(message.receive_count));
        noted.accepted.store(true);  // the one in the air is now known
        noted.delete_tried.store(false);
      }
    }
    for (uint64_t n = 1; n <= account_->sends_tried.load(); ++n) {
      const Account::Message& noted = account_->messages[n];
      if (!noted.accepted.load() || noted.delete_tried.load()) continue;
      INFO("message " << n);
      REQUIRE(seen.count(n) == 1);
    }
  }

  std::string root_;
  Account* account_ = nullptr;
  std::unique_ptr<Store> store_;
  pid_t pid_ = 0;
  std::map<std::string, uint64_t> last_;
  microseconds durations_[kStages] = {microseconds(2000), microseconds(0), microseconds(1000)};
  int kills_ = 0;
  int kills_in_[kStages] = {};
};

TEST_CASE("200 kills of a process that opens, works and closes break no promise",
          "[crash][sigkill]") {
  std::random_device entropy;
  const unsigned seed = entropy();
  std::mt19937 random(seed);
  INFO("seed " << seed << " (the moments of the kills; the scheduler is not repeatable)");
  SigkillRun run;
  const int kills = std::max(kKillsMin, testing::Scaled(200));
  for (int attempt = 0; run.kills() < kills; ++attempt) {
    INFO("attempt " << attempt);
    REQUIRE(attempt < 4 * kills);
    constexpr Stage kTurns[] = {kWorking, kOpening, kWorking, kClosing};
    run.KillIn(kTurns[attempt % 4], &random);
    run.Judge();
  }
  // The test is worth nothing if the children did no work, or died elsewhere.
  INFO(run.kills_in(kOpening) << " kills while opening, " << run.kills_in(kWorking)
       << " at work, " << run.kills_in(kClosing) << " while closing");
  CHECK(run.kills() >= kKillsMin);
  CHECK(run.kills_in(kOpening) >= kills / 20);
  CHECK(run.kills_in(kWorking) >= kills / 4);
  CHECK(run.kills_in(kClosing) >= kills / 20);
  CHECK(run.records() > static_cast<uint64_t>(kills) * 20);
  CHECK(run.messages() > static_cast<uint64_t>(kills));
}

}  // namespace
}  // namespace eddy::sigkill
