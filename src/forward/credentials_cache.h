// CredentialsCache: the keys in use, renewed when they run out.
// Depends on eddy/credentials.h, aws/retry.h and the ports.
#ifndef EDDY_SRC_FORWARD_CREDENTIALS_CACHE_H_
#define EDDY_SRC_FORWARD_CREDENTIALS_CACHE_H_

#include <optional>
#include <string_view>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "eddy/credentials.h"
#include "eddy/platform.h"
#include "src/base/mutex.h"

namespace eddy::forward {

// While keys still hold and a renewal has brought nothing, or nothing better, the
// provider is left alone for a while: at most 1 s at first, doubling to 1 min, with full
// jitter.
// Keys that have run out are asked for at each Get: the link's back-off spaces those.
//
// Threads:  safe. The lock is held during the provider's Get, so that routes whose keys
//           run out together ask once; they all wait for it.
// Lifetime: the pointees outlive it.
class CredentialsCache {
 public:
  // From here before their expiration keys are renewed; while that fails they are
  // used to their end.
  static constexpr absl::Duration kRenewBefore = absl::Minutes(5);

  CredentialsCache(CredentialsProvider* provider, Clock* clock, Random* random)
      : provider_(provider), clock_(clock), random_(random) {}

  // `now`: the service's time, as well as it is known.
  //   as CredentialsProvider::Get   there are none.
  absl::StatusOr<AwsCredentials> Get(absl::Time now) ABSL_LOCKS_EXCLUDED(mu_);

  // The service takes these no longer: the next Get asks the provider. Others, newer
  // ones, stay.
  void Reject(std::string_view access_key_id, std::string_view session_token)
      ABSL_LOCKS_EXCLUDED(mu_);

 private:
  absl::Time End() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  CredentialsProvider* const provider_;
  Clock* const clock_;
  Random* const random_;

  Mutex mu_;
  std::optional<AwsCredentials> current_ ABSL_GUARDED_BY(mu_);
  int vain_count_ ABSL_GUARDED_BY(mu_) = 0;  // early renewals in a row without gain
  // Before it no early renewal; on the clock that counts suspend.
  absl::Duration not_before_ ABSL_GUARDED_BY(mu_) = -absl::InfiniteDuration();
};

}  // namespace eddy::forward

#endif  // EDDY_SRC_FORWARD_CREDENTIALS_CACHE_H_
