// Answers damaged in every way that a few thousand tries find: cut at each byte,
// each byte changed, pieces swapped. Nothing may crash, and nothing may turn a
// damaged answer into more than it says. Run under AddressSanitizer it is a small
// fuzzer; the seed is fixed, so a failure comes again.
#include <catch2/catch_test_macros.hpp>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "src/aws/error.h"
#include "src/aws/kinesis.h"
#include "src/aws/sqs.h"
#include "tests/fakes/scale.h"

namespace eddy::aws {
namespace {

const std::string kPutRecords =
    R"({"EncryptionType":"KMS","FailedRecordCount":1,"Records":[)"
    R"({"SequenceNumber":"49543463076548007577105092703039560359975228518395012686",)"
    R"("ShardId":"shardId-000000000000"},)"
    R"({"ErrorCode":"InternalFailure","ErrorMessage":"Internal service failure. \u00e9"}]})";
const std::string kBatch =
    R"({"Successful":[{"Id":"a","MessageId":"m","MD5OfMessageBody":"x"}],)"
    R"("Failed":[{"Id":"b","SenderFault":true,"Code":"C","Message":"m"}]})";
const std::string kError =
    R"({"__type":"com.amazonaws.kinesis.v20131202#ResourceNotFoundException","message":"No"})";
const std::string kSummary =
    R"({"StreamDescriptionSummary":{"OpenShardCount":4,"StreamName":"s",)"
    R"("StreamStatus":"ACTIVE","MaxRecordSizeInKiB":1024,"StreamCreationTimestamp":1.7e9}})";

const Endpoint kEndpoint = {"https://h", "us-east-1", "sqs"};

// Gives `body` to all decoders and holds what must be true of any answer.
void DecodeAll(const std::string& body) {
  std::vector<sqs::Message> messages(2);
  messages[0].id = "a";
  messages[1].id = "b";
  const auto records = kinesis::DecodePutRecords(body, 2);
  if (records.ok()) {
    REQUIRE(records->size() == 2);
    for (const kinesis::RecordResult& result : *records) {
      if (result.outcome != kinesis::Outcome::kStored) continue;
      REQUIRE_FALSE(result.sequence_number.empty());
      REQUIRE_FALSE(result.shard_id.empty());
    }
  } else {
    REQUIRE(absl::IsUnknown(records.status()));
  }
  const auto results = sqs::DecodeSendMessageBatch(body, messages);
  if (results.ok()) REQUIRE(results->size() == 2);
  (void)kinesis::DecodeDescribeStreamSummary(body);
  (void)sqs::DecodeGetQueueUrl(kEndpoint, body);
  (void)sqs::DecodeGetQueueAttributes(body);
  HttpResponse response;
  response.status = 400;
  response.body = body;
  response.headers = {{"x-amzn-ErrorType", body}, {"x-amzn-query-error", body}};
  REQUIRE(ClassifyResponse(response).message.size() <= 1024);
  response.headers.clear();
  REQUIRE(ClassifyResponse(response).code.size() <= 128);
}

TEST_CASE("no damaged answer crashes a decoder", "[aws][fault][sweep]") {
  std::mt19937 random(20261121);
  for (const std::string& good : {kPutRecords, kBatch, kError, kSummary}) {
    for (size_t bytes = 0; bytes <= good.size(); ++bytes) DecodeAll(good.substr(0, bytes));
    for (size_t at = 0; at < good.size(); ++at) {
      for (const char c : {'\0', '"', '\\', '{', '[', '}', ']', ',', ':', '9', '-', '\xff'}) {
        std::string damaged = good;
        damaged[at] = c;
        DecodeAll(damaged);
      }
      std::string shorter = good;
      DecodeAll(shorter.erase(at, 1 + random() % 8));
    }
    for (int i = 0; i < testing::Scaled(2000); ++i) {
      std::string damaged = good;
      for (size_t flips = 1 + random() % 8; flips > 0; --flips) {
        damaged[random() % damaged.size()] ^= static_cast<char>(1 << random() % 8);
      }
      if (random() % 4 == 0) {
        damaged.insert(random() % damaged.size(), damaged.substr(random() % damaged.size()));
      }
      DecodeAll(damaged);
    }
  }
}

TEST_CASE("random bytes do not crash a decoder", "[aws][fault]") {
  std::mt19937 random(42);
  for (int i = 0; i < testing::Scaled(2000); ++i) {
    std::string bytes(random() % 200, '\0');
    for (char& c : bytes) c = static_cast<char>(random());
    DecodeAll(bytes);
  }
}

}  // namespace
}  // namespace eddy::aws
