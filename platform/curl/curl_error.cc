#include "platform/curl/curl_error.h"

#include "absl/strings/str_cat.h"
#include "src/base/strings.h"

namespace eddy {
namespace {

absl::StatusCode StatusCode(CURLcode code, bool sending) {
  if (sending) {
    // Resets, short bodies, empty answers, bytes that are no HTTP (for which
    // libcurl says "unsupported protocol"), and whatever a later libcurl adds.
    return code == CURLE_OPERATION_TIMEDOUT ? absl::StatusCode::kDeadlineExceeded
                                            : absl::StatusCode::kUnknown;
  }
  switch (code) {
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_BAD_FUNCTION_ARGUMENT:
      return absl::StatusCode::kInvalidArgument;
    // The certificate of the peer, or what we judge it by.
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CRL_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_INVALIDCERTSTATUS:
    case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
    case CURLE_SSL_CERTPROBLEM:
      return absl::StatusCode::kUnauthenticated;
    default:
      return absl::StatusCode::kUnavailable;
  }
}

}  // namespace

absl::Status CurlToStatus(CURLcode code, bool sending, std::string_view detail,
                          std::string_view doing) {
  const std::string_view text = detail.empty() ? curl_easy_strerror(code) : detail;
  return absl::Status(StatusCode(code, sending),
                      absl::StrCat(AbslView(doing), ": ", AbslView(text), " (libcurl error ",
                                   static_cast<int>(code), ")"));
}

}  // namespace eddy
