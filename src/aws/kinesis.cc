#include "src/aws/kinesis.h"

#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "src/aws/json.h"
#include "src/aws/service_request.h"
#include "src/aws/text.h"
#include "src/base/strings.h"
#include "src/base/utf8.h"

namespace eddy::aws::kinesis {
namespace {

// {"ExplicitHashKey":"<39>","PartitionKey":"","Data":""}, and its comma.
constexpr size_t kRecordFrameBytes = 95;

HttpRequest KinesisRequest(const Endpoint& endpoint, std::string_view operation,
                           std::string body) {
  return ServiceRequest(endpoint, absl::StrCat("Kinesis_20131202.", AbslView(operation)), "1.1",
                        std::move(body));
}

void WriteStream(std::string_view stream, JsonWriter* json) {
  const bool is_arn = stream.substr(0, 4) == "arn:";
  json->Member(is_arn ? "StreamARN" : "StreamName", stream);
}

// Decimal, "0" or without leading zero, at most 2^128 - 1. Numbers of one length
// compare as their text does.
bool IsHashKey(std::string_view text) {
  constexpr std::string_view kMax = "340282366920938463463374607431768211455";
  if (text.empty() || text.size() > kMax.size()) return false;
  if (text.front() == '0' && text.size() > 1) return false;
  for (const char c : text) {
    if (!absl::ascii_isdigit(static_cast<unsigned char>(c))) return false;
  }
  return text.size() < kMax.size() || text <= kMax;
}

RecordResult DecodeResult(JsonValue entry) {
  RecordResult result;
  const std::string_view code = entry["ErrorCode"].String().value_or("");
  const std::string_view sequence = entry["SequenceNumber"].String().value_or("");
  const std::string_view shard = entry["ShardId"].String().value_or("");
  if (!code.empty()) {
    result.outcome = Outcome::kFailed;
    result.error = ClassifyKinesisEntry(code, entry["ErrorMessage"].String().value_or(""));
  } else if (!sequence.empty() && !shard.empty()) {
    result.outcome = Outcome::kStored;
    result.sequence_number = std::string(sequence);
    result.shard_id = std::string(shard);
  }
  return result;
}

absl::Status NotAnAnswer(const char* operation, std::string_view why) {
  return absl::UnknownError(
      absl::StrCat("answer to ", operation, ": ", AbslView(why), "; its outcome is unknown"));
}

std::string_view View(absl::string_view text) { return {text.data(), text.size()}; }

}  // namespace

absl::Status CheckRecord(const Record& record, size_t record_bytes_max) {
  const std::optional<size_t> characters = CharacterCount(record.partition_key);
  if (!characters) return absl::InvalidArgumentError("the partition key is not UTF-8");
  if (*characters < 1 || *characters > kPartitionKeyCharactersMax) {
    return absl::InvalidArgumentError(absl::StrCat("a partition key of ", *characters,
                                                   " characters: 1 to ",
                                                   kPartitionKeyCharactersMax));
  }
  if (!record.explicit_hash_key.empty() && !IsHashKey(record.explicit_hash_key)) {
    return absl::InvalidArgumentError(
        "the explicit hash key is not a decimal number of 0 to 2^128 - 1 without leading zeros");
  }
  if (RecordBytes(record) > record_bytes_max) {
    return absl::InvalidArgumentError(absl::StrCat("a record of ", RecordBytes(record),
                                                   " bytes, its key included: at most ",
                                                   record_bytes_max));
  }
  return absl::OkStatus();
}

HttpRequest EncodePutRecords(const Endpoint& endpoint, std::string_view stream,
                             absl::Span<const Record> records) {
  size_t bytes = 64 + stream.size();
  for (const Record& record : records) {
    bytes += kRecordFrameBytes + record.partition_key.size() + (record.data.size() + 2) / 3 * 4;
  }
  std::string body;
  body.reserve(bytes);
  JsonWriter json(&body);
  json.BeginObject();
  WriteStream(stream, &json);
  json.Key("Records");
  json.BeginArray();
  for (const Record& record : records) {
    json.BeginObject();
    json.Key("Data");
    json.Base64(record.data);
    if (!record.explicit_hash_key.empty()) {
      json.Member("ExplicitHashKey", record.explicit_hash_key);
    }
    json.Member("PartitionKey", record.partition_key);
    json.EndObject();
  }
  json.EndArray();
  json.EndObject();
  return KinesisRequest(endpoint, "PutRecords", std::move(body));
}

absl::StatusOr<std::vector<RecordResult>> DecodePutRecords(std::string_view body,
                                                           size_t record_count) {
  const absl::StatusOr<JsonDocument> document = JsonDocument::Parse(body);
  if (!document.ok()) return NotAnAnswer("PutRecords", View(document.status().message()));
  // FailedRecordCount is not read: the entries say the same, and say which.
  const JsonValue records = document->root()["Records"];
  if (records.size() != record_count) {
    return NotAnAnswer("PutRecords", absl::StrCat(records.size(), " results for ", record_count,
                                                  " records"));
  }
  std::vector<RecordResult> results;
  results.reserve(record_count);
  for (size_t i = 0; i < record_count; ++i) results.push_back(DecodeResult(records[i]));
  return results;
}

HttpRequest EncodeDescribeStreamSummary(const Endpoint& endpoint, std::string_view stream) {
  std::string body;
  JsonWriter json(&body);
  json.BeginObject();
  WriteStream(stream, &json);
  json.EndObject();
  return KinesisRequest(endpoint, "DescribeStreamSummary", std::move(body));
}

absl::StatusOr<StreamSummary> DecodeDescribeStreamSummary(std::string_view body) {
  const absl::StatusOr<JsonDocument> document = JsonDocument::Parse(body);
  if (!document.ok()) {
    return NotAnAnswer("DescribeStreamSummary", View(document.status().message()));
  }
  const JsonValue description = document->root()["StreamDescriptionSummary"];
  StreamSummary summary;
  summary.name = description["StreamName"].StringOrEmpty();
  summary.arn = description["StreamARN"].StringOrEmpty();
  summary.status = description["StreamStatus"].StringOrEmpty();
  summary.open_shard_count = description["OpenShardCount"].Int().value_or(0);
  if (summary.status.empty()) return NotAnAnswer("DescribeStreamSummary", "no StreamStatus");
  const int64_t kib = description["MaxRecordSizeInKiB"].Int().value_or(0);
  if (kib > 0 && kib <= 10240) summary.record_bytes_max = static_cast<size_t>(kib) << 10;
  return summary;
}

HttpRequest EncodeCreateStream(const Endpoint& endpoint, std::string_view name,
                               int64_t shard_count) {
  std::string body;
  JsonWriter json(&body);
  json.BeginObject();
  if (shard_count > 0) {
    json.Key("ShardCount");
    json.Int(shard_count);
  } else {
    json.Key("StreamModeDetails");
    json.BeginObject();
    json.Member("StreamMode", "ON_DEMAND");
    json.EndObject();
  }
  json.Member("StreamName", name);
  json.EndObject();
  return KinesisRequest(endpoint, "CreateStream", std::move(body));
}

}  // namespace eddy::aws::kinesis
