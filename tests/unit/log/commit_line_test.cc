#include "src/log/commit_line.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include "eddy/platform.h"
#include "tests/fakes/fake_clock.h"
#include "tests/fakes/scale.h"

namespace eddy::log {
namespace {

using Woken = CommitLine::Woken;

// Threads that have joined and sleep; what each was woken by.
class Sleepers {
 public:
  explicit Sleepers(CommitLine* line) : line_(line) {}
  ~Sleepers() {
    for (std::thread& thread : threads_) thread.join();
  }
  void Add(int count) {
    for (int i = 0; i < count; ++i) {
      threads_.emplace_back([this, place = line_->Join()] {
        const Woken woken = line_->Wait(place, absl::InfiniteDuration());
        if (woken == Woken::kReleased) ++released;
        if (woken == Woken::kChosen) ++chosen;
        if (woken != Woken::kReleased) line_->Leave(place);
      });
    }
  }
  void UntilWoken(int count) const {
    while (released + chosen < count) std::this_thread::yield();
  }
  std::atomic<int> released{0};
  std::atomic<int> chosen{0};

 private:
  CommitLine* const line_;
  std::vector<std::thread> threads_;
};

TEST_CASE("a round's end wakes those who came before its cut, and one of the others",
          "[log][commit][threads]") {
  testing::FakeClock clock;
  clock.SetAutoAdvance(false);
  CommitLine line(&clock);
  Sleepers before(&line);
  Sleepers after(&line);
  before.Add(5);
  line.Close();
  after.Add(5);
  line.Release();
  before.UntilWoken(5);
  after.UntilWoken(1);
  CHECK(before.released == 5);
  CHECK(after.released == 0);
  CHECK(after.chosen == 1);
  SECTION("that one's round serves the rest") {
    line.Close();
    line.Release();
    after.UntilWoken(5);
    CHECK(after.released == 4);
    CHECK(after.chosen == 1);
  }
  SECTION("if that one need not lead it chooses another, and so on") {
    for (int chosen = 2; chosen <= 5; ++chosen) {
      line.Release();
      after.UntilWoken(chosen);
      CHECK(after.chosen == chosen);
    }
  }
}

TEST_CASE("a lock that was held without a round wakes one, and releases nobody",
          "[log][commit]") {
  testing::FakeClock clock;
  CommitLine line(&clock);
  const CommitLine::Place place = line.Join();
  line.Release();
  CHECK(line.Wait(place, clock.SinceBoot()) == Woken::kChosen);
  CHECK(line.Wait(place, clock.SinceBoot()) == Woken::kTimeout);  // chosen once
}

TEST_CASE("who was chosen and came too late is released with its room", "[log][commit]") {
  testing::FakeClock clock;
  CommitLine line(&clock);
  const CommitLine::Place place = line.Join();
  line.Release();
  REQUIRE(line.Wait(place, clock.SinceBoot()) == Woken::kChosen);
  line.Close();  // another was first at the lock
  CHECK(line.Wait(place, clock.SinceBoot()) == Woken::kTimeout);
  line.Release();
  CHECK(line.Wait(place, clock.SinceBoot()) == Woken::kReleased);
}

TEST_CASE("a choice that comes with the end of the wait is not lost", "[log][commit][time]") {
  testing::FakeClock clock;
  CommitLine line(&clock);
  const CommitLine::Place place = line.Join();
  line.Release();
  CHECK(line.Wait(place, clock.SinceBoot() - absl::Seconds(1)) == Woken::kChosen);
}

TEST_CASE("who has left is not chosen", "[log][commit]") {
  testing::FakeClock clock;
  CommitLine line(&clock);
  line.Leave(line.Join());
  line.Release();
  CHECK(line.Wait(line.Join(), clock.SinceBoot()) == Woken::kTimeout);
}

TEST_CASE("a place in the line ends with its time, and waits no longer", "[log][commit][time]") {
  testing::FakeClock clock;
  CommitLine line(&clock);
  const absl::Duration start = clock.SinceBoot();
  CHECK(line.Wait(line.Join(), start + absl::Seconds(3)) == Woken::kTimeout);
  CHECK(clock.SinceBoot() - start == absl::Seconds(3));
}

TEST_CASE("a room is used again without waking its new waiters", "[log][commit]") {
  testing::FakeClock clock;
  CommitLine line(&clock);
  const CommitLine::Place old = line.Join();
  for (int round = 0; round < 8; ++round) {
    line.Close();
    line.Release();
  }
  CHECK(line.Arrived() == 0);
  const CommitLine::Place now = line.Join();
  REQUIRE(now.room == old.room);
  CHECK(line.Wait(old, absl::InfiniteDuration()) == Woken::kReleased);
  line.Leave(old);  // nothing, not the new one's place
  CHECK(line.Arrived() == 1);
  CHECK(line.Wait(now, clock.SinceBoot() + absl::Seconds(1)) == Woken::kTimeout);
  line.Release();
  CHECK(line.Wait(now, clock.SinceBoot()) == Woken::kChosen);
}

TEST_CASE("a crowd polls before it sleeps, where rounds are quick", "[log][commit]") {
  testing::FakeClock clock;
  CommitLine line(&clock, 3);
  const auto round = [&](int waiters, absl::Duration takes) {
    std::vector<CommitLine::Place> places;
    for (int i = 0; i < waiters; ++i) places.push_back(line.Join());
    line.Close();
    clock.Advance(takes);
    line.Release();
    for (const CommitLine::Place& place : places) line.Leave(place);
  };
  CHECK(line.polls() == 0);
  round(2, absl::Microseconds(50));
  CHECK(line.polls() == 0);
  round(3, absl::Microseconds(50));
  CHECK(line.polls() > 0);
  SECTION("and waits as long as anybody") {
    const absl::Duration start = clock.SinceBoot();
    CHECK(line.Wait(line.Join(), start + absl::Seconds(3)) == Woken::kTimeout);
    CHECK(clock.SinceBoot() - start == absl::Seconds(3));
  }
  SECTION("not after a slow round, until there is a quick one") {
    round(3, absl::Milliseconds(5));
    CHECK(line.polls() == 0);
    round(3, absl::Microseconds(50));
    CHECK(line.polls() > 0);
  }
  SECTION("not after a round for few") {
    round(2, absl::Microseconds(50));
    CHECK(line.polls() == 0);
  }
  SECTION("not if only those are many that came during the round") {
    line.Close();
    const std::vector<CommitLine::Place> late = {line.Join(), line.Join(), line.Join()};
    line.Release();
    CHECK(line.polls() == 0);
  }
}

// What engine_wait.cc does, around a counter: whoever is not woken in time has slept
// through an event that was for him.
TEST_CASE("nobody in a crowd sleeps through what was for him", "[log][commit][threads]") {
  Clock* const clock = DefaultPlatform().clock;
  constexpr int kThreads = 8;
  const int calls = testing::Scaled(2000);
  // All poll; those whom many join; none, who all sleep.
  CommitLine line(clock, GENERATE(1u, 5u, 1000u));
  std::mutex commit;
  std::atomic<int64_t> appended{0};
  std::atomic<int64_t> committed{0};
  std::atomic<int> slept_through{0};
  const auto call = [&] {
    const int64_t mine = appended.fetch_add(1) + 1;
    CommitLine::Place place = line.Join();
    Woken woken = Woken::kReleased;
    while (committed.load() < mine) {
      if (commit.try_lock()) {
        const int64_t all = appended.load();
        line.Close();
        std::this_thread::yield();
        committed.store(std::max(all, committed.load()));
        line.Leave(place);
        commit.unlock();
        line.Release();
        woken = Woken::kReleased;
        place = line.Join();
        continue;
      }
      woken = line.Wait(place, clock->SinceBoot() + absl::Seconds(20));
      if (woken == Woken::kTimeout) ++slept_through;
      if (woken == Woken::kReleased) place = line.Join();
    }
    line.Leave(place);
    if (woken == Woken::kChosen) line.Release();
  };
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < calls; ++i) call();
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(committed == int64_t{kThreads} * calls);
  CHECK(slept_through == 0);
}

}  // namespace
}  // namespace eddy::log
