#include "platform/curl/response_reader.h"

#include <catch2/catch_test_macros.hpp>

namespace eddy {
namespace {

TEST_CASE("headers are complete at the empty line after a final status", "[curl]") {
  ResponseReader reader(1000);
  for (const char* line : {"HTTP/1.1 100 Continue\r\n", "A: 1\r\n", "\r\n",
                           "HTTP/1.1 200 OK\r\n", "B: 2\r\n"}) {
    CHECK(reader.OnHeaderLine(line));
    CHECK_FALSE(reader.headers_complete());
  }
  CHECK(reader.OnHeaderLine("\r\n"));
  CHECK(reader.headers_complete());
  CHECK(reader.response().status == 200);
  REQUIRE(reader.response().headers.size() == 1);
  CHECK(reader.response().headers[0].name == "B");
}

TEST_CASE("a status that is none never completes", "[curl]") {
  for (const char* line : {"HTTP/1.1\r\n", "HTTP/1.1 \r\n", "HTTP/1.1 abc\r\n", "HTTP/1.1 2\r\n",
                           "HTTP/1.1 099 x\r\n", "HTTP/1.1 600 x\r\n", "HTTP/1.1 200 OK"}) {
    INFO(line);
    ResponseReader reader(1000);
    reader.OnHeaderLine(line);
    reader.OnHeaderLine("\r\n");
    CHECK_FALSE(reader.headers_complete());
  }
}

TEST_CASE("HTTP/2 has no reason phrase", "[curl]") {
  ResponseReader reader(1000);
  reader.OnHeaderLine("HTTP/2 403\r\n");
  reader.OnHeaderLine("\r\n");
  CHECK(reader.headers_complete());
  CHECK(reader.response().status == 403);
}

TEST_CASE("folded headers are joined, trailers ignored, bare names skipped", "[curl]") {
  ResponseReader reader(1000);
  for (const char* line : {" x\r\n", "HTTP/1.1 200 OK\r\n", "A: 1\r\n", "\t2\r\n", "nonsense\r\n",
                           "B:\r\n", "\r\n", "Trailer: t\r\n"}) {
    CHECK(reader.OnHeaderLine(line));
  }
  REQUIRE(reader.response().headers.size() == 2);
  CHECK(reader.response().headers[0].value == "1 2");
  CHECK(reader.response().headers[1].value.empty());
}

TEST_CASE("headers and body share one bound", "[curl]") {
  ResponseReader reader(20);
  CHECK(reader.OnHeaderLine("HTTP/1.1 200\r\n"));  // 14
  CHECK(reader.OnHeaderLine("\r\n"));
  CHECK(reader.OnBody("1234"));
  CHECK_FALSE(reader.too_large());
  CHECK_FALSE(reader.OnBody("5"));
  CHECK(reader.too_large());
}

}  // namespace
}  // namespace eddy
