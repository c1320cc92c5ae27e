#include "src/aws/endpoint.h"

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "src/aws/url.h"
#include "src/base/status.h"
#include "src/base/strings.h"

namespace eddy::aws {
namespace {

struct Partition {
  const char* region_prefix;
  const char* suffix;
  const char* dual_stack_suffix;
};

constexpr char kGovPrefix[] = "us-gov-";

constexpr Partition kPartitions[] = {
    {"cn-", "amazonaws.com.cn", "api.amazonwebservices.com.cn"},
    {kGovPrefix, "amazonaws.com", "api.aws"},
    {"eusc-", "amazonaws.eu", "api.amazonwebservices.eu"},
    {"us-iso-", "c2s.ic.gov", "api.aws.ic.gov"},
    {"us-isob-", "sc2s.sgov.gov", "api.aws.scloud"},
    {"eu-isoe-", "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"},
    {"us-isof-", "csp.hci.ic.gov", "api.aws.hci.ic.gov"},
    {"", "amazonaws.com", "api.aws"},  // aws, and whatever comes next
};

bool StartsWith(std::string_view text, std::string_view start) {
  return text.substr(0, start.size()) == start;
}

const Partition& PartitionOf(std::string_view region) {
  const Partition* partition = kPartitions;
  while (!StartsWith(region, partition->region_prefix)) ++partition;  // the last fits all
  return *partition;
}

bool IsHostLabel(std::string_view text) {
  if (text.empty() || text.size() > 63 || text.front() == '-' || text.back() == '-') return false;
  for (const char c : text) {
    const unsigned char byte = static_cast<unsigned char>(c);
    if (!absl::ascii_islower(byte) && !absl::ascii_isdigit(byte) && c != '-') return false;
  }
  return true;
}

// In GovCloud the plain hosts of these services are the FIPS ones.
bool PlainHostIsFips(std::string_view service, std::string_view region) {
  return StartsWith(region, kGovPrefix) &&
         (service == "kinesis" || service == "sqs" || service == "sns");
}

}  // namespace

absl::StatusOr<Endpoint> ResolveEndpoint(std::string_view service, std::string_view region,
                                         const EndpointOptions& options) {
  if (!IsHostLabel(region)) {
    return absl::InvalidArgumentError(
        region.empty() ? std::string("no region is configured")
                       : absl::StrCat("region \"", AbslView(region),
                                      "\" is not like us-east-1"));
  }
  Endpoint endpoint;
  endpoint.region = std::string(region);
  endpoint.service = std::string(service);
  if (!options.url.empty()) {
    if (options.fips || options.dual_stack) {
      return absl::InvalidArgumentError(absl::StrCat(
          "endpoint ", options.url, " excludes FIPS and dual stack: name the right host in it"));
    }
    EDDY_ASSIGN_OR_RETURN(const Url url, ParseUrl(options.url));
    if ((!url.path.empty() && url.path != "/") || !url.query.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("endpoint ", options.url, " has a path: requests go to /"));
    }
    endpoint.url = absl::StrCat(AbslView(url.scheme), "://", AbslView(url.authority));
    return endpoint;
  }
  const Partition& partition = PartitionOf(region);
  const bool fips_label =
      options.fips && (options.dual_stack || !PlainHostIsFips(service, region));
  endpoint.url = absl::StrCat("https://", AbslView(service), fips_label ? "-fips." : ".",
                              AbslView(region), ".",
                              options.dual_stack ? partition.dual_stack_suffix : partition.suffix);
  return endpoint;
}

}  // namespace eddy::aws
