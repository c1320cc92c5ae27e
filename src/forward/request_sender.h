// RequestSender: signs one request, carries it to a service and says what became of
// it.
//
// It holds what outlives a single request: the offset between the service's clock and
// ours, on the clock that counts suspend (nobody sets that one back in between). A
// route's loop never gives up, so there is no retry in here: Trouble::kSignedAnew asks
// the route for the second try that renewed credentials or a corrected clock deserve.
// Depends on aws/ and the ports.
#ifndef EDDY_SRC_FORWARD_REQUEST_SENDER_H_
#define EDDY_SRC_FORWARD_REQUEST_SENDER_H_

#include <cstddef>
#include <optional>
#include <string_view>

#include "absl/time/time.h"
#include "eddy/http.h"
#include "eddy/platform.h"
#include "src/aws/endpoint.h"
#include "src/aws/error.h"
#include "src/aws/sigv4.h"
#include "src/forward/credentials_cache.h"
#include "src/forward/options.h"
#include "src/forward/reply.h"

namespace eddy::forward {

// What a request may take in all: the timeout for the answer, and for the body as long
// as a link of kUploadBytesPerSecondMin takes, so that a record that is large for a thin
// link passes all the same. Never more than kRequestTimeoutMax.
absl::Duration TotalTimeout(absl::Duration request_timeout, size_t body_bytes);

// Threads:  none of its own; one caller at a time. The pointees are safe.
// Lifetime: the pointees outlive it.
class RequestSender {
 public:
  RequestSender(aws::Endpoint endpoint, absl::Duration timeout, HttpTransport* transport,
                CredentialsCache* credentials, aws::SigningKeys* signing_keys, Clock* clock);

  const aws::Endpoint& endpoint() const { return endpoint_; }

  // `request` comes unsigned from aws/; `doing` names it in messages. Waits for the
  // credentials as long as their provider does, and for the answer at most TotalTimeout.
  Reply Send(std::string_view doing, HttpRequest request);

 private:
  // The time since boot as a time line: what the offset is measured on.
  absl::Time Line() { return absl::UnixEpoch() + clock_->SinceBoot(); }
  Reply NotAnswered(std::string_view doing, const HttpRequest& request,
                    const absl::Status& status);
  Reply Failed(std::string_view doing, const HttpResponse& response,
               const AwsCredentials& used, absl::Duration used_offset);

  const aws::Endpoint endpoint_;
  const absl::Duration timeout_;
  HttpTransport* const transport_;
  CredentialsCache* const credentials_;
  aws::SigningKeys* const signing_keys_;
  Clock* const clock_;

  std::optional<absl::Duration> offset_;  // of the service's clock from Line()
  // Tried since the service last accepted a signature; each is worth one try.
  bool has_renewed_ = false;
  bool has_corrected_ = false;
};

}  // namespace eddy::forward

#endif  // EDDY_SRC_FORWARD_REQUEST_SENDER_H_
