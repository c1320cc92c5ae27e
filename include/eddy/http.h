// The HTTP port: one request, one answer. eddy::forward brings libcurl's; a
// firmware with its own TLS stack implements this interface instead.
//
// Invariants
//   H1  Bytes are sent as given: no header is added that the signature covers,
//       none is dropped, no redirect is followed, nothing is retried.
//   H2  A failure says whether the server may have seen the request.
#ifndef EDDY_HTTP_H_
#define EDDY_HTTP_H_

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace eddy {

struct HttpHeader {
  std::string name;
  std::string value;
};

struct HttpRequest {
  std::string method = "POST";
  std::string url;  // absolute, http or https
  std::vector<HttpHeader> headers;
  std::string body;
  absl::Duration connect_timeout = absl::Seconds(10);
  absl::Duration total_timeout = absl::Seconds(30);
};

struct HttpResponse {
  int status = 0;                   // 100..599
  std::vector<HttpHeader> headers;  // in order, names as received
  // Complete, if the answer says how long it is (Content-Length, or chunks): then a
  // short one is an error. An answer that only ends with its connection may be cut and
  // look whole; what parses it must notice.
  std::string body;
  absl::Duration round_trip;

  // The first value of a header, name compared without case; empty if absent.
  std::string_view Header(std::string_view name) const;
};

// Threads: safe; calls may run in parallel.
class HttpTransport {
 public:
  virtual ~HttpTransport() = default;

  // Sends and waits for the complete answer, at most request.total_timeout.
  //   kUnavailable          the server cannot have seen the request: name not
  //                         resolved, connection refused, no route, connect
  //                         timeout.
  //   kUnauthenticated      TLS: the peer's certificate was not accepted (name,
  //                         date, issuer); the message says which.
  //   kDeadlineExceeded     no complete answer in time: outcome unknown.
  //   kUnknown              the answer was cut (status line, header or body):
  //                         outcome unknown.
  //   kInvalidArgument      the request itself cannot be sent (bad URL).
  virtual absl::StatusOr<HttpResponse> Send(const HttpRequest& request) = 0;
};

struct CurlTransportOptions {
  std::string ca_file;      // empty: the system's default bundle
  std::string interface;    // empty: any; else bind to it ("wwan0")
  size_t response_bytes_max = 16 << 20;
};

// libcurl behind the port; keeps connections alive between calls. libcurl reads the
// environment for proxies (https_proxy, HTTPS_PROXY, http_proxy, all_proxy, ALL_PROXY,
// no_proxy, NO_PROXY) and uses what it finds there.
absl::StatusOr<std::unique_ptr<HttpTransport>> NewCurlTransport(
    const CurlTransportOptions& options = {});

}  // namespace eddy

#endif  // EDDY_HTTP_H_
