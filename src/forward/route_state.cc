#include "src/forward/route_state.h"

#include <algorithm>
#include <utility>

namespace eddy::forward {

RouteState::RouteState(std::string name, const aws::RetryPolicy& policy, Clock* clock,
                       Random* random, LinkChangeCallback on_link_change)
    : name_(std::move(name)),
      policy_(policy),
      clock_(clock),
      random_(random),
      on_link_change_(std::move(on_link_change)),
      link_(policy) {
  status_.name = name_;
}

absl::Duration RouteState::Pause() {
  const absl::Duration now = clock_->SinceBoot();
  MutexLock lock(&mu_);
  const absl::Duration until = std::max(link_.next_attempt(), blocked_until_);
  return std::max(until - now, absl::ZeroDuration());
}

void RouteState::Succeeded() { Refused(absl::OkStatus()); }

void RouteState::Refused(absl::Status status) {
  LinkState from;
  {
    MutexLock lock(&mu_);
    from = link_.state();
    link_.Succeeded();
    status_.last_error = std::move(status);
  }
  Tell(from, LinkState::kOnline);
}

void RouteState::Failed(const Reply& reply) {
  const absl::Duration now = clock_->SinceBoot();
  const uint64_t random = random_->Next();
  LinkState from, to;
  {
    MutexLock lock(&mu_);
    from = link_.state();
    link_.Failed(reply.trouble, now, random, reply.retry_after);
    to = link_.state();
    status_.last_error = reply.status;
  }
  Tell(from, to);
}

void RouteState::Blocked(absl::Status status, absl::Duration pause) {
  const absl::Duration until = clock_->SinceBoot() + pause;
  MutexLock lock(&mu_);
  blocked_until_ = until;
  status_.last_error = std::move(status);
}

void RouteState::Noted(const absl::Status& status) {
  MutexLock lock(&mu_);
  if (status_.last_error.ok()) status_.last_error = status;
}

absl::Duration RouteState::RetryDelay(int attempt, Trouble trouble, uint64_t random) const {
  return aws::RetryDelay(policy_, attempt, trouble == Trouble::kThrottled, random);
}

LinkState RouteState::link() const {
  MutexLock lock(&mu_);
  return link_.state();
}

void RouteState::TryNow() {
  MutexLock lock(&mu_);
  link_.TryNow();
  blocked_until_ = absl::ZeroDuration();
}

RouteStatus RouteState::Status() const {
  MutexLock lock(&mu_);
  RouteStatus status = status_;
  status.link = link_.state();
  return status;
}

void RouteState::Tell(LinkState from, LinkState to) {
  if (from != to && on_link_change_) on_link_change_(name_, from, to);
}

}  // namespace eddy::forward
