#include "src/forward/kinesis_route.h"

#include <algorithm>
#include <cstdint>
#include <deque>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "src/aws/kinesis.h"
#include "src/forward/bisection.h"
#include "src/forward/dead_letter.h"
#include "src/forward/request_size.h"
#include "src/forward/stream_source.h"

namespace eddy::forward {
namespace {

class KinesisRoute : public Route {
 public:
  KinesisRoute(RouteParts parts, Stream* stream, CursorLease cursor,
               std::string target_stream);

  absl::Duration Step() override;
  void TryNow() override { state_.TryNow(); }
  RouteStatus Status() const override { return state_.Status(); }

 private:
  std::vector<RecordId> Choose();
  absl::Duration LingerLeft(const std::vector<RecordId>& ids);
  absl::Duration UntilDue();
  void Send(const std::vector<RecordId>& ids);
  absl::Duration Idle();

  // Outcomes.
  void SettleAnswered(const std::vector<RecordId>& ids, const Reply& reply);
  void SettleRefused(const std::vector<RecordId>& ids, Reply reply);
  void SettleUnknown(const std::vector<RecordId>& ids, const Reply& reply);

  // Dead letter, then settled, for each condemned record in turn; or the route rests.
  // Returns whether all are gone.
  bool BuryCondemned();
  // Buries those that cannot be sent; returns the others.
  std::vector<RecordId> BuryUnsendable(const std::vector<RecordId>& ids);

  void CountSending(const std::vector<RecordId>& ids, Outcome outcome);

  const std::unique_ptr<RouteState> owned_state_;
  const std::unique_ptr<RequestSender> sender_;
  Clock* const clock_;
  const CursorLease cursor_;
  const std::string target_stream_;
  const RouteOptions options_;
  const absl::Duration pause_when_stuck_;
  const size_t records_max_;
  RouteState& state_;
  DeadLetterBox dead_letters_;

  StreamSource source_;
  RequestSize request_size_;
  Bisection<RecordId> bisection_;
  std::deque<Condemned<RecordId>> condemned_;  // empty whenever a request is chosen
  int lone_refusal_count_ = 0;  // in a row
  std::optional<absl::Duration> linger_end_;
  absl::Duration idle_pause_ = kIdlePauseMin;
};

KinesisRoute::KinesisRoute(RouteParts parts, Stream* stream, CursorLease cursor,
                           std::string target_stream)
    : owned_state_(std::move(parts.state)),
      sender_(std::move(parts.sender)),
      clock_(parts.clock),
      cursor_(std::move(cursor)),
      target_stream_(std::move(target_stream)),
      options_(parts.options),
      pause_when_stuck_(parts.pause_when_stuck),
      records_max_(parts.options.records_max != 0 ? parts.options.records_max
                                                  : aws::kinesis::kRecordsPerRequestMax),
      state_(*owned_state_),
      dead_letters_(parts.store, parts.dead_letters, stream->name()),
      source_(stream, cursor_.get(), parts.options.key_order),
      request_size_(parts.options.bytes_max != 0 ? parts.options.bytes_max
                                                 : aws::kinesis::kRequestBytesMax) {}

absl::Duration KinesisRoute::Step() {
  absl::Duration pause = state_.Pause();
  if (pause > absl::ZeroDuration()) return pause;
  absl::Status status = source_.MoveCursors();
  if (!status.ok()) {
    state_.Blocked(std::move(status));
    return state_.Pause();
  }
  if (!BuryCondemned()) return state_.Pause();
  const absl::Status filled = source_.Fill();
  const std::vector<RecordId> ids = BuryUnsendable(Choose());
  const bool is_caught_up = filled.ok() && source_.UnsettledCount() == 0;
  const uint64_t lost = source_.TakeLost();
  state_.Update([=](RouteStatus& s) {
    s.caught_up = is_caught_up;
    s.records_lost += lost;
  });
  if (ids.empty() && !filled.ok() && state_.Pause() == absl::ZeroDuration()) {
    state_.Blocked(filled);
  }
  if (ids.empty()) return std::max(state_.Pause(), is_caught_up ? Idle() : UntilDue());
  idle_pause_ = kIdlePauseMin;
  pause = LingerLeft(ids);
  if (pause > absl::ZeroDuration()) return pause;
  linger_end_.reset();

  Send(ids);
  state_.Noted(filled);
  status = source_.MoveCursors();
  if (!status.ok()) state_.Blocked(std::move(status));
  return state_.Pause();
}

std::vector<RecordId> KinesisRoute::Choose() {
  if (!bisection_.active()) {
    return source_.Choose(records_max_, request_size_.bytes(), clock_->SinceBoot());
  }
  std::vector<RecordId> ids = bisection_.Next();
  size_t bytes = 0, count = 0;
  for (const RecordId& id : ids) {
    bytes += source_.At(id).bytes();
    if (count > 0 && bytes > request_size_.bytes()) break;
    ++count;
  }
  ids.resize(count);
  return ids;
}

// Waiting pays only while one request could take all there is: with a backlog the
// next request is already due, and at kStrict its size is set by the keys.
absl::Duration KinesisRoute::LingerLeft(const std::vector<RecordId>& ids) {
  const bool is_whole = ids.size() == source_.UnsettledCount() && ids.size() < records_max_;
  const bool is_new = std::none_of(ids.begin(), ids.end(), [this](const RecordId& id) {
    return source_.At(id).failed_before;
  });
  // While the link is down the next request is a probe, and has waited long enough.
  if (!is_whole || !is_new || bisection_.active() || state_.link() != LinkState::kOnline) {
    return absl::ZeroDuration();
  }
  const absl::Duration now = clock_->SinceBoot();
  if (!linger_end_.has_value()) linger_end_ = now + options_.linger;
  return std::min(*linger_end_ - now, kIdlePauseMax);
}

// While records wait to be sent again, others may come.
absl::Duration KinesisRoute::UntilDue() {
  const absl::Duration wait = source_.NextDue() - clock_->SinceBoot();
  return wait > absl::ZeroDuration() ? std::min(wait, Idle()) : absl::ZeroDuration();
}

void KinesisRoute::Send(const std::vector<RecordId>& ids) {
  std::vector<aws::kinesis::Record> records;
  records.reserve(ids.size());
  for (const RecordId& id : ids) {
    const WindowRecord& record = source_.At(id);
    records.push_back({record.partition_key, record.explicit_hash_key, record.data});
  }
  const Reply reply =
      sender_->Send(absl::StrCat("PutRecords to ", target_stream_),
                    EncodePutRecords(sender_->endpoint(), target_stream_, records));
  CountSending(ids, reply.outcome);
  switch (reply.outcome) {
    case Outcome::kAnswered: return SettleAnswered(ids, reply);
    case Outcome::kRefused: return SettleRefused(ids, reply);
    case Outcome::kNotSent: return state_.Failed(reply);
    case Outcome::kUnknown: return SettleUnknown(ids, reply);
  }
}

void KinesisRoute::SettleAnswered(const std::vector<RecordId>& ids, const Reply& reply) {
  const auto results = aws::kinesis::DecodePutRecords(reply.body, ids.size());
  if (!results.ok()) {
    return SettleUnknown(
        ids, MakeReply(Outcome::kUnknown, Trouble::kServiceFault, results.status()));
  }
  const size_t sent_bytes = source_.BytesOf(ids);  // while all of them are there
  uint64_t stored_count = 0, stored_bytes = 0;
  Trouble trouble = Trouble::kNone;
  absl::Status status;
  const absl::Duration now = clock_->SinceBoot();
  const uint64_t random = state_.Draw();
  for (size_t i = 0; i < ids.size(); ++i) {
    const aws::kinesis::RecordResult& result = (*results)[i];
    WindowRecord& record = source_.At(ids[i]);
    if (result.outcome == aws::kinesis::Outcome::kStored) {
      ++stored_count;
      stored_bytes += record.bytes();
      source_.Settle(ids[i]);
      continue;
    }
    record.failed_before = true;
    record.maybe_stored = result.outcome == aws::kinesis::Outcome::kUnknown;
    const Trouble why = result.error.error_class == aws::ErrorClass::kThrottled
                            ? Trouble::kThrottled
                            : Trouble::kServiceFault;
    record.due = now + state_.RetryDelay(record.failure_count++, why, random);
    if (why == Trouble::kThrottled || trouble == Trouble::kNone) {
      trouble = why;
      status = ToStatus(absl::StrCat("PutRecords to ", target_stream_, ", one record"),
                        result.error);
    }
  }
  state_.Update([=](RouteStatus& s) {
    s.records_delivered += stored_count;
    s.bytes_delivered += stored_bytes;
  });
  bisection_.Cleared(ids);
  request_size_.Succeeded(sent_bytes);
  if (stored_count > 0) lone_refusal_count_ = 0;
  if (stored_count > 0) return state_.Refused(std::move(status));
  state_.Failed(MakeReply(Outcome::kRefused, trouble, std::move(status)));
}

void KinesisRoute::SettleRefused(const std::vector<RecordId>& ids, Reply reply) {
  for (const RecordId& id : ids) source_.At(id).failed_before = true;
  if (reply.trouble == Trouble::kTooLarge && ids.size() > 1) {
    request_size_.TooLarge(source_.BytesOf(ids));
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

void KinesisRoute::SettleUnknown(const std::vector<RecordId>& ids, const Reply& reply) {
  for (const RecordId& id : ids) source_.At(id).failed_before = source_.At(id).maybe_stored = true;
  if (reply.timed_out) request_size_.TimedOut(source_.BytesOf(ids));
  state_.Failed(reply);
}

std::vector<RecordId> KinesisRoute::BuryUnsendable(const std::vector<RecordId>& ids) {
  std::vector<RecordId> sendable;
  for (const RecordId& id : ids) {
    const WindowRecord& record = source_.At(id);
    absl::Status status =
        aws::kinesis::CheckRecord({record.partition_key, record.explicit_hash_key, record.data});
    if (status.ok()) {
      sendable.push_back(id);
    } else {
      condemned_.push_back({id, std::move(status)});
    }
  }
  return BuryCondemned() ? sendable : std::vector<RecordId>();
}

bool KinesisRoute::BuryCondemned() {
  for (; !condemned_.empty(); condemned_.pop_front()) {
    const auto& [id, reason, is_final] = condemned_.front();
    const absl::Status status =
        dead_letters_.PutRecord(id.shard, source_.At(id), reason.ToString());
    if (!status.ok()) {
      const bool has_no_queue = absl::IsFailedPrecondition(status);
      state_.Blocked(
          absl::Status(status.code(),
                       absl::StrCat("stream ", source_.name(), " shard ", id.shard, " record ",
                                    id.sequence_number, " is refused and blocks the route: ",
                                    reason.message(), "; ", status.message())),
          has_no_queue ? pause_when_stuck_ : RouteState::kLocalPause);
      if (has_no_queue) condemned_.clear();  // asked again after the pause
      return false;
    }
    state_.Update([](RouteStatus& s) { ++s.records_dead; });
    bisection_.Cleared({id});
    source_.Settle(id);
  }
  return true;
}

void KinesisRoute::CountSending(const std::vector<RecordId>& ids, Outcome outcome) {
  if (outcome == Outcome::kNotSent) return;
  uint64_t retried_count = 0, maybe_twice_count = 0;
  for (const RecordId& id : ids) {
    WindowRecord& record = source_.At(id);
    if (record.failed_before) ++retried_count;
    if (record.maybe_stored) ++maybe_twice_count;
    record.maybe_stored = false;  // each unknown outcome counts once
  }
  state_.Update([=](RouteStatus& s) {
    ++s.requests;
    s.records_retried += retried_count;
    s.records_maybe_twice += maybe_twice_count;
  });
}

absl::Duration KinesisRoute::Idle() {
  linger_end_.reset();
  const absl::Duration pause = idle_pause_;
  idle_pause_ = std::min(2 * idle_pause_, kIdlePauseMax);
  return pause;
}

}  // namespace

std::unique_ptr<Route> NewKinesisRoute(RouteParts parts, Stream* stream, CursorLease cursor,
                                       std::string target_stream) {
  return std::make_unique<KinesisRoute>(std::move(parts), stream, std::move(cursor),
                                        std::move(target_stream));
}

}  // namespace eddy::forward
