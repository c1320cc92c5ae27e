// The requests and answers of Kinesis, as its API reference and recorded answers
// have them.
#include "src/aws/kinesis.h"

#include <catch2/catch_test_macros.hpp>
#include <string>
#include <vector>

#include "src/aws/json.h"

namespace eddy::aws::kinesis {
namespace {

const Endpoint kEndpoint = {"https://kinesis.us-east-1.amazonaws.com", "us-east-1", "kinesis"};

TEST_CASE("PutRecords is JSON 1.1 to the root of the endpoint", "[aws][kinesis]") {
  const Record records[] = {{"pump-7", "", std::string_view("\x00\xff\x10", 3)},
                            {"k\"\xc3\xa9\n", "340282366920938463463374607431768211455", ""}};
  const HttpRequest request = EncodePutRecords(kEndpoint, "telemetry", records);
  CHECK(request.method == "POST");
  CHECK(request.url == "https://kinesis.us-east-1.amazonaws.com/");
  REQUIRE(request.headers.size() == 2);
  CHECK(request.headers[0].name == "Content-Type");
  CHECK(request.headers[0].value == "application/x-amz-json-1.1");
  CHECK(request.headers[1].name == "X-Amz-Target");
  CHECK(request.headers[1].value == "Kinesis_20131202.PutRecords");
  CHECK(request.body ==
        R"({"StreamName":"telemetry","Records":[)"
        R"({"Data":"AP8Q","PartitionKey":"pump-7"},)"
        R"({"Data":"","ExplicitHashKey":"340282366920938463463374607431768211455",)"
        "\"PartitionKey\":\"k\\\"\xc3\xa9\\n\"}]}");
}

TEST_CASE("a stream may be named by its ARN", "[aws][kinesis]") {
  constexpr char kArn[] = "arn:aws:kinesis:us-east-1:123456789012:stream/s";
  CHECK(EncodeDescribeStreamSummary(kEndpoint, kArn).body ==
        R"({"StreamARN":"arn:aws:kinesis:us-east-1:123456789012:stream/s"})");
}

TEST_CASE("a full request is built in one allocation of about its size", "[aws][kinesis]") {
  const std::string data(10000, 'x');
  const std::vector<Record> records(500, Record{"partition-key", "", data});
  const HttpRequest request = EncodePutRecords(kEndpoint, "s", records);
  CHECK(request.body.size() > 500 * 13336);
  CHECK(request.body.capacity() < request.body.size() * 102 / 100);
  CHECK(JsonDocument::Parse(request.body).ok());
}

TEST_CASE("a record counts its partition key", "[aws][kinesis]") {
  const std::string data(kRecordBytesMax - 3, 'x');
  CHECK(RecordBytes({"key", "", data}) == kRecordBytesMax);
  CHECK(CheckRecord({"key", "", data}).ok());
  CHECK(absl::IsInvalidArgument(CheckRecord({"key4", "", data})));
  CHECK(CheckRecord({"key4", "", data}, 10 << 20).ok());
  CHECK(RecordBytes({"k", "12345", "data"}) == 5);
}

TEST_CASE("a partition key has 1 to 256 characters, not bytes", "[aws][kinesis]") {
  std::string key;
  for (int i = 0; i < 256; ++i) key += "\xf0\x9f\x9a\xb0";
  CHECK(CheckRecord({key, "", ""}).ok());
  key += "a";
  CHECK(absl::IsInvalidArgument(CheckRecord({key, "", ""})));
  CHECK(absl::IsInvalidArgument(CheckRecord({"", "", "data"})));
  CHECK(absl::IsInvalidArgument(CheckRecord({"\xff", "", "data"})));
}

TEST_CASE("an explicit hash key is a decimal of 128 bits without leading zeros",
          "[aws][kinesis]") {
  for (const char* good : {"0", "1", "99999999999999999999999999999999999999",
                           "340282366920938463463374607431768211455"}) {
    INFO(good);
    CHECK(CheckRecord({"k", good, ""}).ok());
  }
  for (const char* bad : {"00", "01", "-1", "+1", " 1", "1.0", "1e3", "x",
                          "340282366920938463463374607431768211456",
                          "1000000000000000000000000000000000000000"}) {
    INFO(bad);
    CHECK(absl::IsInvalidArgument(CheckRecord({"k", bad, ""})));
  }
}

TEST_CASE("results stand in the order of the records", "[aws][kinesis]") {
  const auto results = DecodePutRecords(
      R"({"EncryptionType":"NONE","FailedRecordCount":2,"Records":[
        {"SequenceNumber":"49543463076548007577105092703039560359975228518395012686",
         "ShardId":"shardId-000000000000"},
        {"ErrorCode":"ProvisionedThroughputExceededException",
         "ErrorMessage":"Rate exceeded for shard shardId-000000000001 in stream s"},
        {"ErrorCode":"InternalFailure","ErrorMessage":"Internal service failure."},
        {"SequenceNumber":"2","ShardId":"shardId-000000000002","ErrorCode":null}]})",
      4);
  REQUIRE(results.ok());
  CHECK((*results)[0].outcome == Outcome::kStored);
  CHECK((*results)[0].sequence_number ==
        "49543463076548007577105092703039560359975228518395012686");
  CHECK((*results)[0].shard_id == "shardId-000000000000");
  CHECK((*results)[1].outcome == Outcome::kFailed);
  CHECK((*results)[1].error.error_class == ErrorClass::kThrottled);
  CHECK((*results)[2].outcome == Outcome::kFailed);
  CHECK((*results)[2].error.error_class == ErrorClass::kRetryable);
  CHECK((*results)[2].error.message == "Internal service failure.");
  CHECK((*results)[3].outcome == Outcome::kStored);
}

TEST_CASE("a result that says neither stored nor failed is unknown", "[aws][kinesis]") {
  const auto results = DecodePutRecords(
      R"({"Records":[{}, null, 7, {"ShardId":"s"}, {"SequenceNumber":"1"},
          {"SequenceNumber":1,"ShardId":"s"}, {"SequenceNumber":"","ShardId":"s"}]})",
      7);
  REQUIRE(results.ok());
  for (const RecordResult& result : *results) CHECK(result.outcome == Outcome::kUnknown);
}

TEST_CASE("an answer with too few or too many results leaves all unknown", "[aws][kinesis]") {
  constexpr char kOne[] = R"({"Records":[{"SequenceNumber":"1","ShardId":"s"}]})";
  CHECK(DecodePutRecords(kOne, 1).ok());
  for (const size_t count : {0, 2, 500}) {
    CHECK(absl::IsUnknown(DecodePutRecords(kOne, count).status()));
  }
  for (const char* body : {"", "{}", "[]", "null", "<html>", R"({"Records":{}})"}) {
    INFO(body);
    CHECK(absl::IsUnknown(DecodePutRecords(body, 1).status()));
  }
}

TEST_CASE("an answer cut anywhere is no answer", "[aws][kinesis]") {
  const std::string body =
      R"({"FailedRecordCount":0,"Records":[{"SequenceNumber":"1","ShardId":"s"}]})";
  REQUIRE(DecodePutRecords(body, 1).ok());
  for (size_t bytes = 0; bytes < body.size(); ++bytes) {
    INFO(body.substr(0, bytes));
    CHECK(absl::IsUnknown(DecodePutRecords(body.substr(0, bytes), 1).status()));
  }
}

TEST_CASE("a stream's summary says whether and how much it takes", "[aws][kinesis]") {
  const auto summary = DecodeDescribeStreamSummary(
      R"({"StreamDescriptionSummary":{"ConsumerCount":0,"EncryptionType":"NONE",
        "EnhancedMonitoring":[{"ShardLevelMetrics":[]}],"OpenShardCount":4,
        "RetentionPeriodHours":24,"StreamARN":"arn:aws:kinesis:us-east-1:1:stream/s",
        "StreamCreationTimestamp":1731000000.123,"StreamName":"s","StreamStatus":"UPDATING",
        "MaxRecordSizeInKiB":10240}})");
  REQUIRE(summary.ok());
  CHECK(summary->name == "s");
  CHECK(summary->arn == "arn:aws:kinesis:us-east-1:1:stream/s");
  CHECK(summary->open_shard_count == 4);
  CHECK(summary->record_bytes_max == 10 << 20);
  CHECK(summary->IsWritable());

  const auto creating = DecodeDescribeStreamSummary(
      R"({"StreamDescriptionSummary":{"StreamName":"s","StreamStatus":"CREATING"}})");
  REQUIRE(creating.ok());
  CHECK_FALSE(creating->IsWritable());
  CHECK(creating->record_bytes_max == 1 << 20);
  CHECK(absl::IsUnknown(DecodeDescribeStreamSummary("{}").status()));
}

TEST_CASE("a stream is created with shards or on demand", "[aws][kinesis]") {
  const HttpRequest provisioned = EncodeCreateStream(kEndpoint, "s", 3);
  CHECK(provisioned.headers[1].value == "Kinesis_20131202.CreateStream");
  CHECK(provisioned.body == R"({"ShardCount":3,"StreamName":"s"})");
  CHECK(EncodeCreateStream(kEndpoint, "s", 0).body ==
        R"({"StreamModeDetails":{"StreamMode":"ON_DEMAND"},"StreamName":"s"})");
}

}  // namespace
}  // namespace eddy::aws::kinesis
