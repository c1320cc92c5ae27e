// The one spelling of a request that client and service both hash. Pure.
#ifndef EDDY_SRC_AWS_CANONICAL_REQUEST_H_
#define EDDY_SRC_AWS_CANONICAL_REQUEST_H_

#include <string>
#include <string_view>
#include <vector>

#include "eddy/http.h"

namespace eddy::aws {

// Each segment percent-encoded as it stands, so "%20" in a URL becomes "%2520".
// Normalised: empty and "." segments go, ".." takes the one before it along.
std::string CanonicalPath(std::string_view path, bool normalize);

// Names and values decoded, encoded in one way, sorted by name and then value.
std::string CanonicalQuery(std::string_view query);

struct CanonicalHeaders {
  std::string lines;  // "name:value\n" for each name, sorted
  std::string names;  // "host;x-amz-date"
};
// Values of one name are joined by a comma in their order; blanks at the ends go
// and inner runs become one. Left out are the headers that proxies change or a
// transport adds: see the list in the .cc.
CanonicalHeaders CanonicaliseHeaders(const std::vector<HttpHeader>& headers);

}  // namespace eddy::aws

#endif  // EDDY_SRC_AWS_CANONICAL_REQUEST_H_
