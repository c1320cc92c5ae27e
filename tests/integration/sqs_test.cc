// Queues to SQS over plain HTTP.
#include <algorithm>
#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include "absl/strings/str_cat.h"
#include "tests/integration/peers.h"

namespace eddy::integration {
namespace {

TEST_CASE("messages reach SQS exactly, under verified signatures, and are gone here",
          "[integration][sqs]") {
  Gateway gateway;
  const std::string q = gateway.CreateQueue();
  for (int i = 0; i < 300; ++i) {
    gateway.Send(q, absl::StrCat("{\"job\":", i, ",\"text\":\"\xE2\x82\xAC \\\" \\n\"}\n\t"));
  }
  gateway.AddSqsRoute(q);
  gateway.WaitUntilDelivered();
  CHECK(gateway.CheckQueue(q) == 0);
  CHECK(gateway.peers.Count("sqs", "SendMessageBatch", "verified") >= 30);
  const QueueCounts counts = (*gateway.store->OpenQueue(q))->Describe().counts;
  CHECK(counts.visible + counts.in_flight == 0);
}

TEST_CASE("the target's own limit is read and kept", "[integration][sqs]") {
  Gateway gateway;
  const std::string q = gateway.CreateQueue("MaximumMessageSize=2048");
  REQUIRE(gateway.store->CreateQueue("dead").ok());
  gateway.route.dead_letter_queue = "dead";
  for (int i = 0; i < 12; ++i) gateway.Send(q, absl::StrCat(i, std::string(900, 'x')));
  gateway.AddSqsRoute(q);
  gateway.WaitUntilDelivered();
  CHECK(gateway.CheckQueue(q) == 0);
  CHECK(gateway.peers.Count("sqs", "SendMessageBatch", "calls") >= 6);

  REQUIRE((*gateway.store->OpenQueue(q))->Send(std::string(3000, 'y')).ok());
  gateway.WaitUntil("the dead letter", [&] { return gateway.Status().records_dead == 1; });
}

TEST_CASE("entries that fail are sent again, those that never can are dead letters",
          "[integration][sqs]") {
  Gateway gateway;
  const std::string q = gateway.CreateQueue();
  Queue* const dead = *gateway.store->CreateQueue("dead");
  gateway.route.dead_letter_queue = "dead";
  gateway.peers.OrderFront("sqs", R"([
      {"op":"SendMessageBatch","partial":[0,2],"code":"InternalError"},
      {"op":"SendMessageBatch","partial":[0],"senderFault":true,"code":"InvalidMessageContents"}])");
  for (int i = 0; i < 20; ++i) gateway.Send(q, absl::StrCat("job ", i));
  gateway.AddSqsRoute(q);
  gateway.WaitUntilDelivered();
  CHECK(gateway.Status().records_dead == 1);
  CHECK(gateway.Status().records_delivered == 19);
  const auto letters = dead->Receive();
  REQUIRE(letters.ok());
  REQUIRE(letters->size() == 1);
  std::vector<std::string> arrived = gateway.peers.ReadQueue(q);
  arrived.push_back(letters->front().body);
  std::sort(arrived.begin(), arrived.end());
  std::sort(gateway.sent.begin(), gateway.sent.end());
  CHECK(arrived == gateway.sent);
}

TEST_CASE("an outage of the queue's service keeps the messages and their counts",
          "[integration][sqs]") {
  Gateway gateway;
  const std::string q = gateway.CreateQueue();
  gateway.peers.OrderChaos("sqs", R"([{"action":"refuse"},{"action":"cut"}])");
  for (int i = 0; i < 40; ++i) gateway.Send(q, absl::StrCat("job ", i));
  gateway.AddSqsRoute(q);
  gateway.WaitUntil("offline", [&] { return gateway.Status().link == LinkState::kOffline; });
  CHECK((*gateway.store->OpenQueue(q))->Describe().counts.visible == 40);
  gateway.peers.OrderChaos("sqs", R"({"action":"restore"})");
  gateway.WaitUntilDelivered();
  CHECK(gateway.CheckQueue(q) == 0);
}

}  // namespace
}  // namespace eddy::integration
