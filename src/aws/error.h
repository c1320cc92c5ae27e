// What a failed answer means for the sender: codes and statuses become the few
// classes that differ in what to do next.
//
// Invariants
//   E1  Codes decide, never texts; a status decides only where there is no code
//       or nobody knows it.
//   E2  Nothing is called permanent on the word of a bystander: an answer without
//       a code (a proxy's page, a captive portal) never condemns a record.
//   E3  Only codes that are known to be about content condemn a record. Any other
//       4xx (a suspended account, a right, a setting of the target, a code of next
//       year) is for an operator, and everything is kept.
// Pure. Depends on base/.
#ifndef EDDY_SRC_AWS_ERROR_H_
#define EDDY_SRC_AWS_ERROR_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "eddy/http.h"

namespace eddy::aws {

enum class ErrorClass : uint8_t {
  kRetryable,           // the same request again, after a short back-off
  kThrottled,           // the same, after a longer one
  kExpiredCredentials,  // get fresh credentials, sign again; then as kDenied
  kClockSkew,           // ask clock_skew.h; sign again if it finds a skew, else as kDenied
  kDenied,              // keep everything, pause, tell an operator
  kNotFound,            // the same: the stream or queue is missing
  kOversize,            // send fewer at once; one alone, if there is a code, goes to the
                        // dead letters: without one it is a proxy's limit
  kPermanentRequest,    // content: bisect; one alone goes to the dead letters
};

std::string_view ErrorClassName(ErrorClass error_class);  // "throttled"

struct ServiceError {
  ErrorClass error_class = ErrorClass::kRetryable;
  std::string code;        // without namespace and URL; empty: the answer had none
  std::string message;     // for people: its first line, at most 1 KiB
  std::string request_id;  // for AWS's support
  int http_status = 0;     // 0: of one entry in a batch
  std::optional<absl::Duration> retry_after;  // x-amz-retry-after
};

// Of an answer whose status is not 200 to 299.
ServiceError ClassifyResponse(const HttpResponse& response);

// Of one entry of a PutRecords answer: everything there may be sent again.
ServiceError ClassifyKinesisEntry(std::string_view code, std::string_view message);

// Of one entry in `Failed` of an SQS batch. What is the sender's fault and in no
// table is for an operator (E3).
ServiceError ClassifySqsEntry(std::string_view code, std::string_view message,
                              bool sender_fault);

// Whether a wrong clock is among the usual reasons for this code. True for all
// of class kClockSkew, and for AccessDeniedException, which has other reasons too.
bool MayBeClockSkew(const ServiceError& error);

// "kinesis PutRecords: HTTP 400 ResourceNotFoundException: Stream s ... not found
// (request 1234)", with the code of the house's table for the class.
absl::Status ToStatus(std::string_view doing, const ServiceError& error);

}  // namespace eddy::aws

#endif  // EDDY_SRC_AWS_ERROR_H_
