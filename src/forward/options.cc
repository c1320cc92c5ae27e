#include "src/forward/options.h"

#include <cstddef>
#include <cstdlib>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "src/aws/credentials.h"
#include "src/base/status.h"
#include "src/base/strings.h"

namespace eddy::forward {
namespace {

constexpr char kRegionOfNoRegion[] = "us-east-1";
constexpr size_t kStreamNameCharactersMax = 128;
constexpr size_t kQueueNameCharactersMax = 80;
constexpr absl::Duration kLingerMax = absl::Minutes(1);

absl::Status CheckRange(std::string_view what, absl::Duration value, absl::Duration min,
                        absl::Duration max) {
  if (value >= min && value <= max) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      AbslView(what), " ", absl::FormatDuration(value), ": ", absl::FormatDuration(min),
      " to ", absl::FormatDuration(max), " is allowed"));
}

absl::Status CheckMax(std::string_view what, size_t value, size_t max) {
  if (value <= max) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(AbslView(what), " ", value, ": at most ", max, ", or 0 for that"));
}

absl::Status CheckName(std::string_view what, std::string_view name, size_t characters_max,
                       std::string_view punctuation) {
  bool is_good = !name.empty() && name.size() <= characters_max;
  for (const char c : name) {
    is_good = is_good && (absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
                          punctuation.find(c) != std::string_view::npos);
  }
  if (is_good) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      AbslView(what), " \"", AbslView(name), "\": 1 to ", characters_max,
      " letters, digits and ", AbslView(punctuation), " are allowed"));
}

void FillFromEnvironment(std::string_view service, std::string* endpoint) {
  if (endpoint->empty()) *endpoint = aws::EndpointFromEnvironment(std::getenv, service);
}

}  // namespace

absl::Status CompleteOptions(ForwarderOptions* options) {
  if (options->region.empty()) options->region = aws::RegionFromEnvironment(std::getenv);
  FillFromEnvironment("kinesis", &options->kinesis_endpoint);
  FillFromEnvironment("sqs", &options->sqs_endpoint);
  if (options->region.empty() && options->kinesis_endpoint.empty() &&
      options->sqs_endpoint.empty()) {
    return absl::InvalidArgumentError(
        "neither a region nor an endpoint: set ForwarderOptions::region or AWS_REGION");
  }
  for (const auto& [service, url] : {std::pair("kinesis", options->kinesis_endpoint),
                                     std::pair("sqs", options->sqs_endpoint)}) {
    // Each service may lack both until a route wants it.
    if (url.empty() && options->region.empty()) continue;
    EDDY_RETURN_IF_ERROR(EndpointOf(service, url, options->region).status());
  }
  EDDY_RETURN_IF_ERROR(CheckRange("retry_delay_base", options->retry_delay_base,
                                  absl::Milliseconds(1), absl::Minutes(1)));
  EDDY_RETURN_IF_ERROR(CheckRange("retry_delay_max", options->retry_delay_max,
                                  options->retry_delay_base, absl::Hours(24)));
  EDDY_RETURN_IF_ERROR(CheckRange("request_timeout", options->request_timeout,
                                  absl::Milliseconds(10), kRequestTimeoutMax));
  const Platform& system = DefaultPlatform();
  if (options->platform.clock == nullptr) options->platform.clock = system.clock;
  if (options->platform.random == nullptr) options->platform.random = system.random;
  return absl::OkStatus();
}

absl::StatusOr<aws::Endpoint> EndpointOf(std::string_view service, std::string_view configured,
                                         std::string_view region) {
  aws::EndpointOptions options;
  options.url = std::string(configured);
  const bool signs_for_nowhere = region.empty() && !configured.empty();
  return aws::ResolveEndpoint(service, signs_for_nowhere ? kRegionOfNoRegion : region, options);
}

absl::Status CheckKinesisRoute(std::string_view target_stream, const RouteOptions& options) {
  EDDY_RETURN_IF_ERROR(
      CheckName("target stream", target_stream, kStreamNameCharactersMax, "_.-"));
  EDDY_RETURN_IF_ERROR(CheckMax("records_max", options.records_max, kPutRecordsMax));
  EDDY_RETURN_IF_ERROR(CheckMax("bytes_max", options.bytes_max, kPutRecordsBytesMax));
  return CheckRange("linger", options.linger, absl::ZeroDuration(), kLingerMax);
}

absl::Status CheckSqsRoute(std::string_view queue, std::string_view target_queue,
                           const RouteOptions& options) {
  if (absl::EndsWith(AbslView(target_queue), ".fifo")) {
    return absl::InvalidArgumentError(absl::StrCat(
        "target queue \"", AbslView(target_queue), "\": FIFO queues are not carried yet"));
  }
  EDDY_RETURN_IF_ERROR(CheckName("target queue", target_queue, kQueueNameCharactersMax, "_-"));
  if (!options.dead_letter_queue.empty() && options.dead_letter_queue == queue) {
    return absl::InvalidArgumentError(absl::StrCat(
        "queue ", AbslView(queue), " cannot be its own dead-letter queue: the route would "
        "carry its dead letters for ever"));
  }
  EDDY_RETURN_IF_ERROR(CheckMax("records_max", options.records_max, kMessageBatchMax));
  EDDY_RETURN_IF_ERROR(CheckMax("bytes_max", options.bytes_max, kMessageBytesMax));
  return CheckRange("linger", options.linger, absl::ZeroDuration(), kLingerMax);
}

}  // namespace eddy::forward
