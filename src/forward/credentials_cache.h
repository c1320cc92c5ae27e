// CredentialsCache: the keys in use, renewed when they run out.
// Depends on eddy/forwarder.h.
#ifndef EDDY_SRC_FORWARD_CREDENTIALS_CACHE_H_
#define EDDY_SRC_FORWARD_CREDENTIALS_CACHE_H_

#include <optional>
#include <string_view>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "eddy/forwarder.h"

namespace eddy::forward {

// Threads: safe. The lock is held during the provider's Get, so that routes whose
// keys run out together ask once.
// `provider` outlives it.
class CredentialsCache {
 public:
  // From here before their expiration keys are renewed; while that fails they are
  // used to their end.
  static constexpr absl::Duration kRenewBefore = absl::Minutes(5);

  explicit CredentialsCache(CredentialsProvider* provider) : provider_(provider) {}

  // `now`: the service's time, as well as it is known.
  //   as CredentialsProvider::Get   there are none.
  absl::StatusOr<AwsCredentials> Get(absl::Time now) ABSL_LOCKS_EXCLUDED(mu_);

  // The service takes these no longer: the next Get asks the provider. Others, newer
  // ones, stay.
  void Reject(std::string_view access_key_id, std::string_view session_token)
      ABSL_LOCKS_EXCLUDED(mu_);

 private:
  CredentialsProvider* const provider_;

  absl::Mutex mu_;
  std::optional<AwsCredentials> current_ ABSL_GUARDED_BY(mu_);
};

}  // namespace eddy::forward

#endif  // EDDY_SRC_FORWARD_CREDENTIALS_CACHE_H_
