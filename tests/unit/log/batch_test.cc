#include <map>
#include <thread>

#include "absl/strings/str_cat.h"
#include "tests/unit/log/log_fixture.h"

namespace eddy::log {
namespace {

// Appends all, however many calls it takes; returns how many it took.
size_t AppendAll(Log& log, const std::vector<std::string>& bodies,
                 std::vector<Appended>* appended) {
  std::vector<FrameParts> frames(bodies.size());
  for (size_t i = 0; i < bodies.size(); ++i) frames[i].body = bodies[i];
  appended->resize(bodies.size());
  size_t calls = 0;
  for (size_t at = 0; at < frames.size(); ++calls) {
    const auto count =
        log.AppendBatch(&frames[at], frames.size() - at, absl::Seconds(5), &(*appended)[at]);
    INFO(count.status().ToString());
    REQUIRE(count.ok());
    REQUIRE(*count >= 1);
    REQUIRE(*count <= frames.size() - at);
    at += *count;
  }
  return calls;
}

TEST_CASE("a batch that fits is claimed at once, and lies there in order", "[log][batch]") {
  LogFixture f;
  f.Append("before");
  std::vector<Appended> appended;
  CHECK(AppendAll(*f.log, {"a", "bb", "", "dddd"}, &appended) == 1);
  for (size_t i = 1; i < appended.size(); ++i) {
    CHECK(appended[i].position == appended[i - 1].end);
  }
  CHECK(f.log->tail() == appended.back().end);
  CHECK(f.Bodies() == std::vector<std::string>{"before", "a", "bb", "", "dddd"});
}

TEST_CASE("batches cross the ends of segments without a loss or a gap", "[log][batch]") {
  LogFixture f;
  std::vector<std::string> bodies;
  for (int i = 0; i < 400; ++i) bodies.push_back(std::string(static_cast<size_t>(i) * 7, 'x'));
  std::vector<Appended> appended;
  const size_t calls = AppendAll(*f.log, bodies, &appended);
  CHECK(calls < 60);  // 560 kB in segments of 64 KiB: a few each
  for (size_t i = 1; i < appended.size(); ++i) {
    REQUIRE(appended[i].position == appended[i - 1].end);
  }
  CHECK(f.Bodies() == bodies);
  SECTION("and a killed process finds all of them") {
    f.KillAndReopen();
    CHECK(f.Bodies() == bodies);
  }
}

TEST_CASE("a large frame in a batch is committed on its own, those behind it follow",
          "[log][batch]") {
  LogFixture f;
  const std::string large(300000, 'L');
  std::vector<Appended> appended;
  CHECK(AppendAll(*f.log, {"a", "b", large, "c", "d"}, &appended) >= 3);
  CHECK(f.log->committed() >= appended[2].end);
  CHECK(f.Bodies() == std::vector<std::string>{"a", "b", large, "c", "d"});
}

TEST_CASE("a batch for which there is no room fails with what kept its first frame out",
          "[log][batch][fault]") {
  LogFixture f;
  f.device.disk.SetCapacity(f.device.disk.Size("/store/eddy.db"));
  const std::string body(1000, 'x');
  std::vector<FrameParts> frames(10);
  for (FrameParts& frame : frames) frame.body = body;
  Appended appended[10];
  size_t accepted = 0;
  absl::Status status;
  while (status.ok()) {
    const auto count = f.log->AppendBatch(frames.data(), 10, absl::Milliseconds(20), appended);
    status = count.status();
    accepted += count.value_or(0);
  }
  CHECK(absl::IsResourceExhausted(status));
  CHECK(accepted > 100);
  CHECK(f.Bodies().size() == accepted);
}

TEST_CASE("batches and single frames of several threads are all there, each thread's in order",
          "[log][batch][threads]") {
  constexpr int kThreads = 4;
  constexpr int kCalls = 300;
  LogFixture f;
  std::vector<std::thread> producers;
  std::vector<int> sent(kThreads);
  for (int t = 0; t < kThreads; ++t) {
    producers.emplace_back([&, t] {
      for (int call = 0; call < kCalls; ++call) {
        std::vector<std::string> bodies(static_cast<size_t>(1 + (call * 7 + t) % 12));
        std::vector<FrameParts> frames(bodies.size());
        for (size_t i = 0; i < bodies.size(); ++i) {
          bodies[i] = absl::StrCat(t, " ", sent[static_cast<size_t>(t)]++, " ",
                                   std::string(static_cast<size_t>(call), 'x'));
          frames[i].body = bodies[i];
        }
        std::vector<Appended> appended(frames.size());
        for (size_t at = 0; at < frames.size();) {
          // Without end: on this clock whoever waits moves the time of all.
          const auto count = f.log->AppendBatch(&frames[at], frames.size() - at,
                                                absl::InfiniteDuration(), &appended[at]);
          if (!count.ok()) std::abort();
          at += *count;
        }
      }
    });
  }
  for (std::thread& producer : producers) producer.join();
  std::map<int, int> next;
  for (const std::string& body : f.Bodies()) {
    const int thread = std::stoi(body);
    const int number = std::stoi(body.substr(body.find(' ') + 1));
    REQUIRE(number == next[thread]++);
  }
  for (int t = 0; t < kThreads; ++t) CHECK(next[t] == sent[static_cast<size_t>(t)]);
}

}  // namespace
}  // namespace eddy::log
