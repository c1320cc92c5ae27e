// Signature version 4, header form: says who sends a request and proves that it
// arrived as it was sent.
//
//   canonical request = method, path, query, headers, signed names, SHA-256(body)
//   string to sign    = algorithm, time, scope, SHA-256(canonical request)
//   scope             = date/region/service/aws4_request
//   signature         = HMAC-SHA256(key of scope and secret, string to sign)
//
// Invariants
//   V1  What is signed is what is in the request: nothing is signed that is not
//       sent, and nothing that a proxy may change is signed.
//   V2  The secret key appears in no status and no intermediate string. (The
//       canonical request does hold the session token: it is not for logs.)
// Pure: the time is passed in. Depends on base/ and platform/crypto.
#ifndef EDDY_SRC_AWS_SIGV4_H_
#define EDDY_SRC_AWS_SIGV4_H_

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "eddy/credentials.h"
#include "eddy/http.h"
#include "platform/crypto/digest.h"
#include "src/base/mutex.h"

namespace eddy::aws {

struct SigningContext {
  AwsCredentials credentials;
  std::string region;
  std::string service;
  absl::Time now;  // corrected by the server's clock, see clock_skew.h

  // Every service but S3 wants these two as they are.
  bool normalize_path = true;   // "/a//./b/.." is signed as "/a/"
  bool sign_body_header = false;  // adds x-amz-content-sha256 (OpenSearch Serverless)
  // Off: the token is sent unsigned, which a few old services wanted.
  bool sign_session_token = true;
};

// What a signature is made of; for tests and for a look at why a service says no.
struct SigningSteps {
  std::string canonical_request;
  std::string string_to_sign;
  std::string signature;  // 64 hex digits
  std::string authorization;
};

// Signing keys already derived: four HMACs a day instead of four a request.
// Threads: safe.
class SigningKeys {
 public:
  crypto::Sha256Digest Get(std::string_view secret, std::string_view date,
                           std::string_view region, std::string_view service)
      ABSL_LOCKS_EXCLUDED(mu_);

  // Not cached. `date` is YYYYMMDD.
  static crypto::Sha256Digest Derive(std::string_view secret, std::string_view date,
                                     std::string_view region, std::string_view service);

 private:
  struct Entry {
    std::string secret, date, region, service;
    crypto::Sha256Digest key;
  };
  Mutex mu_;
  // As many as one process has services, on either side of midnight.
  std::array<Entry, 4> entries_ ABSL_GUARDED_BY(mu_);
  size_t next_ ABSL_GUARDED_BY(mu_) = 0;  // the entry to be replaced
};

// Adds Host (if absent), X-Amz-Date, X-Amz-Security-Token and Authorization, in
// place of what an earlier attempt left: each attempt is signed anew. `keys` may
// be null.
//   kInvalidArgument   a URL that is not absolute, a header with a line break,
//                      or a time that has no four-digit year.
//   kUnauthenticated   no key id or no secret.
// The request is as it was after an error.
absl::StatusOr<SigningSteps> SignRequest(const SigningContext& context, SigningKeys* keys,
                                         HttpRequest* request);

}  // namespace eddy::aws

#endif  // EDDY_SRC_AWS_SIGV4_H_
