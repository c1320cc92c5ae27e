// An answer cut at each of its bytes. The server has carried the request out and
// the link breaks while the answer comes: whatever the place, its outcome is
// unknown. libcurl alone calls several of these a success.
#include <catch2/catch_test_macros.hpp>
#include <memory>
#include <string>

#include "eddy/http.h"
#include "tests/unit/aws/raw_server.h"

namespace eddy {
namespace {

using testing::RawServer;

enum class End { kFin, kReset };

const std::string kWithLength =
    "HTTP/1.1 200 OK\r\n"
    "x-amzn-RequestId: 1\r\n"
    "Content-Type: application/x-amz-json-1.1\r\n"
    "Content-Length: 14\r\n"
    "\r\n"
    "{\"Records\":[]}";

const std::string kChunkedPlain =
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    "e\r\n{\"Records\":[]}\r\n0\r\n\r\n";

const std::string kChunked =
    "HTTP/1.1 200 OK\r\n"
    "Transfer-Encoding: chunked\r\n"
    "\r\n"
    "9;x=y\r\n{\"Records\r\n"
    "5\r\n\":[]}\r\n"
    "0\r\n"
    "Trailer: t\r\n"
    "\r\n";

const std::string kAfterContinue = "HTTP/1.1 100 Continue\r\nA: b\r\n\r\n" + kWithLength;

// The answer's first `bytes` bytes, then the end.
absl::StatusOr<HttpResponse> SendAndCut(HttpTransport& transport, const std::string& answer,
                                        size_t bytes, End end) {
  RawServer server([&](RawServer::Peer& peer) {
    peer.ReadRequest();
    peer.Send(std::string_view(answer).substr(0, bytes));
    if (end == End::kReset) peer.Reset();
  });
  HttpRequest request;
  request.url = server.Url();
  request.body = "{}";
  absl::StatusOr<HttpResponse> response = transport.Send(request);
  CHECK(server.requests().size() == 1);  // never sent twice
  return response;
}

void CheckEveryCut(const std::string& answer, End end, size_t bytes_max) {
  const auto transport = NewCurlTransport();
  REQUIRE(transport.ok());
  for (size_t bytes = 0; bytes <= bytes_max; ++bytes) {
    INFO("cut after " << bytes << " of " << answer.size() << ": " << answer.substr(0, bytes));
    const auto response = SendAndCut(**transport, answer, bytes, end);
    INFO(response.status());
    CHECK(absl::IsUnknown(response.status()));
  }
}

void CheckEveryCut(const std::string& answer, End end) {
  CheckEveryCut(answer, end, answer.size() - 1);
}

void CheckWhole(const std::string& answer) {
  const auto transport = NewCurlTransport();
  REQUIRE(transport.ok());
  const auto response = SendAndCut(**transport, answer, answer.size(), End::kFin);
  REQUIRE(response.ok());
  CHECK(response->status == 200);
  CHECK(response->body == "{\"Records\":[]}");
}

TEST_CASE("an answer with a length is unknown wherever it is cut", "[curl][fault]") {
  CheckWhole(kWithLength);
  CheckEveryCut(kWithLength, End::kFin);
}

TEST_CASE("an answer with a length is unknown wherever it is reset", "[curl][fault]") {
  CheckEveryCut(kWithLength, End::kReset);
}

TEST_CASE("a chunked answer is unknown wherever it is cut", "[curl][fault]") {
  for (const std::string& answer : {kChunked, kChunkedPlain}) {
    CheckWhole(answer);
    // Without its very last LF libcurl takes it for whole, and it is: the chunk of
    // size 0 that ends the body, and the trailers, are there.
    CheckEveryCut(answer, End::kFin, answer.size() - 2);
    CheckWhole(answer.substr(0, answer.size() - 1));
  }
}

TEST_CASE("a chunked answer is unknown wherever it is reset", "[curl][fault]") {
  CheckEveryCut(kChunked, End::kReset, kChunked.size() - 2);
}

TEST_CASE("an answer after 100 Continue is unknown wherever it is cut", "[curl][fault]") {
  CheckWhole(kAfterContinue);
  CheckEveryCut(kAfterContinue, End::kFin);
}

TEST_CASE("an error answer is unknown wherever it is cut", "[curl][fault]") {
  CheckEveryCut(
      "HTTP/1.1 503 Slow Down\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}", End::kFin);
}

TEST_CASE("an answer without a body is unknown until its last line", "[curl][fault]") {
  CheckEveryCut("HTTP/1.1 204 No Content\r\nDate: x\r\n\r\n", End::kFin);
  CheckEveryCut("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", End::kFin);
}

TEST_CASE("bytes that are no HTTP are unknown, not an HTTP/0.9 answer", "[curl][fault]") {
  for (const char* answer :
       {"{\"Records\":[]}", "\r\n\r\n", "HTTP/0.9\r\n\r\n", "HTTP/1.1 xyz\r\n\r\n", "SSH-2.0\r\n",
        "HTTP/1.1 20 OK\r\n\r\n", "HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n"}) {
    INFO(answer);
    const auto transport = NewCurlTransport();
    REQUIRE(transport.ok());
    const std::string bytes = answer;
    const auto response = SendAndCut(**transport, bytes, bytes.size(), End::kFin);
    INFO((response.ok() ? std::to_string(response->status) : response.status().ToString()));
    CHECK(absl::IsUnknown(response.status()));
  }
}

}  // namespace
}  // namespace eddy
