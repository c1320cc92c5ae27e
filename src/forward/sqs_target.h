// SqsTarget: the queue at the other end: where it is and what it takes.
//
// Its limit is for batching first. A message alone is stopped here only by a limit that
// the queue itself has told, read anew before the message is given up; where reading is
// not allowed, the service is asked by sending.
// Depends on aws/sqs.h.
#ifndef EDDY_SRC_FORWARD_SQS_TARGET_H_
#define EDDY_SRC_FORWARD_SQS_TARGET_H_

#include <cstddef>
#include <optional>
#include <string>
#include <utility>

#include "src/aws/sqs.h"
#include "src/forward/reply.h"
#include "src/forward/request_sender.h"

namespace eddy::forward {

// Threads: none of its own; one caller at a time.
class SqsTarget {
 public:
  explicit SqsTarget(std::string name) : name_(std::move(name)) {}

  const std::string& name() const { return name_; }
  const std::string& url() const { return url_; }
  // Whether there is nothing to look up before sending.
  bool is_known() const { return !url_.empty() && has_limits_; }

  // Makes the next of the two requests that are needed; kNone: it is done. Reading the
  // limit counts as done too where it is not allowed: sending often is.
  Reply LookUp(RequestSender* sender);

  // The queue is gone, and may come back elsewhere and with another limit.
  void Forget() {
    url_.clear();
    ForgetLimits();
  }
  void ForgetLimits() { has_limits_ = false; }

  // Of the messages of a request together.
  size_t batch_bytes_max() const { return bytes_max_.value_or(aws::sqs::kMessageBytesUnread); }
  // Of one alone.
  size_t message_bytes_max() const { return bytes_max_.value_or(aws::sqs::kMessageBytesMax); }

 private:
  Reply FindUrl(RequestSender* sender);
  Reply ReadLimits(RequestSender* sender);

  const std::string name_;
  std::string url_;  // empty: not yet known
  bool has_limits_ = false;
  std::optional<size_t> bytes_max_;  // as the queue told it; absent: it did not
};

}  // namespace eddy::forward

#endif  // EDDY_SRC_FORWARD_SQS_TARGET_H_
