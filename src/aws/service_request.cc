#include "src/aws/service_request.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "src/base/strings.h"

namespace eddy::aws {

HttpRequest ServiceRequest(const Endpoint& endpoint, std::string_view target,
                           std::string_view version, std::string body) {
  HttpRequest request;
  request.url = absl::StrCat(endpoint.url, "/");
  request.headers = {
      {"Content-Type", absl::StrCat("application/x-amz-json-", AbslView(version))},
      {"X-Amz-Target", std::string(target)}};
  request.body = std::move(body);
  return request;
}

}  // namespace eddy::aws
