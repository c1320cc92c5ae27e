#include "src/aws/sqs.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "src/aws/json.h"
#include "src/aws/service_request.h"
#include "src/aws/url.h"
#include "src/base/strings.h"

namespace eddy::aws::sqs {
namespace {

HttpRequest SqsRequest(const Endpoint& endpoint, std::string_view operation, std::string body) {
  return ServiceRequest(endpoint, absl::StrCat("AmazonSQS.", AbslView(operation)), "1.0",
                        std::move(body));
}

absl::Status NotAnAnswer(const char* operation, std::string_view why) {
  return absl::UnknownError(
      absl::StrCat("answer to ", operation, ": ", AbslView(why), "; its outcome is unknown"));
}

// The answer's document, or kUnknown unless it is a JSON object.
absl::StatusOr<JsonDocument> ParseAnswer(const char* operation, std::string_view body) {
  absl::StatusOr<JsonDocument> document = JsonDocument::Parse(body);
  if (!document.ok()) {
    const absl::string_view why = document.status().message();
    return NotAnAnswer(operation, {why.data(), why.size()});
  }
  if (!document->root().IsObject()) return NotAnAnswer(operation, "not a JSON object");
  return document;
}

void WriteAttributes(absl::Span<const MessageAttribute> attributes, JsonWriter* json) {
  json->Key("MessageAttributes");
  json->BeginObject();
  for (const MessageAttribute& attribute : attributes) {
    json->Key(attribute.name);
    json->BeginObject();
    if (absl::StartsWith(AbslView(attribute.data_type), "Binary")) {
      json->Key("BinaryValue");
      json->Base64(attribute.value);
    } else {
      json->Member("StringValue", attribute.value);
    }
    json->Member("DataType", attribute.data_type);
    json->EndObject();
  }
  json->EndObject();
}

void WriteMessage(const Message& message, JsonWriter* json) {
  json->BeginObject();
  json->Member("Id", message.id);
  json->Member("MessageBody", message.body);
  if (message.delay_seconds) {
    json->Key("DelaySeconds");
    json->Int(*message.delay_seconds);
  }
  if (!message.attributes.empty()) WriteAttributes(message.attributes, json);
  if (!message.group_id.empty()) json->Member("MessageGroupId", message.group_id);
  if (!message.deduplication_id.empty()) {
    json->Member("MessageDeduplicationId", message.deduplication_id);
  }
  json->EndObject();
}

MessageResult Stored(JsonValue entry) {
  MessageResult result;
  result.outcome = Outcome::kStored;
  result.message_id = entry["MessageId"].StringOrEmpty();
  result.md5_of_body = entry["MD5OfMessageBody"].StringOrEmpty();
  result.md5_of_attributes = entry["MD5OfMessageAttributes"].StringOrEmpty();
  result.sequence_number = entry["SequenceNumber"].StringOrEmpty();
  return result;
}

MessageResult Failed(JsonValue entry) {
  MessageResult result;
  result.outcome = Outcome::kFailed;
  result.error = ClassifySqsEntry(entry["Code"].String().value_or(""),
                                  entry["Message"].String().value_or(""),
                                  entry["SenderFault"].Bool().value_or(false));
  return result;
}

}  // namespace

HttpRequest EncodeGetQueueUrl(const Endpoint& endpoint, std::string_view queue_name,
                              std::string_view account) {
  std::string body;
  JsonWriter json(&body);
  json.BeginObject();
  json.Member("QueueName", queue_name);
  if (!account.empty()) json.Member("QueueOwnerAWSAccountId", account);
  json.EndObject();
  return SqsRequest(endpoint, "GetQueueUrl", std::move(body));
}

absl::StatusOr<std::string> DecodeGetQueueUrl(const Endpoint& endpoint, std::string_view body) {
  const auto document = ParseAnswer("GetQueueUrl", body);
  if (!document.ok()) return document.status();
  const std::string text = document->root()["QueueUrl"].StringOrEmpty();
  const absl::StatusOr<Url> url = ParseUrl(text);
  if (!url.ok() || url->path.size() < 2) return NotAnAnswer("GetQueueUrl", "no URL of a queue");
  return absl::StrCat(endpoint.url, AbslView(url->path));
}

HttpRequest EncodeGetQueueAttributes(const Endpoint& endpoint, std::string_view queue_url) {
  std::string body;
  JsonWriter json(&body);
  json.BeginObject();
  json.Member("QueueUrl", queue_url);
  json.Key("AttributeNames");
  json.BeginArray();
  // By name, a service that does not know one of them refuses the whole call.
  json.String("All");
  json.EndArray();
  json.EndObject();
  return SqsRequest(endpoint, "GetQueueAttributes", std::move(body));
}

absl::StatusOr<QueueAttributes> DecodeGetQueueAttributes(std::string_view body) {
  const auto document = ParseAnswer("GetQueueAttributes", body);
  if (!document.ok()) return document.status();
  QueueAttributes queue;
  document->root()["Attributes"].ForEachString(
      [&queue](std::string_view name, std::string_view value) {
        size_t bytes;
        if (name == "MaximumMessageSize" && absl::SimpleAtoi(AbslView(value), &bytes) &&
            bytes > 0) {
          queue.message_bytes_max = std::min(bytes, kMessageBytesMax);
        } else if (name == "FifoQueue") {
          queue.is_fifo = value == "true";
        } else if (name == "ContentBasedDeduplication") {
          queue.content_based_deduplication = value == "true";
        }
      });
  return queue;
}

HttpRequest EncodeSendMessageBatch(const Endpoint& endpoint, std::string_view queue_url,
                                   absl::Span<const Message> messages) {
  std::string body;
  size_t bytes = 64 + queue_url.size();
  // An eighth for what must be escaped; where it is more, the string grows.
  for (const Message& message : messages) bytes += 256 + MessageBytes(message) * 9 / 8;
  body.reserve(bytes);
  JsonWriter json(&body);
  json.BeginObject();
  json.Member("QueueUrl", queue_url);
  json.Key("Entries");
  json.BeginArray();
  for (const Message& message : messages) WriteMessage(message, &json);
  json.EndArray();
  json.EndObject();
  return SqsRequest(endpoint, "SendMessageBatch", std::move(body));
}

absl::StatusOr<std::vector<MessageResult>> DecodeSendMessageBatch(
    std::string_view body, absl::Span<const Message> messages) {
  const auto document = ParseAnswer("SendMessageBatch", body);
  if (!document.ok()) return document.status();
  const JsonValue successful = document->root()["Successful"];
  const JsonValue failed = document->root()["Failed"];

  std::vector<MessageResult> results(messages.size());
  std::vector<int> mentions(messages.size());
  const auto index_of = [messages](JsonValue entry) {
    const std::string_view id = entry["Id"].String().value_or("");
    return static_cast<size_t>(
        std::find_if(messages.begin(), messages.end(),
                     [id](const Message& message) { return message.id == id; }) -
        messages.begin());
  };
  // An id that is not ours is left alone; ours will be missed.
  for (size_t i = 0; i < successful.size(); ++i) {
    const size_t index = index_of(successful[i]);
    if (index == messages.size()) continue;
    results[index] = Stored(successful[i]);
    ++mentions[index];
  }
  for (size_t i = 0; i < failed.size(); ++i) {
    const size_t index = index_of(failed[i]);
    if (index == messages.size()) continue;
    results[index] = Failed(failed[i]);
    ++mentions[index];
  }
  for (size_t i = 0; i < messages.size(); ++i) {
    if (mentions[i] != 1) results[i] = MessageResult();
  }
  return results;
}

absl::Status VerifyDigests(const Message& message, const MessageResult& result) {
  const std::string body = Md5OfBody(message.body);
  if (!result.md5_of_body.empty() && result.md5_of_body != body) {
    return absl::DataLossError(absl::StrCat("message ", result.message_id,
                                            ": SQS has a body of MD5 ", result.md5_of_body,
                                            ", sent was ", body));
  }
  const std::string attributes = Md5OfAttributes(message.attributes);
  if (result.md5_of_attributes != attributes) {
    return absl::DataLossError(absl::StrCat("message ", result.message_id,
                                            ": SQS has attributes of MD5 ",
                                            result.md5_of_attributes, ", sent was ", attributes));
  }
  return absl::OkStatus();
}

}  // namespace eddy::aws::sqs
