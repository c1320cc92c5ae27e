#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "tests/unit/log/log_fixture.h"

namespace eddy::log {
namespace {

// A view with one number, changed together with a frame in the log.
class Counter : public Participant {
 public:
  explicit Counter(LogFixture* fixture) : fixture_(fixture) {}
  absl::StatusOr<Appended> Increment() {
    absl::ReaderMutexLock cut(&fixture_->engine->cut());
    const std::string op(1, static_cast<char>(value_ + 1));
    absl::StatusOr<Appended> journaled = fixture_->engine->TryJournal(9, op);
    if (journaled.ok()) ++value_;
    return journaled;
  }
  bool Capture() override {
    captured_ = value_;
    return captured_ != written_;
  }
  absl::Status Write(sql::Database& db) override {
    auto set = db.Prepare("INSERT OR REPLACE INTO meta (name, value) VALUES ('counter', ?)");
    return set.ok() ? set->Bind(1, captured_).Run() : set.status();
  }
  void Finish(bool committed) override {
    if (committed) written_ = captured_;
  }
  absl::Status Replay(std::string_view op) override {
    value_ = op[0];
    ++replayed_;
    return absl::OkStatus();
  }
  int value_ = 0, captured_ = 0, written_ = 0, replayed_ = 0;
  LogFixture* fixture_;
};

// A view that holds the first commit inside its transaction until Open.
class Gate : public Participant {
 public:
  void WaitUntilEntered() {
    std::unique_lock<std::mutex> lock(mu_);
    changed_.wait(lock, [&] { return entered_; });
  }
  void Open() {
    std::lock_guard<std::mutex> lock(mu_);
    open_ = true;
    changed_.notify_all();
  }
  bool Capture() override { return !written_; }
  absl::Status Write(sql::Database&) override {
    std::unique_lock<std::mutex> lock(mu_);
    entered_ = true;
    changed_.notify_all();
    changed_.wait(lock, [&] { return open_; });
    return absl::OkStatus();
  }
  void Finish(bool committed) override { written_ = committed; }
  absl::Status Replay(std::string_view) override { return absl::OkStatus(); }

 private:
  std::mutex mu_;
  std::condition_variable changed_;
  bool entered_ = false, open_ = false;
  bool written_ = false;  // the committer's
};

TEST_CASE("waiting for a commit makes it happen, without any thread", "[log][commit]") {
  LogFixture f;
  const Appended a = f.Append("a");
  CHECK(f.log->committed() < a.end);
  CHECK(f.engine->WaitCommitted(f.id, a.end, absl::Seconds(1)).ok());
  CHECK(f.log->committed() >= a.end);
}

TEST_CASE("one commit serves all dirty logs", "[log][commit]") {
  LogFixture f;
  Log* other = nullptr;
  REQUIRE(f.engine
              ->WithDatabase([&](sql::Database& db) {
                other = *f.engine->AddLog(db);
                return absl::OkStatus();
              })
              .ok());
  f.Append("a");
  FrameParts parts;
  const Appended b = *other->Append(parts, absl::Seconds(1));
  const uint64_t before = f.engine->Stats().commits;
  REQUIRE(f.engine->Flush().ok());
  CHECK(f.engine->Stats().commits == before + 1);
  CHECK(other->committed() >= b.end);
}

TEST_CASE("RunOnce commits when the flush interval has passed, not before", "[log][commit]") {
  LogFixture f;
  f.engine->RunOnce();
  const Appended a = f.Append("a");
  CHECK(f.engine->RunOnce() <= absl::Seconds(1));
  CHECK(f.log->committed() < a.end);
  f.device.clock.Advance(absl::Seconds(1));
  f.engine->RunOnce();
  CHECK(f.log->committed() >= a.end);
}

TEST_CASE("a round with nothing to commit writes nothing", "[log][commit]") {
  LogFixture f;
  f.Append("a");
  REQUIRE(f.engine->Flush().ok());
  const uint64_t bytes = f.engine->Stats().disk_bytes_written;
  for (int i = 0; i < 5; ++i) {
    f.device.clock.Advance(absl::Seconds(2));
    f.engine->RunOnce();
  }
  CHECK(f.engine->Stats().disk_bytes_written == bytes);
}

TEST_CASE("a failed commit is reported to whoever waits, and the frame is committed later",
          "[log][commit][fault]") {
  LogFixture f;
  const auto fault = GENERATE(testing::CrashDisk::Fault::kFull, testing::CrashDisk::Fault::kIoError);
  const auto op = GENERATE(testing::CrashDisk::Op::kWrite, testing::CrashDisk::Op::kSync);
  const Appended a = f.Append("a");
  f.device.disk.FailNth(op, 1, fault, /*sticky=*/true);
  CHECK(absl::IsUnavailable(f.engine->WaitCommitted(f.id, a.end, absl::Seconds(1))));
  CHECK_FALSE(f.engine->Stats().last_commit.ok());
  CHECK(f.Bodies() == std::vector<std::string>{"a"});
  f.device.disk.ClearFaults();
  CHECK(f.engine->WaitCommitted(f.id, a.end, absl::Seconds(1)).ok());
  CHECK(f.engine->Stats().last_commit.ok());
  f.CutAndReopen();
  CHECK(f.Bodies() == std::vector<std::string>{"a"});
}

TEST_CASE("a view's state and the journal survive as one", "[log][commit][journal]") {
  LogFixture f;
  Counter counter(&f);
  f.engine->AddParticipant(9, &counter);
  REQUIRE(counter.Increment().ok());
  const Appended second = *counter.Increment();
  SECTION("a killed process finds the change in the journal") {
    f.device.Kill(std::move(f.engine), kIntake);
    f.engine = *Engine::Open(f.options);
    Counter again(&f);
    f.engine->AddParticipant(9, &again);
    REQUIRE(f.engine->FinishOpen().ok());
    CHECK(again.value_ == 2);
    CHECK(again.replayed_ == 2);
    CHECK(again.written_ == 2);
    CHECK(f.engine->Close().ok());  // before its participant dies
  }
  SECTION("a committed change is in the table and no longer in the journal") {
    REQUIRE(f.engine->WaitCommitted(0, second.end, absl::Seconds(1)).ok());
    CHECK(counter.written_ == 2);
    f.device.Kill(std::move(f.engine), kIntake);
    f.engine = *Engine::Open(f.options);
    Counter again(&f);
    f.engine->AddParticipant(9, &again);
    REQUIRE(f.engine->FinishOpen().ok());
    CHECK(again.replayed_ == 0);
    CHECK(f.engine->Close().ok());
  }
  SECTION("a failed commit gives the change back") {
    f.device.disk.SetCapacity(0);
    CHECK_FALSE(f.engine->WaitCommitted(0, second.end, absl::Seconds(1)).ok());
    CHECK(counter.written_ == 0);
    f.device.disk.SetCapacity(UINT64_MAX);
    CHECK(f.engine->WaitCommitted(0, second.end, absl::Seconds(1)).ok());
    CHECK(counter.written_ == 2);
  }
  CHECK(f.engine->Close().ok());
}

TEST_CASE("all that wait while a commit is under way share the next one", "[log][commit][threads]") {
  LogFixture f;
  f.device.clock.SetAutoAdvance(false);
  Gate gate;
  f.engine->AddParticipant(9, &gate);
  constexpr int kOthers = 16;
  const uint64_t before = f.engine->Stats().commits;
  std::atomic<int> failures{0};
  std::atomic<int> appended{0};
  const auto append_and_wait = [&] {
    FrameParts parts;
    parts.body = "x";
    const absl::StatusOr<Appended> a = f.log->Append(parts, absl::Hours(1));
    if (++appended == 1 + kOthers) gate.Open();
    if (!a.ok() || !f.engine->WaitCommitted(f.id, a->end, absl::Hours(1)).ok()) ++failures;
  };
  std::vector<std::thread> threads;
  threads.emplace_back(append_and_wait);
  gate.WaitUntilEntered();  // the first commit has its cut, and goes on when all have appended
  for (int t = 0; t < kOthers; ++t) threads.emplace_back(append_and_wait);
  for (std::thread& t : threads) t.join();
  CHECK(failures == 0);
  CHECK(f.engine->Stats().commits == before + 2);
  CHECK(f.Bodies().size() == 1 + kOthers);
  CHECK(f.engine->Close().ok());  // before its participant dies
}

TEST_CASE("two that look at the tables in turn keep nobody from a commit",
          "[log][commit][threads]") {
  LogFixture f;
  f.device.clock.SetAutoAdvance(false);
  constexpr int kLooksMax = 3000;
  std::atomic<bool> done{false};
  std::atomic<int> looks{0};
  const auto look = [&] {
    for (int i = 0; i < kLooksMax && !done; ++i, ++looks) {
      const absl::Status looked = f.engine->ReadTables([](Sql&) {
        for (int k = 0; k < 20; ++k) std::this_thread::yield();  // the other one comes
        return absl::OkStatus();
      });
      if (!looked.ok()) return;
    }
  };
  std::thread one(look);
  std::thread other(look);
  while (looks < 4) std::this_thread::yield();
  for (int i = 0; i < 20; ++i) {
    const Appended a = f.Append("x");
    REQUIRE(f.engine->WaitCommitted(f.id, a.end, absl::Hours(1)).ok());
  }
  done = true;
  one.join();
  other.join();
  CHECK(looks < 2 * kLooksMax);
}

}  // namespace
}  // namespace eddy::log
