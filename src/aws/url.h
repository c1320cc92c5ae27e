// The four parts of an absolute URL that signing and endpoints need. Pure.
#ifndef EDDY_SRC_AWS_URL_H_
#define EDDY_SRC_AWS_URL_H_

#include <string_view>

#include "absl/status/statusor.h"

namespace eddy::aws {

// Views into the text that was given to ParseUrl.
struct Url {
  std::string_view scheme;     // "http" or "https"
  std::string_view authority;  // "host" or "host:port", as written
  std::string_view path;       // as written; may be empty
  std::string_view query;      // without the '?'

  // The authority as the Host header bears it: without the scheme's own port.
  std::string_view Host() const;
};

//   kInvalidArgument   not an absolute http or https URL; a user name, a
//                      fragment or a control character in it. (A blank in a
//                      path passes: what may be signed is not what may be sent.)
absl::StatusOr<Url> ParseUrl(std::string_view text);

}  // namespace eddy::aws

#endif  // EDDY_SRC_AWS_URL_H_
