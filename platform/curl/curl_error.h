// libcurl's error codes as absl::Status: the one place that translates them.
#ifndef EDDY_PLATFORM_CURL_CURL_ERROR_H_
#define EDDY_PLATFORM_CURL_CURL_ERROR_H_

#include <curl/curl.h>

#include <string_view>

#include "absl/status/status.h"

namespace eddy {

// `sending`: bytes of the request may have reached the server, so that it may
// have carried it out. `detail` is libcurl's own text, or empty. Never OK.
absl::Status CurlToStatus(CURLcode code, bool sending, std::string_view detail,
                          std::string_view doing);

}  // namespace eddy

#endif  // EDDY_PLATFORM_CURL_CURL_ERROR_H_
