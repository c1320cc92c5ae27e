// The SQS route through the public interface.
#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include "absl/strings/str_cat.h"
#include "src/forward/sqs_verdict.h"
#include "tests/fakes/scale.h"
#include "tests/unit/forward/forward_fixture.h"

namespace eddy::forward {
namespace {

std::set<std::string> BodySet(ForwardHost& host) {
  const std::vector<std::string> bodies = host.aws.Bodies("q");
  return {bodies.begin(), bodies.end()};
}

bool LocalIsEmpty(ForwardHost& host) {
  const QueueCounts counts = host.queue("q").Describe().counts;
  return counts.visible + counts.in_flight + counts.delayed == 0;
}

TEST_CASE("messages arrive as they were sent, ten a request, and are gone here",
          "[forward][sqs]") {
  ForwardHost host;
  host.CreateQueue("q");
  std::vector<std::string> sent;
  for (int i = 0; i < 25; ++i) {
    sent.push_back(absl::StrCat("{\"n\":", i, ",\"t\":\"\xE2\x82\xAC\\n\"}\n"));
    host.Send("q", sent.back());
  }
  host.StartSqs("q");
  host.RunUntilCaughtUp();
  CHECK(host.aws.Bodies("q") == sent);
  CHECK(host.aws.Calls("SendMessageBatch").size() == 3);
  CHECK(host.aws.Calls("GetQueueUrl").size() == 1);
  CHECK(host.aws.Calls("GetQueueAttributes").size() == 1);
  CHECK(LocalIsEmpty(host));
  CHECK(host.aws.RefusedRequests() == 0);
  CHECK(host.Status().name == "q -> sqs:q");
  CHECK(host.Status().records_delivered == 25);
}

TEST_CASE("no batch exceeds what the queue takes", "[forward][sqs]") {
  ForwardHost host;
  host.CreateQueue("q", {}, /*remote_bytes_max=*/2048);
  for (int i = 0; i < 10; ++i) host.Send("q", std::string(1000, 'x'));
  host.StartSqs("q");
  host.RunUntilCaughtUp();
  CHECK(host.aws.Calls("SendMessageBatch").size() == 5);
  CHECK(host.aws.RefusedRequests() == 0);
}

TEST_CASE("without the right to read attributes a batch has 262144 bytes at most",
          "[forward][sqs]") {
  ForwardHost host;
  host.CreateQueue("q");
  host.aws.HideAttributes();
  for (int i = 0; i < 4; ++i) host.Send("q", std::string(100000, 'x'));
  host.StartSqs("q");
  host.RunUntilCaughtUp();
  CHECK(host.aws.Bodies("q").size() == 4);
  for (const FakeCall& call : host.aws.Calls("SendMessageBatch")) {
    CHECK(call.applied);
    CHECK(call.entry_count <= 2);
  }
}

TEST_CASE("only the entries that failed are sent again", "[forward][sqs][fault]") {
  ForwardHost host;
  host.CreateQueue("q");
  for (int i = 0; i < 4; ++i) host.Send("q", absl::StrCat(i));
  FakeFault partial;
  partial.kind = Kind::kPartial;
  partial.failed = {0, 2};
  partial.operation = "SendMessageBatch";
  host.aws.Order(partial);
  host.StartSqs("q");
  host.RunUntilCaughtUp();
  CHECK(host.aws.Bodies("q").size() == 4);
  CHECK(BodySet(host).size() == 4);
  CHECK(host.Status().records_retried == 2);
  CHECK(host.Status().records_maybe_twice == 0);
}

TEST_CASE("a failed entry does not hold up the others", "[forward][sqs][fault]") {
  ForwardHost host;
  host.CreateQueue("q");
  for (int i = 0; i < 200; ++i) host.Send("q", absl::StrCat(i));
  FakeFault first;
  first.kind = Kind::kPartial;
  first.failed = {0};
  first.operation = "SendMessageBatch";
  host.aws.Order(first);
  host.StartSqs("q");
  host.RunUntilCaughtUp(absl::Seconds(10));
  CHECK(BodySet(host).size() == 200);
}

TEST_CASE("a reply lost after the cloud accepted is sent again, and counted",
          "[forward][sqs][fault]") {
  ForwardHost host;
  host.CreateQueue("q");
  host.Send("q", "m");
  FakeFault lost;
  lost.kind = GENERATE(Kind::kTimeoutApplied, Kind::kCutApplied);
  lost.operation = "SendMessageBatch";
  host.aws.Order(lost);
  host.StartSqs("q");
  host.RunUntilCaughtUp();
  CHECK(host.aws.Bodies("q").size() == 2);
  CHECK(host.Status().records_maybe_twice == 1);
  CHECK(host.Status().records_delivered == 1);
  CHECK(LocalIsEmpty(host));
}

TEST_CASE("an outage uses up no receive counts", "[forward][sqs][fault][time]") {
  ForwardHost host;
  host.CreateDeadLetters();
  QueueOptions poison_guard;
  poison_guard.dead_letter_queue = "dead";
  poison_guard.max_receive_count = 2;
  host.CreateQueue("q", poison_guard);
  for (int i = 0; i < 30; ++i) host.Send("q", absl::StrCat(i));
  FakeFault down;
  down.kind = Kind::kNotSent;

  SECTION("however often the process restarts in it") {
    host.aws.Order(down, 1000000);
    for (int restart = 0; restart < 10; ++restart) {
      host.StartSqs("q");
      host.Run(absl::Hours(1));
      CHECK(host.queue("q").Describe().counts.in_flight == 0);
      host.Reopen();
    }
    host.aws.ForgetOrders();
    host.StartSqs("q");
  }
  SECTION("though it begins in the middle and outlasts every lease") {
    down.operation = "SendMessageBatch";
    host.aws.Order(down, 1000000);
    host.StartSqs("q");
    host.Run(absl::Hours(72));
    CHECK(host.Status().link == LinkState::kOffline);
    host.aws.ForgetOrders();
  }
  host.RunUntilCaughtUp();
  CHECK(host.aws.Bodies("q").size() == 30);
  CHECK(BodySet(host).size() == 30);
  CHECK(host.queue("dead").Describe().counts.visible == 0);
  CHECK(LocalIsEmpty(host));
}

TEST_CASE("what is held is visible again when the forwarder ends", "[forward][sqs]") {
  ForwardHost host;
  host.CreateQueue("q");
  for (int i = 0; i < 5; ++i) host.Send("q", absl::StrCat(i));
  FakeFault down;
  down.kind = Kind::kNotSent;
  down.operation = "SendMessageBatch";
  host.aws.Order(down, 1000);
  host.StartSqs("q");
  host.Run(absl::Minutes(1));
  CHECK(host.queue("q").Describe().counts.in_flight == 5);
  host.forwarder.reset();
  CHECK(host.queue("q").Describe().counts.visible == 5);
}

TEST_CASE("a killed process gives its messages back", "[forward][sqs][crash]") {
  ForwardHost host;
  host.CreateQueue("q");
  for (int i = 0; i < 15; ++i) host.Send("q", absl::StrCat(i));
  FakeFault down;
  down.kind = Kind::kCutApplied;
  down.operation = "SendMessageBatch";
  host.aws.Order(down);
  host.StartSqs("q");
  while (host.aws.Bodies("q").empty()) host.Run(absl::Milliseconds(1));
  host.Kill();
  host.StartSqs("q");
  host.RunUntilCaughtUp();
  CHECK(BodySet(host).size() == 15);
  CHECK(host.aws.Bodies("q").size() == 25);
}

TEST_CASE("an acknowledged message does not come again after a power cut",
          "[forward][sqs][crash]") {
  ForwardHost host;
  host.CreateQueue("q");
  for (int i = 0; i < 15; ++i) host.Send("q", absl::StrCat(i));
  host.StartSqs("q");
  while (!host.Status().caught_up) host.Run(absl::Milliseconds(1));
  host.PowerCut(3);
  host.StartSqs("q");
  host.RunUntilCaughtUp();
  CHECK(host.aws.Bodies("q").size() == 15);
}

TEST_CASE("a wrong digest is sent again, and in the end is a dead letter", "[forward][sqs]") {
  ForwardHost host;
  host.CreateQueue("q");
  host.CreateDeadLetters();
  host.route.dead_letter_queue = "dead";
  host.Send("q", "m");
  SECTION("once") {
    host.aws.SpoilDigests(1);
    host.StartSqs("q");
    host.RunUntilCaughtUp();
    CHECK(host.Status().records_delivered == 1);
    CHECK(host.Status().records_dead == 0);
    CHECK(host.Status().records_maybe_twice == 1);
  }
  SECTION("always") {
    host.aws.SpoilDigests(1000);
    host.StartSqs("q");
    host.RunUntilCaughtUp();
    CHECK(host.Status().records_delivered == 0);
    CHECK(host.Status().records_dead == 1);
    CHECK(host.aws.Bodies("q").size() == static_cast<size_t>(kDigestFailuresMax));
  }
  CHECK(LocalIsEmpty(host));
}

TEST_CASE("a target queue that was deleted is looked up again", "[forward][sqs][operator]") {
  ForwardHost host;
  REQUIRE(host.store->CreateQueue("q").ok());
  host.Send("q", "m");
  host.StartSqs("q");
  host.Run(absl::Minutes(10));
  CHECK(absl::IsNotFound(host.Status().last_error));
  CHECK(host.queue("q").Describe().counts.visible == 1);
  host.aws.CreateQueue("q");
  host.RunUntilCaughtUp();
  CHECK(host.aws.Bodies("q").size() == 1);
}

TEST_CASE("a delayed message waits here", "[forward][sqs][time]") {
  ForwardHost host;
  host.CreateQueue("q");
  SendOptions later;
  later.delay = absl::Seconds(60);
  REQUIRE(host.queue("q").Send("m", later).ok());
  host.StartSqs("q");
  host.Run(absl::Seconds(59));
  CHECK(host.aws.Bodies("q").empty());
  host.Run(absl::Seconds(3));
  CHECK(host.aws.Bodies("q").size() == 1);
}

TEST_CASE("random faults and kills lose no message, and count what may be double",
          "[forward][sqs][sim]") {
  for (int seed = 1; seed <= testing::Scaled(40); ++seed) {
    INFO("seed " << seed);
    ForwardHost host(static_cast<uint64_t>(seed));
    testing::FakeRandom random(static_cast<uint64_t>(seed) * 6151);
    host.CreateQueue("q");
    testing::FakeOdds odds;
    odds.not_sent = static_cast<int>(random.Below(200));
    odds.timeout = static_cast<int>(random.Below(100));
    odds.cut = static_cast<int>(random.Below(150));
    odds.error = static_cast<int>(random.Below(150));
    odds.partial = static_cast<int>(random.Below(400));
    host.aws.SetOdds(odds);
    host.options.retry_delay_max = absl::Seconds(5);
    host.StartSqs("q");
    const bool kills = random.OneIn(2);
    int sent = 0;
    for (int round = 0; round < 20; ++round) {
      for (uint64_t i = random.Below(8); i-- > 0;) host.Send("q", absl::StrCat(sent++));
      host.Run(absl::Milliseconds(static_cast<int64_t>(random.Below(600))));
      if (kills && random.OneIn(6)) {
        host.Kill();
        host.StartSqs("q");
      }
    }
    host.RunUntilCaughtUp();
    CHECK(BodySet(host).size() == static_cast<size_t>(sent));
    if (!kills) {
      CHECK(host.Status().records_delivered == static_cast<uint64_t>(sent));
      CHECK(host.aws.Bodies("q").size() - BodySet(host).size() <=
            host.Status().records_maybe_twice);
    }
    CHECK(LocalIsEmpty(host));
    CHECK(host.aws.RefusedRequests() == 0);
  }
}

}  // namespace
}  // namespace eddy::forward
