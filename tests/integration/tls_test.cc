// The same over TLS, with a CA of our own.
#include <string>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include "absl/strings/str_cat.h"
#include "tests/integration/peers.h"

namespace eddy::integration {
namespace {

TEST_CASE("records and messages arrive over TLS under our own CA", "[integration][tls]") {
  Gateway gateway;
  const std::string s = gateway.CreateStream(2);
  const std::string q = gateway.CreateQueue();
  gateway.PutMany(s, 500, 50);
  for (int i = 0; i < 50; ++i) gateway.Send(q, absl::StrCat("job ", i));
  gateway.AddKinesisRoute(s);
  gateway.AddSqsRoute(q);
  gateway.WaitUntilDelivered();
  CHECK(gateway.CheckStream(s) == 0);
  CHECK(gateway.peers.ReadQueue(q).size() == 50);
}

TEST_CASE("a certificate that cannot be trusted carries nothing, and the error says why",
          "[integration][tls]") {
  const std::string kind = GENERATE(as<std::string>(), "expired", "not-yet", "wrong-name");
  INFO(kind);
  Gateway gateway;
  const std::string s = gateway.CreateStream();
  gateway.peers.OrderFront("kinesis",
                           absl::StrCat(R"({"set":{"certificate":")", kind, R"("}})"));
  gateway.PutMany(s, 20, 10);
  gateway.AddKinesisRoute(s);
  gateway.WaitUntil("the refusal", [&] {
    return absl::IsUnauthenticated(gateway.Status().last_error);
  });
  CHECK(gateway.Status().link == LinkState::kOffline);
  CHECK(gateway.Status().records_maybe_twice == 0);
  CHECK(gateway.peers.Count("kinesis", "PutRecords", "calls") == 0);

  gateway.peers.OrderFront("kinesis", R"({"set":{"certificate":"good"}})");
  gateway.WaitUntilDelivered();
  CHECK(gateway.CheckStream(s) == 0);
}

TEST_CASE("a certificate of an unknown CA carries nothing", "[integration][tls]") {
  Gateway gateway;
  gateway.options.ca_file.clear();
  const std::string s = gateway.CreateStream();
  gateway.PutMany(s, 20, 10);
  gateway.AddKinesisRoute(s);
  gateway.WaitUntil("the refusal", [&] {
    return absl::IsUnauthenticated(gateway.Status().last_error);
  });
  CHECK(gateway.peers.Count("kinesis", "PutRecords", "calls") == 0);
}

TEST_CASE("a TLS connection broken in the middle is tried again", "[integration][tls]") {
  Gateway gateway;
  const std::string s = gateway.CreateStream();
  gateway.peers.OrderChaos("kinesis", R"([{"action":"rst","after":100,"times":2},
                                          {"action":"fin","after":2500,"times":2}])");
  gateway.PutMany(s, 100, 20);
  gateway.AddKinesisRoute(s);
  gateway.WaitUntilDelivered();
  gateway.CheckStream(s);
}

}  // namespace
}  // namespace eddy::integration
