// Where requests go and for which region they are signed. Pure.
#ifndef EDDY_SRC_AWS_ENDPOINT_H_
#define EDDY_SRC_AWS_ENDPOINT_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace eddy::aws {

struct Endpoint {
  std::string url;      // "https://sqs.eu-west-1.amazonaws.com", never with a path
  std::string region;   // signed for; never guessed from the URL
  std::string service;  // signing name: "kinesis", "sqs"
};

struct EndpointOptions {
  std::string url;  // configured: a VPC endpoint, an emulator; empty: the region's own
  bool fips = false;
  bool dual_stack = false;
};

// A region of a partition that is not known gets the host names of `aws`, as the
// SDKs give it, so that a region newer than this table works.
//   kInvalidArgument   no region, or one that cannot stand in a host name; a
//                      configured URL that has a path, or is given together with
//                      FIPS or dual stack (it already says which host).
absl::StatusOr<Endpoint> ResolveEndpoint(std::string_view service, std::string_view region,
                                         const EndpointOptions& options = {});

}  // namespace eddy::aws

#endif  // EDDY_SRC_AWS_ENDPOINT_H_
