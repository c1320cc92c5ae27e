// What networks do to connections: through the chaos proxies, for both services at once.
// A case that orders something asks the proxies whether it came to pass.
#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "tests/integration/two_routes.h"

namespace eddy::integration {
namespace {

constexpr const char* kServices[] = {"kinesis", "sqs"};

TEST_CASE("a link that is cut in mid-flow and comes back loses nothing and keeps the order",
          "[integration][chaos]") {
  TwoRoutes gateway;
  absl::Mutex mu;
  std::vector<LinkState> states;  // of the stream's route
  std::string reasons;
  gateway.options.on_link_change = [&](const std::string& route, LinkState, LinkState to) {
    if (route.find("kinesis:") == std::string::npos) return;
    const RouteStatus status = gateway.StatusTo("kinesis");
    absl::MutexLock lock(&mu);
    states.push_back(to);
    absl::StrAppend(&reasons, absl::FormatTime(absl::Now()), " after ", status.requests,
                    " requests: ", status.last_error.ToString(), "\n");
  };
  gateway.Begin();
  // Slow enough that the cut meets requests under way.
  gateway.OrderProxies(R"({"action":"delay","ms":40,"direction":"both"})");
  gateway.PutAndSend(800, 20, 400);
  for (const char* service : kServices) {
    gateway.WaitUntil("the flow", [&] {
      const RouteStatus status = gateway.StatusTo(service);
      return status.records_delivered > 21 && status.link == LinkState::kOnline;
    });
  }
  {
    // Of the cut alone: on a busy machine a service may drop a connection by itself before.
    absl::MutexLock lock(&mu);
    states.clear();
  }
  gateway.OrderProxies(R"([{"action":"refuse"},{"action":"cut"}])");
  for (const char* service : kServices) {
    CHECK(gateway.peers.ChaosCount(service, "cut") > 0);
    gateway.WaitUntil("offline", [&] {
      return gateway.StatusTo(service).link == LinkState::kOffline;
    });
    CHECK_FALSE(gateway.StatusTo(service).caught_up);
  }
  gateway.PutAndSend(400, 20, 50);
  gateway.OrderProxies(R"({"action":"restore"})");
  gateway.forwarder->Wake();
  gateway.WaitUntilDelivered();
  (void)gateway.Check();
  absl::MutexLock lock(&mu);
  INFO(reasons);
  CHECK(states == std::vector<LinkState>{LinkState::kOffline, LinkState::kOnline});
}

TEST_CASE("a link that swallows everything times out, and is tried until it passes",
          "[integration][chaos]") {
  TwoRoutes gateway;
  gateway.options.request_timeout = absl::Milliseconds(300);
  gateway.route.records_max = 5;
  gateway.Begin();
  gateway.OrderProxies(R"([{"action":"forget"},{"action":"blackhole"}])");
  gateway.PutAndSend(100, 20, 30);
  for (const char* service : kServices) {
    const uint64_t before = gateway.StatusTo(service).requests;
    gateway.WaitUntil("a timeout", [&] {
      const RouteStatus status = gateway.StatusTo(service);
      return status.link == LinkState::kOffline && status.requests >= before + 2;
    });
    CHECK(absl::IsDeadlineExceeded(gateway.StatusTo(service).last_error));
    CHECK(gateway.peers.ChaosCount(service, "bytesDown") == 0);
  }
  // What the hole has swallowed must not come out of it.
  gateway.OrderProxies(R"([{"action":"cut"},{"action":"restore"}])");
  gateway.WaitUntilDelivered();
  (void)gateway.Check();
}

struct Break {
  const char* order;
  int times;
  bool applied;  // the request has arrived, its answer has not
};

TEST_CASE("connections that break anywhere cost no record and no order",
          "[integration][chaos]") {
  const Break broken =
      GENERATE(Break{R"({"action":"rst","after":500,"direction":"up","times":3})", 3, false},
               Break{R"({"action":"rst","after":0,"direction":"down","times":3})", 3, true},
               Break{R"({"action":"rst","after":100,"direction":"down","times":3})", 3, true},
               Break{R"({"action":"fin","after":5,"direction":"down","times":3})", 3, true},
               Break{R"({"action":"fin","after":60,"direction":"down","times":3})", 3, true},
               Break{R"({"action":"fin","after":300,"direction":"down","times":3})", 3, true},
               Break{R"({"action":"half-close","after":40,"direction":"down","times":2})", 2, true});
  INFO(broken.order);
  TwoRoutes gateway;
  gateway.Begin();
  gateway.OrderProxies(broken.order);
  gateway.PutAndSend(200, 40, 50);
  gateway.WaitUntilDelivered();
  for (const char* service : kServices) {
    INFO(service);
    CHECK(gateway.peers.ChaosCount(service, "fired") == broken.times);
  }
  const TwoRoutes::Twice twice = gateway.Check();
  CHECK((twice.records > 0) == broken.applied);
  CHECK((twice.messages > 0) == broken.applied);
}

TEST_CASE("a slow link carries all the same, and nothing twice", "[integration][chaos]") {
  struct Slowness {
    const char* order;
    int64_t ms_per_lot;
  };
  const Slowness slow =
      GENERATE(Slowness{R"({"action":"delay","ms":100,"direction":"both"})", 100},
               Slowness{R"({"action":"trickle","bytes":200,"everyMs":2,"direction":"down"})", 1});
  INFO(slow.order);
  TwoRoutes gateway;
  gateway.Begin();
  gateway.OrderProxies(slow.order);
  gateway.PutAndSend(100, 50, 30);
  gateway.WaitUntilDelivered();
  for (const char* service : kServices) {
    INFO(service);
    const int64_t lots = gateway.peers.ChaosCount(service, "slowed");
    CHECK(lots >= 4);
    CHECK(gateway.peers.ChaosCount(service, "slowedMs") >= lots * slow.ms_per_lot);
  }
  const TwoRoutes::Twice twice = gateway.Check();
  CHECK(twice.records == 0);
  CHECK(twice.messages == 0);
}

TEST_CASE("a forwarder that ends with requests in flight goes on after its restart",
          "[integration][chaos][restart]") {
  TwoRoutes gateway;
  gateway.options.request_timeout = absl::Milliseconds(300);
  gateway.route.records_max = 10;
  gateway.AddRoutes();
  for (int round = 0; round < 6; ++round) {
    // Applied, and no answer before the forwarder that waits for it has gone.
    gateway.OrderFronts(R"("action":"hang","applied":true,"after":1)");
    const int64_t kinesis = gateway.KinesisFaults(), sqs = gateway.SqsFaults();
    gateway.PutAndSend(120, 30, 60);
    gateway.WaitUntil("a request in flight", [&] {
      return gateway.KinesisFaults() > kinesis && gateway.SqsFaults() > sqs;
    });
    gateway.Restart();
    gateway.AddRoutes();
  }
  gateway.WaitUntil("the rest", [&] {
    for (const RouteStatus& status : gateway.forwarder->Status()) {
      if (!status.caught_up || status.records_delivered == 0) return false;
    }
    return true;
  });
  // Of each life: what was in flight, and what was acknowledged behind it.
  gateway.twice_by_restarts = 6 * 60;
  const TwoRoutes::Twice twice = gateway.Check();
  CHECK(twice.records >= 6);
  CHECK(twice.messages >= 6);
}

}  // namespace
}  // namespace eddy::integration
