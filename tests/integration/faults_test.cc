// What networks do: through the chaos proxy, and what a front does to its answers.
#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "tests/fakes/order_judge.h"
#include "tests/integration/peers.h"

namespace eddy::integration {
namespace {

TEST_CASE("a link that is cut and comes back loses nothing and keeps the order",
          "[integration][fault]") {
  Gateway gateway;
  const std::string s = gateway.CreateStream(2);
  absl::Mutex mu;
  std::vector<LinkState> states;
  gateway.options.on_link_change = [&](const std::string&, LinkState, LinkState to) {
    absl::MutexLock lock(&mu);
    states.push_back(to);
  };
  gateway.PutMany(s, 200, 20);
  gateway.AddKinesisRoute(s);
  gateway.WaitUntilDelivered();
  gateway.peers.OrderChaos("kinesis", R"([{"action":"refuse"},{"action":"cut"}])");
  gateway.PutMany(s, 400, 20);
  gateway.WaitUntil("offline", [&] { return gateway.Status().link == LinkState::kOffline; });
  gateway.PutMany(s, 400, 20);
  gateway.peers.OrderChaos("kinesis", R"({"action":"restore"})");
  gateway.forwarder->Wake();
  gateway.WaitUntilDelivered();
  gateway.CheckStream(s);
  absl::MutexLock lock(&mu);
  CHECK(states == std::vector<LinkState>{LinkState::kOffline, LinkState::kOnline});
}

TEST_CASE("a link that swallows everything times out, and is tried until it passes",
          "[integration][fault]") {
  Gateway gateway;
  gateway.options.request_timeout = absl::Milliseconds(300);
  const std::string s = gateway.CreateStream();
  gateway.peers.OrderChaos("kinesis", R"({"action":"blackhole"})");
  gateway.PutMany(s, 100, 20);
  gateway.AddKinesisRoute(s);
  gateway.WaitUntil("a timeout", [&] {
    return gateway.Status().link == LinkState::kOffline && gateway.Status().requests >= 2;
  });
  CHECK(absl::IsDeadlineExceeded(gateway.Status().last_error));
  // What the hole has swallowed must not come out of it.
  gateway.peers.OrderChaos("kinesis", R"([{"action":"cut"},{"action":"restore"}])");
  gateway.WaitUntilDelivered();
  gateway.CheckStream(s);
}

TEST_CASE("connections that break anywhere cost no record and no order",
          "[integration][fault]") {
  const std::string order = GENERATE(
      as<std::string>(), R"({"action":"rst","after":500,"direction":"up","times":3})",
      R"({"action":"rst","after":0,"direction":"down","times":3})",
      R"({"action":"rst","after":100,"direction":"down","times":3})",
      R"({"action":"fin","after":5,"direction":"down","times":3})",
      R"({"action":"fin","after":60,"direction":"down","times":3})",
      R"({"action":"fin","after":300,"direction":"down","times":3})",
      R"({"action":"half-close","after":40,"direction":"down","times":2})");
  INFO(order);
  Gateway gateway;
  const std::string s = gateway.CreateStream();
  gateway.peers.OrderChaos("kinesis", order);
  gateway.PutMany(s, 200, 40);
  gateway.AddKinesisRoute(s);
  gateway.WaitUntilDelivered();
  gateway.CheckStream(s);
}

TEST_CASE("a slow link carries all the same", "[integration][fault]") {
  const std::string order =
      GENERATE(as<std::string>(), R"({"action":"delay","ms":100,"direction":"both"})",
               R"({"action":"trickle","bytes":200,"everyMs":2,"direction":"down"})");
  INFO(order);
  Gateway gateway;
  const std::string s = gateway.CreateStream();
  gateway.peers.OrderChaos("kinesis", order);
  gateway.PutMany(s, 100, 50);
  gateway.AddKinesisRoute(s);
  gateway.WaitUntilDelivered();
  CHECK(gateway.CheckStream(s) == 0);
}

TEST_CASE("answers that are cut, late or never come are unknown outcomes",
          "[integration][fault]") {
  const std::string rule = GENERATE(
      as<std::string>(), R"({"action":"reset","times":3})", R"({"action":"hang","times":2})",
      R"({"action":"truncate","times":3})", R"({"action":"truncate","bytes":1,"times":2})",
      R"({"action":"truncate-status","times":3})",
      R"({"action":"truncate-status","bytes":40,"times":2})", R"({"delayMs":800,"times":2})",
      R"({"action":"drop-response","times":2})");
  INFO(rule);
  Gateway gateway;
  gateway.options.request_timeout = absl::Milliseconds(500);
  const std::string s = gateway.CreateStream();
  const std::string q = gateway.CreateQueue();
  gateway.peers.OrderFront("kinesis", rule);
  gateway.peers.OrderFront("sqs", rule);
  gateway.PutMany(s, 60, 20);
  for (int i = 0; i < 25; ++i) gateway.Send(q, absl::StrCat("job ", i));
  gateway.AddKinesisRoute(s);
  gateway.AddSqsRoute(q);
  gateway.WaitUntilDelivered();
  gateway.Pause(absl::Milliseconds(900));  // late ones arrive
  const testing::Judgement judgement = testing::Judge(gateway.put, gateway.peers.ReadStream(s));
  CHECK(judgement.missing == 0);
  CHECK(judgement.out_of_order == 0);
  CHECK(judgement.twice <= gateway.Status(0).records_maybe_twice);
  const std::vector<std::string> bodies = gateway.peers.ReadQueue(q);
  CHECK(bodies.size() >= 25);
  CHECK(bodies.size() <= 25 + gateway.Status(1).records_maybe_twice);
}

TEST_CASE("the end of a forwarder waits for its request no longer than the timeout",
          "[integration][fault]") {
  Gateway gateway;
  gateway.options.request_timeout = absl::Seconds(2);
  const std::string s = gateway.CreateStream();
  gateway.peers.OrderFront("kinesis", R"({"action":"hang"})");
  gateway.Put(s, "k");
  gateway.AddKinesisRoute(s);
  gateway.WaitUntil("the request", [&] {
    return gateway.peers.Count("kinesis", "PutRecords", "calls") == 1;
  });
  Clock& clock = *DefaultPlatform().clock;
  const absl::Duration before = clock.SinceBoot();
  gateway.forwarder.reset();
  CHECK(clock.SinceBoot() - before < absl::Seconds(4));
}

}  // namespace
}  // namespace eddy::integration
