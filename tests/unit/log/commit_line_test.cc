#include "src/log/commit_line.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
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
  line.Release(line.EndRound());
  before.UntilWoken(5);
  after.UntilWoken(1);
  CHECK(before.released == 5);
  CHECK(after.released == 0);
  CHECK(after.chosen == 1);
  SECTION("that one's round serves the rest") {
    line.Close();
    line.Release(line.EndRound());
    after.UntilWoken(5);
    CHECK(after.released == 4);
    CHECK(after.chosen == 1);
  }
  SECTION("if that one need not lead it chooses another, and so on") {
    for (int chosen = 2; chosen <= 5; ++chosen) {
      line.Release(line.EndRound());
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
  line.Release(line.EndRound());
  CHECK(line.Wait(place, clock.SinceBoot()) == Woken::kChosen);
  CHECK(line.Wait(place, clock.SinceBoot()) == Woken::kTimeout);  // chosen once
}

TEST_CASE("who was chosen and came too late is released with its room", "[log][commit]") {
  testing::FakeClock clock;
  CommitLine line(&clock);
  const CommitLine::Place place = line.Join();
  line.Release(line.EndRound());
  REQUIRE(line.Wait(place, clock.SinceBoot()) == Woken::kChosen);
  line.Close();  // another was first at the lock
  CHECK(line.Wait(place, clock.SinceBoot()) == Woken::kTimeout);
  line.Release(line.EndRound());
  CHECK(line.Wait(place, clock.SinceBoot()) == Woken::kReleased);
}

TEST_CASE("a choice that comes with the end of the wait is not lost", "[log][commit][time]") {
  testing::FakeClock clock;
  CommitLine line(&clock);
  const CommitLine::Place place = line.Join();
  line.Release(line.EndRound());
  CHECK(line.Wait(place, clock.SinceBoot() - absl::Seconds(1)) == Woken::kChosen);
}

TEST_CASE("who has left is not chosen", "[log][commit]") {
  testing::FakeClock clock;
  CommitLine line(&clock);
  line.Leave(line.Join());
  line.Release(line.EndRound());
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
    line.Release(line.EndRound());
  }
  CHECK(line.Arrived() == 0);
  const CommitLine::Place now = line.Join();
  REQUIRE(now.room == old.room);
  CHECK(line.Wait(old, absl::InfiniteDuration()) == Woken::kReleased);
  line.Leave(old);  // nothing, not the new one's place
  CHECK(line.Arrived() == 1);
  CHECK(line.Wait(now, clock.SinceBoot() + absl::Seconds(1)) == Woken::kTimeout);
  line.Release(line.EndRound());
  CHECK(line.Wait(now, clock.SinceBoot()) == Woken::kChosen);
}

TEST_CASE("one who sleeps is woken too", "[log][commit][threads]") {
  testing::FakeClock clock;
  clock.SetAutoAdvance(false);
  CommitLine line(&clock);
  Sleepers one(&line);
  one.Add(1);
  while (clock.WaiterCount() == 0) std::this_thread::yield();
  if (GENERATE(false, true)) {
    line.Close();
    line.Release(line.EndRound());
    one.UntilWoken(1);
    CHECK(one.released == 1);
  } else {
    line.Release(std::nullopt);
    one.UntilWoken(1);
    CHECK(one.chosen == 1);
  }
}

// Three are a crowd.
struct Crowd {
  void Round(int waiters, absl::Duration gathers, absl::Duration takes) {
    std::vector<CommitLine::Place> places;
    for (int i = 0; i < waiters; ++i) places.push_back(line.Join());
    clock.Advance(gathers);
    line.Close();
    clock.Advance(takes);
    line.Release(line.EndRound());
  }
  void Quick(int waiters = 3) { Round(waiters, absl::Microseconds(50), absl::Microseconds(50)); }
  void Late() { Round(3, absl::Milliseconds(3), absl::Microseconds(50)); }

  testing::FakeClock clock;
  int given = 0;  // so often a processor was given away
  std::function<void()> then = [] {};
  CommitLine line{&clock, 3, [this] {
                    ++given;
                    then();
                  }};
};

TEST_CASE("a crowd polls before it sleeps, where rounds are quick", "[log][commit]") {
  Crowd crowd;
  CommitLine& line = crowd.line;
  CHECK(line.polls() == 0);
  crowd.Quick(2);
  CHECK(line.polls() == 0);
  crowd.Quick();
  REQUIRE(line.polls() > 0);
  const absl::Duration start = crowd.clock.SinceBoot();
  SECTION("so often, and then it waits as long as anybody") {
    CHECK(line.Wait(line.Join(), start + absl::Seconds(3)) == Woken::kTimeout);
    CHECK(crowd.given == line.polls());
    CHECK(crowd.clock.SinceBoot() - start == absl::Seconds(3));
  }
  SECTION("until it is released") {
    crowd.then = [&] {
      if (crowd.given != 5) return;
      line.Close();
      line.Release(line.EndRound());
    };
    CHECK(line.Wait(line.Join(), absl::InfiniteDuration()) == Woken::kReleased);
    CHECK(crowd.given == 5);
    CHECK(crowd.clock.SinceBoot() == start);
  }
  SECTION("until one is chosen") {
    crowd.then = [&] {
      if (crowd.given == 5) line.Release(std::nullopt);
    };
    CHECK(line.Wait(line.Join(), absl::InfiniteDuration()) == Woken::kChosen);
    CHECK(crowd.given == 5);
  }
  SECTION("not who has no time") {
    CHECK(line.Wait(line.Join(), start + absl::Microseconds(300)) == Woken::kTimeout);
    CHECK(crowd.given == 0);
  }
  SECTION("not after a slow round, until there is a quick one") {
    crowd.Round(3, absl::ZeroDuration(), absl::Milliseconds(5));
    CHECK(line.polls() == 0);
    crowd.Quick();
    CHECK(line.polls() > 0);
  }
  SECTION("not after a round for few") {
    crowd.Quick(2);
    CHECK(line.polls() == 0);
  }
  SECTION("not if only those are many that came during the round") {
    line.Close();
    const std::vector<CommitLine::Place> late = {line.Join(), line.Join(), line.Join()};
    line.Release(line.EndRound());
    CHECK(line.polls() == 0);
  }
}

TEST_CASE("a crowd that is kept from coming together sleeps for a thousand rounds",
          "[log][commit]") {
  Crowd crowd;
  crowd.Quick();
  SECTION("not if it is once in a while") {
    for (int i = 0; i < 300; ++i) {
      if (i % 10 == 0) crowd.Late();
      crowd.Quick();
      REQUIRE(crowd.line.polls() > 0);
    }
  }
  SECTION("if it is often") {
    for (int i = 0; i < 20 && crowd.line.polls() > 0; ++i) {
      crowd.Late();
      if (crowd.line.polls() > 0) crowd.Quick();
    }
    REQUIRE(crowd.line.polls() == 0);
    int calm = 0;
    for (; calm < 5000 && crowd.line.polls() == 0; ++calm) crowd.Quick();
    CHECK(calm == 1000);
  }
}

TEST_CASE("who was chosen and need not lead ends no round of another's", "[log][commit]") {
  testing::FakeClock clock;
  CommitLine line(&clock);
  const CommitLine::Place chosen = line.Join();
  line.Release(std::nullopt);
  REQUIRE(line.Wait(chosen, clock.SinceBoot()) == Woken::kChosen);
  const CommitLine::Place other = line.Join();
  line.Close();
  line.Leave(chosen);
  line.Release(std::nullopt);
  CHECK(line.Wait(other, clock.SinceBoot()) == Woken::kTimeout);
  line.Release(line.EndRound());
  CHECK(line.Wait(other, clock.SinceBoot()) == Woken::kReleased);
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
        const std::optional<uint32_t> served = line.EndRound();
        commit.unlock();
        line.Release(served);
        woken = Woken::kReleased;
        place = line.Join();
        continue;
      }
      woken = line.Wait(place, clock->SinceBoot() + absl::Seconds(20));
      if (woken == Woken::kTimeout) ++slept_through;
      if (woken == Woken::kReleased) place = line.Join();
    }
    line.Leave(place);
    if (woken == Woken::kChosen) line.Release(std::nullopt);
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
