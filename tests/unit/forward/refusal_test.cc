// Records and messages that the service will never accept.
#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include "absl/strings/str_cat.h"
#include "src/forward/route.h"
#include "tests/unit/forward/forward_fixture.h"

namespace eddy::forward {
namespace {

bool IsBad(std::string_view data) { return data.substr(0, 3) == "bad"; }

std::vector<Message> Letters(ForwardHost& host) {
  std::vector<Message> all;
  ReceiveOptions options;
  options.max_messages = 10;
  for (;;) {
    const std::vector<Message> some = *host.queue("dead").Receive(options);
    if (some.empty()) return all;
    all.insert(all.end(), some.begin(), some.end());
  }
}

TEST_CASE("a refused record is found, goes to the dead letters, and the route goes on",
          "[forward][kinesis][dead]") {
  ForwardHost host;
  host.CreateStream("s", 3);
  host.CreateDeadLetters();
  host.route.dead_letter_queue = "dead";
  for (int i = 0; i < 100; ++i) {
    host.Put("s", absl::StrCat("k", i), i == 61 ? "bad" : absl::StrCat(i));
  }
  host.aws.SetMalformed(IsBad);
  host.StartKinesis("s");
  host.RunUntilCaughtUp();
  CHECK(host.aws.Records("s").size() == 99);
  CHECK(host.Status().records_dead == 1);
  CHECK(host.Status().records_delivered == 99);
  CHECK(host.Status().link == LinkState::kOnline);
  CHECK(host.aws.Calls().size() <= 20);

  const std::vector<Message> letters = Letters(host);
  REQUIRE(letters.size() == 1);
  CHECK(letters[0].body.find(R"("partitionKey":"k61")") != std::string::npos);
  CHECK(letters[0].dead_letter_source == "s");
  CHECK(letters[0].dead_letter_reason.find("InvalidArgumentException") != std::string::npos);

  SECTION("and the cursor has passed it: after a crash it does not come again") {
    host.Kill();
    host.StartKinesis("s");
    host.RunUntilCaughtUp();
    CHECK(host.aws.Records("s").size() == 99);
    CHECK(Letters(host).size() == 1);  // the one of before, its lease gone with the process
  }
}

TEST_CASE("later records of a dead record's key go on", "[forward][kinesis][dead][order]") {
  ForwardHost host;
  host.CreateStream("s");
  host.CreateDeadLetters();
  host.route.dead_letter_queue = "dead";
  for (const char* data : {"1", "bad", "2", "bad again", "3"}) host.Put("s", "k", data);
  host.aws.SetMalformed(IsBad);
  host.StartKinesis("s");
  host.RunUntilCaughtUp();
  REQUIRE(host.aws.Records("s").size() == 3);
  CHECK(host.aws.Records("s")[2].data == "3");
  CHECK(host.Status().records_dead == 2);
}

TEST_CASE("new records cannot keep a bad one company for ever", "[forward][kinesis][dead]") {
  ForwardHost host;
  host.CreateStream("s", 2);
  host.CreateDeadLetters();
  host.route.dead_letter_queue = "dead";
  for (int i = 0; i < 20; ++i) host.Put("s", absl::StrCat("k", i), i == 7 ? "bad" : "good");
  host.aws.SetMalformed(IsBad);
  int arrivals = 0;
  host.aws.SetOnRequest([&] { host.Put("s", absl::StrCat("new-", arrivals++), "good"); });
  host.StartKinesis("s");
  host.Run(absl::Seconds(1));
  CHECK(host.Status().records_dead == 1);
}

TEST_CASE("without a dead-letter queue the route stops at the record and says so",
          "[forward][kinesis][dead]") {
  ForwardHost host;
  host.CreateStream("s");
  host.Put("s", "a", "good");
  host.Put("s", "b", "bad");
  host.aws.SetMalformed(IsBad);
  host.StartKinesis("s");
  host.Run(absl::Hours(1));
  CHECK(host.aws.Records("s").size() == 1);
  CHECK(host.Status().records_dead == 0);
  CHECK_FALSE(host.Status().caught_up);
  const std::string error = host.Status().last_error.ToString();
  CHECK(error.find("dead_letter_queue") != std::string::npos);
  CHECK(error.find("blocks the route") != std::string::npos);
  // Seldom: every two minutes.
  CHECK(host.aws.Calls().size() < 40);

  SECTION("and goes on when the service has changed its mind") {
    host.aws.SetMalformed(nullptr);
    host.RunUntilCaughtUp();
    CHECK(host.aws.Records("s").size() == 2);
    CHECK(host.Status().last_error.ok());
  }
}

TEST_CASE("while the dead-letter queue cannot be written the record stays",
          "[forward][kinesis][dead][fault]") {
  ForwardHost host;
  host.CreateStream("s");
  host.CreateDeadLetters();
  host.route.dead_letter_queue = "dead";
  host.Put("s", "b", "bad");
  host.aws.SetMalformed(IsBad);
  host.StartKinesis("s");
  REQUIRE(host.store->Flush().ok());
  host.device.disk.SetCapacity(0);
  host.Run(absl::Minutes(10));
  CHECK(host.Status().records_dead == 0);
  CHECK_FALSE(host.Status().last_error.ok());
  host.device.disk.SetCapacity(UINT64_MAX);
  host.RunUntilCaughtUp();
  CHECK(host.Status().records_dead == 1);
  CHECK(Letters(host).size() == 1);
  CHECK(host.aws.Calls().size() == 1);  // the service was asked once
}

TEST_CASE("while the dead-letter queue cannot be written a message stays",
          "[forward][sqs][dead][fault]") {
  ForwardHost host;
  host.CreateQueue("q");
  host.CreateDeadLetters();
  host.route.dead_letter_queue = "dead";
  for (int i = 0; i < 3; ++i) host.Send("q", absl::StrCat("m", i));
  FakeFault partial;
  partial.kind = Kind::kPartial;
  partial.failed = {0, 1};
  partial.sender_fault = true;
  partial.code = "InvalidMessageContents";
  partial.operation = "SendMessageBatch";
  host.aws.Order(partial);
  REQUIRE(host.store->Flush().ok());
  host.aws.SetOnRequest([&] { host.device.disk.SetCapacity(0); });
  host.StartSqs("q");
  host.Run(absl::Minutes(10));
  CHECK(host.Status().records_dead == 0);
  host.aws.SetOnRequest(nullptr);
  host.device.disk.SetCapacity(UINT64_MAX);
  host.RunUntilCaughtUp();
  CHECK(host.Status().records_dead == 2);
  CHECK(Letters(host).size() == 2);
  CHECK(host.aws.Calls("SendMessageBatch").size() == 1);
}

TEST_CASE("when everything is refused the dead letters come slowly", "[forward][kinesis][dead]") {
  ForwardHost host;
  host.CreateStream("s");
  host.CreateDeadLetters();
  host.route.dead_letter_queue = "dead";
  for (int i = 0; i < 200; ++i) host.Put("s", absl::StrCat("k", i), "bad");
  host.aws.SetMalformed(IsBad);
  host.StartKinesis("s");
  host.Run(absl::Minutes(10));
  CHECK(host.Status().records_dead >= kLoneRefusalsMax);
  CHECK(host.Status().records_dead < 60);
  CHECK(host.aws.Records("s").empty());
}

TEST_CASE("a refused message is found, goes to the dead letters, and the route goes on",
          "[forward][sqs][dead]") {
  ForwardHost host;
  host.CreateQueue("q");
  host.CreateDeadLetters();
  host.route.dead_letter_queue = "dead";
  for (int i = 0; i < 25; ++i) host.Send("q", i == 13 ? "bad" : absl::StrCat(i));
  host.aws.SetMalformed(IsBad);
  host.StartSqs("q");
  host.RunUntilCaughtUp();
  CHECK(host.aws.Bodies("q").size() == 24);
  CHECK(host.Status().records_dead == 1);
  const std::vector<Message> letters = Letters(host);
  REQUIRE(letters.size() == 1);
  CHECK(letters[0].body == "bad");
  CHECK(letters[0].dead_letter_source == "q");
  CHECK(host.queue("q").Describe().counts.in_flight == 0);
}

TEST_CASE("an entry that failed by the sender's fault goes to the dead letters alone",
          "[forward][sqs][dead]") {
  ForwardHost host;
  host.CreateQueue("q");
  host.CreateDeadLetters();
  host.route.dead_letter_queue = "dead";
  for (int i = 0; i < 3; ++i) host.Send("q", absl::StrCat("m", i));
  FakeFault partial;
  partial.kind = Kind::kPartial;
  partial.failed = {1};
  partial.sender_fault = true;
  partial.code = "InvalidMessageContents";
  partial.operation = "SendMessageBatch";
  host.aws.Order(partial);
  host.StartSqs("q");
  host.RunUntilCaughtUp();
  CHECK(host.aws.Bodies("q") == std::vector<std::string>{"m0", "m2"});
  REQUIRE(Letters(host).size() == 1);
  CHECK(host.queue("q").Describe().counts.in_flight == 0);
}

TEST_CASE("a message above what the target takes is a dead letter, and the rest goes on",
          "[forward][sqs][dead]") {
  ForwardHost host;
  host.CreateQueue("q", {}, /*remote_bytes_max=*/1024);
  host.CreateDeadLetters();
  host.route.dead_letter_queue = "dead";
  host.Send("q", std::string(1025, 'x'));
  host.Send("q", std::string(1024, 'y'));
  host.StartSqs("q");
  host.RunUntilCaughtUp();
  CHECK(host.aws.Bodies("q") == std::vector<std::string>{std::string(1024, 'y')});
  REQUIRE(Letters(host).size() == 1);
  CHECK(host.aws.RefusedRequests() == 0);
}

TEST_CASE("without a dead-letter queue a queue's route stops at the message",
          "[forward][sqs][dead]") {
  ForwardHost host;
  host.CreateQueue("q");
  host.Send("q", "bad");
  host.aws.SetMalformed(IsBad);
  host.StartSqs("q");
  host.Run(absl::Minutes(30));
  CHECK(host.Status().last_error.ToString().find("dead_letter_queue") != std::string::npos);
  host.forwarder.reset();
  CHECK(host.queue("q").Describe().counts.visible == 1);
}

}  // namespace
}  // namespace eddy::forward
