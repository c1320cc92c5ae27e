// Who signs and when: keys that run out, keys that are wrong, clocks that are off.
#include <atomic>
#include <memory>
#include <string>
#include <utility>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include "tests/integration/peers.h"

namespace eddy::integration {
namespace {

// Gives the first of its answers, and after Next() the second.
class TwoCredentials : public CredentialsProvider {
 public:
  TwoCredentials(AwsCredentials first, AwsCredentials second)
      : first_(std::move(first)), second_(std::move(second)) {}
  absl::StatusOr<AwsCredentials> Get() override { return use_second_ ? second_ : first_; }
  void Next() { use_second_ = true; }

 private:
  const AwsCredentials first_, second_;
  std::atomic<bool> use_second_{false};
};

TEST_CASE("session tokens are signed, and replaced when they run out", "[integration][identity]") {
  Gateway gateway;
  gateway.expects_rejections = true;
  auto keys = std::make_unique<TwoCredentials>(gateway.peers.Credentials(1),
                                               gateway.peers.Credentials(2));
  TwoCredentials& provider = *keys;
  gateway.credentials = std::move(keys);
  const std::string s = gateway.CreateStream();
  gateway.PutMany(s, 50, 10);
  gateway.AddKinesisRoute(s);
  gateway.WaitUntilDelivered();
  CHECK(gateway.peers.Rejected("kinesis") == 0);

  provider.Next();
  gateway.peers.OrderFront("kinesis", R"({"set":{"expiredKeys":["ASIAEDDYFIRST"]}})");
  gateway.PutMany(s, 50, 10);
  gateway.WaitUntilDelivered();
  CHECK(gateway.CheckStream(s) == 0);
  CHECK(gateway.peers.Rejected("kinesis") == 1);
  CHECK(gateway.Status().link == LinkState::kOnline);
}

TEST_CASE("wrong keys pause the route and keep all until they are right",
          "[integration][identity]") {
  Gateway gateway;
  gateway.expects_rejections = true;
  AwsCredentials wrong = gateway.peers.Credentials(0);
  std::string error;
  SECTION("a wrong secret") {
    wrong.secret_access_key += "x";
    error = "check the secret access key";
  }
  SECTION("an unknown key") {
    wrong.access_key_id = "AKIDNOBODY";
    error = "renew the credentials";
  }
  auto keys = std::make_unique<TwoCredentials>(wrong, gateway.peers.Credentials(0));
  TwoCredentials& provider = *keys;
  gateway.credentials = std::move(keys);
  const std::string s = gateway.CreateStream();
  gateway.PutMany(s, 50, 10);
  gateway.AddKinesisRoute(s);
  gateway.WaitUntil("the pause", [&] { return gateway.Status().requests >= 3; });
  CHECK(gateway.Status().link == LinkState::kBackingOff);
  CHECK(gateway.Status().last_error.ToString().find(error) != std::string::npos);
  CHECK(gateway.Status().records_delivered == 0);
  provider.Next();
  gateway.WaitUntilDelivered();
  CHECK(gateway.CheckStream(s) == 0);
}

TEST_CASE("a clock ten minutes off is corrected by the first answer", "[integration][identity]") {
  const std::string skew =
      GENERATE(as<std::string>(), R"({"set":{"skewSeconds":600}})",
               R"({"set":{"skewSeconds":-600}})", R"({"set":{"skewSeconds":1000000000}})");
  INFO(skew);
  Gateway gateway;
  gateway.expects_rejections = true;
  const std::string s = gateway.CreateStream();
  const std::string q = gateway.CreateQueue();
  gateway.peers.OrderFront("kinesis", skew);
  gateway.peers.OrderFront("sqs", skew);
  gateway.PutMany(s, 50, 10);
  gateway.Send(q, "job");
  gateway.AddKinesisRoute(s);
  gateway.AddSqsRoute(q);
  gateway.WaitUntilDelivered();
  CHECK(gateway.CheckStream(s) == 0);
  CHECK(gateway.peers.ReadQueue(q) == gateway.sent);
  // One refusal each, and then never again.
  CHECK(gateway.peers.Rejected("kinesis") == 1);
  CHECK(gateway.peers.Rejected("sqs") == 1);
}

}  // namespace
}  // namespace eddy::integration
