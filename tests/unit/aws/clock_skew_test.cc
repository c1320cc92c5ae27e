#include "src/aws/clock_skew.h"

#include <catch2/catch_test_macros.hpp>
#include <string>
#include <vector>

namespace eddy::aws {
namespace {

constexpr char kDate[] = "Sun, 06 Nov 1994 08:49:37 GMT";
const absl::Time kTime = absl::FromUnixSeconds(784111777);

HttpResponse Answer(std::vector<HttpHeader> headers) {
  HttpResponse response;
  response.status = 403;
  response.headers = std::move(headers);
  return response;
}

TEST_CASE("a Date header is a time", "[aws][clock]") {
  CHECK(ParseHttpDate(kDate) == kTime);
  CHECK(ParseHttpDate("Thu, 01 Jan 1970 00:00:00 GMT") == absl::UnixEpoch());
  CHECK(ParseHttpDate("Thu, 29 Feb 2024 23:59:59 GMT") == absl::FromUnixSeconds(1709251199));
  CHECK(ParseHttpDate("Fri, 31 Dec 9999 23:59:59 GMT") == absl::FromUnixSeconds(253402300799));
}

TEST_CASE("what is no such date is no time", "[aws][clock]") {
  for (const char* text :
       {"", "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 08:49:37 CET",
        "Sun, 6 Nov 1994 08:49:37 GMT ", "Sun, 06 Nov 1994 24:49:37 GMT",
        "Sun, 06 Nov 1994 08:60:37 GMT", "Sun, 06 Nov 1994 08:49:61 GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT", "Sun, 32 Nov 1994 08:49:37 GMT",
        "Sun, 06 anF 1994 08:49:37 GMT", "Sun, 06 Nov 19x4 08:49:37 GMT",
        "Sun, 06 Nov -994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994", "784111777"}) {
    INFO(text);
    CHECK(ParseHttpDate(text) == std::nullopt);
  }
}

TEST_CASE("the offset is the server's time minus ours", "[aws][clock]") {
  CHECK(ServerOffset(Answer({{"date", kDate}}), kTime - absl::Hours(1)) == absl::Hours(1));
  CHECK(ServerOffset(Answer({{"Date", kDate}}), kTime + absl::Hours(1)) == -absl::Hours(1));
  // A device that counts from its boot.
  CHECK(ServerOffset(Answer({{"Date", kDate}}), absl::UnixEpoch() + absl::Seconds(777)) ==
        absl::Seconds(784111000));
}

TEST_CASE("a cache, a slow answer or a bad date gives no offset", "[aws][clock]") {
  CHECK(ServerOffset(Answer({}), kTime) == std::nullopt);
  CHECK(ServerOffset(Answer({{"Date", "now"}}), kTime) == std::nullopt);
  CHECK(ServerOffset(Answer({{"Date", kDate}, {"Age", "0"}}), kTime) == std::nullopt);
  HttpResponse slow = Answer({{"Date", kDate}});
  slow.round_trip = absl::Seconds(900);
  CHECK(ServerOffset(slow, kTime) == absl::ZeroDuration());
  slow.round_trip = absl::Seconds(901);
  CHECK(ServerOffset(slow, kTime) == std::nullopt);
}

TEST_CASE("a clock is wrong from 240 s beyond the offset in use", "[aws][clock]") {
  CHECK(IsSkewed(absl::ZeroDuration(), absl::Seconds(240)));
  CHECK(IsSkewed(absl::ZeroDuration(), -absl::Seconds(240)));
  CHECK_FALSE(IsSkewed(absl::ZeroDuration(), absl::Seconds(239)));
  CHECK_FALSE(IsSkewed(absl::Hours(1), absl::Hours(1)));
  CHECK(IsSkewed(absl::Hours(1), absl::ZeroDuration()));
}

}  // namespace
}  // namespace eddy::aws
