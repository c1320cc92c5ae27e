// What a call may ask for.
#include "tests/unit/queue/queue_fixture.h"

namespace eddy::queue {
namespace {

TEST_CASE("a receive asks for 1 to 10 messages, 0 to 20 s, 0 to 12 h",
          "[queue][contract][input]") {
  QueueHost host;
  QueueImpl& queue = host.Create("jobs");
  struct Row {
    const char* what;
    void (*set)(ReceiveOptions&);
    bool good;
  };
  const Row rows[] = {
      {"0 messages", [](ReceiveOptions& o) { o.max_messages = 0; }, false},
      {"-1 messages", [](ReceiveOptions& o) { o.max_messages = -1; }, false},
      {"10 messages", [](ReceiveOptions& o) { o.max_messages = 10; }, true},
      {"11 messages", [](ReceiveOptions& o) { o.max_messages = 11; }, false},
      {"20 s", [](ReceiveOptions& o) { o.wait_time = absl::Seconds(20); }, true},
      {"above 20 s", [](ReceiveOptions& o) { o.wait_time = absl::Seconds(21); }, false},
      {"for ever", [](ReceiveOptions& o) { o.wait_time = absl::InfiniteDuration(); }, false},
      {"negative wait", [](ReceiveOptions& o) { o.wait_time = -absl::Seconds(1); }, false},
      {"12 h", [](ReceiveOptions& o) { o.visibility_timeout = absl::Hours(12); }, true},
      {"above 12 h", [](ReceiveOptions& o) { o.visibility_timeout = absl::Seconds(43201); },
       false},
      {"negative timeout",
       [](ReceiveOptions& o) { o.visibility_timeout = -absl::Nanoseconds(1); }, false},
  };
  for (const Row& row : rows) {
    ReceiveOptions options;
    row.set(options);
    const absl::Status status = queue.Receive(options).status();
    INFO(row.what << ": " << status.ToString());
    CHECK(status.ok() == row.good);
    CHECK(absl::IsInvalidArgument(status) == !row.good);
  }
}

TEST_CASE("a delay is 0 to 15 minutes, a new timeout 0 to 12 hours", "[queue][contract][input]") {
  QueueHost host;
  QueueImpl& queue = host.Create("jobs");
  SendOptions options;
  for (const absl::Duration bad :
       {-absl::Seconds(1), absl::Seconds(901), absl::InfiniteDuration()}) {
    options.delay = bad;
    CHECK(absl::IsInvalidArgument(queue.Send("x", options).status()));
  }
  Send(queue, "x");
  const Message message = Receive(queue);
  for (const absl::Duration bad :
       {-absl::Seconds(1), absl::Hours(13), absl::InfiniteDuration()}) {
    CHECK(absl::IsInvalidArgument(
        queue.ChangeVisibility(message.receipt_handle, bad, Durability::kDefault)));
  }
  CHECK(IsEmpty(queue));
}

TEST_CASE("a body is 1 byte to the queue's maximum", "[queue][contract][input]") {
  QueueHost host;
  QueueOptions options;
  options.message_bytes_max = 2000;
  QueueImpl& queue = host.Create("jobs", options);
  CHECK(absl::IsInvalidArgument(queue.Send("", {}).status()));
  CHECK(absl::IsInvalidArgument(queue.Send(std::string(2001, 'x'), {}).status()));
  CHECK(queue.Send(std::string(2000, 'x'), {}).ok());
  CHECK(absl::IsInvalidArgument(queue.Send(std::string_view("nul \0", 5), {}).status()));
}

TEST_CASE("a queue with a bad name or option is not created", "[queue][contract][input]") {
  QueueHost host;
  QueueOptions bad;
  bad.delay = absl::Hours(1);
  CHECK(absl::IsInvalidArgument(
      QueueImpl::Create(host.engine(), "jobs", bad, nullptr).status()));
  CHECK(absl::IsInvalidArgument(QueueImpl::Create(host.engine(), "a/b", {}, nullptr).status()));
  host.Reopen();
  host.Create("jobs");
  // The store looks first; the table is the last guard.
  CHECK(absl::IsAlreadyExists(
      QueueImpl::Create(host.engine(), "jobs", {}, nullptr).status()));
}

}  // namespace
}  // namespace eddy::queue
