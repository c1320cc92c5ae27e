// How far a device's clock is from the service's. Devices without a battery boot
// in 1970, and a signature more than five minutes off is refused.
//
// The offset is kept by the caller, one an endpoint:
//   offset = ServerOffset(answer, T)      from successes and failures alike
//   sign with T' + offset                 at a later moment T'
// T may be any time line that runs evenly: wall time, or better the time since
// boot put on UnixEpoch(), which nobody sets back in between.
// Pure. A TLS handshake checks certificates before any of this is reached.
#ifndef EDDY_SRC_AWS_CLOCK_SKEW_H_
#define EDDY_SRC_AWS_CLOCK_SKEW_H_

#include <optional>
#include <string_view>

#include "absl/time/time.h"
#include "eddy/http.h"

namespace eddy::aws {

// The services allow 300 s; a minute is left for the way there.
inline constexpr absl::Duration kSkewMin = absl::Seconds(240);
// A Date that may have been under way for longer says nothing.
inline constexpr absl::Duration kRoundTripMax = absl::Seconds(900);

// "Sun, 06 Nov 1994 08:49:37 GMT" and no other form; absent for anything else.
std::optional<absl::Time> ParseHttpDate(std::string_view text);

// Date minus `local`, the local time at which the answer came. Absent without a
// good Date, with an Age header (a cache speaks, not the service) or after more
// than kRoundTripMax.
std::optional<absl::Duration> ServerOffset(const HttpResponse& response, absl::Time local);

// Whether a request signed with the offset `used` can have failed by its clock,
// now that `measured` is known: then keep `measured`, sign and send once more.
// If not, the secret or the permission is wrong, and another try is a loop.
bool IsSkewed(absl::Duration used, absl::Duration measured);

}  // namespace eddy::aws

#endif  // EDDY_SRC_AWS_CLOCK_SKEW_H_
