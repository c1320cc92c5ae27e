#include "src/forward/sqs_route.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "src/aws/sqs.h"
#include "src/forward/bisection.h"
#include "src/forward/dead_letter.h"
#include "src/forward/queue_source.h"
#include "src/forward/request_size.h"
#include "src/forward/sqs_verdict.h"

namespace eddy::forward {
namespace {

class SqsRoute : public Route {
 public:
  SqsRoute(RouteParts parts, Queue* queue, std::string target_queue);

  absl::Duration Step() override;
  void TryNow() override { state_.TryNow(); }
  RouteStatus Status() const override { return state_.Status(); }

 private:
  // One request each; false: not yet.
  bool FindQueue();
  bool ReadLimits();

  absl::Status Receive();
  std::vector<uint64_t> Choose();
  absl::Duration LingerLeft(const std::vector<uint64_t>& ids);
  absl::Duration UntilDue() const;
  void Send(const std::vector<uint64_t>& ids);
  absl::Duration Idle();

  void SettleAnswered(const std::vector<uint64_t>& ids,
                      const std::vector<aws::sqs::Message>& messages, const Reply& reply);
  void SettleRefused(const std::vector<uint64_t>& ids, const Reply& reply);
  void SettleUnknown(const std::vector<uint64_t>& ids, const Reply& reply);

  // The same error, with the names of the target and the message.
  absl::Status Named(const HeldMessage& held, const absl::Status& status) const;

  // As in the Kinesis route.
  bool Bury(uint64_t id, const absl::Status& reason);
  std::vector<uint64_t> BuryUnsendable(const std::vector<uint64_t>& ids);
  void CountSending(const std::vector<uint64_t>& ids, Outcome outcome);

  const std::unique_ptr<RouteState> owned_state_;
  const std::unique_ptr<RequestSender> sender_;
  Clock* const clock_;
  const std::string target_queue_;
  const RouteOptions options_;
  const absl::Duration pause_when_stuck_;
  const size_t records_max_;
  RouteState& state_;
  DeadLetterBox dead_letters_;

  std::string queue_url_;  // empty: not yet known
  bool has_limits_ = false;
  size_t message_bytes_max_ = aws::sqs::kMessageBytesUnread;
  QueueSource source_;
  RequestSize request_size_;
  Bisection<uint64_t> bisection_;
  int lone_refusal_count_ = 0;  // in a row
  std::optional<absl::Duration> linger_end_;
  absl::Duration idle_pause_ = kIdlePauseMin;
};

SqsRoute::SqsRoute(RouteParts parts, Queue* queue, std::string target_queue)
    : owned_state_(std::move(parts.state)),
      sender_(std::move(parts.sender)),
      clock_(parts.clock),
      target_queue_(std::move(target_queue)),
      options_(parts.options),
      pause_when_stuck_(parts.pause_when_stuck),
      records_max_(parts.options.records_max != 0 ? parts.options.records_max
                                                  : aws::sqs::kEntriesPerRequestMax),
      state_(*owned_state_),
      dead_letters_(parts.dead_letters, queue->name()),
      source_(queue, records_max_),
      request_size_(message_bytes_max_) {}

absl::Duration SqsRoute::Step() {
  absl::Duration pause = state_.Pause();
  if (pause > absl::ZeroDuration()) return pause;
  if (!FindQueue() || !ReadLimits()) return state_.Pause();
  absl::Status status = source_.DeleteSettled();
  if (status.ok()) status = Receive();
  if (!status.ok()) {
    state_.Blocked(std::move(status));
    return state_.Pause();
  }
  const std::vector<uint64_t> ids = BuryUnsendable(Choose());
  const bool is_caught_up = source_.UnsettledCount() == 0;
  state_.Update([=](RouteStatus& s) { s.caught_up = is_caught_up; });
  if (is_caught_up && source_.empty()) return Idle();
  if (!ids.empty()) {
    idle_pause_ = kIdlePauseMin;
    pause = LingerLeft(ids);
    if (pause > absl::ZeroDuration()) return pause;
    linger_end_.reset();
    Send(ids);
  }
  status = source_.DeleteSettled();
  if (!status.ok()) state_.Blocked(std::move(status));
  return std::max(state_.Pause(), UntilDue());
}

bool SqsRoute::FindQueue() {
  if (!queue_url_.empty()) return true;
  const std::string doing = absl::StrCat("GetQueueUrl of ", target_queue_);
  Reply reply = sender_->Send(
      doing, aws::sqs::EncodeGetQueueUrl(sender_->endpoint(), target_queue_));
  CountSending({}, reply.outcome);
  if (reply.outcome == Outcome::kAnswered) {
    absl::StatusOr<std::string> url =
        aws::sqs::DecodeGetQueueUrl(sender_->endpoint(), reply.body);
    if (url.ok()) {
      queue_url_ = *std::move(url);
      state_.Succeeded();
      return false;  // one request a step
    }
    reply.trouble = Trouble::kServiceFault;
    reply.status = url.status();
  }
  // There is no entry here that could be at fault.
  if (reply.trouble == Trouble::kBadContent) reply.trouble = Trouble::kNeedsOperator;
  state_.Failed(reply);
  return false;
}

bool SqsRoute::ReadLimits() {
  if (has_limits_) return true;
  const Reply reply =
      sender_->Send(absl::StrCat("GetQueueAttributes of ", target_queue_),
                    aws::sqs::EncodeGetQueueAttributes(sender_->endpoint(), queue_url_));
  CountSending({}, reply.outcome);
  aws::sqs::QueueAttributes limits;
  if (reply.outcome == Outcome::kAnswered) {
    const auto found = aws::sqs::DecodeGetQueueAttributes(reply.body);
    if (found.ok()) limits = *found;
  } else if (absl::IsNotFound(reply.status)) {
    queue_url_.clear();
    state_.Failed(reply);
    return false;
  } else if (!absl::IsPermissionDenied(reply.status) &&
             reply.trouble != Trouble::kBadContent) {
    state_.Failed(reply);
    return false;
  }
  // Sending is often allowed where reading attributes is not: then with the defaults.
  has_limits_ = true;
  message_bytes_max_ = limits.message_bytes_max;
  const size_t wanted = options_.bytes_max != 0 ? options_.bytes_max : message_bytes_max_;
  request_size_ = RequestSize(std::min(wanted, message_bytes_max_));
  state_.Succeeded();
  return false;
}

absl::Status SqsRoute::Receive() {
  const bool is_wanted = source_.empty() || state_.link() == LinkState::kOnline;
  return is_wanted && !bisection_.active() ? source_.Receive() : absl::OkStatus();
}

std::vector<uint64_t> SqsRoute::Choose() {
  std::vector<uint64_t> ids =
      bisection_.active() ? bisection_.Next() : source_.Due(clock_->SinceBoot());
  size_t bytes = 0, count = 0;
  for (const uint64_t id : ids) {
    bytes += source_.At(id).bytes();
    if (count > 0 && bytes > request_size_.bytes()) break;
    ++count;
  }
  ids.resize(count);
  return ids;
}

absl::Duration SqsRoute::LingerLeft(const std::vector<uint64_t>& ids) {
  const bool is_new = std::none_of(ids.begin(), ids.end(),
                                   [this](uint64_t id) { return source_.At(id).failed_before; });
  const bool is_whole = ids.size() == source_.UnsettledCount() && !source_.full();
  // While the link is down the next request is a probe, and has waited long enough.
  if (!is_whole || !is_new || bisection_.active() || state_.link() != LinkState::kOnline) {
    return absl::ZeroDuration();
  }
  const absl::Duration now = clock_->SinceBoot();
  if (!linger_end_.has_value()) linger_end_ = now + options_.linger;
  return std::min(*linger_end_ - now, kIdlePauseMax);
}

// With room left, new messages may come before a failed one is due.
absl::Duration SqsRoute::UntilDue() const {
  if (source_.empty()) return absl::ZeroDuration();
  const absl::Duration wait = source_.NextDue() - clock_->SinceBoot();
  const absl::Duration max = source_.full() ? absl::InfiniteDuration() : kIdlePauseMax;
  return std::clamp(wait, absl::ZeroDuration(), max);
}

void SqsRoute::Send(const std::vector<uint64_t>& ids) {
  std::vector<std::string> names;
  for (const uint64_t id : ids) names.push_back(absl::StrCat(id));
  std::vector<aws::sqs::Message> messages(ids.size());
  for (size_t i = 0; i < ids.size(); ++i) {
    messages[i].id = names[i];
    messages[i].body = source_.At(ids[i]).message.body;
  }
  const Reply reply = sender_->Send(
      absl::StrCat("SendMessageBatch to ", target_queue_),
      aws::sqs::EncodeSendMessageBatch(sender_->endpoint(), queue_url_, messages));
  CountSending(ids, reply.outcome);
  switch (reply.outcome) {
    case Outcome::kAnswered: return SettleAnswered(ids, messages, reply);
    case Outcome::kRefused: return SettleRefused(ids, reply);
    case Outcome::kNotSent: return state_.Failed(reply);
    case Outcome::kUnknown: return SettleUnknown(ids, reply);
  }
}

void SqsRoute::SettleAnswered(const std::vector<uint64_t>& ids,
                              const std::vector<aws::sqs::Message>& messages,
                              const Reply& reply) {
  const auto results = aws::sqs::DecodeSendMessageBatch(reply.body, messages);
  if (!results.ok()) {
    return SettleUnknown(
        ids, MakeReply(Outcome::kUnknown, Trouble::kServiceFault, results.status()));
  }
  bisection_.Cleared(ids);
  request_size_.Succeeded();
  const absl::Duration now = clock_->SinceBoot();
  uint64_t stored_count = 0, stored_bytes = 0;
  EntryVerdict worst;  // of those to be sent again
  std::vector<std::pair<uint64_t, absl::Status>> dead;
  for (size_t i = 0; i < ids.size(); ++i) {
    HeldMessage& held = source_.At(ids[i]);
    EntryVerdict verdict =
        JudgeEntry(messages[i], (*results)[i], held.digest_failure_count + 1);
    verdict.status = Named(held, verdict.status);
    if (verdict.is_wrong_digest) ++held.digest_failure_count;
    switch (verdict.end) {
      case EntryEnd::kStored:
        ++stored_count;
        stored_bytes += held.bytes();
        held.settled = true;
        break;
      case EntryEnd::kDead:
        dead.emplace_back(ids[i], std::move(verdict.status));
        break;
      case EntryEnd::kAgain:
        held.failed_before = true;
        held.maybe_stored = verdict.maybe_stored;
        held.due = now + state_.RetryDelay(held.failure_count++, verdict.trouble);
        if (worst.trouble != Trouble::kThrottled) worst = std::move(verdict);
        break;
    }
  }
  state_.Update([=](RouteStatus& s) {
    s.records_delivered += stored_count;
    s.bytes_delivered += stored_bytes;
  });
  if (stored_count > 0) lone_refusal_count_ = 0;
  if (worst.trouble == Trouble::kNone) {
    state_.Succeeded();
  } else if (stored_count == 0) {
    state_.Failed(MakeReply(Outcome::kRefused, worst.trouble, worst.status));
  } else if (worst.trouble == Trouble::kThrottled) {
    state_.SucceededInPart(worst.trouble, worst.status);
  } else {
    state_.Refused(worst.status);  // each failed entry has its own delay
  }
  for (const auto& [id, status] : dead) {
    if (Bury(id, status)) continue;
    bisection_.Refused({id});  // nothing else goes before it is out of the way
    return;
  }
}

absl::Status SqsRoute::Named(const HeldMessage& held, const absl::Status& status) const {
  if (status.ok()) return status;
  return absl::Status(status.code(),
                      absl::StrCat("SendMessageBatch to ", target_queue_, ", message ",
                                   held.message.message_id, ": ", status.message()));
}

void SqsRoute::SettleRefused(const std::vector<uint64_t>& ids, const Reply& reply) {
  for (const uint64_t id : ids) source_.At(id).failed_before = true;
  if (absl::IsNotFound(reply.status)) queue_url_.clear();  // it may come back elsewhere
  if (reply.trouble != Trouble::kBadContent) return state_.Failed(reply);
  bisection_.Refused(ids);
  state_.Refused(reply.status);
  if (ids.size() == 1 && Bury(ids[0], reply.status) &&
      ++lone_refusal_count_ > kLoneRefusalsMax) {
    const int attempt = lone_refusal_count_ - kLoneRefusalsMax - 1;
    state_.Blocked(reply.status, state_.RetryDelay(attempt, Trouble::kThrottled));
  }
}

void SqsRoute::SettleUnknown(const std::vector<uint64_t>& ids, const Reply& reply) {
  size_t bytes = 0;
  for (const uint64_t id : ids) {
    HeldMessage& held = source_.At(id);
    held.failed_before = held.maybe_stored = true;
    bytes += held.bytes();
  }
  if (reply.timed_out) request_size_.TimedOut(bytes);
  state_.Failed(reply);
}

std::vector<uint64_t> SqsRoute::BuryUnsendable(const std::vector<uint64_t>& ids) {
  std::vector<uint64_t> sendable;
  for (const uint64_t id : ids) {
    aws::sqs::Message message;
    const std::string name = absl::StrCat(id);
    message.id = name;
    message.body = source_.At(id).message.body;
    const absl::Status status = CheckMessage(message, message_bytes_max_);
    if (status.ok()) {
      sendable.push_back(id);
    } else if (!Bury(id, status)) {
      return {};  // the route stops here
    }
  }
  return sendable;
}

bool SqsRoute::Bury(uint64_t id, const absl::Status& reason) {
  HeldMessage& held = source_.At(id);
  const absl::Status status = dead_letters_.PutMessage(held.message.body, reason.ToString());
  if (!status.ok()) {
    const bool has_no_queue = absl::IsFailedPrecondition(status);
    state_.Blocked(
        absl::Status(status.code(),
                     absl::StrCat("queue ", source_.name(), " message ",
                                  held.message.message_id,
                                  " is refused and blocks the route: ", reason.message(), "; ",
                                  status.message())),
        has_no_queue ? pause_when_stuck_ : RouteState::kLocalPause);
    return false;
  }
  state_.Update([](RouteStatus& s) { ++s.records_dead; });
  bisection_.Cleared({id});
  held.settled = true;
  return true;
}

void SqsRoute::CountSending(const std::vector<uint64_t>& ids, Outcome outcome) {
  if (outcome == Outcome::kNotSent) return;
  uint64_t retried_count = 0, maybe_twice_count = 0;
  for (const uint64_t id : ids) {
    HeldMessage& held = source_.At(id);
    if (held.failed_before) ++retried_count;
    if (held.maybe_stored) ++maybe_twice_count;
    held.maybe_stored = false;  // each unknown outcome counts once
  }
  state_.Update([=](RouteStatus& s) {
    ++s.requests;
    s.records_retried += retried_count;
    s.records_maybe_twice += maybe_twice_count;
  });
}

absl::Duration SqsRoute::Idle() {
  linger_end_.reset();
  const absl::Duration pause = idle_pause_;
  idle_pause_ = std::min(2 * idle_pause_, kIdlePauseMax);
  return pause;
}

}  // namespace

std::unique_ptr<Route> NewSqsRoute(RouteParts parts, Queue* queue, std::string target_queue) {
  return std::make_unique<SqsRoute>(std::move(parts), queue, std::move(target_queue));
}

}  // namespace eddy::forward
