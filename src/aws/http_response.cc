// What every HttpTransport's answer can do; here because not all transports are
// libcurl's.
#include "absl/strings/match.h"
#include "eddy/http.h"
#include "src/base/strings.h"

namespace eddy {

std::string_view HttpResponse::Header(std::string_view name) const {
  for (const HttpHeader& header : headers) {
    if (absl::EqualsIgnoreCase(AbslView(header.name), AbslView(name))) return header.value;
  }
  return {};
}

}  // namespace eddy
