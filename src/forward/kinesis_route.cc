#include "src/forward/kinesis_route.h"

#include <algorithm>
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
  KinesisRoute(RouteParts parts, Stream* stream, Cursor* cursor, std::string target_stream);

  absl::Duration Step() override;
  void TryNow() override { state_.TryNow(); }
  RouteStatus Status() const override { return state_.Status(); }

 private:
  std::vector<RecordId> Choose();
  absl::Duration LingerLeft(const std::vector<RecordId>& ids);
  void Send(const std::vector<RecordId>& ids);
  absl::Duration Idle();

  // Outcomes.
  void SettleAnswered(const std::vector<RecordId>& ids, const Reply& reply);
  void SettleRefused(const std::vector<RecordId>& ids, const Reply& reply);
  void SettleUnknown(const std::vector<RecordId>& ids, const Reply& reply);

  // The record is bad for `reason`: dead letter, then settled; or the route rests.
  // Returns whether the record is gone.
  bool Bury(const RecordId& id, const absl::Status& reason);
  // Buries those that cannot be sent; returns the others.
  std::vector<RecordId> BuryUnsendable(std::vector<RecordId> ids);

  void CountSending(const std::vector<RecordId>& ids, Outcome outcome);

  const std::unique_ptr<RouteState> owned_state_;
  const std::unique_ptr<RequestSender> sender_;
  Clock* const clock_;
  const std::string target_stream_;
  const RouteOptions options_;
  const absl::Duration pause_when_stuck_;
  const size_t records_max_;
  RouteState& state_;
  DeadLetterBox dead_letters_;

  StreamSource source_;
  RequestSize request_size_;
  Bisection<RecordId> bisection_;
  int lone_refusal_count_ = 0;  // in a row
  std::optional<absl::Duration> linger_end_;
  absl::Duration idle_pause_ = kIdlePauseMin;
};

KinesisRoute::KinesisRoute(RouteParts parts, Stream* stream, Cursor* cursor,
                           std::string target_stream)
    : owned_state_(std::move(parts.state)),
      sender_(std::move(parts.sender)),
      clock_(parts.clock),
      target_stream_(std::move(target_stream)),
      options_(parts.options),
      pause_when_stuck_(parts.pause_when_stuck),
      records_max_(parts.options.records_max != 0 ? parts.options.records_max
                                                  : aws::kinesis::kRecordsPerRequestMax),
      state_(*owned_state_),
      dead_letters_(parts.dead_letters, stream->name()),
      source_(stream, cursor, parts.options.key_order),
      request_size_(parts.options.bytes_max != 0 ? parts.options.bytes_max
                                                 : aws::kinesis::kRequestBytesMax) {}

absl::Duration KinesisRoute::Step() {
  absl::Duration pause = state_.Pause();
  if (pause > absl::ZeroDuration()) return pause;
  absl::Status status = source_.MoveCursors();
  if (status.ok()) status = source_.Fill();
  if (!status.ok()) {
    state_.Blocked(std::move(status));
    return state_.Pause();
  }
  const std::vector<RecordId> ids = BuryUnsendable(Choose());
  const bool is_caught_up = source_.UnsettledCount() == 0;
  state_.Update([=](RouteStatus& s) { s.caught_up = is_caught_up; });
  if (ids.empty()) return is_caught_up ? Idle() : state_.Pause();
  idle_pause_ = kIdlePauseMin;
  pause = LingerLeft(ids);
  if (pause > absl::ZeroDuration()) return pause;
  linger_end_.reset();

  Send(ids);
  status = source_.MoveCursors();
  if (!status.ok()) state_.Blocked(std::move(status));
  return state_.Pause();
}

std::vector<RecordId> KinesisRoute::Choose() {
  if (!bisection_.active()) return source_.Choose(records_max_, request_size_.bytes());
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
  uint64_t stored_count = 0, stored_bytes = 0;
  Trouble trouble = Trouble::kNone;
  absl::Status status;
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
    const bool is_throttled = result.error.error_class == aws::ErrorClass::kThrottled;
    if (is_throttled || trouble == Trouble::kNone) {
      trouble = is_throttled ? Trouble::kThrottled : Trouble::kServiceFault;
      status = ToStatus(absl::StrCat("PutRecords to ", target_stream_, ", one record"),
                        result.error);
    }
  }
  state_.Update([=](RouteStatus& s) {
    s.records_delivered += stored_count;
    s.bytes_delivered += stored_bytes;
  });
  bisection_.Cleared(ids);
  request_size_.Succeeded();
  if (stored_count > 0) lone_refusal_count_ = 0;
  if (trouble == Trouble::kNone) return state_.Succeeded();
  if (stored_count > 0) return state_.SucceededInPart(trouble, std::move(status));
  state_.Failed(MakeReply(Outcome::kRefused, trouble, std::move(status)));
}

void KinesisRoute::SettleRefused(const std::vector<RecordId>& ids, const Reply& reply) {
  for (const RecordId& id : ids) source_.At(id).failed_before = true;
  if (reply.trouble != Trouble::kBadContent) return state_.Failed(reply);
  bisection_.Refused(ids);
  state_.Refused(reply.status);
  if (ids.size() == 1 && Bury(ids[0], reply.status) &&
      ++lone_refusal_count_ > kLoneRefusalsMax) {
    const int attempt = lone_refusal_count_ - kLoneRefusalsMax - 1;
    state_.Blocked(reply.status, state_.RetryDelay(attempt, Trouble::kThrottled));
  }
}

void KinesisRoute::SettleUnknown(const std::vector<RecordId>& ids, const Reply& reply) {
  for (const RecordId& id : ids) source_.At(id).failed_before = source_.At(id).maybe_stored = true;
  if (reply.timed_out) request_size_.TimedOut(source_.BytesOf(ids));
  state_.Failed(reply);
}

std::vector<RecordId> KinesisRoute::BuryUnsendable(std::vector<RecordId> ids) {
  std::vector<RecordId> sendable;
  for (const RecordId& id : ids) {
    const WindowRecord& record = source_.At(id);
    const absl::Status status =
        aws::kinesis::CheckRecord({record.partition_key, record.explicit_hash_key, record.data});
    if (status.ok()) {
      sendable.push_back(id);
    } else if (!Bury(id, status)) {
      return {};  // the route stops here
    }
  }
  return sendable;
}

bool KinesisRoute::Bury(const RecordId& id, const absl::Status& reason) {
  const absl::Status status = dead_letters_.PutRecord(id.shard, source_.At(id), reason.ToString());
  if (!status.ok()) {
    const bool has_no_queue = absl::IsFailedPrecondition(status);
    state_.Blocked(
        absl::Status(status.code(),
                     absl::StrCat("stream ", source_.name(), " shard ", id.shard, " record ",
                                  id.sequence_number, " is refused and blocks the route: ",
                                  reason.message(), "; ", status.message())),
        has_no_queue ? pause_when_stuck_ : RouteState::kLocalPause);
    return false;
  }
  state_.Update([](RouteStatus& s) { ++s.records_dead; });
  bisection_.Cleared({id});
  source_.Settle(id);
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

std::unique_ptr<Route> NewKinesisRoute(RouteParts parts, Stream* stream, Cursor* cursor,
                                       std::string target_stream) {
  return std::make_unique<KinesisRoute>(std::move(parts), stream, cursor,
                                        std::move(target_stream));
}

}  // namespace eddy::forward
