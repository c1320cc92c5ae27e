// The power fails at every step of the disk in turn, then the promises of
// eddy/queue.h are checked.
#include <map>

#include "tests/unit/queue/queue_fixture.h"

namespace eddy::queue {
namespace {

struct Seen {
  bool sent = false;              // Send returned OK
  bool delete_tried = false;
  bool deleted = false;           // Delete returned OK
  int receive_count = 0;          // the highest shown
};

// Everything at kPower; notes what was promised before the power went.
void RunUntilItFails(QueueHost& host, std::map<std::string, Seen>* seen) {
  Queue& queue = host.Find("jobs");
  for (const char* body : {"a", "b", "c", "d"}) {
    (*seen)[body].sent = queue.Send(body, {}).ok();
  }
  for (int round = 0; round < 4; ++round) {
    ReceiveOptions options;
    options.max_messages = 10;
    options.visibility_timeout = absl::ZeroDuration();
    const auto messages = queue.Receive(options);
    if (!messages.ok()) return;
    for (const Message& message : *messages) {
      Seen& one = (*seen)[message.body];
      one.receive_count = message.receive_count;
      if (message.body[0] == 'a' + round) {
        one.delete_tried = true;
        one.deleted = queue.Delete(message.receipt_handle, Durability::kDefault).ok();
      }
    }
  }
}

TEST_CASE("a power cut at any step breaks no promise of a queue at kPower",
          "[queue][crash][sweep]") {
  bool cut = true;
  uint64_t step = 0;
  for (; cut; ++step) {
    for (uint64_t seed = 1; seed <= 3; ++seed) {
      INFO("step " << step << ", seed " << seed);
      QueueHost host(seed);
      host.Create("dead");
      QueueOptions options;
      options.dead_letter_queue = "dead";
      options.max_receive_count = 2;
      host.Create("jobs", options);
      std::map<std::string, Seen> seen;
      host.device.disk.CutAt(step);
      RunUntilItFails(host, &seen);
      cut = host.device.disk.PowerIsOff();
      host.PowerCut(seed * 1000 + step);

      std::map<std::string, int> found;
      for (const char* name : {"jobs", "dead"}) {
        Queue& queue = host.Find(name);
        uint64_t count = queue.Describe().counts.visible;
        for (;;) {
          const std::vector<Message> messages = ReceiveUpTo(queue, 10);
          if (messages.empty()) break;
          for (const Message& message : messages) {
            ++found[message.body];
            CHECK(message.receive_count > seen[message.body].receive_count);
            --count;
          }
        }
        // A receive above has moved what was due to be moved.
        if (std::string(name) == "dead") CHECK(count == 0);
      }
      for (const auto& [body, one] : seen) {
        INFO(body << ": sent " << one.sent << ", deleted " << one.deleted);
        if (one.deleted) CHECK(found[body] == 0);
        if (one.sent && !one.delete_tried) CHECK(found[body] == 1);
        CHECK(found[body] <= 1);
      }
    }
  }
  CHECK(step > 20);  // the loop has seen the whole run
}

TEST_CASE("a process killed between the two halves of a move leaves the message once",
          "[queue][crash][dlq]") {
  QueueHost host;
  QueueOptions options;
  options.durability = Durability::kProcess;
  QueueImpl& dead = host.Create("dead", options);
  options.dead_letter_queue = "dead";
  QueueImpl& jobs = host.Create("jobs", options);
  const std::string id = Send(jobs, "x").message_id;
  REQUIRE(host.engine().Flush().ok());

  // The first half, as a receive writes it: the dead letter, and no journal.
  const auto read = (*host.engine().OpenLog(2))->Read(0, {});
  REQUIRE(read.ok());
  REQUIRE(read->frames.size() == 1);
  MessageHead head = DecodeMessage(read->frames[0])->head;
  REQUIRE(MessageIdText(head.id) == id);
  head.dead_letter = DeadLetter{};
  head.dead_letter->source_queue = 2;
  head.dead_letter->source_position = read->frames[0].position;
  const std::string encoded = EncodeHead(head);
  log::FrameParts parts;
  parts.kind = kDeadLetterKind;
  parts.head = encoded;
  parts.body = "x";
  REQUIRE((*host.engine().OpenLog(1))
              ->TryAppend(parts)
              .ok());
  host.Kill();
  // What the open has mended is committed with the letter: the second death finds
  // nothing in the intake that would tell of it.
  if (GENERATE(false, true)) host.Kill();
  CHECK(IsEmpty(host.Find("jobs")));
  CHECK(host.Find("jobs").Describe().counts.visible == 0);
  CHECK(host.Find("dead").Describe().counts.visible == 1);
  CHECK(Receive(host.Find("dead")).message_id == id);
  static_cast<void>(dead);
}

}  // namespace
}  // namespace eddy::queue
