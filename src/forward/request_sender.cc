#include "src/forward/request_sender.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "src/aws/clock_skew.h"
#include "src/base/strings.h"

namespace eddy::forward {
namespace {

constexpr absl::Duration kConnectTimeoutMax = absl::Seconds(10);

Trouble TroubleOf(aws::ErrorClass error_class) {
  switch (error_class) {
    case aws::ErrorClass::kRetryable: return Trouble::kServiceFault;
    case aws::ErrorClass::kThrottled: return Trouble::kThrottled;
    case aws::ErrorClass::kExpiredCredentials:
    case aws::ErrorClass::kClockSkew:
    case aws::ErrorClass::kDenied:
    case aws::ErrorClass::kNotFound: return Trouble::kNeedsOperator;
    case aws::ErrorClass::kOversize: return Trouble::kTooLarge;
    case aws::ErrorClass::kPermanentRequest: return Trouble::kBadContent;
  }
  return Trouble::kServiceFault;
}

std::string_view Advice(aws::ErrorClass error_class) {
  switch (error_class) {
    case aws::ErrorClass::kExpiredCredentials:
      return "; everything is kept: renew the credentials";
    case aws::ErrorClass::kClockSkew:
      return "; everything is kept: check the secret access key and the region";
    case aws::ErrorClass::kDenied:
      return "; everything is kept: the policy of these credentials, the account or the "
             "target's settings forbid it";
    case aws::ErrorClass::kNotFound:
      return "; everything is kept: create the target, or correct the route's";
    default: return "";
  }
}

absl::Status WithAdvice(const absl::Status& status, std::string_view advice) {
  return absl::Status(status.code(), absl::StrCat(status.message(), AbslView(advice)));
}

// Whether an error answer leaves open what the service has done. What the service
// itself calls unavailable or refused was not done; an internal fault may have come
// late, and a gateway between us knows nothing.
bool IsOutcomeUnknown(const aws::ServiceError& error) {
  return error.http_status >= 500 && (error.http_status != 503 || error.code.empty());
}

}  // namespace

RequestSender::RequestSender(aws::Endpoint endpoint, absl::Duration timeout,
                             HttpTransport* transport, CredentialsCache* credentials,
                             aws::SigningKeys* signing_keys, Clock* clock)
    : endpoint_(std::move(endpoint)),
      timeout_(timeout),
      transport_(transport),
      credentials_(credentials),
      signing_keys_(signing_keys),
      clock_(clock) {}

Reply RequestSender::Send(std::string_view doing, HttpRequest request) {
  const absl::Time line = Line();
  const absl::Duration offset = offset_.has_value() ? *offset_ : clock_->WallNow() - line;
  Reply reply;
  absl::StatusOr<AwsCredentials> credentials = credentials_->Get(line + offset);
  if (!credentials.ok()) {
    reply.trouble = Trouble::kNeedsOperator;
    reply.status = WithAdvice(credentials.status(), "; everything is kept: provide credentials");
    return reply;
  }

  aws::SigningContext context;
  context.credentials = *credentials;
  context.region = endpoint_.region;
  context.service = endpoint_.service;
  context.now = line + offset;
  const absl::Status is_signed = aws::SignRequest(context, signing_keys_, &request).status();
  if (!is_signed.ok()) {
    reply.trouble = Trouble::kNeedsOperator;
    reply.status = is_signed;
    return reply;
  }
  request.total_timeout = TotalTimeout(timeout_, request.body.size());
  request.connect_timeout = std::min(kConnectTimeoutMax, timeout_);

  absl::StatusOr<HttpResponse> response = transport_->Send(request);
  if (!response.ok()) return NotAnswered(doing, request, response.status());
  if (response->status < 200 || response->status > 299) {
    return Failed(doing, *response, *credentials, offset);
  }
  if (const auto measured = aws::ServerOffset(*response, Line())) offset_ = measured;
  has_renewed_ = false;
  has_corrected_ = false;
  reply.outcome = Outcome::kAnswered;
  reply.body = std::move(response->body);
  return reply;
}

absl::Duration TotalTimeout(absl::Duration request_timeout, size_t body_bytes) {
  const absl::Duration upload =
      absl::Seconds(static_cast<double>(body_bytes) / kUploadBytesPerSecondMin);
  return std::min(request_timeout + upload, kRequestTimeoutMax);
}

Reply RequestSender::NotAnswered(std::string_view doing, const HttpRequest& request,
                                 const absl::Status& status) {
  Reply reply;
  const absl::StatusCode code = status.code();
  const bool is_unsendable = code == absl::StatusCode::kInvalidArgument;
  const bool is_tls = code == absl::StatusCode::kUnauthenticated;
  reply.outcome = is_unsendable || is_tls || code == absl::StatusCode::kUnavailable
                      ? Outcome::kNotSent
                      : Outcome::kUnknown;
  reply.trouble = is_unsendable ? Trouble::kNeedsOperator : Trouble::kUnreachable;
  reply.timed_out = code == absl::StatusCode::kDeadlineExceeded;
  std::string text = absl::StrCat(AbslView(doing), " at ", endpoint_.url, ": ", status.message());
  if (reply.timed_out) {
    absl::StrAppend(&text, "; ", request.body.size(), " bytes had ",
                    absl::FormatDuration(request.total_timeout).c_str());
  }
  // The first thing to look at when a certificate is "not yet valid".
  if (is_tls && !clock_->WallIsTrusted()) absl::StrAppend(&text, "; the device's clock is not set");
  reply.status = absl::Status(code, text);
  return reply;
}

Reply RequestSender::Failed(std::string_view doing, const HttpResponse& response,
                            const AwsCredentials& used, absl::Duration used_offset) {
  const aws::ServiceError error = aws::ClassifyResponse(response);
  Reply reply;
  reply.outcome = IsOutcomeUnknown(error) ? Outcome::kUnknown : Outcome::kRefused;
  reply.trouble = TroubleOf(error.error_class);
  reply.has_code = !error.code.empty();
  reply.retry_after = error.retry_after;
  reply.status = WithAdvice(aws::ToStatus(doing, error), Advice(error.error_class));

  const std::optional<absl::Duration> measured = aws::ServerOffset(response, Line());
  const bool is_expired = error.error_class == aws::ErrorClass::kExpiredCredentials;
  const bool may_be_skew = aws::MayBeClockSkew(error);
  if (may_be_skew && measured.has_value() && aws::IsSkewed(used_offset, *measured)) {
    if (!has_corrected_) reply.trouble = Trouble::kSignedAnew;
    has_corrected_ = true;
  } else if (is_expired || may_be_skew) {
    // Whatever the operator mends, the provider is asked before the next attempt. At
    // once only where fresh keys are the usual cure.
    credentials_->Reject(used.access_key_id, used.session_token);
    if (is_expired && !has_renewed_) reply.trouble = Trouble::kSignedAnew;
    has_renewed_ = has_renewed_ || is_expired;
  }
  if (!is_expired && !may_be_skew) {  // the signature was good
    has_renewed_ = false;
    has_corrected_ = false;
  }
  // The page of a proxy or a captive portal bears the clock of another machine.
  if (measured.has_value() && !error.code.empty()) offset_ = measured;
  return reply;
}

}  // namespace eddy::forward
