// Who signs: the environment's credentials, region and endpoints.
//
// Pure: the environment is a function that is passed in, so that a test, or a
// firmware without one, can answer. Depends on eddy/credentials.h.
#ifndef EDDY_SRC_AWS_CREDENTIALS_H_
#define EDDY_SRC_AWS_CREDENTIALS_H_

#include <string>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "eddy/credentials.h"

namespace eddy::aws {

// Value of a variable or null; std::getenv fits. A variable that is set to
// nothing counts as not set.
using Environment = absl::FunctionRef<const char*(const char* name)>;

// AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN and
// AWS_CREDENTIAL_EXPIRATION (RFC 3339).
//   kUnauthenticated   one that is needed is missing, or one is malformed; the
//                      message names the variable and never its value.
absl::StatusOr<AwsCredentials> CredentialsFromEnvironment(Environment environment);

// AWS_REGION, else AWS_DEFAULT_REGION, else empty.
std::string RegionFromEnvironment(Environment environment);

// For service "sqs": AWS_ENDPOINT_URL_SQS, else AWS_ENDPOINT_URL, else empty.
std::string EndpointFromEnvironment(Environment environment, std::string_view service);

}  // namespace eddy::aws

#endif  // EDDY_SRC_AWS_CREDENTIALS_H_
