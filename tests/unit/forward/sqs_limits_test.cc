// What the target queue takes: read, assumed, raised, lowered.
#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include "src/forward/sqs_verdict.h"
#include "tests/unit/forward/forward_fixture.h"

namespace eddy::forward {
namespace {

struct LimitsHost : ForwardHost {
  LimitsHost() {
    CreateDeadLetters();
    route.dead_letter_queue = "dead";
  }
};

TEST_CASE("without the right to read the limit a large message is sent, alone",
          "[forward][sqs][dead]") {
  LimitsHost host;
  host.CreateQueue("q", {}, /*remote_bytes_max=*/1 << 20);
  host.aws.HideAttributes();
  host.Send("q", "small");
  host.Send("q", std::string(600000, 'x'));
  host.Send("q", std::string(1 << 20, 'y'));
  host.StartSqs("q");
  host.RunUntilCaughtUp();
  CHECK(host.Status().records_dead == 0);
  CHECK(host.aws.Bodies("q").size() == 3);
  for (const FakeCall& call : host.aws.Calls("SendMessageBatch")) CHECK(call.entry_count == 1);
}

TEST_CASE("what the service itself calls too long, alone, is a dead letter",
          "[forward][sqs][dead]") {
  LimitsHost host;
  host.CreateQueue("q", {}, /*remote_bytes_max=*/2000);
  host.aws.HideAttributes();
  host.Send("q", std::string(1500, 'x'));
  host.Send("q", std::string(3000, 'y'));
  host.Send("q", std::string(1500, 'z'));
  host.StartSqs("q");
  host.RunUntilCaughtUp();
  CHECK(host.Status().records_dead == 1);
  CHECK(host.aws.Bodies("q").size() == 2);
}

TEST_CASE("a limit is read again before a message is given up for it", "[forward][sqs][dead]") {
  LimitsHost host;
  host.CreateQueue("q", {}, /*remote_bytes_max=*/1024);
  host.StartSqs("q");
  host.Send("q", "first");
  host.RunUntilCaughtUp();
  SECTION("and may have been raised") {
    host.aws.CreateQueue("q", 4096);
    host.Send("q", std::string(2000, 'x'));
    host.RunUntilCaughtUp();
    CHECK(host.Status().records_dead == 0);
    CHECK(host.aws.Bodies("q").size() == 1);
  }
  SECTION("or not") {
    host.Send("q", std::string(2000, 'x'));
    host.RunUntilCaughtUp();
    CHECK(host.Status().records_dead == 1);
    CHECK(host.aws.Calls("GetQueueAttributes").size() == 2);
  }
  CHECK(host.aws.RefusedRequests() == 0);
}

TEST_CASE("a message that blocks the route by its size goes when the limit is raised",
          "[forward][sqs][operator]") {
  ForwardHost host;
  host.CreateQueue("q", {}, /*remote_bytes_max=*/1024);
  host.Send("q", std::string(2000, 'x'));
  host.StartSqs("q");
  host.Run(absl::Minutes(20));
  CHECK(host.Status().last_error.ToString().find("blocks the route") != std::string::npos);
  host.aws.CreateQueue("q", 4096);
  host.RunUntilCaughtUp(absl::Minutes(10));
  CHECK(host.aws.Bodies("q").size() == 1);
}

TEST_CASE("a queue that comes back with another limit is asked for it", "[forward][sqs]") {
  LimitsHost host;
  host.CreateQueue("q", {}, /*remote_bytes_max=*/4096);
  host.StartSqs("q");
  host.Send("q", "first");
  host.RunUntilCaughtUp();
  FakeFault gone;
  gone.kind = Kind::kError;
  gone.code = "QueueDoesNotExist";
  gone.operation = "SendMessageBatch";
  host.aws.Order(gone);
  host.aws.CreateQueue("q", 1024);
  for (int i = 0; i < 4; ++i) host.Send("q", std::string(1000, 'x'));
  host.RunUntilCaughtUp();
  CHECK(host.aws.Bodies("q").size() == 4);
  CHECK(host.aws.Calls("GetQueueAttributes").size() == 2);
  const std::vector<FakeCall> calls = host.aws.Calls("SendMessageBatch");
  CHECK(calls.size() == 1 + 1 + 4);
  CHECK(calls[1].entry_count == 4);  // the one that found it gone; then no batch is too large
  for (size_t i = 2; i < calls.size(); ++i) CHECK(calls[i].applied);
}

TEST_CASE("an answer without digests is unverified, not wrong", "[forward][sqs]") {
  LimitsHost host;
  host.CreateQueue("q");
  host.aws.OmitDigests();
  for (int i = 0; i < 12; ++i) host.Send("q", "m");
  host.StartSqs("q");
  host.RunUntilCaughtUp();
  CHECK(host.Status().records_delivered == 12);
  CHECK(host.Status().records_dead == 0);
  CHECK(host.aws.Bodies("q").size() == 12);
}

TEST_CASE("without a dead-letter queue wrong digests end the sending, and say so",
          "[forward][sqs]") {
  ForwardHost host;
  host.CreateQueue("q");
  host.Send("q", "m");
  host.aws.SpoilDigests(1000);
  host.StartSqs("q");
  host.Run(absl::Hours(5));
  CHECK(host.aws.Bodies("q").size() == static_cast<size_t>(kDigestFailuresMax));
  CHECK(host.Status().last_error.ToString().find("blocks the route") != std::string::npos);
  CHECK_FALSE(host.Status().caught_up);
}

}  // namespace
}  // namespace eddy::forward
