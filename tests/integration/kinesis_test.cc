// Streams to Kinesis over plain HTTP: what the service says, and what eddy makes of it.
#include <string>

#include <catch2/catch_test_macros.hpp>

#include "absl/strings/str_cat.h"
#include "tests/integration/peers.h"

namespace eddy::integration {
namespace {

TEST_CASE("records reach Kinesis exactly, in order, under verified signatures",
          "[integration][kinesis]") {
  Gateway gateway;
  const std::string s = gateway.CreateStream(3);
  gateway.PutMany(s, 3000, 60);
  gateway.Put(s, "schl\xC3\xBCssel \"\\\n", std::string("\0\xff", 2));
  gateway.AddKinesisRoute(s);
  gateway.WaitUntilDelivered();
  CHECK(gateway.CheckStream(s) == 0);
  CHECK(gateway.Status().last_error.ok());
  CHECK(gateway.Status().records_delivered == 3001);
  CHECK(gateway.peers.Count("kinesis", "PutRecords", "verified") > 0);
}

TEST_CASE("random partial failures cost no order and no duplicate", "[integration][kinesis]") {
  Gateway gateway;
  const std::string s = gateway.CreateStream(2);
  gateway.peers.OrderFront(
      "kinesis",
      R"({"op":"PutRecords","partialFraction":0.3,"seed":7,"times":60,"code":"InternalFailure"})");
  gateway.PutMany(s, 1500, 40);
  gateway.AddKinesisRoute(s);
  gateway.WaitUntilDelivered();
  CHECK(gateway.CheckStream(s) == 0);
  CHECK(gateway.Status().records_retried > 100);
  CHECK(gateway.Status().records_maybe_twice == 0);
}

TEST_CASE("a stream that is throttled gets everything in the end", "[integration][kinesis]") {
  Gateway gateway;
  const std::string s = gateway.CreateStream();
  gateway.peers.OrderFront("kinesis", R"({"set":{"throttle":{"recordsPerSecond":200}}})");
  gateway.PutMany(s, 500, 50);
  gateway.AddKinesisRoute(s);
  gateway.WaitUntilDelivered();
  CHECK(gateway.CheckStream(s) == 0);
  CHECK(gateway.Status().records_retried > 0);
}

TEST_CASE("a record above the stream's own limit goes to the dead letters, the others arrive",
          "[integration][kinesis]") {
  Gateway gateway;
  gateway.expects_rejections = true;
  const std::string s = gateway.CreateStream(2);
  gateway.peers.OrderFront("kinesis", R"({"set":{"recordBytesMax":2000}})");
  Queue* const dead = *gateway.store->CreateQueue("dead");
  gateway.route.dead_letter_queue = "dead";
  gateway.PutMany(s, 60, 30);
  gateway.put["large"] = 0;
  REQUIRE((*gateway.store->OpenStream(s))->Put("large", std::string(3000, 'x')).ok());
  gateway.PutMany(s, 60, 30);
  gateway.AddKinesisRoute(s);
  gateway.WaitUntil("the dead letter", [&] { return gateway.Status().records_dead == 1; });
  gateway.WaitUntilDelivered();
  CHECK(gateway.CheckStream(s) == 0);
  const auto letters = dead->Receive();
  REQUIRE(letters.ok());
  REQUIRE(letters->size() == 1);
  CHECK(letters->front().dead_letter_source == s);
  CHECK(letters->front().body.find("\"partitionKey\":\"large\"") != std::string::npos);
}

TEST_CASE("a stream that is missing there is waited for", "[integration][kinesis]") {
  Gateway gateway;
  const std::string s = gateway.directory.substr(gateway.directory.rfind('/') + 1);
  REQUIRE(gateway.store->CreateStream(s).ok());
  gateway.PutMany(s, 20, 10);
  gateway.AddKinesisRoute(s);
  gateway.WaitUntil("the error", [&] { return absl::IsNotFound(gateway.Status().last_error); });
  gateway.peers.CreateStream(s, 1);
  gateway.WaitUntilDelivered();
  CHECK(gateway.CheckStream(s) == 0);
}

}  // namespace
}  // namespace eddy::integration
