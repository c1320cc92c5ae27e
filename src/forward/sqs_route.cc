#include "src/forward/sqs_route.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "src/aws/sqs.h"
#include "src/forward/bisection.h"
#include "src/forward/dead_letter.h"
#include "src/forward/queue_source.h"
#include "src/forward/request_size.h"
#include "src/forward/sqs_target.h"
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
  // At most one request; false: not yet.
  bool KnowTarget();

  absl::Status Receive();
  std::vector<uint64_t> Choose();
  absl::Duration LingerLeft(const std::vector<uint64_t>& ids);
  absl::Duration UntilDue() const;
  void Send(const std::vector<uint64_t>& ids);
  absl::Duration Idle();

  void SettleAnswered(const std::vector<uint64_t>& ids,
                      const std::vector<aws::sqs::Message>& messages, const Reply& reply);
  void SettleRefused(const std::vector<uint64_t>& ids, Reply reply);
  void SettleUnknown(const std::vector<uint64_t>& ids, const Reply& reply);

  // The same error, with the names of the target and the message.
  absl::Status Named(const HeldMessage& held, const absl::Status& status) const;

  // As in the Kinesis route.
  bool BuryCondemned();
  void ForgetUncertain();  // after the pause the service is asked again
  std::vector<uint64_t> BuryUnsendable(const std::vector<uint64_t>& ids);
  void CountSending(const std::vector<uint64_t>& ids, Outcome outcome);

  const std::unique_ptr<RouteState> owned_state_;
  const std::unique_ptr<RequestSender> sender_;
  Clock* const clock_;
  const RouteOptions options_;
  const absl::Duration pause_when_stuck_;
  const size_t records_max_;
  RouteState& state_;
  DeadLetterBox dead_letters_;

  SqsTarget target_;
  QueueSource source_;
  RequestSize request_size_;
  Bisection<uint64_t> bisection_;
  std::deque<Condemned<uint64_t>> condemned_;  // empty whenever a request is chosen
  int lone_refusal_count_ = 0;  // in a row
  std::optional<absl::Duration> linger_end_;
  absl::Duration idle_pause_ = kIdlePauseMin;
};

SqsRoute::SqsRoute(RouteParts parts, Queue* queue, std::string target_queue)
    : owned_state_(std::move(parts.state)),
      sender_(std::move(parts.sender)),
      clock_(parts.clock),
      options_(parts.options),
      pause_when_stuck_(parts.pause_when_stuck),
      records_max_(parts.options.records_max != 0 ? parts.options.records_max
                                                  : aws::sqs::kEntriesPerRequestMax),
      state_(*owned_state_),
      dead_letters_(parts.store, parts.dead_letters, queue->name()),
      target_(std::move(target_queue)),
      source_(queue, records_max_),
      request_size_(target_.batch_bytes_max()) {}

absl::Duration SqsRoute::Step() {
  absl::Duration pause = state_.Pause();
  if (pause > absl::ZeroDuration()) return pause;
  absl::Status status = source_.DeleteSettled();
  if (!status.ok()) {
    state_.Blocked(std::move(status));
    return state_.Pause();
  }
  if (!BuryCondemned() || !KnowTarget()) return state_.Pause();
  status = Receive();
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

bool SqsRoute::KnowTarget() {
  if (target_.is_known()) return true;
  const Reply reply = target_.LookUp(sender_.get());
  CountSending({}, reply.outcome);
  if (reply.trouble != Trouble::kNone) {
    state_.Failed(reply);
    return false;
  }
  state_.Succeeded();
  const size_t batch_bytes_max = target_.batch_bytes_max();
  request_size_.SetMax(options_.bytes_max != 0 ? std::min(options_.bytes_max, batch_bytes_max)
                                               : batch_bytes_max);
  return false;  // one request a step
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
      absl::StrCat("SendMessageBatch to ", target_.name()),
      aws::sqs::EncodeSendMessageBatch(sender_->endpoint(), target_.url(), messages));
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
  const absl::Duration now = clock_->SinceBoot();
  const uint64_t random = state_.Draw();
  size_t sent_bytes = 0;
  uint64_t stored_count = 0, stored_bytes = 0;
  EntryVerdict worst;  // of those to be sent again
  std::vector<uint64_t> dead;
  for (size_t i = 0; i < ids.size(); ++i) {
    HeldMessage& held = source_.At(ids[i]);
    EntryVerdict verdict =
        JudgeEntry(messages[i], (*results)[i], held.digest_failure_count + 1);
    verdict.status = Named(held, verdict.status);
    sent_bytes += held.bytes();
    if (verdict.is_wrong_digest) ++held.digest_failure_count;
    switch (verdict.end) {
      case EntryEnd::kStored:
        ++stored_count;
        stored_bytes += held.bytes();
        held.settled = true;
        break;
      case EntryEnd::kDead:
        dead.push_back(ids[i]);
        condemned_.push_back({ids[i], std::move(verdict.status), verdict.is_wrong_digest});
        break;
      case EntryEnd::kAgain:
        held.failed_before = true;
        held.maybe_stored = verdict.maybe_stored;
        held.due = now + state_.RetryDelay(held.failure_count++, verdict.trouble, random);
        if (worst.trouble != Trouble::kThrottled) worst = std::move(verdict);
        break;
    }
  }
  state_.Update([=](RouteStatus& s) {
    s.records_delivered += stored_count;
    s.bytes_delivered += stored_bytes;
  });
  request_size_.Succeeded(sent_bytes);
  if (stored_count > 0) lone_refusal_count_ = 0;
  if (worst.trouble == Trouble::kNone) {
    state_.Succeeded();
  } else if (stored_count == 0) {
    state_.Failed(MakeReply(Outcome::kRefused, worst.trouble, worst.status));
  } else {
    state_.Refused(worst.status);  // each failed entry has its own delay
  }
  // Nothing else goes before they are out of the way.
  if (!dead.empty()) bisection_.Refused(dead);
  (void)BuryCondemned();  // the next step goes on with it
}

absl::Status SqsRoute::Named(const HeldMessage& held, const absl::Status& status) const {
  if (status.ok()) return status;
  return absl::Status(status.code(),
                      absl::StrCat("SendMessageBatch to ", target_.name(), ", message ",
                                   held.message.message_id, ": ", status.message()));
}

void SqsRoute::SettleRefused(const std::vector<uint64_t>& ids, Reply reply) {
  size_t bytes = 0;
  for (const uint64_t id : ids) {
    source_.At(id).failed_before = true;
    bytes += source_.At(id).bytes();
  }
  if (absl::IsNotFound(reply.status)) target_.Forget();
  if (reply.trouble == Trouble::kTooLarge && ids.size() > 1) {
    request_size_.TooLarge(bytes);
    return state_.Refused(std::move(reply.status));
  }
  if (reply.trouble == Trouble::kTooLarge) reply = TooLargeAlone(std::move(reply));
  if (reply.trouble != Trouble::kBadContent) return state_.Failed(reply);
  bisection_.Refused(ids);
  state_.Refused(reply.status);
  if (ids.size() > 1) return;
  condemned_.push_back({ids[0], reply.status});
  ++lone_refusal_count_;
  if (BuryCondemned() && lone_refusal_count_ > kLoneRefusalsMax) {
    const int attempt = lone_refusal_count_ - kLoneRefusalsMax - 1;
    state_.Blocked(reply.status,
                   state_.RetryDelay(attempt, Trouble::kThrottled, state_.Draw()));
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
    HeldMessage& held = source_.At(id);
    aws::sqs::Message message;
    const std::string name = absl::StrCat(id);
    message.id = name;
    message.body = held.message.body;
    const absl::Status status = CheckMessage(message, target_.message_bytes_max());
    if (status.ok()) {
      sendable.push_back(id);
    } else if (MessageBytes(message) > target_.message_bytes_max() && !held.is_size_confirmed) {
      // The limit may have been raised since it was read.
      held.is_size_confirmed = true;
      target_.ForgetLimits();
    } else {
      held.is_size_confirmed = false;  // of this look, should the burial fail
      condemned_.push_back({id, Named(held, status)});
    }
  }
  return BuryCondemned() ? sendable : std::vector<uint64_t>();
}

bool SqsRoute::BuryCondemned() {
  for (; !condemned_.empty(); condemned_.pop_front()) {
    const auto& [id, reason, is_final] = condemned_.front();
    HeldMessage& held = source_.At(id);
    const absl::Status status = dead_letters_.PutMessage(held.message.message_id,
                                                         held.message.body, reason.ToString());
    if (!status.ok()) {
      const bool has_no_queue = absl::IsFailedPrecondition(status);
      state_.Blocked(
          absl::Status(status.code(),
                       absl::StrCat("queue ", source_.name(), " message ",
                                    held.message.message_id,
                                    " is refused and blocks the route: ", reason.message(), "; ",
                                    status.message())),
          has_no_queue ? pause_when_stuck_ : RouteState::kLocalPause);
      if (has_no_queue) ForgetUncertain();
      return false;
    }
    state_.Update([](RouteStatus& s) { ++s.records_dead; });
    bisection_.Cleared({id});
    held.settled = true;
  }
  return true;
}

void SqsRoute::ForgetUncertain() {
  const auto is_uncertain = [](const Condemned<uint64_t>& c) { return !c.is_final; };
  condemned_.erase(std::remove_if(condemned_.begin(), condemned_.end(), is_uncertain),
                   condemned_.end());
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
