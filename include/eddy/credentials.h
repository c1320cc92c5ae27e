// Who signs the forwarder's requests: the keys, and where they come from.
#ifndef EDDY_CREDENTIALS_H_
#define EDDY_CREDENTIALS_H_

#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace eddy {

// Has no way to be printed, on purpose.
struct AwsCredentials {
  std::string access_key_id;
  std::string secret_access_key;
  std::string session_token;             // empty: long-lived keys
  std::optional<absl::Time> expiration;  // absent: none known
};

// Threads: safe. Called before a request when the last answer has expired, or will
// within five minutes, and after the service has doubted it. After a renewal before the
// end that failed, or brought no better keys, it is left alone for a random time of at
// most 1 s, doubling to 1 min.
class CredentialsProvider {
 public:
  virtual ~CredentialsProvider() = default;
  // May block: that delays the routes of its forwarder, all of them, and the
  // forwarder's end; never a call of the application.
  //   kUnauthenticated   none are to be had; the route pauses and keeps all.
  virtual absl::StatusOr<AwsCredentials> Get() = 0;
};

// AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN,
// AWS_CREDENTIAL_EXPIRATION, read anew at each Get.
std::unique_ptr<CredentialsProvider> NewEnvironmentCredentials();
std::unique_ptr<CredentialsProvider> NewStaticCredentials(AwsCredentials credentials);

}  // namespace eddy

#endif  // EDDY_CREDENTIALS_H_
