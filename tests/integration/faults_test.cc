// What becomes of single requests and answers, at the front of each service: ordered for
// the requests that carry something, and counted there.
#include <string>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include "tests/integration/two_routes.h"

namespace eddy::integration {
namespace {

struct Answer {
  const char* rule;
  int times;
  bool applied;  // the service has done it, and the client cannot know
};

TEST_CASE("answers that are cut, late or never come are unknown outcomes",
          "[integration][fault]") {
  const Answer answer = GENERATE(
      Answer{R"("action":"reset","times":3)", 3, false},
      Answer{R"("action":"hang","times":2)", 2, false},
      Answer{R"("action":"truncate","times":3)", 3, true},
      Answer{R"("action":"truncate","bytes":1,"times":2)", 2, true},
      Answer{R"("action":"truncate-status","times":3)", 3, true},
      Answer{R"("action":"truncate-status","bytes":40,"times":2)", 2, true},
      Answer{R"("delayMs":2000,"times":2)", 2, true},
      Answer{R"("action":"drop-response","times":2)", 2, true});
  INFO(answer.rule);
  TwoRoutes gateway;
  // Small requests: a large one would have longer for its answer.
  gateway.options.request_timeout = absl::Milliseconds(300);
  gateway.route.records_max = 4;
  gateway.OrderFronts(answer.rule);
  gateway.PutAndSend(60, 20, 25);
  gateway.AddRoutes();
  gateway.WaitUntilDelivered();
  // The late ones are counted when they have arrived.
  gateway.WaitUntil("all faults", [&] {
    return gateway.KinesisFaults() == answer.times && gateway.SqsFaults() == answer.times;
  });
  const TwoRoutes::Twice twice = gateway.Check();
  CHECK((twice.records > 0) == answer.applied);
  CHECK((twice.messages > 0) == answer.applied);
}

TEST_CASE("each answer that is dropped after it was applied makes its request double, and counted",
          "[integration][fault]") {
  TwoRoutes gateway;
  gateway.OrderFronts(R"("action":"drop-response","after":2,"times":3)");
  gateway.PutAndSend(400, 40, 100);
  gateway.AddRoutes();
  gateway.WaitUntilDelivered();
  CHECK(gateway.KinesisFaults() == 3);
  CHECK(gateway.SqsFaults() == 3);
  const TwoRoutes::Twice twice = gateway.Check();
  CHECK(twice.records == 3 * 40);
  CHECK(twice.messages == 3 * 10);
  CHECK(gateway.StatusTo("kinesis").records_maybe_twice == twice.records);
  CHECK(gateway.StatusTo("sqs").records_maybe_twice == twice.messages);
}

TEST_CASE("errors of the service and of what stands before it are waited out",
          "[integration][fault]") {
  TwoRoutes gateway;
  int fault_count = 0;
  for (const char* rule : {R"("action":"error","code":"ThrottlingException","message":"Rate")",
                           R"("action":"error","code":"InternalFailure","status":500)",
                           R"("action":"error","code":"ServiceUnavailable","status":503)",
                           R"("action":"error","status":503,"body":"<html>busy</html>")",
                           R"("action":"error","status":504,"body":"gateway timeout")",
                           R"("action":"error","status":429)",
                           R"("action":"error","status":502,"body":"bad gateway")",
                           R"("action":"error","code":"RequestThrottled","status":403)"}) {
    gateway.OrderFronts(rule);
    ++fault_count;
  }
  gateway.PutAndSend(100, 10, 60);
  gateway.AddRoutes();
  gateway.WaitUntilDelivered();
  CHECK(gateway.KinesisFaults() == fault_count);
  CHECK(gateway.SqsFaults() == fault_count);
  const TwoRoutes::Twice twice = gateway.Check();
  CHECK(twice.records == 0);
  CHECK(twice.messages == 0);
  for (const RouteStatus& status : gateway.forwarder->Status()) {
    CHECK(status.link == LinkState::kOnline);
    CHECK(status.records_retried > 0);
    CHECK(status.records_dead == 0);
  }
}

TEST_CASE("parts of batches that are throttled or fail are sent again alone, and in order",
          "[integration][fault]") {
  TwoRoutes gateway;
  const std::string code =
      GENERATE(as<std::string>(), R"("code":"InternalFailure")", R"("code":"ThrottlingException")");
  INFO(code);
  gateway.options.retry_delay_max = absl::Milliseconds(100);
  gateway.OrderFronts(R"("partialFraction":0.3,"seed":7,"times":10,)" + code);
  gateway.PutAndSend(600, 40, 150);
  gateway.AddRoutes();
  gateway.WaitUntilDelivered();
  CHECK(gateway.KinesisFaults() == 10);
  CHECK(gateway.SqsFaults() == 10);
  CHECK(gateway.peers.Count("kinesis", "PutRecords", "failed") > 20);
  CHECK(gateway.peers.Count("sqs", "SendMessageBatch", "failed") > 10);
  const TwoRoutes::Twice twice = gateway.Check();
  CHECK(twice.records == 0);
  CHECK(twice.messages == 0);
  CHECK(gateway.StatusTo("kinesis").records_retried > 20);
  CHECK(gateway.StatusTo("sqs").records_retried > 10);
}

TEST_CASE("the end of a forwarder waits for its request no longer than it may take",
          "[integration][fault]") {
  TwoRoutes gateway;
  gateway.options.request_timeout = absl::Seconds(2);
  gateway.OrderFronts(R"("action":"hang")");
  gateway.PutAndSend(1, 1, 1);
  gateway.AddRoutes();
  gateway.WaitUntil("the requests",
                    [&] { return gateway.KinesisFaults() == 1 && gateway.SqsFaults() == 1; });
  Clock& clock = *DefaultPlatform().clock;
  const absl::Duration before = clock.SinceBoot();
  gateway.forwarder.reset();
  CHECK(clock.SinceBoot() - before < absl::Seconds(4));
}

}  // namespace
}  // namespace eddy::integration
