// What is sent, received and deleted between two commits is not written, and
// nothing else is missing because of it, whatever dies.
#include <algorithm>
#include <string>

#include "tests/unit/queue/queue_fixture.h"

namespace eddy::queue {
namespace {

// Sends, receives and deletes `count` messages; returns where the last one ended.
uint64_t Cycle(Queue& queue, int count) {
  uint64_t end = 0;
  for (int i = 0; i < count; ++i) {
    end = Send(queue, "m" + std::to_string(i)).token.end;
    Delete(queue, Receive(queue));
  }
  return end;
}

TEST_CASE("a message that comes and goes between two commits is never written",
          "[queue][discard]") {
  QueueHost host;
  Queue& queue = host.Create("jobs", AtProcess());
  const uint64_t blocks_before = host.engine().Stats().blocks_written;
  Cycle(queue, 100);
  REQUIRE(host.engine().Flush().ok());
  CHECK(host.engine().Stats().blocks_written == blocks_before);

  SECTION("and the next one is") {
    Send(queue, "stays");
    REQUIRE(host.engine().Flush().ok());
    CHECK(host.engine().Stats().blocks_written == blocks_before + 1);
  }
  SECTION("and does not come back in a process that died") {
    host.Kill();
    CHECK(IsEmpty(host.Find("jobs")));
    CHECK(host.Find("jobs").Describe().counts.visible == 0);
  }
  SECTION("and does not come back after a power cut") {
    host.PowerCut(3);
    CHECK(IsEmpty(host.Find("jobs")));
    CHECK(host.Find("jobs").Describe().counts.visible == 0);
  }
}

TEST_CASE("behind a message that is still in flight all is written", "[queue][discard]") {
  QueueHost host;
  Queue& queue = host.Create("jobs", AtProcess());
  Cycle(queue, 10);
  Send(queue, "held");
  REQUIRE(Receive(queue).body == "held");
  Send(queue, "waiting");
  REQUIRE(host.engine().Flush().ok());
  host.PowerCut(5);
  CHECK(Bodies(ReceiveUpTo(host.Find("jobs"), 10)) == Strings{"held", "waiting"});
}

TEST_CASE("the position of a message that was never written is not given again",
          "[queue][discard][crash][sweep]") {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    INFO("seed " << seed);
    QueueHost host(seed);
    host.Create("jobs", AtProcess());
    uint64_t end = 0;
    // Some of it is committed when the power fails, more than once around the
    // intake, and the rest is not.
    for (int round = 0; round < 20; ++round) {
      end = Cycle(host.Find("jobs"), 100);
      if (round < 19) REQUIRE(host.engine().Flush().ok());
    }
    if (seed % 2 == 0) host.PowerCut(seed);
    if (seed % 2 == 1) host.Kill();
    Queue& queue = host.Find("jobs");
    CHECK(Send(queue, "new").token.end > end);
    // What was committed stays deleted; the rest may be lost, not half there.
    CHECK(Bodies(ReceiveUpTo(queue, 10)) == Strings{"new"});
  }
}

TEST_CASE("a dead letter that is never written in its source is not lost to a power cut",
          "[queue][discard][crash]") {
  bool cut = true;
  for (uint64_t step = 0; cut; ++step) {
    INFO("step " << step);
    QueueHost host(step + 1);
    host.Create("dead", AtProcess());
    QueueOptions options = AtProcess();
    options.dead_letter_queue = "dead";
    options.max_receive_count = 1;
    Queue& queue = host.Create("jobs", options);
    Send(queue, "poison");
    REQUIRE(Receive(queue, absl::ZeroDuration()).body == "poison");
    REQUIRE(IsEmpty(queue));  // moved
    host.device.disk.CutAt(step);
    const bool committed = host.engine().Flush().ok();
    cut = host.device.disk.PowerIsOff();
    host.PowerCut(step);
    CHECK(IsEmpty(host.Find("jobs")));
    const Strings dead = Bodies(ReceiveUpTo(host.Find("dead"), 10));
    if (committed || !dead.empty()) CHECK(dead == Strings{"poison"});
  }
}

}  // namespace
}  // namespace eddy::queue
