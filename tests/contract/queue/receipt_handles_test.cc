// Which receipt handle may do what, on a standard queue.
#include "tests/unit/queue/queue_fixture.h"

namespace eddy::queue {
namespace {

struct Fixture {
  Fixture() : queue(host.Create("jobs")) { Send(queue, "x"); }
  absl::Status Delete(const Message& message) {
    return queue.Delete(message.receipt_handle, Durability::kDefault);
  }
  absl::Status Change(const Message& message, absl::Duration timeout) {
    return queue.ChangeVisibility(message.receipt_handle, timeout, Durability::kDefault);
  }

  QueueHost host;
  QueueImpl& queue;
};

TEST_CASE("each receive makes a new receipt handle", "[queue][contract][receipt]") {
  Fixture f;
  const Message first = Receive(f.queue, absl::ZeroDuration());
  const Message second = Receive(f.queue, absl::ZeroDuration());
  CHECK(first.message_id == second.message_id);
  CHECK(first.receipt_handle != second.receipt_handle);
}

TEST_CASE("a delete after the timeout deletes, if nobody has received since",
          "[queue][contract][receipt]") {
  Fixture f;
  const Message message = Receive(f.queue);
  f.host.device.clock.Advance(absl::Seconds(60));
  CHECK(f.Delete(message).ok());
  CHECK(f.queue.StaleDeletes() == 0);
  CHECK(IsEmpty(f.queue));
}

TEST_CASE("a delete with an older handle after a new receive succeeds, deletes nothing, "
          "and is counted",
          "[queue][contract][receipt]") {
  Fixture f;
  const Message first = Receive(f.queue);
  f.host.device.clock.Advance(absl::Seconds(30));
  const Message second = Receive(f.queue);
  CHECK(f.Delete(first).ok());
  CHECK(f.queue.StaleDeletes() == 1);
  CHECK(f.queue.Describe().counts.in_flight == 1);
  CHECK(f.Delete(second).ok());
  CHECK(f.queue.StaleDeletes() == 1);
  CHECK(f.queue.Describe().counts.in_flight == 0);
}

TEST_CASE("a second delete succeeds", "[queue][contract][receipt]") {
  Fixture f;
  Send(f.queue, "another, so that the head can move or not");
  const std::vector<Message> messages = ReceiveUpTo(f.queue, 2);
  for (const Message* message : {&messages[1], &messages[0]}) {
    CHECK(f.Delete(*message).ok());
    CHECK(f.Delete(*message).ok());
  }
  CHECK(f.queue.StaleDeletes() == 0);
}

TEST_CASE("a visibility change after the timeout is accepted", "[queue][contract][receipt]") {
  Fixture f;
  const Message message = Receive(f.queue);
  f.host.device.clock.Advance(absl::Seconds(60));
  CHECK(f.Change(message, absl::Seconds(10)).ok());
  CHECK(IsEmpty(f.queue));
  f.host.device.clock.Advance(absl::Seconds(10));
  CHECK(Receive(f.queue).receive_count == 2);
}

TEST_CASE("a visibility change of a message that is gone or was received again is aborted",
          "[queue][contract][receipt]") {
  Fixture f;
  const Message first = Receive(f.queue, absl::ZeroDuration());
  const Message second = Receive(f.queue);
  CHECK(absl::IsAborted(f.Change(first, absl::Seconds(1))));
  REQUIRE(f.Delete(second).ok());
  CHECK(absl::IsAborted(f.Change(second, absl::Seconds(1))));
}

TEST_CASE("a mangled handle, or another queue's, is invalid", "[queue][contract][receipt]") {
  Fixture f;
  QueueImpl& other = f.host.Create("other");
  Message message = Receive(f.queue);
  CHECK(absl::IsInvalidArgument(other.Delete(message.receipt_handle, Durability::kDefault)));
  CHECK(absl::IsInvalidArgument(other.ChangeVisibility(
      message.receipt_handle, absl::Seconds(1), Durability::kDefault)));
  message.receipt_handle[10] = message.receipt_handle[10] == 'A' ? 'B' : 'A';
  CHECK(absl::IsInvalidArgument(f.Delete(message)));
  CHECK(absl::IsInvalidArgument(f.queue.Delete("", Durability::kDefault)));
  CHECK(f.queue.Describe().counts.in_flight == 1);
}

}  // namespace
}  // namespace eddy::queue
