#include "platform/curl/curl_error.h"

#include <catch2/catch_test_macros.hpp>
#include <string>

namespace eddy {
namespace {

absl::StatusCode Code(CURLcode code, bool sending) {
  return CurlToStatus(code, sending, "", "POST https://h").code();
}

TEST_CASE("before anything was sent an error is retried, after that it is unknown",
          "[curl][error]") {
  for (const CURLcode code : {CURLE_SEND_ERROR, CURLE_RECV_ERROR, CURLE_GOT_NOTHING,
                              CURLE_PARTIAL_FILE, CURLE_WEIRD_SERVER_REPLY,
                              CURLE_SSL_CONNECT_ERROR, CURLE_OUT_OF_MEMORY}) {
    INFO(curl_easy_strerror(code));
    CHECK(Code(code, false) == absl::StatusCode::kUnavailable);
    CHECK(Code(code, true) == absl::StatusCode::kUnknown);
  }
  CHECK(Code(CURLE_UNSUPPORTED_PROTOCOL, false) == absl::StatusCode::kInvalidArgument);
  CHECK(Code(CURLE_UNSUPPORTED_PROTOCOL, true) == absl::StatusCode::kUnknown);  // no HTTP
  CHECK(Code(CURLE_OPERATION_TIMEDOUT, false) == absl::StatusCode::kUnavailable);
  CHECK(Code(CURLE_OPERATION_TIMEDOUT, true) == absl::StatusCode::kDeadlineExceeded);
  for (const CURLcode code : {CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_RESOLVE_PROXY,
                              CURLE_COULDNT_CONNECT, CURLE_INTERFACE_FAILED}) {
    CHECK(Code(code, false) == absl::StatusCode::kUnavailable);
  }
}

TEST_CASE("a certificate that is not accepted needs an operator, who learns why",
          "[curl][error]") {
  for (const CURLcode code :
       {CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CACERT_BADFILE, CURLE_SSL_ISSUER_ERROR}) {
    CHECK(Code(code, false) == absl::StatusCode::kUnauthenticated);
  }
  const absl::Status status = CurlToStatus(CURLE_PEER_FAILED_VERIFICATION, false,
                                           "certificate has expired", "POST https://h");
  CHECK(std::string(status.message()) ==
        "POST https://h: certificate has expired (libcurl error 60)");
}

TEST_CASE("no error of libcurl becomes OK", "[curl][error]") {
  for (int code = 1; code < CURL_LAST; ++code) {
    for (const bool sending : {false, true}) {
      CHECK_FALSE(CurlToStatus(static_cast<CURLcode>(code), sending, "", "x").ok());
    }
  }
}

}  // namespace
}  // namespace eddy
