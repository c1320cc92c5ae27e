#include "tests/fakes/fake_aws.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "src/base/strings.h"

namespace eddy::testing {
namespace {

constexpr absl::Duration kSkewMax = absl::Minutes(5);
constexpr size_t kRecordsMax = 500;

std::string HeaderOf(const HttpRequest& request, std::string_view name) {
  for (const HttpHeader& header : request.headers) {
    if (absl::EqualsIgnoreCase(header.name, AbslView(name))) return header.value;
  }
  return "";
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
  call.body_bytes = request.body.size();
  call.total_timeout = request.total_timeout;
  Answer answer;
  if (proxy_bytes_max_ != 0 && request.body.size() > proxy_bytes_max_) {
    calls_.push_back(call);
    return Response(413, "<html>too large</html>", now, {});
  }
  if (!CheckHead(request, &call, &answer)) {
    calls_.push_back(call);
    return Response(answer.status, answer.body, now, {});
  }
  FakeFault fault = TakeFault(call);
  const absl::Duration upload = absl::Seconds(static_cast<double>(request.body.size()) /
                                              static_cast<double>(upload_bytes_per_second_));
  if (upload > request.total_timeout) fault.kind = Kind::kTimeout;
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
    FakeFault fault = it->fault;
    if (!fault.operation.empty() && fault.operation != call.operation) continue;
    if (--it->times == 0) orders_.erase(it);
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

FakeAws::Answer FakeAws::Error(int status, const std::string& code,
                               const std::string& message) {
  Answer answer;
  answer.status = status;
  answer.body = absl::StrCat("{\"__type\":\"com.amazonaws.test#", code, "\",\"message\":\"",
                             absl::CEscape(message), "\"}");
  return answer;
}

FakeAws::Answer FakeAws::Refuse(int status, const std::string& code,
                                const std::string& message) {
  ++refused_count_;
  last_refusal_ = absl::StrCat(code, ": ", message);
  return Error(status, code, message);
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
  if (times > 0) orders_.push_back({std::move(fault), times});
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

void FakeAws::SetThrottled(std::function<bool(std::string_view)> is_throttled) {
  const std::lock_guard<std::mutex> lock(mu_);
  is_throttled_ = std::move(is_throttled);
}

void FakeAws::SetUploadRate(size_t bytes_per_second) {
  const std::lock_guard<std::mutex> lock(mu_);
  upload_bytes_per_second_ = bytes_per_second;
}

void FakeAws::SetProxyLimit(size_t body_bytes_max) {
  const std::lock_guard<std::mutex> lock(mu_);
  proxy_bytes_max_ = body_bytes_max;
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

size_t FakeAws::CallCount() {
  const std::lock_guard<std::mutex> lock(mu_);
  return calls_.size();
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
