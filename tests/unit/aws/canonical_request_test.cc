#include "src/aws/canonical_request.h"

#include <catch2/catch_test_macros.hpp>

namespace eddy::aws {
namespace {

TEST_CASE("a path is encoded once more as it stands", "[aws][sigv4]") {
  CHECK(CanonicalPath("", true) == "/");
  CHECK(CanonicalPath("", false) == "/");
  CHECK(CanonicalPath("/a b/c%20d", true) == "/a%20b/c%2520d");
  CHECK(CanonicalPath("/123/jobs.fifo", true) == "/123/jobs.fifo");
}

TEST_CASE("normalising takes dots and empty segments away", "[aws][sigv4]") {
  struct Row {
    const char* path;
    const char* normalised;
  };
  const Row rows[] = {{"/a//b", "/a/b"},    {"/./a", "/a"},     {"/a/./b/", "/a/b/"},
                      {"/a/../b", "/b"},    {"/a/b/..", "/a"},  {"/a/b/../", "/a/"},
                      {"/..", "/"},         {"/../../a", "/a"}, {"//", "/"},
                      {"/a/..b/.c", "/a/..b/.c"}};
  for (const Row& row : rows) {
    INFO(row.path);
    CHECK(CanonicalPath(row.path, true) == row.normalised);
    CHECK(CanonicalPath(row.path, false) == row.path);
  }
}

TEST_CASE("a query is decoded, encoded in one way, and sorted", "[aws][sigv4]") {
  CHECK(CanonicalQuery("") == "");
  CHECK(CanonicalQuery("b=2&a=1") == "a=1&b=2");
  CHECK(CanonicalQuery("a=2&a=1&a") == "a=&a=1&a=2");
  CHECK(CanonicalQuery("&a=1&&b") == "a=1&b=");
  CHECK(CanonicalQuery("x=%7e%41 ") == "x=~A%20");
  CHECK(CanonicalQuery("x=a+b") == "x=a%2Bb");
  CHECK(CanonicalQuery("x=a=b") == "x=a%3Db");
  CHECK(CanonicalQuery("x=%zz") == "x=%25zz");
  // By encoded name, not by the whole pair: '-' sorts before '='.
  CHECK(CanonicalQuery("a-b=1&a=2") == "a=2&a-b=1");
}

TEST_CASE("headers are lower case, trimmed, sorted, and joined", "[aws][sigv4]") {
  const CanonicalHeaders canonical =
      CanonicaliseHeaders({{"X-B", "  2   two\t two  "}, {"Host", "h"}, {"x-b", "1"}, {"A", ""}});
  CHECK(canonical.lines == "a:\nhost:h\nx-b:2 two two,1\n");
  CHECK(canonical.names == "a;host;x-b");
}

TEST_CASE("headers that change on the way are not signed", "[aws][sigv4]") {
  const CanonicalHeaders canonical = CanonicaliseHeaders(
      {{"Authorization", "x"}, {"Connection", "x"}, {"Expect", "x"}, {"Keep-Alive", "x"},
       {"Proxy-Connection", "x"}, {"TE", "x"}, {"Trailer", "x"}, {"Transfer-Encoding", "x"},
       {"Upgrade", "x"}, {"User-Agent", "x"}, {"X-Amzn-Trace-Id", "x"}, {"Host", "h"}});
  CHECK(canonical.names == "host");
}

TEST_CASE("a name that begins another sorts before it", "[aws][sigv4]") {
  CHECK(CanonicaliseHeaders({{"X-Amz-Date-2", ""}, {"X-Amz-Date", ""}}).names ==
        "x-amz-date;x-amz-date-2");
}

}  // namespace
}  // namespace eddy::aws
