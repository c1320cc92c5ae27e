// errno as absl::Status: the one place that translates it.
#ifndef EDDY_PLATFORM_POSIX_ERRNO_STATUS_H_
#define EDDY_PLATFORM_POSIX_ERRNO_STATUS_H_

#include <string_view>

#include "absl/status/status.h"

namespace eddy {

// `doing` names the work and its path: "map /run/eddy/intake". OK for 0.
absl::Status ErrnoToStatus(int error, std::string_view doing);

}  // namespace eddy

#endif  // EDDY_PLATFORM_POSIX_ERRNO_STATUS_H_
