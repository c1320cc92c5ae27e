// What FakeAws does with each operation.
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "platform/crypto/digest.h"
#include "rapidjson/document.h"
#include "src/base/strings.h"
#include "tests/fakes/fake_aws.h"

namespace eddy::testing {
namespace {

using rapidjson::Document;
using rapidjson::Value;

constexpr size_t kRecordsMax = 500;
constexpr size_t kRequestBytesMax = 5 << 20;
constexpr size_t kRecordBytesMax = 1 << 20;
constexpr size_t kEntriesMax = 10;

std::string Text(const Value& object, const char* member) {
  const auto found = object.FindMember(member);
  if (found == object.MemberEnd() || !found->value.IsString()) return "";
  return {found->value.GetString(), found->value.GetStringLength()};
}

std::string LastOf(const std::string& url) { return url.substr(url.rfind('/') + 1); }

std::string Md5Hex(std::string_view text) {
  const crypto::Md5Digest digest = crypto::Md5(text);
  return absl::BytesToHexString(
      absl::string_view(reinterpret_cast<const char*>(digest.data()), digest.size()));
}

}  // namespace

std::set<size_t> FakeAws::FailedParts(const FakeFault& fault, size_t count) {
  std::set<size_t> failed;
  if (fault.kind != FakeFault::Kind::kPartial) return failed;
  for (const size_t i : fault.failed) {
    if (i < count) failed.insert(i);
  }
  return failed;
}

FakeAws::Answer FakeAws::PutRecords(const HttpRequest& request, const FakeFault& fault,
                                    FakeCall* call) {
  Document input;
  input.Parse(request.body.data(), request.body.size());
  if (input.HasParseError() || !input.IsObject() || !input.HasMember("Records") ||
      !input["Records"].IsArray()) {
    return Refuse(400, "SerializationException", "not a PutRecords");
  }
  const std::string stream = Text(input, "StreamName");
  std::vector<StoredRecord> records;
  size_t bytes = 0;
  for (const Value& entry : input["Records"].GetArray()) {
    StoredRecord record;
    record.partition_key = Text(entry, "PartitionKey");
    record.explicit_hash_key = Text(entry, "ExplicitHashKey");
    if (!entry.HasMember("Data") || !absl::Base64Unescape(Text(entry, "Data"), &record.data)) {
      return Refuse(400, "SerializationException", "Data is not base64");
    }
    const size_t record_bytes = record.partition_key.size() + record.data.size();
    if (record.partition_key.empty() || record_bytes > kRecordBytesMax) {
      return Refuse(400, "ValidationException", absl::StrCat("record of ", record_bytes));
    }
    bytes += record_bytes;
    call->keys.insert(record.partition_key);
    call->bodies.push_back(record.data);
    records.push_back(std::move(record));
  }
  call->entry_count = records.size();
  if (records.empty() || records.size() > kRecordsMax || bytes > kRequestBytesMax) {
    return Refuse(400, "ValidationException",
                  absl::StrCat(records.size(), " records, ", bytes, " bytes"));
  }
  if (streams_.count(stream) == 0) {
    return Error(400, "ResourceNotFoundException", absl::StrCat("Stream ", stream));
  }
  for (const StoredRecord& record : records) {
    if (is_malformed_ && is_malformed_(record.data)) {
      return Error(400, "InvalidArgumentException", "a record is malformed");
    }
  }
  if (!call->applied) return Answer{};
  std::set<size_t> failed = FailedParts(fault, records.size());
  for (size_t i = 0; i < records.size(); ++i) {
    if (is_throttled_ && is_throttled_(records[i].data)) failed.insert(i);
  }
  call->failed_count = failed.size();
  std::vector<StoredRecord>& stored = streams_[stream];
  std::string body = absl::StrCat("{\"FailedRecordCount\":", failed.size(), ",\"Records\":[");
  for (size_t i = 0; i < records.size(); ++i) {
    if (i > 0) body += ',';
    if (failed.count(i) > 0) {
      absl::StrAppend(&body, "{\"ErrorCode\":\"",
                      fault.code.empty() ? "ProvisionedThroughputExceededException" : fault.code,
                      "\",\"ErrorMessage\":\"Rate exceeded for shard\"}");
      continue;
    }
    absl::StrAppend(&body, "{\"SequenceNumber\":\"4957", stored.size(),
                    "\",\"ShardId\":\"shardId-000000000000\"}");
    stored.push_back(records[i]);
  }
  return Answer{200, body + "],\"EncryptionType\":\"NONE\"}"};
}

FakeAws::Answer FakeAws::SendMessageBatch(const HttpRequest& request, const FakeFault& fault,
                                          FakeCall* call) {
  Document input;
  input.Parse(request.body.data(), request.body.size());
  if (input.HasParseError() || !input.IsObject() || !input.HasMember("Entries") ||
      !input["Entries"].IsArray()) {
    return Refuse(400, "SerializationException", "not a SendMessageBatch");
  }
  const std::string name = LastOf(Text(input, "QueueUrl"));
  const auto queue = queues_.find(name);
  struct Entry {
    std::string id;
    std::string body;
  };
  std::vector<Entry> entries;
  std::set<std::string> ids;
  size_t bytes = 0;
  for (const Value& value : input["Entries"].GetArray()) {
    Entry entry{Text(value, "Id"), Text(value, "MessageBody")};
    bytes += entry.body.size();
    ids.insert(entry.id);
    call->bodies.push_back(entry.body);
    if (entry.id.empty() || entry.body.empty()) {
      return Refuse(400, "InvalidParameterValue", "an entry without id or body");
    }
    entries.push_back(std::move(entry));
  }
  call->entry_count = entries.size();
  if (entries.empty() || entries.size() > kEntriesMax || ids.size() != entries.size()) {
    return Refuse(400, "TooManyEntriesInBatchRequest", absl::StrCat(entries.size()));
  }
  if (queue == queues_.end()) return Error(400, "QueueDoesNotExist", name);
  if (bytes > queue->second.message_bytes_max) {
    // Nobody tells a client that may not read the attribute.
    return attributes_hidden_ ? Error(400, "BatchRequestTooLong", absl::StrCat(bytes))
                              : Refuse(400, "BatchRequestTooLong", absl::StrCat(bytes));
  }
  for (const Entry& entry : entries) {
    if (is_malformed_ && is_malformed_(entry.body)) {
      return Error(400, "InvalidMessageContents", "a message is malformed");
    }
  }
  if (!call->applied) return Answer{};
  const std::set<size_t> failed = FailedParts(fault, entries.size());
  call->failed_count = failed.size();
  std::string good, bad;
  // Backwards: answers are matched by Id, not by place.
  for (size_t i = entries.size(); i-- > 0;) {
    const Entry& entry = entries[i];
    if (failed.count(i) > 0) {
      absl::StrAppend(&bad, bad.empty() ? "" : ",", "{\"Id\":\"", entry.id,
                      "\",\"SenderFault\":", fault.sender_fault ? "true" : "false",
                      ",\"Code\":\"", fault.code.empty() ? "InternalError" : fault.code,
                      "\",\"Message\":\"ordered\"}");
      continue;
    }
    std::string md5 = Md5Hex(entry.body);
    if (spoiled_digest_count_ > 0) {
      --spoiled_digest_count_;
      md5 = Md5Hex("something else");
    }
    const std::string digest =
        digests_omitted_ ? "" : absl::StrCat(",\"MD5OfMessageBody\":\"", md5, "\"");
    absl::StrAppend(&good, good.empty() ? "" : ",", "{\"Id\":\"", entry.id,
                    "\",\"MessageId\":\"m\"", digest, "}");
  }
  for (size_t i = 0; i < entries.size(); ++i) {
    if (failed.count(i) == 0) queue->second.bodies.push_back(entries[i].body);
  }
  std::string body = "{";
  if (!good.empty()) absl::StrAppend(&body, "\"Successful\":[", good, "]");
  if (!bad.empty()) absl::StrAppend(&body, good.empty() ? "" : ",", "\"Failed\":[", bad, "]");
  return Answer{200, body + "}"};
}

FakeAws::Answer FakeAws::GetQueueUrl(const HttpRequest& request) {
  Document input;
  input.Parse(request.body.data(), request.body.size());
  if (input.HasParseError() || !input.IsObject()) {
    return Refuse(400, "SerializationException", "not a GetQueueUrl");
  }
  const std::string name = Text(input, "QueueName");
  if (queues_.count(name) == 0) return Error(400, "QueueDoesNotExist", name);
  return Answer{200, absl::StrCat("{\"QueueUrl\":\"https://elsewhere.test/000000000000/", name,
                                  "\"}")};
}

FakeAws::Answer FakeAws::GetQueueAttributes(const HttpRequest& request) {
  Document input;
  input.Parse(request.body.data(), request.body.size());
  if (input.HasParseError() || !input.IsObject()) {
    return Refuse(400, "SerializationException", "not a GetQueueAttributes");
  }
  if (attributes_hidden_) return Error(403, "AccessDeniedException", "not for you");
  const auto queue = queues_.find(LastOf(Text(input, "QueueUrl")));
  if (queue == queues_.end()) return Error(400, "QueueDoesNotExist", "");
  return Answer{200, absl::StrCat("{\"Attributes\":{\"MaximumMessageSize\":\"",
                                  queue->second.message_bytes_max, "\"}}")};
}

}  // namespace eddy::testing
