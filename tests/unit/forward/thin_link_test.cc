// Links that are slow, and things on the way that take no large request.
#include <algorithm>
#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include "absl/strings/str_cat.h"
#include "src/forward/request_sender.h"
#include "tests/unit/forward/forward_fixture.h"

namespace eddy::forward {
namespace {

TEST_CASE("a request has the timeout and a second for each KiB of it, never above four minutes",
          "[forward][time]") {
  CHECK(TotalTimeout(absl::Seconds(30), 0) == absl::Seconds(30));
  CHECK(TotalTimeout(absl::Seconds(30), 10240) == absl::Seconds(40));
  CHECK(TotalTimeout(absl::Seconds(30), 7 << 20) == absl::Minutes(4));
  CHECK(TotalTimeout(absl::Minutes(4), 7 << 20) == absl::Minutes(4));
}

TEST_CASE("the largest record passes a link of 8 KiB a second", "[forward][kinesis][fault]") {
  ForwardHost host;
  host.CreateStream("s");
  host.aws.SetUploadRate(8192);
  host.Put("s", "k", std::string((1 << 20) - 1, 'x'));
  host.Put("s", "k", "next");
  host.StartKinesis("s");
  host.RunUntilCaughtUp(absl::Hours(1));
  CHECK(host.aws.Records("s").size() == 2);
}

TEST_CASE("the largest message passes a link of 8 KiB a second", "[forward][sqs][fault]") {
  ForwardHost host;
  host.CreateQueue("q", {}, /*remote_bytes_max=*/1 << 20);
  host.aws.SetUploadRate(8192);
  host.Send("q", std::string(1 << 20, 'x'));
  host.Send("q", "next");
  host.StartSqs("q");
  host.RunUntilCaughtUp(absl::Hours(1));
  CHECK(host.aws.Bodies("q").size() == 2);
}

TEST_CASE("on a thin link few requests time out", "[forward][kinesis][fault]") {
  ForwardHost host;
  host.CreateStream("s");
  host.options.request_timeout = absl::Seconds(10);
  host.aws.SetUploadRate(512);  // it carries about 10 KB in time
  for (int i = 0; i < 600; ++i) {
    host.Put("s", absl::StrCat("k", i), std::string(200, 'x'));
  }
  host.StartKinesis("s");
  host.RunUntilCaughtUp();
  CHECK(host.aws.Records("s").size() == 600);
  const std::vector<FakeCall> calls = host.aws.Calls();
  const auto timed_out = std::count_if(calls.begin(), calls.end(),
                                       [](const FakeCall& call) { return !call.applied; });
  CHECK(timed_out * 4 < static_cast<std::ptrdiff_t>(calls.size()));
}

TEST_CASE("a proxy's limit is learnt, and no record is condemned for it",
          "[forward][kinesis][dead]") {
  ForwardHost host;
  host.CreateStream("s");
  host.CreateDeadLetters();
  host.route.dead_letter_queue = "dead";
  host.aws.SetProxyLimit(10000);
  for (int i = 0; i < 100; ++i) {
    host.Put("s", absl::StrCat("k", i), std::string(1000, 'x'));
  }
  SECTION("each alone is small enough") {
    host.StartKinesis("s");
    host.RunUntilCaughtUp();
    CHECK(host.aws.Records("s").size() == 100);
    CHECK(host.aws.Calls().size() < 60);
  }
  SECTION("one alone is not: that is for an operator") {
    host.Put("s", "large", std::string(20000, 'x'));
    host.StartKinesis("s");
    host.Run(absl::Hours(1));
    CHECK(host.aws.Calls().size() < 250);
    CHECK(absl::IsPermissionDenied(host.Status().last_error));
    CHECK(host.Status().last_error.ToString().find("raise its limit") != std::string::npos);
    host.aws.SetProxyLimit(0);
    host.RunUntilCaughtUp();
    CHECK(host.aws.Records("s").size() == 101);
  }
  CHECK(host.Status().records_dead == 0);
}

TEST_CASE("a proxy's limit condemns no message", "[forward][sqs][dead]") {
  ForwardHost host;
  host.CreateQueue("q");
  host.CreateDeadLetters();
  host.route.dead_letter_queue = "dead";
  host.aws.SetProxyLimit(5000);
  for (int i = 0; i < 20; ++i) host.Send("q", std::string(i == 13 ? 6000 : 1000, 'x'));
  host.StartSqs("q");
  host.Run(absl::Hours(1));
  CHECK(host.Status().records_dead == 0);
  CHECK(host.aws.Bodies("q").size() >= 10);
  CHECK(host.Status().last_error.ToString().find("raise its limit") != std::string::npos);
  host.aws.SetProxyLimit(0);
  host.RunUntilCaughtUp();
  CHECK(host.aws.Bodies("q").size() == 20);
}

}  // namespace
}  // namespace eddy::forward
