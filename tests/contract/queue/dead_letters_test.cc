// Dead letters, as SQS has them for standard queues.
#include "tests/unit/queue/queue_fixture.h"

namespace eddy::queue {
namespace {

struct Fixture {
  Fixture() : dead(host.Create("dead")), jobs(host.Create("jobs", WithDeadLetters())) {}
  static QueueOptions WithDeadLetters() {
    QueueOptions options;
    options.dead_letter_queue = "dead";
    options.max_receive_count = 3;
    return options;
  }

  QueueHost host;
  QueueImpl& dead;
  QueueImpl& jobs;
};

TEST_CASE("a message is delivered max_receive_count times and moved at the next attempt",
          "[queue][contract][dlq]") {
  Fixture f;
  Send(f.jobs, "poison");
  for (int count = 1; count <= 3; ++count) {
    CHECK(Receive(f.jobs).receive_count == count);
    f.host.device.clock.Advance(absl::Seconds(30));
  }
  SECTION("not by its timeout alone") {
    CHECK(f.jobs.Describe().counts.visible == 1);
    CHECK(IsEmpty(f.dead));
  }
  SECTION("by the receive that would raise the count above it") {
    CHECK(IsEmpty(f.jobs));
    CHECK(f.jobs.Describe().counts.visible == 0);
    CHECK(f.dead.Describe().counts.visible == 1);
    CHECK(f.jobs.TouchedCount() == 0);
  }
}

TEST_CASE("a receive that moves messages goes on to those behind them",
          "[queue][contract][dlq]") {
  Fixture f;
  for (const char* body : {"p1", "p2", "good"}) Send(f.jobs, body);
  for (int i = 0; i < 3; ++i) ReceiveUpTo(f.jobs, 2, absl::ZeroDuration());
  CHECK(Receive(f.jobs).body == "good");
  CHECK(Bodies(ReceiveUpTo(f.dead, 10)) == Strings{"p1", "p2"});
}

TEST_CASE("a dead letter keeps its id, body, time of sending and count, and says where it "
          "came from",
          "[queue][contract][dlq]") {
  Fixture f;
  const SendResult sent = Send(f.jobs, "poison");
  const absl::Time sent_at = f.host.device.clock.WallNow();
  for (int i = 0; i < 3; ++i) {
    f.host.device.clock.Advance(absl::Seconds(1));
    Receive(f.jobs, absl::ZeroDuration());
  }
  CHECK(IsEmpty(f.jobs));
  const Message letter = Receive(f.dead);
  CHECK(letter.message_id == sent.message_id);
  CHECK(letter.body == "poison");
  CHECK(letter.sent == sent_at);
  CHECK(letter.receive_count == 4);
  CHECK(letter.dead_letter_source == "jobs");
  CHECK(letter.dead_letter_reason == "receive count 4 above 3");
}

TEST_CASE("a handler that kills its process before the delete still gets the message moved",
          "[queue][contract][dlq][restart]") {
  QueueHost host;
  host.Create("dead");
  host.Create("jobs", Fixture::WithDeadLetters());
  Send(host.Find("jobs"), "poison");
  for (uint64_t round = 0; round < 3; ++round) {
    Receive(host.Find("jobs"));
    if (round == 1) {
      host.PowerCut(round);
    } else {
      host.Kill();
    }
  }
  CHECK(IsEmpty(host.Find("jobs")));
  CHECK(Receive(host.Find("dead")).receive_count == 4);
}

TEST_CASE("the receives of an earlier queue are not held against a message in the next",
          "[queue][contract][dlq]") {
  QueueHost host;
  host.Create("last");
  QueueOptions options;
  options.dead_letter_queue = "last";
  options.max_receive_count = 2;
  QueueImpl& middle = host.Create("middle", options);
  options.dead_letter_queue = "middle";
  QueueImpl& first = host.Create("first", options);
  Send(first, "x");
  for (int i = 0; i < 2; ++i) Receive(first, absl::ZeroDuration());
  CHECK(IsEmpty(first));
  CHECK(Receive(middle, absl::ZeroDuration()).receive_count == 3);
  CHECK(Receive(middle, absl::ZeroDuration()).receive_count == 4);
  CHECK(IsEmpty(middle));
  const Message letter = Receive(host.Find("last"));
  CHECK(letter.receive_count == 5);
  CHECK(letter.dead_letter_reason == "receive count 3 above 2");
  CHECK(letter.dead_letter_source == "middle");
}

TEST_CASE("a moved message is there exactly once after a crash", "[queue][contract][dlq]") {
  for (uint64_t seed = 1; seed <= 8; ++seed) {
    INFO("seed " << seed);
    QueueHost host(seed);
    host.Create("dead");
    QueueImpl& jobs = host.Create("jobs", Fixture::WithDeadLetters());
    Send(jobs, "poison");
    for (int i = 0; i < 3; ++i) Receive(jobs, absl::ZeroDuration());
    CHECK(IsEmpty(jobs));
    if (seed % 2 == 0) {
      host.Kill();
    } else {
      host.PowerCut(seed);
    }
    CHECK(IsEmpty(host.Find("jobs")));
    CHECK(ReceiveUpTo(host.Find("dead"), 10).size() == 1);
  }
}

TEST_CASE("SendDeadLetter keeps any bytes, with source and reason", "[queue][dlq]") {
  Fixture f;
  const std::string binary("\x00\xff\x01", 3);
  const auto sent = f.dead.SendDeadLetter(binary, "telemetry/shardId-000000000000",
                                          "InvalidArgument: too large", {});
  REQUIRE(sent.ok());
  REQUIRE(f.dead.SendDeadLetter("", "s", "r", {}).ok());
  f.host.Kill();
  const std::vector<Message> letters = ReceiveUpTo(f.host.Find("dead"), 10);
  REQUIRE(letters.size() == 2);
  CHECK(letters[0].body == binary);
  CHECK(letters[0].message_id == sent->message_id);
  CHECK(letters[0].dead_letter_source == "telemetry/shardId-000000000000");
  CHECK(letters[0].dead_letter_reason == "InvalidArgument: too large");
  CHECK(letters[0].receive_count == 1);
  CHECK(letters[1].body.empty());
  CHECK(absl::IsInvalidArgument(
      f.host.Find("dead").SendDeadLetter(std::string(kMessageBytesMax + 1, 'x'), "s", "r", {})
          .status()));
}

}  // namespace
}  // namespace eddy::queue
