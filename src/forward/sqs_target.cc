#include "src/forward/sqs_target.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace eddy::forward {

Reply SqsTarget::LookUp(RequestSender* sender) {
  Reply reply = url_.empty() ? FindUrl(sender) : ReadLimits(sender);
  // There is no entry in these requests that could be at fault.
  if (reply.trouble == Trouble::kBadContent || reply.trouble == Trouble::kTooLarge) {
    reply.trouble = Trouble::kNeedsOperator;
  }
  return reply;
}

Reply SqsTarget::FindUrl(RequestSender* sender) {
  Reply reply = sender->Send(absl::StrCat("GetQueueUrl of ", name_),
                             aws::sqs::EncodeGetQueueUrl(sender->endpoint(), name_));
  if (reply.outcome != Outcome::kAnswered) return reply;
  absl::StatusOr<std::string> url = aws::sqs::DecodeGetQueueUrl(sender->endpoint(), reply.body);
  if (!url.ok()) return MakeReply(Outcome::kUnknown, Trouble::kServiceFault, url.status());
  url_ = *std::move(url);
  return reply;
}

Reply SqsTarget::ReadLimits(RequestSender* sender) {
  Reply reply = sender->Send(absl::StrCat("GetQueueAttributes of ", name_),
                             aws::sqs::EncodeGetQueueAttributes(sender->endpoint(), url_));
  std::optional<size_t> bytes_max;
  if (reply.outcome == Outcome::kAnswered) {
    const auto found = aws::sqs::DecodeGetQueueAttributes(reply.body);
    if (found.ok()) bytes_max = found->message_bytes_max;
  } else if (absl::IsNotFound(reply.status)) {
    Forget();
    return reply;
  } else if (!absl::IsPermissionDenied(reply.status) && reply.trouble != Trouble::kBadContent) {
    return reply;
  }
  bytes_max_ = bytes_max;
  has_limits_ = true;
  return MakeReply(reply.outcome, Trouble::kNone, absl::OkStatus());
}

}  // namespace eddy::forward
