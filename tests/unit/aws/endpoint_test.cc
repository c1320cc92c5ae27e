#include "src/aws/endpoint.h"

#include <catch2/catch_test_macros.hpp>
#include <string>

namespace eddy::aws {
namespace {

std::string UrlOf(std::string_view service, std::string_view region, bool fips = false,
                  bool dual_stack = false) {
  const auto endpoint = ResolveEndpoint(service, region, {"", fips, dual_stack});
  REQUIRE(endpoint.ok());
  CHECK(endpoint->region == region);
  CHECK(endpoint->service == service);
  return endpoint->url;
}

TEST_CASE("each partition has its host names", "[aws][endpoint]") {
  CHECK(UrlOf("kinesis", "us-east-1") == "https://kinesis.us-east-1.amazonaws.com");
  CHECK(UrlOf("sqs", "mx-central-1") == "https://sqs.mx-central-1.amazonaws.com");
  CHECK(UrlOf("sqs", "cn-north-1") == "https://sqs.cn-north-1.amazonaws.com.cn");
  CHECK(UrlOf("sqs", "us-gov-west-1") == "https://sqs.us-gov-west-1.amazonaws.com");
  CHECK(UrlOf("sqs", "eusc-de-east-1") == "https://sqs.eusc-de-east-1.amazonaws.eu");
  CHECK(UrlOf("sqs", "us-iso-east-1") == "https://sqs.us-iso-east-1.c2s.ic.gov");
  CHECK(UrlOf("sqs", "us-isob-east-1") == "https://sqs.us-isob-east-1.sc2s.sgov.gov");
  CHECK(UrlOf("sqs", "eu-isoe-west-1") == "https://sqs.eu-isoe-west-1.cloud.adc-e.uk");
  CHECK(UrlOf("sqs", "us-isof-south-1") == "https://sqs.us-isof-south-1.csp.hci.ic.gov");
}

TEST_CASE("a region of tomorrow gets the names of aws", "[aws][endpoint]") {
  CHECK(UrlOf("sqs", "xx-moon-1") == "https://sqs.xx-moon-1.amazonaws.com");
}

TEST_CASE("FIPS and dual stack change the host", "[aws][endpoint]") {
  CHECK(UrlOf("sqs", "us-east-1", true) == "https://sqs-fips.us-east-1.amazonaws.com");
  CHECK(UrlOf("sqs", "us-east-1", false, true) == "https://sqs.us-east-1.api.aws");
  CHECK(UrlOf("sqs", "us-east-1", true, true) == "https://sqs-fips.us-east-1.api.aws");
  CHECK(UrlOf("sqs", "cn-north-1", false, true) ==
        "https://sqs.cn-north-1.api.amazonwebservices.com.cn");
  // The plain hosts of GovCloud are the FIPS ones.
  CHECK(UrlOf("kinesis", "us-gov-west-1", true) == "https://kinesis.us-gov-west-1.amazonaws.com");
  CHECK(UrlOf("kinesis", "us-gov-west-1", true, true) ==
        "https://kinesis-fips.us-gov-west-1.api.aws");
  CHECK(UrlOf("firehose", "us-gov-west-1", true) ==
        "https://firehose-fips.us-gov-west-1.amazonaws.com");
}

TEST_CASE("a configured URL is the endpoint, signed for the configured region",
          "[aws][endpoint]") {
  for (const char* url : {"http://localhost:4566", "http://localhost:4566/"}) {
    const auto endpoint = ResolveEndpoint("sqs", "eu-west-1", {url});
    REQUIRE(endpoint.ok());
    CHECK(endpoint->url == "http://localhost:4566");
    CHECK(endpoint->region == "eu-west-1");
  }
}

TEST_CASE("a contradictory or malformed configuration is refused", "[aws][endpoint]") {
  const auto refused = [](std::string_view region, const EndpointOptions& options) {
    return absl::IsInvalidArgument(ResolveEndpoint("sqs", region, options).status());
  };
  CHECK(refused("us-east-1", {"http://h", true, false}));
  CHECK(refused("us-east-1", {"http://h", false, true}));
  CHECK(refused("us-east-1", {"http://h/path"}));
  CHECK(refused("us-east-1", {"http://h?q"}));
  CHECK(refused("us-east-1", {"h:4566"}));
  for (const char* region : {"", "us east", "-us", "us-", "US-EAST-1", "a.b", "evil.com/x"}) {
    INFO(region);
    CHECK(refused(region, {}));
  }
}

}  // namespace
}  // namespace eddy::aws
