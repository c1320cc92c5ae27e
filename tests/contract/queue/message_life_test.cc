// The life of a message, as SQS has it for standard queues.
#include "tests/unit/queue/queue_fixture.h"

namespace eddy::queue {
namespace {

struct Fixture {
  explicit Fixture(const QueueOptions& options = {}) : queue(host.Create("jobs", options)) {}
  void Advance(absl::Duration d) { host.device.clock.Advance(d); }

  QueueHost host;
  QueueImpl& queue;
};

constexpr absl::Duration kMicrosecond = absl::Microseconds(1);

TEST_CASE("a sent message has an id, the md5 of its body, and is received as it was",
          "[queue][contract]") {
  Fixture f;
  const SendResult sent = Send(f.queue, "hello");
  const Message message = Receive(f.queue);
  CHECK(message.body == "hello");
  CHECK(message.message_id == sent.message_id);
  CHECK(Md5OfBody(message.body) == "5d41402abc4b2a76b9719d911017c592");
  CHECK(message.receive_count == 1);
  CHECK(message.sent == f.host.device.clock.WallNow());
  CHECK(message.first_received == f.host.device.clock.WallNow());
  CHECK(message.dead_letter_source.empty());
}

TEST_CASE("the time of the first receive is the same at each receive", "[queue][contract][time]") {
  QueueHost host;
  Send(host.Create("jobs"), "x");
  host.device.clock.Advance(absl::Seconds(5));
  const absl::Time first = host.device.clock.WallNow();
  for (int count = 1; count <= 5; ++count) {
    if (count == 4) host.Kill();
    const Message message = Receive(host.Find("jobs"));
    CHECK(message.receive_count == count);
    CHECK(message.first_received == first);
    host.device.clock.Advance(absl::Seconds(31));
  }
}

TEST_CASE("a message is visible after its own delay, or else the queue's",
          "[queue][contract][time]") {
  QueueOptions options;
  options.delay = absl::Seconds(10);
  Fixture f(options);
  SECTION("the queue's") {
    Send(f.queue, "x");
    f.Advance(absl::Seconds(10) - kMicrosecond);
    CHECK(IsEmpty(f.queue));
    f.Advance(kMicrosecond);
  }
  SECTION("its own") {
    SendDelayed(f.queue, "x", absl::Seconds(900));
    f.Advance(absl::Seconds(900) - kMicrosecond);
    CHECK(IsEmpty(f.queue));
    f.Advance(kMicrosecond);
  }
  SECTION("its own, of zero") { SendDelayed(f.queue, "x", absl::ZeroDuration()); }
  CHECK(Receive(f.queue).receive_count == 1);  // the wait was no receive
}

TEST_CASE("a received message is in flight for the call's timeout, or else the queue's",
          "[queue][contract][time]") {
  Fixture f;
  Send(f.queue, "x");
  absl::Duration timeout = absl::Seconds(30);
  SECTION("the queue's") { Receive(f.queue); }
  SECTION("the call's") {
    timeout = absl::Hours(12);
    Receive(f.queue, timeout);
  }
  f.Advance(timeout - kMicrosecond);
  CHECK(IsEmpty(f.queue));
  f.Advance(kMicrosecond);
  CHECK(Receive(f.queue).receive_count == 2);
  CHECK(IsEmpty(f.queue));
}

TEST_CASE("a receive with a timeout of zero leaves the message visible and counts",
          "[queue][contract]") {
  Fixture f;
  Send(f.queue, "x");
  for (int count = 1; count <= 3; ++count) {
    CHECK(Receive(f.queue, absl::ZeroDuration()).receive_count == count);
  }
  CHECK(f.queue.Describe().counts.visible == 1);
}

TEST_CASE("a changed timeout runs from the call, and for this receive only",
          "[queue][contract][time]") {
  Fixture f;
  Send(f.queue, "x");
  const Message message = Receive(f.queue);
  f.Advance(absl::Seconds(20));
  REQUIRE(f.queue
              .ChangeVisibility(message.receipt_handle, absl::Seconds(25), Durability::kDefault)
              .ok());
  f.Advance(absl::Seconds(25) - kMicrosecond);
  CHECK(IsEmpty(f.queue));
  f.Advance(kMicrosecond);
  Receive(f.queue);  // again for the queue's 30 seconds
  f.Advance(absl::Seconds(30) - kMicrosecond);
  CHECK(IsEmpty(f.queue));
}

TEST_CASE("a timeout changed to zero makes the message visible now", "[queue][contract]") {
  Fixture f;
  Send(f.queue, "x");
  const Message message = Receive(f.queue);
  REQUIRE(f.queue.ChangeVisibility(message.receipt_handle, absl::ZeroDuration(),
                                   Durability::kDefault)
              .ok());
  CHECK(Receive(f.queue).receive_count == 2);
}

TEST_CASE("a message may be held for 12 hours from its receive, not longer",
          "[queue][contract][time]") {
  Fixture f;
  Send(f.queue, "x");
  const Message message = Receive(f.queue, absl::Hours(2));
  f.Advance(absl::Hours(1));
  CHECK(absl::IsInvalidArgument(f.queue.ChangeVisibility(
      message.receipt_handle, absl::Hours(11) + kMicrosecond, Durability::kDefault)));
  CHECK(f.queue.ChangeVisibility(message.receipt_handle, absl::Hours(11), Durability::kDefault)
            .ok());
  f.Advance(absl::Hours(11) - kMicrosecond);
  CHECK(IsEmpty(f.queue));
}

TEST_CASE("a deleted message never comes back", "[queue][contract]") {
  Fixture f;
  Send(f.queue, "x");
  REQUIRE(f.queue.Delete(Receive(f.queue).receipt_handle, Durability::kDefault).ok());
  f.Advance(absl::Hours(13));
  CHECK(IsEmpty(f.queue));
  f.host.Reopen();
  CHECK(IsEmpty(f.host.Find("jobs")));
}

TEST_CASE("a message is in exactly one of the three counts", "[queue][contract]") {
  Fixture f;
  const auto counts = [&] {
    const QueueCounts c = f.queue.Describe().counts;
    return std::vector<uint64_t>{c.visible, c.in_flight, c.delayed};
  };
  using Counts = std::vector<uint64_t>;
  Send(f.queue, "a");
  Send(f.queue, "b");
  SendDelayed(f.queue, "c", absl::Seconds(60));
  CHECK(counts() == Counts{2, 0, 1});
  const Message message = Receive(f.queue);
  CHECK(counts() == Counts{1, 1, 1});
  f.Advance(absl::Seconds(30));
  CHECK(counts() == Counts{2, 0, 1});
  f.Advance(absl::Seconds(30));
  CHECK(counts() == Counts{3, 0, 0});
  REQUIRE(f.queue.Delete(message.receipt_handle, Durability::kDefault).ok());
  CHECK(counts() == Counts{2, 0, 0});
}

TEST_CASE("messages come oldest first, those that came back too", "[queue][contract]") {
  Fixture f;
  for (const char* body : {"a", "b", "c"}) Send(f.queue, body);
  Receive(f.queue);
  Receive(f.queue);
  f.Advance(absl::Seconds(30));
  CHECK(Bodies(ReceiveUpTo(f.queue, 10)) == Strings{"a", "b", "c"});
}

TEST_CASE("a long poll returns as soon as a message is there, else empty at its end",
          "[queue][contract][polling]") {
  QueueOptions options;
  options.receive_wait_time = absl::Seconds(3);
  Fixture f(options);
  const auto took = [&](const ReceiveOptions& receive) {
    const absl::Duration before = f.host.device.clock.SinceBoot();
    REQUIRE(f.queue.Receive(receive).ok());
    return f.host.device.clock.SinceBoot() - before;
  };
  ReceiveOptions call;
  SECTION("the queue's wait") { CHECK(took(call) == absl::Seconds(3)); }
  SECTION("the call's wait") {
    call.wait_time = absl::Seconds(20);
    CHECK(took(call) == absl::Seconds(20));
  }
  SECTION("the call's wait of zero") {
    call.wait_time = absl::ZeroDuration();
    CHECK(took(call) == absl::ZeroDuration());
  }
  SECTION("not at all with a message there") {
    Send(f.queue, "x");
    CHECK(took(call) == absl::ZeroDuration());
  }
  SECTION("until a delay ends") {
    SendDelayed(f.queue, "x", absl::Seconds(2));
    CHECK(took(call) == absl::Seconds(2));
    CHECK(f.queue.Describe().counts.in_flight == 1);
  }
  SECTION("until a visibility timeout ends") {
    Send(f.queue, "x");
    Receive(f.queue, absl::Seconds(2));
    CHECK(took(call) == absl::Seconds(2));
    CHECK(f.queue.Describe().counts.in_flight == 1);
  }
}

TEST_CASE("timeouts and delays do not care for the wall clock", "[queue][contract][time]") {
  Fixture f;
  Send(f.queue, "a");
  SendDelayed(f.queue, "b", absl::Seconds(30));
  Receive(f.queue);
  for (const int64_t unix_seconds : {int64_t{0}, int64_t{4000000000}}) {
    f.host.device.clock.SetWall(absl::FromUnixSeconds(unix_seconds));
    CHECK(IsEmpty(f.queue));
  }
  f.Advance(absl::Seconds(30));
  CHECK(Bodies(ReceiveUpTo(f.queue, 10)) == Strings{"a", "b"});
}

}  // namespace
}  // namespace eddy::queue
