#include "src/aws/credentials.h"

#include <catch2/catch_test_macros.hpp>
#include <cstdlib>
#include <map>
#include <string>

namespace eddy::aws {
namespace {

using Variables = std::map<std::string, std::string>;

auto From(const Variables& variables) {
  return [&variables](const char* name) -> const char* {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second.c_str();
  };
}

TEST_CASE("credentials come from their four variables", "[aws][credentials]") {
  Variables variables = {{"AWS_ACCESS_KEY_ID", "AKID"}, {"AWS_SECRET_ACCESS_KEY", "s/e+c="}};
  const auto plain = CredentialsFromEnvironment(From(variables));
  REQUIRE(plain.ok());
  CHECK(plain->access_key_id == "AKID");
  CHECK(plain->secret_access_key == "s/e+c=");
  CHECK(plain->session_token.empty());
  CHECK(plain->expiration == std::nullopt);

  variables["AWS_SESSION_TOKEN"] = "token";
  variables["AWS_CREDENTIAL_EXPIRATION"] = "2026-11-21T06:00:00Z";
  const auto temporary = CredentialsFromEnvironment(From(variables));
  REQUIRE(temporary.ok());
  CHECK(temporary->session_token == "token");
  CHECK(temporary->expiration ==
        absl::FromCivil(absl::CivilSecond(2026, 11, 21, 6, 0, 0), absl::UTCTimeZone()));
}

TEST_CASE("missing or malformed credentials need an operator, who learns the variable",
          "[aws][credentials]") {
  const Variables good = {{"AWS_ACCESS_KEY_ID", "AKID"}, {"AWS_SECRET_ACCESS_KEY", "hush"}};
  const Variables changes = {{"AWS_ACCESS_KEY_ID", ""},
                             {"AWS_SECRET_ACCESS_KEY", ""},
                             {"AWS_SECRET_ACCESS_KEY ", "hush\n"},
                             {"AWS_SESSION_TOKEN", "a\r\nX-Evil: b"},
                             {"AWS_CREDENTIAL_EXPIRATION", "tomorrow"}};
  for (const auto& [key, value] : changes) {
    const std::string name = key.substr(0, key.find(' '));
    INFO(name);
    Variables variables = good;
    variables[name] = value;
    const absl::Status status = CredentialsFromEnvironment(From(variables)).status();
    CHECK(absl::IsUnauthenticated(status));
    CHECK(std::string(status.message()).find(name) == 0);
    CHECK(std::string(status.message()).find("hush") == std::string::npos);
  }
  CHECK(absl::IsUnauthenticated(CredentialsFromEnvironment(From({})).status()));
}

TEST_CASE("std::getenv fits", "[aws][credentials]") {
  (void)CredentialsFromEnvironment(std::getenv);
  (void)RegionFromEnvironment(std::getenv);
}

TEST_CASE("AWS_REGION goes before AWS_DEFAULT_REGION", "[aws][credentials]") {
  Variables variables = {{"AWS_DEFAULT_REGION", "eu-west-1"}};
  CHECK(RegionFromEnvironment(From({})).empty());
  CHECK(RegionFromEnvironment(From(variables)) == "eu-west-1");
  variables["AWS_REGION"] = "";
  CHECK(RegionFromEnvironment(From(variables)) == "eu-west-1");
  variables["AWS_REGION"] = "us-east-1";
  CHECK(RegionFromEnvironment(From(variables)) == "us-east-1");
}

TEST_CASE("a service's own endpoint goes before the one for all", "[aws][credentials]") {
  const Variables variables = {{"AWS_ENDPOINT_URL", "http://all"},
                               {"AWS_ENDPOINT_URL_SQS", "http://sqs"}};
  CHECK(EndpointFromEnvironment(From(variables), "sqs") == "http://sqs");
  CHECK(EndpointFromEnvironment(From(variables), "kinesis") == "http://all");
  CHECK(EndpointFromEnvironment(From({}), "kinesis").empty());
}

}  // namespace
}  // namespace eddy::aws
