// Keys that run out, clocks that are wrong, targets that are missing: all is kept,
// the status says what to do, and the route goes on when it has been done.
#include <cstdlib>
#include <memory>
#include <string>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include "tests/unit/forward/forward_fixture.h"

namespace eddy::forward {
namespace {

struct KeyHost : ForwardHost {
  KeyHost() {
    CreateStream("s");
    Put("s", "k", "1");
  }
  bool HasArrived() { return aws.Records("s").size() == 1; }
  bool ErrorSays(const std::string& text) {
    return Status().last_error.ToString().find(text) != std::string::npos;
  }
};

TEST_CASE("keys that the service calls expired are asked for anew and tried at once",
          "[forward][credentials]") {
  KeyHost host;
  host.aws.ExpireKey(FakeAws::kKeyId);
  host.aws.AddKey("AKIDNEW");
  host.aws.SetOnRequest([&] { host.credentials.answer->access_key_id = "AKIDNEW"; });
  host.StartKinesis("s");
  host.Run(absl::Milliseconds(110));
  CHECK(host.HasArrived());
  CHECK(host.aws.Calls().size() == 2);
  CHECK(host.credentials.get_count == 2);
  CHECK(host.Status().link == LinkState::kOnline);
  CHECK(host.Status().records_maybe_twice == 0);
}

TEST_CASE("keys that stay expired pause the route and keep all", "[forward][credentials]") {
  KeyHost host;
  host.aws.ExpireKey(FakeAws::kKeyId);
  host.StartKinesis("s");
  host.Run(absl::Hours(1));
  CHECK_FALSE(host.HasArrived());
  CHECK(host.Status().link == LinkState::kBackingOff);
  CHECK(host.ErrorSays("renew the credentials"));
  CHECK(host.aws.Calls().size() < 120);

  host.aws.AddKey("AKIDNEW");
  host.credentials.answer->access_key_id = "AKIDNEW";
  host.RunUntilCaughtUp();
  CHECK(host.HasArrived());
}

TEST_CASE("keys are renewed before they expire, once for all that need them",
          "[forward][credentials][time]") {
  KeyHost host;
  host.credentials.answer->expiration = host.device.clock.WallNow() + absl::Hours(1);
  host.StartKinesis("s");
  host.RunUntilCaughtUp();
  CHECK(host.credentials.get_count == 1);
  host.Run(absl::Minutes(50));
  host.Put("s", "k", "2");
  host.RunUntilCaughtUp();
  CHECK(host.credentials.get_count == 1);
  host.Run(absl::Minutes(6));
  host.credentials.answer->expiration = host.device.clock.WallNow() + absl::Hours(1);
  host.Put("s", "k", "3");
  host.RunUntilCaughtUp();
  CHECK(host.credentials.get_count == 2);
}

TEST_CASE("while renewing fails, keys are used to their end", "[forward][credentials][time]") {
  KeyHost host;
  host.credentials.answer->expiration = host.device.clock.WallNow() + absl::Minutes(4);
  host.StartKinesis("s");
  host.RunUntilCaughtUp();
  host.credentials.answer = absl::UnauthenticatedError("the provider is away");
  host.Put("s", "k", "2");
  host.RunUntilCaughtUp();
  CHECK(host.aws.Records("s").size() == 2);

  host.Run(absl::Minutes(5));
  host.Put("s", "k", "3");
  host.Run(absl::Minutes(5));
  CHECK(host.aws.Records("s").size() == 2);
  CHECK(host.ErrorSays("the provider is away"));
  CHECK(host.ErrorSays("provide credentials"));
  CHECK(host.Status().link == LinkState::kBackingOff);
}

TEST_CASE("a provider that cannot renew is asked seldom while the keys hold",
          "[forward][credentials][time]") {
  KeyHost host;
  host.credentials.answer->expiration = host.device.clock.WallNow() + absl::Minutes(5);
  SECTION("because it fails") {
    host.StartKinesis("s");
    host.RunUntilCaughtUp();
    host.credentials.answer = absl::UnauthenticatedError("the provider is away");
  }
  SECTION("because it has none that last longer") {
    host.StartKinesis("s");
    host.RunUntilCaughtUp();
  }
  for (int i = 0; i < 250; ++i) {
    host.Put("s", "k", "more");
    host.Run(absl::Seconds(1));
  }
  CHECK(host.aws.Calls().size() >= 200);
  CHECK(host.credentials.get_count >= 5);
  CHECK(host.credentials.get_count <= 40);
  CHECK(host.aws.Records("s").size() >= 250);

  // Past their end it is asked each time, as the link's back-off says.
  const int before = host.credentials.get_count;
  host.credentials.answer = AwsCredentials{FakeAws::kKeyId, "secret", "token", std::nullopt};
  host.Run(absl::Minutes(2));
  host.Put("s", "k", "last");
  host.Run(absl::Seconds(2));
  CHECK(host.aws.Records("s").back().data == "last");
  CHECK(host.credentials.get_count == before + 1);
}

TEST_CASE("the environment's keys are read anew at each Get", "[forward][credentials]") {
  const std::unique_ptr<CredentialsProvider> environment = NewEnvironmentCredentials();
  unsetenv("AWS_ACCESS_KEY_ID");
  CHECK(absl::IsUnauthenticated(environment->Get().status()));
  setenv("AWS_ACCESS_KEY_ID", "AKIDONE", 1);
  setenv("AWS_SECRET_ACCESS_KEY", "secret", 1);
  REQUIRE(environment->Get().ok());
  CHECK(environment->Get()->access_key_id == "AKIDONE");
  setenv("AWS_ACCESS_KEY_ID", "AKIDTWO", 1);
  setenv("AWS_CREDENTIAL_EXPIRATION", "2026-11-21T06:00:00Z", 1);
  CHECK(environment->Get()->access_key_id == "AKIDTWO");
  CHECK(environment->Get()->expiration.has_value());
  for (const char* name :
       {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_CREDENTIAL_EXPIRATION"}) {
    unsetenv(name);
  }
}

TEST_CASE("after any doubt about the keys the provider is asked again",
          "[forward][credentials]") {
  KeyHost host;
  FakeFault bad;
  bad.kind = Kind::kError;
  bad.code = GENERATE(as<std::string>(), "InvalidSignatureException", "AccessDeniedException");
  host.aws.Order(bad);
  host.StartKinesis("s");
  host.RunUntilCaughtUp();
  CHECK(host.credentials.get_count == 2);
}

TEST_CASE("a wrong clock is corrected by the answer's date, and tried at once",
          "[forward][clock]") {
  for (const absl::Duration ahead :
       {absl::Minutes(10), -absl::Minutes(10), absl::Hours(24 * 365 * 50)}) {
    INFO("service ahead by " << absl::FormatDuration(ahead));
    KeyHost host;
    host.aws.SetClockAhead(ahead);
    host.StartKinesis("s");
    host.Run(absl::Milliseconds(110));
    CHECK(host.HasArrived());
    CHECK(host.aws.Calls().size() == 2);

    // From now on it is known, even when the device's clock is set in between.
    host.aws.SetClockAhead(ahead - absl::Hours(5));
    host.device.clock.SetWall(host.device.clock.WallNow() + absl::Hours(5));
    host.Put("s", "k", "2");
    host.RunUntilCaughtUp();
    CHECK(host.aws.Calls().size() == 3);
  }
}

TEST_CASE("credentials expire by the service's clock, not by the device's",
          "[forward][clock][credentials]") {
  KeyHost host;
  host.aws.SetClockAhead(absl::Hours(2));
  host.credentials.answer->expiration = host.device.clock.WallNow() + absl::Hours(3);
  host.StartKinesis("s");
  host.RunUntilCaughtUp();
  CHECK(host.credentials.get_count == 1);
  host.Run(absl::Minutes(56));
  host.Put("s", "k", "2");
  host.RunUntilCaughtUp();
  CHECK(host.credentials.get_count == 2);
}

TEST_CASE("a bad signature under a right clock is not tried in a loop", "[forward][clock]") {
  KeyHost host;
  FakeFault bad;
  bad.kind = Kind::kError;
  bad.code = "InvalidSignatureException";
  host.aws.Order(bad, 100000);
  host.StartKinesis("s");
  host.Run(absl::Hours(1));
  CHECK(host.aws.Calls().size() < 120);
  CHECK(host.ErrorSays("check the secret access key"));
  CHECK(host.Status().link == LinkState::kBackingOff);
}

TEST_CASE("a missing stream keeps all, says what to do, and goes on once it is there",
          "[forward][operator]") {
  ForwardHost host;
  REQUIRE(host.store->CreateStream("s").ok());
  host.Put("s", "k", "1");
  host.StartKinesis("s");
  host.Run(absl::Hours(1));
  CHECK(absl::IsNotFound(host.Status().last_error));
  CHECK(host.Status().last_error.ToString().find("create the target") != std::string::npos);
  CHECK(host.aws.Calls().size() < 120);
  host.aws.CreateStream("s");
  host.RunUntilCaughtUp();
  CHECK(host.aws.Records("s").size() == 1);
}

TEST_CASE("denied access keeps all and says what to do", "[forward][operator]") {
  KeyHost host;
  FakeFault denied;
  denied.kind = Kind::kError;
  denied.code = "AccessDeniedException";
  host.aws.Order(denied, 100000);
  host.StartKinesis("s");
  host.Run(absl::Hours(1));
  CHECK(absl::IsPermissionDenied(host.Status().last_error));
  CHECK(host.ErrorSays("policy"));
  host.aws.ForgetOrders();
  host.RunUntilCaughtUp();
  CHECK(host.HasArrived());
}

TEST_CASE("an error that is in no table condemns no record: it is for an operator",
          "[forward][operator]") {
  KeyHost host;
  host.CreateDeadLetters();
  host.route.dead_letter_queue = "dead";
  for (int i = 0; i < 50; ++i) host.Put("s", std::to_string(i), "1");
  FakeFault suspended;
  suspended.kind = Kind::kError;
  suspended.code = "SubscriptionRequiredException";
  host.aws.Order(suspended, 100000);
  host.StartKinesis("s");
  host.Run(absl::Hours(1));
  CHECK(host.Status().records_dead == 0);
  CHECK(absl::IsPermissionDenied(host.Status().last_error));
  CHECK(host.ErrorSays("SubscriptionRequiredException"));
  CHECK(host.ErrorSays("everything is kept"));
  CHECK(host.aws.Calls().size() < 120);
  host.aws.ForgetOrders();
  host.RunUntilCaughtUp();
  CHECK(host.aws.Records("s").size() == 51);
}

TEST_CASE("a refused certificate on a device without a clock says so", "[forward][clock]") {
  KeyHost host;
  host.device.clock.SetTrusted(false);
  FakeFault tls;
  tls.kind = Kind::kTls;
  host.aws.Order(tls, 100000);
  host.StartKinesis("s");
  host.Run(absl::Minutes(1));
  CHECK(host.ErrorSays("clock is not set"));
  CHECK(host.Status().link == LinkState::kOffline);
}

TEST_CASE("no secret and no token ever shows in a status", "[forward][credentials]") {
  KeyHost host;
  host.credentials.answer->secret_access_key = "s3cr3t";
  host.credentials.answer->session_token = "t0k3n";
  FakeFault fault;
  fault.kind = Kind::kError;
  fault.code = "InvalidSignatureException";
  host.aws.Order(fault, 5);
  fault.kind = Kind::kNotSent;
  host.aws.Order(fault, 5);
  host.StartKinesis("s");
  for (int i = 0; i < 10; ++i) {
    host.forwarder->Wake();
    host.Run(absl::Milliseconds(120));
    CHECK_FALSE(host.ErrorSays("s3cr3t"));
    CHECK_FALSE(host.ErrorSays("t0k3n"));
  }
}

}  // namespace
}  // namespace eddy::forward
