#include "src/aws/error.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "src/aws/json.h"
#include "src/base/strings.h"

namespace eddy::aws {
namespace {

constexpr size_t kMessageBytesMax = 1024;

// Codes as CanonicalCode spells them: one row stands for all the names that one
// fault bears, e.g. QueueDoesNotExist and the older
// AWS.SimpleQueueService.NonExistentQueue are two rows, but KMS.DisabledException,
// KMSDisabledException and KmsDisabled are one.
struct Row {
  const char* code;
  ErrorClass error_class;
};

constexpr Row kRows[] = {
    // Transient.
    {"internalerror", ErrorClass::kRetryable},
    {"internalfailure", ErrorClass::kRetryable},
    {"requesttimeout", ErrorClass::kRetryable},
    {"serviceunavailable", ErrorClass::kRetryable},
    {"idpcommunicationerror", ErrorClass::kRetryable},
    {"resourceinuse", ErrorClass::kRetryable},       // while a status change runs
    {"queuedeletedrecently", ErrorClass::kRetryable},  // for 60 s
    {"purgequeueinprogress", ErrorClass::kRetryable},
    // Throttling.
    {"bandwidthlimitexceeded", ErrorClass::kThrottled},
    {"ec2throttled", ErrorClass::kThrottled},
    {"kmsthrottled", ErrorClass::kThrottled},
    {"kmsthrottling", ErrorClass::kThrottled},
    {"limitexceeded", ErrorClass::kThrottled},
    {"overlimit", ErrorClass::kThrottled},
    {"priorrequestnotcomplete", ErrorClass::kThrottled},
    {"provisionedthroughputexceeded", ErrorClass::kThrottled},
    {"requestlimitexceeded", ErrorClass::kThrottled},
    {"requestthrottled", ErrorClass::kThrottled},
    {"slowdown", ErrorClass::kThrottled},
    {"throttled", ErrorClass::kThrottled},
    {"throttling", ErrorClass::kThrottled},
    {"toomanyrequests", ErrorClass::kThrottled},
    {"transactioninprogress", ErrorClass::kThrottled},
    // Credentials that fresh ones may cure. The last two are what a service says
    // of a key id that it does not know (yet).
    {"expiredtoken", ErrorClass::kExpiredCredentials},
    {"unrecognizedclient", ErrorClass::kExpiredCredentials},
    {"invalidclienttokenid", ErrorClass::kExpiredCredentials},
    // A wrong clock, or a wrong secret: only the Date header can tell.
    {"requesttimetooskewed", ErrorClass::kClockSkew},
    {"requestexpired", ErrorClass::kClockSkew},
    {"requestinthefuture", ErrorClass::kClockSkew},
    {"invalidsignature", ErrorClass::kClockSkew},
    {"signaturedoesnotmatch", ErrorClass::kClockSkew},
    {"authfailure", ErrorClass::kClockSkew},
    // For an operator. The records are not at fault, so they wait.
    {"accessdenied", ErrorClass::kDenied},
    {"notauthorized", ErrorClass::kDenied},
    {"optinrequired", ErrorClass::kDenied},
    {"invalidsecurity", ErrorClass::kDenied},
    {"missingauthenticationtoken", ErrorClass::kDenied},
    {"incompletesignature", ErrorClass::kDenied},
    {"unknownoperation", ErrorClass::kDenied},  // not the service we think it is
    {"invalidaction", ErrorClass::kDenied},
    {"unsupportedoperation", ErrorClass::kDenied},
    {"kmsaccessdenied", ErrorClass::kDenied},
    {"kmsdisabled", ErrorClass::kDenied},
    {"kmsinvalidkeyusage", ErrorClass::kDenied},
    {"kmsinvalidstate", ErrorClass::kDenied},
    {"kmsnotfound", ErrorClass::kDenied},
    {"kmsoptinrequired", ErrorClass::kDenied},
    // The target.
    {"resourcenotfound", ErrorClass::kNotFound},
    {"queuedoesnotexist", ErrorClass::kNotFound},
    {"nonexistentqueue", ErrorClass::kNotFound},
    {"invalidaddress", ErrorClass::kNotFound},
    // Too much in one request.
    {"batchrequesttoolong", ErrorClass::kOversize},
    {"toomanyentriesinbatchrequest", ErrorClass::kOversize},
    {"requestentitytoolarge", ErrorClass::kOversize},
    // What a record or a message is. An allow-list: what stands here may cost a record
    // its place, so nothing does that can be said of anything but content.
    {"invalidargument", ErrorClass::kPermanentRequest},
    {"validation", ErrorClass::kPermanentRequest},
    {"validationerror", ErrorClass::kPermanentRequest},
    {"serialization", ErrorClass::kPermanentRequest},
    {"invalidmessagecontents", ErrorClass::kPermanentRequest},
    {"invalidparametervalue", ErrorClass::kPermanentRequest},
};

// "com.amazon.coral#ThrottlingException:http://..." gives "ThrottlingException".
std::string_view CleanCode(std::string_view code) {
  const size_t hash = code.rfind('#');
  if (hash != std::string_view::npos) code.remove_prefix(hash + 1);
  code = code.substr(0, code.find(':'));
  const absl::string_view stripped = absl::StripAsciiWhitespace(AbslView(code));
  return {stripped.data(), std::min<size_t>(stripped.size(), 128)};
}

std::string CanonicalCode(std::string_view code) {
  constexpr std::string_view kSqs = "AWS.SimpleQueueService.";
  constexpr std::string_view kException = "exception";
  if (code.substr(0, kSqs.size()) == kSqs) code.remove_prefix(kSqs.size());
  std::string canonical = absl::AsciiStrToLower(AbslView(code));
  canonical.erase(std::remove(canonical.begin(), canonical.end(), '.'), canonical.end());
  if (canonical.size() > kException.size() &&
      std::string_view(canonical).substr(canonical.size() - kException.size()) == kException) {
    canonical.resize(canonical.size() - kException.size());
  }
  return canonical;
}

std::optional<ErrorClass> ClassOfCode(std::string_view code) {
  const std::string canonical = CanonicalCode(code);
  for (const Row& row : kRows) {
    if (canonical == row.code) return row.error_class;
  }
  return std::nullopt;
}

ErrorClass ClassOfStatus(int status, bool has_code) {
  switch (status) {
    case 401:
    case 403:
    case 407:
      return ErrorClass::kDenied;
    case 404:
    case 410:
      return ErrorClass::kNotFound;
    case 408:
      return ErrorClass::kRetryable;
    case 413:
      return ErrorClass::kOversize;
    case 429:
      return ErrorClass::kThrottled;
    default:
      // A code that is in no table may be about the account, the target or a right as
      // well as about a record (E3). Without one it is somebody in between (E2).
      return status >= 400 && status < 500 && has_code ? ErrorClass::kDenied
                                                       : ErrorClass::kRetryable;
  }
}

std::optional<absl::Duration> RetryAfter(const HttpResponse& response) {
  int64_t ms;
  if (!absl::SimpleAtoi(AbslView(response.Header("x-amz-retry-after")), &ms) || ms < 0) {
    return std::nullopt;
  }
  return absl::Milliseconds(ms);  // RetryDelay bounds it
}

// The first line. To a bad signature AWS answers with the whole canonical request
// below it, session token included, and messages end up in logs.
std::string ForPeople(std::string_view message) {
  return std::string(message.substr(0, std::min(message.find('\n'), kMessageBytesMax)));
}

ServiceError EntryError(std::string_view code, std::string_view message, ErrorClass error_class) {
  ServiceError error;
  error.error_class = error_class;
  error.code = std::string(CleanCode(code));
  error.message = ForPeople(message);
  return error;
}

absl::StatusCode StatusCode(ErrorClass error_class) {
  switch (error_class) {
    case ErrorClass::kRetryable:
    case ErrorClass::kThrottled:
      return absl::StatusCode::kUnavailable;
    case ErrorClass::kExpiredCredentials:
    case ErrorClass::kClockSkew:
      return absl::StatusCode::kUnauthenticated;
    case ErrorClass::kDenied:
      return absl::StatusCode::kPermissionDenied;
    case ErrorClass::kNotFound:
      return absl::StatusCode::kNotFound;
    case ErrorClass::kOversize:
    case ErrorClass::kPermanentRequest:
      return absl::StatusCode::kInvalidArgument;
  }
  return absl::StatusCode::kInternal;
}

}  // namespace

std::string_view ErrorClassName(ErrorClass error_class) {
  switch (error_class) {
    case ErrorClass::kRetryable: return "retryable";
    case ErrorClass::kThrottled: return "throttled";
    case ErrorClass::kExpiredCredentials: return "expired credentials";
    case ErrorClass::kClockSkew: return "clock skew or wrong secret";
    case ErrorClass::kDenied: return "denied";
    case ErrorClass::kNotFound: return "not found";
    case ErrorClass::kOversize: return "too large";
    case ErrorClass::kPermanentRequest: return "refused";
  }
  return "unknown";
}

ServiceError ClassifyResponse(const HttpResponse& response) {
  ServiceError error;
  error.http_status = response.status;
  error.retry_after = RetryAfter(response);
  error.request_id = std::string(response.Header("x-amzn-RequestId"));
  if (error.request_id.empty()) {
    error.request_id = std::string(response.Header("x-amz-request-id"));
  }

  error.code = std::string(CleanCode(response.Header("x-amzn-ErrorType")));
  const absl::StatusOr<JsonDocument> document = JsonDocument::Parse(response.body);
  if (document.ok()) {
    const JsonValue body = document->root();
    if (error.code.empty()) {
      error.code = std::string(CleanCode(body["__type"].String().value_or("")));
    }
    std::optional<std::string_view> message = body["message"].String();
    if (!message) message = body["Message"].String();
    error.message = ForPeople(message.value_or(""));
  }
  std::optional<ErrorClass> known = ClassOfCode(error.code);
  if (!known) {
    // SQS names each error twice; the older name may be the one we know.
    const std::string_view header = response.Header("x-amzn-query-error");
    const std::string_view legacy = CleanCode(header.substr(0, header.find(';')));
    known = ClassOfCode(legacy);
    if (known || error.code.empty()) error.code = std::string(legacy);
  }
  error.error_class = known ? *known : ClassOfStatus(response.status, !error.code.empty());
  return error;
}

ServiceError ClassifyKinesisEntry(std::string_view code, std::string_view message) {
  const bool throttled = ClassOfCode(CleanCode(code)) == ErrorClass::kThrottled;
  return EntryError(code, message,
                    throttled ? ErrorClass::kThrottled : ErrorClass::kRetryable);
}

ServiceError ClassifySqsEntry(std::string_view code, std::string_view message,
                              bool sender_fault) {
  const std::optional<ErrorClass> known = ClassOfCode(CleanCode(code));
  const ErrorClass when_unknown = sender_fault ? ErrorClass::kDenied : ErrorClass::kRetryable;
  // The table knows better than the flag whose fault throttling or a key is, but
  // what the service calls its own fault is never ours to give up.
  const bool gives_up =
      known == ErrorClass::kPermanentRequest || known == ErrorClass::kOversize;
  return EntryError(code, message, known && (sender_fault || !gives_up) ? *known : when_unknown);
}

bool MayBeClockSkew(const ServiceError& error) {
  return error.error_class == ErrorClass::kClockSkew ||
         CanonicalCode(error.code) == "accessdenied";
}

absl::Status ToStatus(std::string_view doing, const ServiceError& error) {
  std::string text = absl::StrCat(AbslView(doing), ": ");
  if (error.http_status != 0) absl::StrAppend(&text, "HTTP ", error.http_status, " ");
  absl::StrAppend(&text, error.code.empty() ? "without an error code" : error.code);
  if (!error.message.empty()) absl::StrAppend(&text, ": ", error.message);
  if (!error.request_id.empty()) absl::StrAppend(&text, " (request ", error.request_id, ")");
  return absl::Status(StatusCode(error.error_class), text);
}

}  // namespace eddy::aws
