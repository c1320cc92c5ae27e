#include "src/forward/dead_letter.h"

#include <cstdint>
#include <string>

#include <catch2/catch_test_macros.hpp>

#include "absl/strings/escaping.h"
#include "src/aws/json.h"
#include "src/base/strings.h"
#include "tests/unit/forward/forward_fixture.h"

namespace eddy::forward {
namespace {

WindowRecord Make(const std::string& key, const std::string& data) {
  WindowRecord record;
  record.sequence_number = 4711;
  record.partition_key = key;
  record.data = data;
  return record;
}

std::vector<Message> Letters(ForwardHost& host) {
  ReceiveOptions options;
  options.max_messages = 10;
  return *host.queue("dead").Receive(options);
}

std::string Unescape(std::string_view base64) {
  std::string bytes;
  REQUIRE(absl::Base64Unescape(AbslView(base64), &bytes));
  return bytes;
}

TEST_CASE("a dead record becomes a message of JSON that holds all of it", "[forward][dead]") {
  ForwardHost host;
  host.CreateDeadLetters();
  DeadLetterBox box(host.store.get(), &host.queue("dead"), "telemetry");
  WindowRecord record = Make("pump-7", std::string("\0\xff\x01", 3));
  record.explicit_hash_key = "12";
  REQUIRE(box.PutRecord(3, record, "too strange").ok());

  const std::vector<Message> letters = Letters(host);
  REQUIRE(letters.size() == 1);
  CHECK(letters[0].body ==
        R"({"stream":"telemetry","shardId":"shardId-000000000003","sequenceNumber":"4711",)"
        R"("partitionKey":"pump-7","explicitHashKey":"12","part":1,"parts":1,"data":"AP8B"})");
  CHECK(letters[0].dead_letter_source == "telemetry");
  CHECK(letters[0].dead_letter_reason == "too strange");
}

TEST_CASE("a dead record survives a power cut once PutRecord has returned",
          "[forward][dead][crash]") {
  ForwardHost host;
  host.CreateDeadLetters();
  DeadLetterBox box(host.store.get(), &host.queue("dead"), "telemetry");
  REQUIRE(box.PutRecord(0, Make("k", "d"), "r").ok());
  host.PowerCut(7);
  CHECK(Letters(host).size() == 1);
}

TEST_CASE("a partition key of characters that SQS refuses is escaped", "[forward][dead]") {
  ForwardHost host;
  host.CreateDeadLetters();
  DeadLetterBox box(host.store.get(), &host.queue("dead"), "telemetry");
  const std::string key = "\x01\"\\\xEF\xBF\xBE\xEF\xBF\xBF\xF0\x9F\x8C\x8A\n";
  REQUIRE(box.PutRecord(0, Make(key, ""), "r").ok());
  const std::vector<Message> letters = Letters(host);
  REQUIRE(letters.size() == 1);
  const auto json = aws::JsonDocument::Parse(letters[0].body);
  REQUIRE(json.ok());
  CHECK(json->root()["partitionKey"].StringOrEmpty() == key);
}

TEST_CASE("a record too large for one message becomes parts that can be joined",
          "[forward][dead]") {
  ForwardHost host;
  host.CreateDeadLetters();
  DeadLetterBox box(host.store.get(), &host.queue("dead"), "telemetry");
  std::string data;
  for (size_t i = 0; data.size() < kStreamRecordBytesMax - 256; ++i) {
    data += static_cast<char>(i * 31 % 251);
  }
  REQUIRE(box.PutRecord(0, Make(std::string(256, '\x02'), data), "r").ok());
  const std::vector<Message> letters = Letters(host);
  REQUIRE(letters.size() == 2);
  std::string joined;
  for (size_t i = 0; i < letters.size(); ++i) {
    const auto json = aws::JsonDocument::Parse(letters[i].body);
    REQUIRE(json.ok());
    CHECK(json->root()["part"].Int() == static_cast<int64_t>(i + 1));
    CHECK(json->root()["parts"].Int() == 2);
    joined += Unescape(json->root()["data"].StringOrEmpty());
  }
  CHECK(joined == data);
}

TEST_CASE("while the disk is full a letter is accepted once, and a retry waits for its commit",
          "[forward][dead][fault]") {
  ForwardHost host;
  host.CreateDeadLetters();
  DeadLetterBox box(host.store.get(), &host.queue("dead"), "telemetry");
  REQUIRE(host.store->Flush().ok());
  host.device.disk.SetCapacity(0);
  const WindowRecord record = Make("k", std::string(1000, 'x'));
  for (int i = 0; i < 20; ++i) {
    const absl::Status status = box.PutRecord(0, record, "r");
    CHECK(absl::IsUnavailable(status));
    CHECK(status.ToString().find("waits for its commit") != std::string::npos);
  }
  host.device.disk.SetCapacity(UINT64_MAX);
  CHECK(box.PutRecord(0, record, "r").ok());
  CHECK(Letters(host).size() == 1);

  SECTION("and the next one is another letter, of the same record too") {
    CHECK(box.PutRecord(0, record, "r").ok());
    CHECK(Letters(host).size() == 1);  // the first is in flight
  }
}

TEST_CASE("without a queue there is no box, and the error says which option", "[forward][dead]") {
  const absl::Status status = DeadLetterBox(nullptr, nullptr, "s").PutMessage("m", "b", "r");
  CHECK(absl::IsFailedPrecondition(status));
  CHECK(status.ToString().find("dead_letter_queue") != std::string::npos);
}

}  // namespace
}  // namespace eddy::forward
