#include "src/aws/sigv4.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "src/aws/canonical_request.h"
#include "src/aws/text.h"
#include "src/aws/url.h"
#include "src/base/status.h"
#include "src/base/strings.h"

namespace eddy::aws {
namespace {

constexpr char kAlgorithm[] = "AWS4-HMAC-SHA256";
constexpr char kTerminator[] = "aws4_request";
constexpr char kDate[] = "X-Amz-Date";
constexpr char kToken[] = "X-Amz-Security-Token";
constexpr char kBodyHash[] = "X-Amz-Content-Sha256";
constexpr char kAuthorization[] = "Authorization";

bool IsNamed(const HttpHeader& header, std::string_view name) {
  return absl::EqualsIgnoreCase(header.name, AbslView(name));
}

void Remove(std::string_view name, std::vector<HttpHeader>* headers) {
  headers->erase(std::remove_if(headers->begin(), headers->end(),
                                [name](const HttpHeader& h) { return IsNamed(h, name); }),
                 headers->end());
}

// HMAC's result as the key of the next one.
std::string_view View(const crypto::Sha256Digest& digest) {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

absl::Status CheckContext(const SigningContext& context, const std::vector<HttpHeader>& headers) {
  if (context.credentials.access_key_id.empty() ||
      context.credentials.secret_access_key.empty()) {
    return absl::UnauthenticatedError("no credentials to sign with");
  }
  // Years that X-Amz-Date can spell; infinite times are outside, too.
  if (context.now < absl::UnixEpoch() || context.now >= absl::FromUnixSeconds(253402300800)) {
    return absl::InvalidArgumentError("the signing time is not between 1970 and 9999");
  }
  for (const HttpHeader& header : headers) {
    if (header.name.empty() || header.name.find_first_of(": \r\n") != std::string::npos ||
        header.value.find_first_of("\r\n") != std::string::npos) {
      return absl::InvalidArgumentError(
          "a header without a name, or with a line break in it, cannot be signed");
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<SigningSteps> SignRequest(const SigningContext& context, SigningKeys* keys,
                                         HttpRequest* request) {
  std::vector<HttpHeader> headers = request->headers;
  EDDY_RETURN_IF_ERROR(CheckContext(context, headers));
  EDDY_ASSIGN_OR_RETURN(const Url url, ParseUrl(request->url));

  const AwsCredentials& credentials = context.credentials;
  const std::string time = absl::FormatTime("%Y%m%dT%H%M%SZ", context.now, absl::UTCTimeZone());
  const std::string date = time.substr(0, 8);
  const std::string body_hash = Hex(crypto::Sha256(request->body));

  for (const char* name : {kDate, kToken, kBodyHash, kAuthorization}) Remove(name, &headers);
  if (std::none_of(headers.begin(), headers.end(),
                   [](const HttpHeader& h) { return IsNamed(h, "host"); })) {
    headers.push_back({"Host", std::string(url.Host())});
  }
  headers.push_back({kDate, time});
  if (context.sign_body_header) headers.push_back({kBodyHash, body_hash});
  const bool has_token = !credentials.session_token.empty();
  if (has_token && context.sign_session_token) {
    headers.push_back({kToken, credentials.session_token});
  }

  const CanonicalHeaders canonical = CanonicaliseHeaders(headers);
  SigningSteps steps;
  steps.canonical_request = absl::StrCat(
      request->method, "\n", CanonicalPath(url.path, context.normalize_path), "\n",
      CanonicalQuery(url.query), "\n", canonical.lines, "\n", canonical.names, "\n", body_hash);

  const std::string scope =
      absl::StrCat(date, "/", context.region, "/", context.service, "/", kTerminator);
  steps.string_to_sign = absl::StrCat(kAlgorithm, "\n", time, "\n", scope, "\n",
                                      Hex(crypto::Sha256(steps.canonical_request)));
  const std::string& secret = credentials.secret_access_key;
  const crypto::Sha256Digest key =
      keys == nullptr ? SigningKeys::Derive(secret, date, context.region, context.service)
                      : keys->Get(secret, date, context.region, context.service);
  steps.signature = Hex(crypto::HmacSha256(View(key), steps.string_to_sign));
  steps.authorization =
      absl::StrCat(kAlgorithm, " Credential=", credentials.access_key_id, "/", scope,
                   ", SignedHeaders=", canonical.names, ", Signature=", steps.signature);

  if (has_token && !context.sign_session_token) {
    headers.push_back({kToken, credentials.session_token});
  }
  headers.push_back({kAuthorization, steps.authorization});
  request->headers = std::move(headers);
  return steps;
}

crypto::Sha256Digest SigningKeys::Derive(std::string_view secret, std::string_view date,
                                         std::string_view region, std::string_view service) {
  crypto::Sha256Digest key = crypto::HmacSha256(absl::StrCat("AWS4", AbslView(secret)), date);
  key = crypto::HmacSha256(View(key), region);
  key = crypto::HmacSha256(View(key), service);
  return crypto::HmacSha256(View(key), kTerminator);
}

crypto::Sha256Digest SigningKeys::Get(std::string_view secret, std::string_view date,
                                      std::string_view region, std::string_view service) {
  {
    MutexLock lock(&mu_);
    for (const Entry& entry : entries_) {
      // An entry without a date is an empty one.
      if (!entry.date.empty() && entry.secret == secret && entry.date == date &&
          entry.region == region && entry.service == service) {
        return entry.key;
      }
    }
  }
  // Two threads may derive the same key; they agree on it.
  Entry entry = {std::string(secret), std::string(date), std::string(region),
                 std::string(service), Derive(secret, date, region, service)};
  const crypto::Sha256Digest key = entry.key;
  MutexLock lock(&mu_);
  entries_[next_] = std::move(entry);
  next_ = (next_ + 1) % entries_.size();
  return key;
}

}  // namespace eddy::aws
