// Creating a queue, and its options.
#include "tests/unit/queue/queue_fixture.h"

namespace eddy::queue {
namespace {

TEST_CASE("a queue and its options are there after a restart", "[queue][restart]") {
  QueueHost host;
  host.Create("dead");
  QueueOptions options;
  options.visibility_timeout = absl::Milliseconds(1500);
  options.delay = absl::Seconds(7);
  options.receive_wait_time = absl::Seconds(3);
  options.message_bytes_max = 2048;
  options.dead_letter_queue = "dead";
  options.max_receive_count = 4;
  options.durability = Durability::kProcess;
  const absl::Time created = host.Create("jobs", options).Describe().created;
  host.Reopen();
  const QueueDescription description = host.Find("jobs").Describe();
  CHECK(description.name == "jobs");
  CHECK(description.created == created);
  CHECK(host.Find("jobs").SameOptions(options).ok());
  CHECK(description.options.dead_letter_queue == "dead");
  CHECK(description.options.max_receive_count == 4);
}

TEST_CASE("the first option in which a queue differs is named", "[queue]") {
  QueueHost host;
  QueueImpl& queue = host.Create("jobs");
  CHECK(queue.SameOptions({}).ok());
  QueueOptions other;
  other.delay = absl::Seconds(5);
  other.max_receive_count = 3;
  const absl::Status status = queue.SameOptions(other);
  CHECK(absl::IsAlreadyExists(status));
  CHECK(std::string(status.message()) == "queue jobs exists with delay 0, not 5s");
}

TEST_CASE("a durability that does not exist is refused by every call, and nothing is done",
          "[queue]") {
  constexpr auto kNone = static_cast<Durability>(3);
  QueueHost host;
  QueueOptions options;
  options.durability = kNone;
  CHECK(absl::IsInvalidArgument(
      QueueImpl::Create(host.engine(), "other", options, nullptr).status()));
  QueueImpl& queue = host.Create("jobs");
  CHECK(absl::IsInvalidArgument(queue.SameOptions(options)));
  Send(queue, "x");
  SendOptions send;
  send.durability = kNone;
  CHECK(absl::IsInvalidArgument(queue.Send("y", send).status()));
  CHECK(absl::IsInvalidArgument(queue.SendBatch({{"y", {}}}, send).status()));
  CHECK(absl::IsInvalidArgument(queue.SendDeadLetter("y", "s", "r", send).status()));
  ReceiveOptions receive;
  receive.durability = kNone;
  CHECK(absl::IsInvalidArgument(queue.Receive(receive).status()));
  const Message message = Receive(queue);
  CHECK(message.receive_count == 1);
  CHECK(absl::IsInvalidArgument(queue.Delete(message.receipt_handle, kNone)));
  CHECK(absl::IsInvalidArgument(queue.DeleteBatch({message.receipt_handle}, kNone).status()));
  CHECK(absl::IsInvalidArgument(
      queue.ChangeVisibility(message.receipt_handle, absl::ZeroDuration(), kNone)));
  CHECK(queue.Describe().counts.in_flight == 1);
  CHECK(queue.Describe().counts.visible == 0);
}

}  // namespace
}  // namespace eddy::queue
