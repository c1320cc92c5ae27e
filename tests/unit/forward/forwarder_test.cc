// The Forwarder itself: what it refuses, how it shares its time, what it tells.
#include <cstdlib>
#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include "tests/unit/forward/forward_fixture.h"

namespace eddy::forward {
namespace {

absl::Status CreateStatus(ForwardHost& host) {
  return Forwarder::Create(host.store.get(), host.options).status();
}

// Sets a variable for the length of a scope.
class EnvironmentVariable {
 public:
  EnvironmentVariable(const char* name, const char* value) : name_(name) {
    setenv(name, value, 1);
  }
  ~EnvironmentVariable() { unsetenv(name_); }

 private:
  const char* const name_;
};

TEST_CASE("a forwarder wants a region or an endpoint", "[forward][create]") {
  for (const char* name : {"AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL",
                           "AWS_ENDPOINT_URL_KINESIS", "AWS_ENDPOINT_URL_SQS"}) {
    unsetenv(name);
  }
  ForwardHost host;
  host.options.region.clear();
  CHECK(CreateStatus(host).ok());  // endpoints alone
  host.options.kinesis_endpoint.clear();
  CHECK(CreateStatus(host).ok());
  host.options.sqs_endpoint.clear();
  CHECK(absl::IsInvalidArgument(CreateStatus(host)));

  SECTION("from the options") { host.options.region = "eu-central-1"; }
  SECTION("from AWS_REGION") {
    const EnvironmentVariable region("AWS_REGION", "eu-central-1");
    CHECK(CreateStatus(host).ok());
    return;
  }
  SECTION("from AWS_ENDPOINT_URL") {
    const EnvironmentVariable url("AWS_ENDPOINT_URL", "http://127.0.0.1:4566");
    CHECK(CreateStatus(host).ok());
    return;
  }
  CHECK(CreateStatus(host).ok());
}

TEST_CASE("options out of range are refused by name", "[forward][create]") {
  ForwardHost host;
  SECTION("retry_delay_base") { host.options.retry_delay_base = absl::ZeroDuration(); }
  SECTION("retry_delay_max") { host.options.retry_delay_max = absl::Milliseconds(1); }
  SECTION("request_timeout, by the life of a signature") {
    host.options.request_timeout = absl::Minutes(4);
    CHECK(CreateStatus(host).ok());
    host.options.request_timeout = absl::Minutes(4) + absl::Milliseconds(1);
  }
  SECTION("endpoint") { host.options.kinesis_endpoint = "ftp://example.test"; }
  CHECK(absl::IsInvalidArgument(CreateStatus(host)));
}

TEST_CASE("routes that cannot be are refused", "[forward][create]") {
  ForwardHost host;
  host.CreateStream("s");
  host.CreateQueue("q");
  host.Start();
  Forwarder& f = *host.forwarder;
  RouteOptions options;
  CHECK(absl::IsNotFound(f.AddKinesisRoute("none", "s")));
  CHECK(absl::IsNotFound(f.AddSqsRoute("none", "q")));
  CHECK(absl::IsInvalidArgument(f.AddKinesisRoute("s", "a/b")));
  CHECK(absl::IsInvalidArgument(f.AddKinesisRoute("s", "")));
  CHECK(absl::IsInvalidArgument(f.AddSqsRoute("q", "jobs.fifo")));
  options.dead_letter_queue = "none";
  CHECK(absl::IsNotFound(f.AddKinesisRoute("s", "s", options)));
  options.dead_letter_queue = "q";
  CHECK(absl::IsInvalidArgument(f.AddSqsRoute("q", "q", options)));
  options = {};
  options.records_max = 501;
  CHECK(absl::IsInvalidArgument(f.AddKinesisRoute("s", "s", options)));
  options.records_max = 11;
  CHECK(absl::IsInvalidArgument(f.AddSqsRoute("q", "q", options)));
  options = {};
  options.linger = -absl::Seconds(1);
  CHECK(absl::IsInvalidArgument(f.AddKinesisRoute("s", "s", options)));
  CHECK(f.Status().empty());

  REQUIRE(f.AddKinesisRoute("s", "s").ok());
  CHECK(absl::IsAlreadyExists(f.AddKinesisRoute("s", "s")));
  REQUIRE(f.AddKinesisRoute("s", "other").ok());
  REQUIRE(f.AddSqsRoute("q", "q").ok());
  CHECK(absl::IsAlreadyExists(f.AddSqsRoute("q", "q")));
  CHECK(f.Status().size() == 3);
}

TEST_CASE("two targets of one stream each get everything", "[forward]") {
  ForwardHost host;
  host.CreateStream("s");
  host.aws.CreateStream("archive");
  host.Put("s", "k", "1");
  host.Start();
  REQUIRE(host.forwarder->AddKinesisRoute("s", "s").ok());
  REQUIRE(host.forwarder->AddKinesisRoute("s", "archive").ok());
  host.RunUntilCaughtUp();
  CHECK(host.aws.Records("s").size() == 1);
  CHECK(host.aws.Records("archive").size() == 1);
  CHECK(host.stream("s").ListCursors() ==
        std::vector<std::string>{host.forwarder->Status()[1].cursor,
                                 host.forwarder->Status()[0].cursor});
}

TEST_CASE("one target name at two endpoints is two places to have come to", "[forward]") {
  ForwardHost host;
  host.CreateStream("s");
  for (int i = 0; i < 5; ++i) host.Put("s", "k", std::to_string(i));
  FakeAws other(&host.device.clock, 1);
  other.CreateStream("s");
  ForwarderOptions elsewhere = host.options;
  elsewhere.transport = &other;
  SECTION("by host") { elsewhere.kinesis_endpoint = "https://kinesis.test:8443"; }
  SECTION("by region") { elsewhere.region = "eu-west-1"; }
  host.StartKinesis("s");
  auto second = Forwarder::Create(host.store.get(), elsewhere);
  REQUIRE(second.ok());
  REQUIRE((*second)->AddKinesisRoute("s", "s").ok());
  CHECK((*second)->Status()[0].cursor != host.Status().cursor);
  host.RunUntilCaughtUp();
  const std::string cursor = (*second)->Status()[0].cursor;
  CHECK(host.stream("s").OpenCursor(host.Status().cursor).value()->Position(0) > 0);
  CHECK(host.stream("s").OpenCursor(cursor).value()->Position(0) <
        host.stream("s").OpenCursor(host.Status().cursor).value()->Position(0));
}

TEST_CASE("a cursor has one route in a process, for as long as the route lives", "[forward]") {
  ForwardHost host;
  host.CreateStream("s");
  host.StartKinesis("s");
  auto second = Forwarder::Create(host.store.get(), host.options);
  REQUIRE(second.ok());
  const absl::Status refused = (*second)->AddKinesisRoute("s", "s");
  CHECK(absl::IsAlreadyExists(refused));
  CHECK(refused.ToString().find("another route") != std::string::npos);
  host.forwarder.reset();
  CHECK((*second)->AddKinesisRoute("s", "s").ok());
}

TEST_CASE("targets with the longest names have routes, each its own", "[forward]") {
  ForwardHost host;
  host.CreateStream("s");
  host.Start();
  const std::string longest(127, 't');
  REQUIRE(host.forwarder->AddKinesisRoute("s", longest + "1").ok());
  REQUIRE(host.forwarder->AddKinesisRoute("s", longest + "2").ok());
  REQUIRE(host.forwarder->AddKinesisRoute("s", std::string(113, 't')).ok());
  CHECK(host.Status().cursor.size() == 128);
  CHECK(host.stream("s").ListCursors().size() == 3);
}

TEST_CASE("Wake during a request that fails tries again at once", "[forward]") {
  ForwardHost host;
  host.options.retry_delay_base = absl::Minutes(1);
  host.CreateStream("s");
  host.Put("s", "k", "1");
  FakeFault down;
  down.kind = Kind::kNotSent;
  host.aws.Order(down);
  int requests = 0;
  host.aws.SetOnRequest([&] {
    if (++requests == 1) host.forwarder->Wake();
  });
  host.StartKinesis("s");
  host.Run(absl::Milliseconds(110));
  CHECK(requests == 2);
  CHECK(host.aws.Records("s").size() == 1);
}

TEST_CASE("a route that is down does not hold up another", "[forward]") {
  ForwardHost host;
  host.CreateStream("s");
  host.CreateQueue("q");
  host.Put("s", "k", "1");
  FakeFault down;
  down.kind = Kind::kNotSent;
  down.operation = "PutRecords";
  host.aws.Order(down, 100000);
  host.StartKinesis("s");
  host.StartSqs("q");
  for (int i = 0; i < 30; ++i) host.Send("q", "m");
  host.Run(absl::Seconds(2));
  CHECK(host.aws.Bodies("q").size() == 30);
  CHECK(host.forwarder->Status()[0].link == LinkState::kOffline);
  CHECK(host.forwarder->Status()[1].link == LinkState::kOnline);
}

TEST_CASE("one RunOnce makes at most one request", "[forward]") {
  ForwardHost host;
  host.CreateStream("s");
  host.CreateQueue("q");
  for (int i = 0; i < 30; ++i) {
    host.Send("q", "m");
    host.Put("s", "k", "d");
  }
  host.StartKinesis("s");
  host.StartSqs("q");
  size_t before = 0;
  for (int i = 0; i < 200; ++i) {
    host.forwarder->RunOnce();
    const size_t after = host.aws.Calls().size();
    CHECK(after <= before + 1);
    before = after;
  }
  CHECK(before > 10);
}

TEST_CASE("without routes there is nothing to wait for", "[forward]") {
  ForwardHost host;
  host.Start();
  CHECK(host.forwarder->RunOnce() == absl::InfiniteDuration());
}

TEST_CASE("each change of the link is told once, with the forwarder free to be asked",
          "[forward][link]") {
  ForwardHost host;
  host.CreateStream("s");
  std::vector<std::string> told;
  host.options.on_link_change = [&](const std::string& route, LinkState from, LinkState to) {
    CHECK(route == "s -> kinesis:s");
    told.push_back(std::to_string(static_cast<int>(from)) + std::to_string(static_cast<int>(to)));
    CHECK(host.forwarder->Status()[0].link == to);  // would deadlock under a lock
    host.forwarder->Wake();
  };
  FakeFault fault;
  fault.kind = Kind::kNotSent;
  host.aws.Order(fault, 3);
  fault.kind = Kind::kError;
  fault.status = 500;
  fault.code = "InternalFailure";
  host.aws.Order(fault, 2);
  host.Put("s", "k", "1");
  host.StartKinesis("s");
  host.RunUntilCaughtUp();
  CHECK(told == std::vector<std::string>{"02", "21", "10"});
}

TEST_CASE("with threads routes carry by themselves, and the end is quick", "[forward][threads]") {
  ForwardHost host;
  host.CreateStream("s");
  host.CreateQueue("q");
  // The system's clock: threads sleep on it.
  host.options.platform = {};
  host.options.threads = true;
  host.route.linger = absl::ZeroDuration();
  for (int i = 0; i < 20; ++i) {
    host.Put("s", "k", std::to_string(i));
    host.Send("q", std::to_string(i));
  }
  host.aws.SetClockAhead(absl::ZeroDuration());
  host.StartKinesis("s");
  host.StartSqs("q");
  CHECK(host.forwarder->RunOnce() == absl::InfiniteDuration());
  Clock& clock = *DefaultPlatform().clock;
  const absl::Duration deadline = clock.SinceBoot() + absl::Seconds(30);
  while ((host.aws.Records("s").size() < 20 || host.aws.Bodies("q").size() < 20) &&
         clock.SinceBoot() < deadline) {
    host.forwarder->Wake();
  }
  CHECK(host.aws.Records("s").size() == 20);
  CHECK(host.aws.Bodies("q").size() == 20);
  const absl::Duration before = clock.SinceBoot();
  host.forwarder.reset();
  CHECK(clock.SinceBoot() - before < absl::Seconds(5));
}

}  // namespace
}  // namespace eddy::forward
