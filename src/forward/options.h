// What a forwarder and its routes may be given.
// Pure, but for the environment that CompleteOptions reads.
#ifndef EDDY_SRC_FORWARD_OPTIONS_H_
#define EDDY_SRC_FORWARD_OPTIONS_H_

#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "eddy/forwarder.h"
#include "src/aws/endpoint.h"

namespace eddy::forward {

// A service refuses a signature that is older than five minutes; a minute is left for a
// clock that is a little wrong.
inline constexpr absl::Duration kRequestTimeoutMax = absl::Minutes(4);
// What a link is expected to carry upwards at least, once a request is on its way.
inline constexpr int kUploadBytesPerSecondMin = 1024;

// Fills region, endpoints and ports that are empty from the environment and the
// platform, and checks ranges.
//   kInvalidArgument   neither a region nor an endpoint; an option out of range.
absl::Status CompleteOptions(ForwarderOptions* options);

// `configured` may be empty: the region's own. Without a region a configured
// endpoint is signed for us-east-1, as the SDKs do; emulators do not mind.
//   kInvalidArgument   neither; or a malformed one.
absl::StatusOr<aws::Endpoint> EndpointOf(std::string_view service, std::string_view configured,
                                         std::string_view region);

//   kInvalidArgument   a name the service cannot have; an option out of range.
absl::Status CheckKinesisRoute(std::string_view target_stream, const RouteOptions& options);
absl::Status CheckSqsRoute(std::string_view queue, std::string_view target_queue,
                           const RouteOptions& options);

}  // namespace eddy::forward

#endif  // EDDY_SRC_FORWARD_OPTIONS_H_
