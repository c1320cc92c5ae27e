// Batches: 1 to 10 entries, each with its own result.
#include "tests/unit/queue/queue_fixture.h"

namespace eddy::queue {
namespace {

TEST_CASE("an entry that fails does not stop the others", "[queue][contract][batch]") {
  QueueHost host;
  QueueImpl& queue = host.Create("jobs");
  std::vector<SendEntry> entries(4);
  entries[0].body = "a";
  entries[1].body = "\x01";
  entries[2].body = "c";
  entries[2].delay = absl::Hours(1);
  entries[3].body = "d";
  const auto results = queue.SendBatch(entries, {});
  REQUIRE(results.ok());
  REQUIRE(results->size() == 4);
  CHECK((*results)[0].ok());
  CHECK(absl::IsInvalidArgument((*results)[1].status()));
  CHECK(absl::IsInvalidArgument((*results)[2].status()));
  CHECK((*results)[3].ok());
  const std::vector<Message> messages = ReceiveUpTo(queue, 10);
  CHECK(Bodies(messages) == Strings{"a", "d"});
  CHECK(messages[1].message_id == (*results)[3]->message_id);
}

TEST_CASE("the delay of an entry goes before that of the call and of the queue",
          "[queue][contract][batch]") {
  QueueHost host;
  QueueOptions options;
  options.delay = absl::Seconds(1);
  QueueImpl& queue = host.Create("jobs", options);
  std::vector<SendEntry> entries(2);
  entries[0].body = "call";
  entries[1].body = "entry";
  entries[1].delay = absl::Seconds(3);
  SendOptions call;
  call.delay = absl::Seconds(2);
  REQUIRE(queue.SendBatch(entries, call).ok());
  host.device.clock.Advance(absl::Seconds(2) - absl::Milliseconds(1));
  CHECK(IsEmpty(queue));
  host.device.clock.Advance(absl::Milliseconds(1));
  CHECK(Bodies(ReceiveUpTo(queue, 10)) == Strings{"call"});
  host.device.clock.Advance(absl::Seconds(1));
  CHECK(Bodies(ReceiveUpTo(queue, 10)) == Strings{"entry"});
}

TEST_CASE("a batch that is empty, of more than 10, or above a mebibyte does nothing",
          "[queue][contract][batch]") {
  QueueHost host;
  QueueImpl& queue = host.Create("jobs");
  const std::string half(kMessageBytesMax / 2, 'x');
  std::vector<SendEntry> large(2);
  large[0].body = large[1].body = half;
  CHECK(queue.SendBatch(large, {}).ok());
  CHECK(ReceiveUpTo(queue, 10).size() == 2);
  large.emplace_back().body = "x";
  std::vector<SendEntry> eleven(11);
  for (SendEntry& entry : eleven) entry.body = "x";
  CHECK(absl::IsInvalidArgument(queue.SendBatch(large, {}).status()));
  CHECK(absl::IsInvalidArgument(queue.SendBatch(eleven, {}).status()));
  CHECK(absl::IsInvalidArgument(queue.SendBatch({}, {}).status()));
  CHECK(absl::IsInvalidArgument(queue.DeleteBatch({}, Durability::kDefault).status()));
  CHECK(absl::IsInvalidArgument(
      queue.DeleteBatch(std::vector<std::string_view>(11, "x"), Durability::kDefault).status()));
  CHECK(IsEmpty(queue));
}

TEST_CASE("handles of a batch succeed and fail one by one", "[queue][contract][batch]") {
  QueueHost host;
  QueueImpl& queue = host.Create("jobs");
  for (const char* body : {"a", "b", "c"}) Send(queue, body);
  const std::vector<Message> messages = ReceiveUpTo(queue, 3);
  const auto results = queue.DeleteBatch(
      {messages[2].receipt_handle, "garbage", messages[0].receipt_handle,
       messages[2].receipt_handle},
      Durability::kDefault);
  REQUIRE(results.ok());
  REQUIRE(results->size() == 4);
  CHECK((*results)[0].ok());
  CHECK(absl::IsInvalidArgument((*results)[1]));
  CHECK((*results)[2].ok());
  CHECK((*results)[3].ok());  // the same handle twice
  CHECK(queue.Describe().counts.in_flight == 1);
  host.device.clock.Advance(absl::Seconds(30));
  CHECK(Bodies(ReceiveUpTo(queue, 10)) == Strings{"b"});
}

}  // namespace
}  // namespace eddy::queue
