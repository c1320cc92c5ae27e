#include "tests/fakes/fake_aws.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "platform/crypto/digest.h"
#include "rapidjson/document.h"
#include "src/base/strings.h"

namespace eddy::testing {
namespace {

using rapidjson::Document;
using rapidjson::Value;

constexpr absl::Duration kSkewMax = absl::Minutes(5);
constexpr size_t kRecordsMax = 500;
constexpr size_t kRequestBytesMax = 5 << 20;
constexpr size_t kRecordBytesMax = 1 << 20;
constexpr size_t kEntriesMax = 10;

std::string HeaderOf(const HttpRequest& request, std::string_view name) {
  for (const HttpHeader& header : request.headers) {
    if (absl::EqualsIgnoreCase(header.name, AbslView(name))) return header.value;
  }
  return "";
}

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

HttpResponse Response(int status, std::string body, absl::Time now,
                      const std::vector<HttpHeader>& extra) {
  HttpResponse response;
  response.status = status;
  response.headers = {
      {"Date", absl::FormatTime("%a, %d %b %E4Y %H:%M:%S GMT", now, absl::UTCTimeZone())},
      {"x-amzn-RequestId", "00000000-0000-4000-8000-000000000000"}};
  response.headers.insert(response.headers.end(), extra.begin(), extra.end());
  response.body = std::move(body);
  response.round_trip = absl::Milliseconds(5);
  return response;
}

bool IsApplied(FakeFault::Kind kind) {
  using Kind = FakeFault::Kind;
  return kind == Kind::kNone || kind == Kind::kPartial || kind == Kind::kTimeoutApplied ||
         kind == Kind::kCutApplied;
}

}  // namespace

FakeAws::FakeAws(Clock* clock, uint64_t seed) : clock_(clock), random_(seed) {}

absl::StatusOr<HttpResponse> FakeAws::Send(const HttpRequest& request) {
  using Kind = FakeFault::Kind;
  std::function<void()> on_request;
  {
    const std::lock_guard<std::mutex> lock(mu_);
    on_request = on_request_;
  }
  if (on_request) on_request();

  const std::lock_guard<std::mutex> lock(mu_);
  const absl::Time now = clock_->WallNow() + ahead_;
  FakeCall call;
  Answer answer;
  if (!CheckHead(request, &call, &answer)) {
    calls_.push_back(call);
    return Response(answer.status, answer.body, now, {});
  }
  FakeFault fault = TakeFault(call);
  if (fault.kind == Kind::kGarbage && fault.status == 200) fault.kind = Kind::kCutApplied;
  const bool is_garbage = fault.kind == Kind::kCutApplied && fault.status == 200;

  call.applied = IsApplied(fault.kind);
  if (call.operation == "PutRecords") {
    answer = PutRecords(request, fault, &call);
  } else if (call.operation == "SendMessageBatch") {
    answer = SendMessageBatch(request, fault, &call);
  } else if (call.operation == "GetQueueUrl") {
    answer = GetQueueUrl(request);
  } else if (call.operation == "GetQueueAttributes") {
    answer = GetQueueAttributes(request);
  } else {
    answer = Refuse(400, "UnknownOperationException", call.operation);
  }
  if (answer.status != 200) call.applied = false;
  calls_.push_back(call);
  if (is_garbage) return Response(200, "<html>welcome</html>", now, {});
  switch (fault.kind) {
    case Kind::kNotSent: return absl::UnavailableError("connection refused");
    case Kind::kTls: return absl::UnauthenticatedError("certificate has expired");
    case Kind::kTimeout:
    case Kind::kTimeoutApplied: return absl::DeadlineExceededError("no answer in 30s");
    case Kind::kCut:
    case Kind::kCutApplied: return absl::UnknownError("the answer was cut");
    case Kind::kGarbage:
      return Response(fault.status, "<html>Bad Gateway</html>", now, fault.headers);
    case Kind::kError: answer = Error(fault.status, fault.code, "ordered"); break;
    case Kind::kNone:
    case Kind::kPartial: break;
  }
  return Response(answer.status, answer.body, now, fault.headers);
}

bool FakeAws::CheckHead(const HttpRequest& request, FakeCall* call, Answer* refusal) {
  const std::string target = HeaderOf(request, "x-amz-target");
  const std::vector<std::string> words = absl::StrSplit(target, '.');
  const bool is_kinesis = words.front() == "Kinesis_20131202";
  const bool is_sqs = words.front() == "AmazonSQS";
  if (words.size() != 2 || (!is_kinesis && !is_sqs)) {
    *refusal = Refuse(400, "UnknownOperationException", target);
    return false;
  }
  call->operation = words[1];
  const std::string type =
      is_kinesis ? "application/x-amz-json-1.1" : "application/x-amz-json-1.0";
  if (request.method != "POST" || HeaderOf(request, "content-type") != type) {
    *refusal = Refuse(400, "UnknownOperationException", HeaderOf(request, "content-type"));
    return false;
  }
  const std::string host = is_kinesis ? "kinesis" : "sqs";
  if (request.url != absl::StrCat("http://", host, ".test/")) {
    *refusal = Refuse(400, "InvalidAddress", request.url);
    return false;
  }
  const absl::Time now = clock_->WallNow() + ahead_;
  const std::string date = HeaderOf(request, "x-amz-date");
  absl::Time signed_at;
  if (!absl::ParseTime("%E4Y%m%dT%H%M%SZ", date, absl::UTCTimeZone(), &signed_at, nullptr)) {
    *refusal = Refuse(400, "IncompleteSignatureException", date);
    return false;
  }
  const std::string authorization = HeaderOf(request, "authorization");
  absl::string_view rest = authorization;
  if (!absl::ConsumePrefix(&rest, "AWS4-HMAC-SHA256 Credential=")) {
    *refusal = Refuse(400, "IncompleteSignatureException", authorization);
    return false;
  }
  const absl::string_view credential = rest.substr(0, rest.find(','));
  const std::vector<std::string> scope = absl::StrSplit(credential, '/');
  if (scope.size() != 5 || scope[1] != date.substr(0, 8) || scope[2] != kRegion ||
      scope[3] != host || scope[4] != "aws4_request") {
    *refusal = Refuse(400, "IncompleteSignatureException", authorization);
    return false;
  }
  call->access_key_id = scope[0];
  // The two that a good client meets in the field are answers, not refusals (A1).
  if (key_ids_.count(scope[0]) == 0) {
    *refusal = Error(400, "UnrecognizedClientException", "no such key");
    return false;
  }
  if (absl::AbsDuration(now - signed_at) > kSkewMax) {
    *refusal = Error(400, "InvalidSignatureException", "Signature expired");
    return false;
  }
  if (expired_key_ids_.count(scope[0]) > 0) {
    *refusal = Error(400, "ExpiredTokenException", "The security token has expired");
    return false;
  }
  return true;
}

FakeFault FakeAws::TakeFault(const FakeCall& call) {
  using Kind = FakeFault::Kind;
  for (auto it = orders_.begin(); it != orders_.end(); ++it) {
    if (!it->operation.empty() && it->operation != call.operation) continue;
    FakeFault fault = *it;
    orders_.erase(it);
    return fault;
  }
  FakeFault fault;
  uint64_t draw = random_.Below(1000);
  const auto hit = [&draw](int odds) {
    const bool is_hit = draw < static_cast<uint64_t>(odds);
    draw = is_hit ? UINT64_MAX : draw - static_cast<uint64_t>(odds);
    return is_hit;
  };
  if (hit(odds_.not_sent)) {
    fault.kind = Kind::kNotSent;
  } else if (hit(odds_.timeout)) {
    fault.kind = random_.OneIn(2) ? Kind::kTimeout : Kind::kTimeoutApplied;
  } else if (hit(odds_.cut)) {
    fault.kind = random_.OneIn(2) ? Kind::kCut : Kind::kCutApplied;
  } else if (hit(odds_.error)) {
    fault.kind = Kind::kError;
    const uint64_t which = random_.Below(3);
    fault.status = which == 0 ? 500 : which == 1 ? 503 : 400;
    fault.code = which == 0   ? "InternalFailure"
                 : which == 1 ? "ServiceUnavailable"
                              : "ProvisionedThroughputExceededException";
  } else if (hit(odds_.partial)) {
    fault.kind = Kind::kPartial;
    for (size_t i = 0; i < kRecordsMax; ++i) {
      if (random_.OneIn(3)) fault.failed.insert(i);
    }
  }
  return fault;
}

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
  const std::set<size_t> failed = FailedParts(fault, records.size());
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
  return Answer{200, body + "],\"EncryptionType\":\"NONE\"}", ""};
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
    absl::StrAppend(&good, good.empty() ? "" : ",", "{\"Id\":\"", entry.id,
                    "\",\"MessageId\":\"m\",\"MD5OfMessageBody\":\"", md5, "\"}");
  }
  for (size_t i = 0; i < entries.size(); ++i) {
    if (failed.count(i) == 0) queue->second.bodies.push_back(entries[i].body);
  }
  std::string body = "{";
  if (!good.empty()) absl::StrAppend(&body, "\"Successful\":[", good, "]");
  if (!bad.empty()) absl::StrAppend(&body, good.empty() ? "" : ",", "\"Failed\":[", bad, "]");
  return Answer{200, body + "}", ""};
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
                                  "\"}"),
                ""};
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
                                  queue->second.message_bytes_max, "\"}}"),
                ""};
}

FakeAws::Answer FakeAws::Error(int status, std::string code, std::string message) {
  Answer answer;
  answer.status = status;
  answer.body = absl::StrCat("{\"__type\":\"com.amazonaws.test#", code, "\",\"message\":\"",
                             absl::CEscape(message), "\"}");
  answer.code = std::move(code);
  return answer;
}

FakeAws::Answer FakeAws::Refuse(int status, std::string code, std::string message) {
  ++refused_count_;
  last_refusal_ = absl::StrCat(code, ": ", message);
  return Error(status, std::move(code), std::move(message));
}

void FakeAws::CreateStream(const std::string& name) {
  const std::lock_guard<std::mutex> lock(mu_);
  streams_[name];
}

void FakeAws::CreateQueue(const std::string& name, size_t message_bytes_max) {
  const std::lock_guard<std::mutex> lock(mu_);
  queues_[name] = RemoteQueue{message_bytes_max, {}};
}

void FakeAws::Order(FakeFault fault, int times) {
  const std::lock_guard<std::mutex> lock(mu_);
  for (int i = 0; i < times; ++i) orders_.push_back(fault);
}

void FakeAws::ForgetOrders() {
  const std::lock_guard<std::mutex> lock(mu_);
  orders_.clear();
}

void FakeAws::SetOdds(FakeOdds odds) {
  const std::lock_guard<std::mutex> lock(mu_);
  odds_ = odds;
}

void FakeAws::SetMalformed(std::function<bool(std::string_view)> is_malformed) {
  const std::lock_guard<std::mutex> lock(mu_);
  is_malformed_ = std::move(is_malformed);
}

void FakeAws::SetOnRequest(std::function<void()> on_request) {
  const std::lock_guard<std::mutex> lock(mu_);
  on_request_ = std::move(on_request);
}

void FakeAws::SetClockAhead(absl::Duration ahead) {
  const std::lock_guard<std::mutex> lock(mu_);
  ahead_ = ahead;
}

void FakeAws::AddKey(const std::string& access_key_id) {
  const std::lock_guard<std::mutex> lock(mu_);
  key_ids_.insert(access_key_id);
}

void FakeAws::ExpireKey(const std::string& access_key_id) {
  const std::lock_guard<std::mutex> lock(mu_);
  expired_key_ids_.insert(access_key_id);
}

std::vector<StoredRecord> FakeAws::Records(const std::string& stream) {
  const std::lock_guard<std::mutex> lock(mu_);
  return streams_[stream];
}

std::vector<std::string> FakeAws::Bodies(const std::string& queue) {
  const std::lock_guard<std::mutex> lock(mu_);
  return queues_[queue].bodies;
}

std::vector<FakeCall> FakeAws::Calls(const std::string& operation) {
  const std::lock_guard<std::mutex> lock(mu_);
  std::vector<FakeCall> calls;
  for (const FakeCall& call : calls_) {
    if (operation.empty() || call.operation == operation) calls.push_back(call);
  }
  return calls;
}

size_t FakeAws::RefusedRequests() {
  const std::lock_guard<std::mutex> lock(mu_);
  return refused_count_;
}

std::string FakeAws::LastRefusal() {
  const std::lock_guard<std::mutex> lock(mu_);
  return last_refusal_;
}

}  // namespace eddy::testing
