#include "src/aws/url.h"

#include <catch2/catch_test_macros.hpp>

namespace eddy::aws {
namespace {

TEST_CASE("a URL falls into scheme, authority, path and query", "[aws][url]") {
  const auto url = ParseUrl("HTTPS://host.example:8443/a/b?c=d?e");
  REQUIRE(url.ok());
  CHECK(url->scheme == "https");
  CHECK(url->authority == "host.example:8443");
  CHECK(url->path == "/a/b");
  CHECK(url->query == "c=d?e");
  CHECK(ParseUrl("http://h")->path.empty());
  CHECK(ParseUrl("http://h?q")->query == "q");
  CHECK(ParseUrl("http://[::1]:80/")->authority == "[::1]:80");
}

TEST_CASE("the Host header bears the port unless it is the scheme's own", "[aws][url]") {
  CHECK(ParseUrl("https://h:443/")->Host() == "h");
  CHECK(ParseUrl("http://h:80/")->Host() == "h");
  CHECK(ParseUrl("https://h:80/")->Host() == "h:80");
  CHECK(ParseUrl("http://h:4566/")->Host() == "h:4566");
  CHECK(ParseUrl("http://[::1]/")->Host() == "[::1]");
  CHECK(ParseUrl("http://[::1]:80/")->Host() == "[::1]");
}

TEST_CASE("what is not an absolute http URL is refused", "[aws][url]") {
  for (const char* bad : {"", "/", "host", "host:80", "ftp://h/", "://h", "http://", "http:///p",
                          "http://:80/", "http://h:/", "http://h:x/", "http://h:123456/",
                          "http://u@h/", "http://u:p@h/", "http://h/#f", "http://h/\r\nX: y",
                          "http://a b/", "file:///etc/passwd"}) {
    INFO(bad);
    CHECK(absl::IsInvalidArgument(ParseUrl(bad).status()));
  }
}

}  // namespace
}  // namespace eddy::aws
