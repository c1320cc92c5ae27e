// A queue whose consumers keep up writes nothing at all, not even how far its head
// has come; and nothing comes twice or is missing because of it, whatever dies.
#include <algorithm>
#include <string>

#include "tests/fakes/fake_random.h"
#include "tests/fakes/scale.h"
#include "tests/unit/queue/queue_fixture.h"

namespace eddy::queue {
namespace {

constexpr size_t kIntakeBytes = 1 << 20;

void Cycle(Queue& queue, int count) {
  for (int i = 0; i < count; ++i) {
    Send(queue, "m" + std::to_string(i));
    Delete(queue, Receive(queue));
  }
}

void Round(QueueHost& host) {
  host.device.clock.Advance(absl::Seconds(1));
  host.engine().RunOnce();
}

// What is left of the queue is nothing, in the counts and in memory too.
void CheckIsEmpty(QueueHost& host) {
  QueueImpl& queue = host.Find("jobs");
  CHECK(queue.TouchedCount() == 0);
  CHECK(queue.Describe().counts.visible == 0);
  CHECK(IsEmpty(queue));
  Send(queue, "next");
  CHECK(queue.Describe().counts.visible == 1);
  CHECK(Bodies(ReceiveUpTo(queue, 10)) == Strings{"next"});
}

TEST_CASE("while consumers keep up, nothing is written", "[queue][wait]") {
  QueueHost host(1, kIntakeBytes);
  QueueImpl& queue = host.Create("jobs", AtProcess());
  Cycle(queue, 10);
  Round(host);  // reserves positions
  const uint64_t written = host.device.disk.BytesWritten();
  const uint64_t commits = host.engine().Stats().commits;
  for (int round = 0; round < 20; ++round) {
    Cycle(queue, 50);
    Round(host);
  }
  CHECK(host.device.disk.BytesWritten() == written);
  CHECK(host.engine().Stats().commits == commits);

  SECTION("and none of it comes back in a process that died") {
    host.Kill();
    CheckIsEmpty(host);
  }
  SECTION("nor if it dies again before it has done anything") {
    host.Kill();
    host.Kill();
    CheckIsEmpty(host);
  }
  SECTION("nor after a power cut") {
    host.PowerCut(5);
    CheckIsEmpty(host);
  }
  SECTION("nor after an orderly close") {
    host.Reopen();
    CheckIsEmpty(host);
  }
  SECTION("and what stays is there, once, whatever dies") {
    Send(queue, "untouched");
    Cycle(queue, 0);
    if (GENERATE(true, false)) Round(host);
    if (GENERATE(true, false)) {
      host.Kill();
    } else {
      REQUIRE(host.engine().Flush().ok());
      host.PowerCut(7);
    }
    CHECK(host.Find("jobs").Describe().counts.visible == 1);
    CHECK(Bodies(ReceiveUpTo(host.Find("jobs"), 10)) == Strings{"untouched"});
  }
}

TEST_CASE("a journal that is kept because the queue waits is written before it crowds the intake",
          "[queue][wait]") {
  QueueHost host(1, kIntakeBytes);
  QueueImpl& queue = host.Create("jobs", AtProcess());
  const uint64_t segments = host.engine().Stats().intake_segments;
  uint64_t least = segments;
  for (int round = 0; round < 200; ++round) {
    Cycle(queue, 50);
    Round(host);
    least = std::min(least, host.engine().Stats().intake_segments_free);
  }
  CHECK(host.engine().Stats().commits < 50);
  CHECK(least + segments / 8 + 4 >= segments);  // and those that are being filled
  host.Kill();
  CheckIsEmpty(host);
}

TEST_CASE("a message that was written and is gone is told at the next flush", "[queue][wait]") {
  QueueHost host(1, kIntakeBytes);
  QueueImpl& queue = host.Create("jobs", AtProcess());
  Send(queue, "a");
  Send(queue, "b");
  SECTION("received before the write") {
    const Message a = Receive(queue);
    Round(host);
    Delete(queue, a);
  }
  SECTION("received after it") {
    Round(host);
    Delete(queue, Receive(queue));
  }
  SECTION("out of order") {
    const std::vector<Message> both = ReceiveUpTo(queue, 2);
    Round(host);
    Delete(queue, both[1]);
    Round(host);
    host.PowerCut(3);
    CHECK(Bodies(ReceiveUpTo(host.Find("jobs"), 10)) == Strings{"a"});
    return;
  }
  Round(host);
  host.PowerCut(3);
  CHECK(Bodies(ReceiveUpTo(host.Find("jobs"), 10)) == Strings{"b"});
}

TEST_CASE("a receive of a message that was written is told at the next flush",
          "[queue][wait]") {
  QueueHost host(1, kIntakeBytes);
  QueueImpl& queue = host.Create("jobs", AtProcess());
  Send(queue, "a");
  Round(host);
  Receive(queue);
  Round(host);
  host.PowerCut(3);
  CHECK(Receive(host.Find("jobs")).receive_count == 2);
}

// Some cycles keep up and some do not, some are cut off by a death of either kind.
TEST_CASE("a queue that mostly waits agrees with a plain list, whatever dies",
          "[queue][wait][crash]") {
  for (int seed = 1; seed <= testing::Scaled(60); ++seed) {
    INFO("seed " << seed);
    QueueHost host(static_cast<uint64_t>(seed), kIntakeBytes);
    testing::FakeRandom random(static_cast<uint64_t>(seed) * 31);
    host.Create("jobs", AtProcess());
    Strings there;  // sent and not deleted, in order
    int sent = 0;
    for (int step = 0; step < 200; ++step) {
      Queue& queue = host.Find("jobs");
      switch (random.Below(8)) {
        case 0: case 1: case 2: Cycle(queue, static_cast<int>(there.empty() ? 20 : 0)); break;
        case 3: case 4: Round(host); break;
        case 5:
          if (!random.OneIn(4)) break;
          there.push_back("s" + std::to_string(sent++));
          Send(queue, there.back());
          break;
        case 6: {
          const std::vector<Message> received =
              ReceiveUpTo(queue, 10, absl::ZeroDuration());
          REQUIRE(Bodies(received) ==
                  Strings(there.begin(), there.begin() + static_cast<std::ptrdiff_t>(
                                                            std::min<size_t>(10, there.size()))));
          if (received.empty()) break;
          const size_t i = random.Below(received.size());
          Delete(queue, received[i]);
          there.erase(there.begin() + static_cast<std::ptrdiff_t>(i));
          break;
        }
        default:
          if (!random.OneIn(4)) break;
          if (random.OneIn(2)) {
            host.Kill();
          } else {
            // What one flush interval has seen since is told, or was never there.
            Round(host);
            host.PowerCut(random.Next());
          }
          REQUIRE(host.Find("jobs").Describe().counts.visible == there.size());
      }
    }
    for (const std::string& body : there) {
      const Message message = Receive(host.Find("jobs"));
      CHECK(message.body == body);
      Delete(host.Find("jobs"), message);
    }
    CHECK(IsEmpty(host.Find("jobs")));
    CHECK(host.Find("jobs").TouchedCount() == 0);
  }
}

}  // namespace
}  // namespace eddy::queue
