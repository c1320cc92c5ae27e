#include "src/aws/credentials.h"

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/base/strings.h"

namespace eddy::aws {
namespace {

std::string Value(Environment environment, const std::string& name) {
  const char* value = environment(name.c_str());
  return value == nullptr ? std::string() : std::string(value);
}

// The secret is hashed and the others become header values: a line break from a
// carelessly read file would change the signature or split the header.
absl::StatusOr<std::string> PrintableValue(Environment environment, const char* name) {
  std::string value = Value(environment, name);
  for (const char c : value) {
    if (!absl::ascii_isgraph(static_cast<unsigned char>(c))) {
      return absl::UnauthenticatedError(
          absl::StrCat(name, " holds a blank, a line break or a character that is not ASCII"));
    }
  }
  return value;
}

}  // namespace

absl::StatusOr<AwsCredentials> CredentialsFromEnvironment(Environment environment) {
  AwsCredentials credentials;
  EDDY_ASSIGN_OR_RETURN(credentials.access_key_id,
                        PrintableValue(environment, "AWS_ACCESS_KEY_ID"));
  EDDY_ASSIGN_OR_RETURN(credentials.secret_access_key,
                        PrintableValue(environment, "AWS_SECRET_ACCESS_KEY"));
  EDDY_ASSIGN_OR_RETURN(credentials.session_token,
                        PrintableValue(environment, "AWS_SESSION_TOKEN"));
  if (credentials.access_key_id.empty()) {
    return absl::UnauthenticatedError("AWS_ACCESS_KEY_ID is not set");
  }
  if (credentials.secret_access_key.empty()) {
    return absl::UnauthenticatedError("AWS_SECRET_ACCESS_KEY is not set");
  }
  const std::string expiration = Value(environment, "AWS_CREDENTIAL_EXPIRATION");
  if (!expiration.empty()) {
    absl::Time time;
    std::string why;
    if (!absl::ParseTime(absl::RFC3339_full, expiration, &time, &why)) {
      return absl::UnauthenticatedError(
          absl::StrCat("AWS_CREDENTIAL_EXPIRATION \"", absl::CHexEscape(expiration),
                       "\" is not a time like 2026-11-21T06:00:00Z"));
    }
    credentials.expiration = time;
  }
  return credentials;
}

std::string RegionFromEnvironment(Environment environment) {
  std::string region = Value(environment, "AWS_REGION");
  return region.empty() ? Value(environment, "AWS_DEFAULT_REGION") : region;
}

std::string EndpointFromEnvironment(Environment environment, std::string_view service) {
  std::string url = Value(
      environment,
      absl::StrCat("AWS_ENDPOINT_URL_", absl::AsciiStrToUpper(AbslView(service))));
  return url.empty() ? Value(environment, "AWS_ENDPOINT_URL") : url;
}

}  // namespace eddy::aws
