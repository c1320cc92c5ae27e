// Receiving: find, claim, commit, hand out.
//
// Order of the steps, and what a crash after each leaves:
//   1  find candidates (reads only)                 nothing
//   2  in one cut: the raised counts into the       the counts, once committed;
//      journal and into memory; dead letters        visible again, since leases
//      appended to their queue, gone here           end with the process
//   3  at kPower: wait for the commit               the counts
//   4  hand out
// A dead letter too large for 2 is moved between 2 and 3; see MoveLarge.
// So a message that kills its handler has been counted before the handler saw it.
#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/queue/delivery_journal.h"
#include "src/queue/message_rules.h"
#include "src/queue/queue_impl.h"

namespace eddy::queue {
namespace {

// A look steps over gone and delayed messages in reads that grow up to this.
constexpr size_t kScanFramesMax = 256;

}  // namespace

absl::StatusOr<std::vector<Message>> QueueImpl::Receive(const ReceiveOptions& options) {
  EDDY_RETURN_IF_ERROR(CheckLevel(options.durability));
  if (options.max_messages < 1 ||
      options.max_messages > static_cast<int>(kMessageBatchMax)) {
    return absl::InvalidArgumentError(absl::StrCat("max_messages ", options.max_messages,
                                                   ": 1 to ", kMessageBatchMax,
                                                   " is allowed"));
  }
  const absl::Duration wait = options.wait_time.value_or(*row_.options.receive_wait_time);
  const absl::Duration visibility =
      options.visibility_timeout.value_or(*row_.options.visibility_timeout);
  EDDY_RETURN_IF_ERROR(CheckRange("wait_time", wait, kWaitTimeMax));
  EDDY_RETURN_IF_ERROR(CheckRange("visibility_timeout", visibility, kVisibilityTimeoutMax));

  const absl::Duration deadline =
      wait == absl::ZeroDuration() ? wait : clock_->SinceBoot() + wait;
  uint64_t journal_end = 0;  // of all attempts
  uint64_t dead_letter_end = 0;
  for (;;) {
    const uint64_t seen = signal_.Epoch();
    Attempt attempt;
    EDDY_RETURN_IF_ERROR(
        TryReceive(static_cast<size_t>(options.max_messages), visibility, &attempt));
    absl::Status status;
    if (attempt.moved_count > 0) dead_letter_queue_->NoteArrived(attempt.moved_count);
    for (const Candidate& large : attempt.large_moves) status.Update(MoveLarge(large, &attempt));
    journal_end = std::max(journal_end, attempt.journal_end);
    dead_letter_end = std::max(dead_letter_end, attempt.dead_letter_end);
    // Of such there may be a backlog: the commit of all is waited for once.
    const bool moved = attempt.moved_count > 0 || !attempt.large_moves.empty();
    if (moved && attempt.taken.empty() && status.ok()) continue;
    if (IsPower(options.durability)) {
      absl::Status committed;
      if (journal_end != 0) committed = WaitPower(engine_.journal(), journal_end);
      if (committed.ok() && dead_letter_end != 0) {
        committed = WaitPower(*dead_letter_queue_->log_, dead_letter_end);
      }
      if (!committed.ok()) {
        Release(attempt.taken);
        return committed;
      }
    }
    // These are counted as received, so the caller must have them. A message that
    // could not be moved is visible again, and in the way of the next receive:
    // the one that finds nothing before it says why it cannot go.
    if (!attempt.taken.empty()) return HandOut(attempt.taken);
    EDDY_RETURN_IF_ERROR(status);
    if (attempt.candidates.overtaken) continue;  // there may be others
    if (attempt.needs_room) {
      EDDY_RETURN_IF_ERROR(engine_.WaitForRoom(engine_.options().append_timeout));
      continue;
    }
    const absl::Duration now = clock_->SinceBoot();
    if (now >= deadline) {
      if (attempt.over_limit && wait == absl::ZeroDuration()) {
        return absl::ResourceExhaustedError(absl::StrCat(
            "queue ", row_.name, ": ", Describe().counts.in_flight,
            " messages are in flight, and no more can be: delete some"));
      }
      return std::vector<Message>();
    }
    absl::Duration wake = deadline;
    {
      MutexLock lock(&mu_);
      wake = std::min(wake, state_.NextDue().value_or(wake));
    }
    signal_.Wait(seen, wake - now);
  }
}

absl::Status QueueImpl::TryReceive(size_t count, absl::Duration visibility, Attempt* attempt) {
  MutexLock one_at_a_time(&receive_mu_);
  EDDY_RETURN_IF_ERROR(FindCandidates(count, &attempt->candidates));
  if (attempt->candidates.messages.empty()) return absl::OkStatus();
  return Claim(count, visibility, attempt);
}

absl::Status QueueImpl::FindCandidates(size_t count, Candidates* found) {
  std::vector<uint64_t> entries;
  uint64_t scan = 0;
  bool none_ahead = false;
  for (bool again = true; again;) {
    again = false;
    found->messages.clear();
    found->pins.clear();
    found->overtaken = false;
    {
      MutexLock lock(&mu_);
      state_.ExpireUntil(clock_->SinceBoot());
      entries = state_.VisibleEntries(count);
      scan = state_.scan();
      none_ahead = state_.ahead_count() == 0;
    }
    // One that is delayed again has left the visible ones, so this ends.
    EDDY_RETURN_IF_ERROR(FindEntries(entries, found, &again));
  }
  // Entries above the scan do not count here: they have to stand back behind
  // older untouched messages.
  const size_t older = static_cast<size_t>(
      std::lower_bound(entries.begin(), entries.end(), scan) - entries.begin());
  // Either list may go on behind its end; what lies beyond the nearer of the two
  // ends would overtake what we have not seen.
  uint64_t known_to = entries.size() == count ? entries.back() : UINT64_MAX;
  CandidateList& messages = found->messages;
  const size_t before = messages.size();
  if (older < count) {
    EDDY_RETURN_IF_ERROR(FindUntouched(count - older, scan, none_ahead, found));
    if (messages.size() - before == count - older) {
      known_to = std::min(known_to, messages.back().position);
    }
  }
  if (before == 0) return absl::OkStatus();  // all untouched, and in order
  messages.erase(std::remove_if(messages.begin(), messages.end(),
                                [&](const Candidate& candidate) {
                                  return candidate.position > known_to;
                                }),
                 messages.end());
  std::sort(messages.begin(), messages.end(),
            [](const Candidate& a, const Candidate& b) { return a.position < b.position; });
  return absl::OkStatus();
}

absl::Status QueueImpl::FindEntries(const std::vector<uint64_t>& positions, Candidates* found,
                                    bool* still_delayed) {
  // Returned messages often lie side by side: one read takes in all that follow.
  for (size_t i = 0; i < positions.size();) {
    const uint64_t position = positions[i];
    log::ReadOptions options;
    options.frames_max = positions.size() - i;
    absl::StatusOr<log::ReadResult> read = log_->Read(position, options);
    // What cannot be read yet is for a later receive, if there is something before it.
    if (absl::IsUnavailable(read.status()) && !found->messages.empty()) return absl::OkStatus();
    EDDY_RETURN_IF_ERROR(read.status());
    log::ReadResult& result = *read;
    if ((result.gap && result.gap->first <= position) ||
        log_->gaps().Find(position, position + 1)) {
      found->overtaken = DropDamaged(position) || found->overtaken;
      ++i;
      continue;
    }
    if (result.frames.empty() || result.frames.front().position != position) {
      ++i;
      found->overtaken = PassMissing(position) || found->overtaken;
    }
    for (const log::FrameView& frame : result.frames) {
      if (i == positions.size() || frame.position > positions[i]) break;
      if (frame.position < positions[i]) continue;
      ++i;
      Candidate& candidate = found->messages.emplace_back();
      candidate.position = frame.position;
      candidate.end = frame.end;
      EDDY_RETURN_IF_ERROR(DecodeMessageTo(frame, &candidate.message));
      if (!candidate.message.head.delay || !IsStillDelayed(candidate)) continue;
      found->messages.pop_back();
      *still_delayed = true;
    }
    found->pins.insert(found->pins.end(), result.pins.begin(), result.pins.end());
  }
  return absl::OkStatus();
}

// After an open a message that was passed by while it was delayed is an entry of
// which only the frame knows until when.
bool QueueImpl::IsStillDelayed(const Candidate& candidate) {
  const Moment now = Now();
  const absl::Duration due =
      DelayEnd(*candidate.message.head.delay, candidate.message.sent_ms, now);
  MutexLock lock(&mu_);
  return due > now.since_boot && state_.Delay(candidate.position, due);
}

// Counts the messages of a damaged block out, once, except those that were when
// they got an entry. `pass`: nothing untouched lies before it.
void QueueImpl::PassDamaged(const log::LogGap& gap, bool pass) {
  absl::ReaderMutexLock cut(&engine_.cut());  // see DropTouched
  MutexLock lock(&mu_);
  const uint64_t touched = state_.TouchedWithin(gap.first, gap.end);
  if (pass) state_.PassTo(gap.end);
  if (gap.first < damage_counted_to_) return;
  damage_counted_to_ = gap.end;
  untouched_.fetch_sub(static_cast<int64_t>(gap.frame_count - std::min(gap.frame_count, touched)),
                       std::memory_order_relaxed);
}

// An entry whose message is not in the log: it was deleted meanwhile, and its block with it;
// or damage has made the one or hides the other, and nobody gets it. False: the next look
// comes by it again.
bool QueueImpl::PassMissing(uint64_t position) {
  {
    MutexLock lock(&mu_);
    if (state_.Find(position) == nullptr) return true;
  }
  if (log_->IsLost(position)) return DropDamaged(position);
  MutexLock lock(&mu_);
  const Delivery* const entry = state_.Find(position);
  // Out of the way until the next open, which looks for it.
  if (entry != nullptr && entry->phase == DeliveryPhase::kVisible) state_.StartMove(position);
  return true;
}

// A message whose block is damaged is gone, as if it was deleted; without room in
// the journal it stays an entry until the next look (false).
bool QueueImpl::DropDamaged(uint64_t position) {
  absl::ReaderMutexLock cut(&engine_.cut());
  MutexLock lock(&mu_);
  const Delivery* const entry = state_.Find(position);
  // Since it was found visible a transaction may hold it, which then ends it.
  if (entry == nullptr || entry->phase == DeliveryPhase::kMoving) return true;
  DeliveryChange gone;
  gone.position = position;
  gone.gone = true;
  std::string op;
  AppendChange(gone, &op);
  if (!engine_.TryJournal(row_.id, op).ok()) return false;
  state_.Remove(position);
  return true;
}

absl::Status QueueImpl::FindUntouched(size_t count, uint64_t from, bool all_are,
                                      Candidates* found) {
  CandidateList& messages = found->messages;
  const size_t before = messages.size();
  messages.reserve(before + count);
  log::ReadOptions options;
  options.frames_max = count;
  for (uint64_t at = from; messages.size() < before + count;) {
    absl::StatusOr<log::ReadResult> read = log_->Read(at, options);
    if (absl::IsUnavailable(read.status()) && !messages.empty()) return absl::OkStatus();
    EDDY_RETURN_IF_ERROR(read.status());
    log::ReadResult& result = *read;
    const size_t found_before = messages.size();
    if (result.gap) PassDamaged(*result.gap, found_before == before);
    if (result.frames.empty()) break;
    at = result.next;
    bool look = !all_are;
    for (const log::FrameView& frame : result.frames) {
      Candidate& candidate = messages.emplace_back();
      candidate.position = frame.position;
      candidate.end = frame.end;
      candidate.untouched = true;
      EDDY_RETURN_IF_ERROR(DecodeMessageTo(frame, &candidate.message));
      look = look || candidate.message.head.delay.has_value();
    }
    if (look) DropTouched(found_before, found_before == before, &messages);
    if (messages.size() > before + count) messages.resize(before + count);
    if (messages.size() > found_before) {
      std::move(result.pins.begin(), result.pins.end(), std::back_inserter(found->pins));
    }
    options.frames_max = std::min(options.frames_max * 2, kScanFramesMax);
  }
  return absl::OkStatus();
}

// Leaves of the messages from `first` on those that are untouched, and takes the
// scan over those that come before them if `from_scan`. With the cut held: when the
// scan is committed, so must be the frames that it has passed.
void QueueImpl::DropTouched(size_t first, bool from_scan, CandidateList* messages) {
  absl::ReaderMutexLock cut(&engine_.cut());
  MutexLock lock(&mu_);
  const Moment now = Now();
  size_t kept = first;
  for (size_t i = first; i < messages->size(); ++i) {
    Candidate& candidate = (*messages)[i];
    const uint64_t position = candidate.position;
    if (candidate.message.head.delay && state_.IsUntouched(position)) {
      const absl::Duration due =
          DelayEnd(*candidate.message.head.delay, candidate.message.sent_ms, now);
      if (due > now.since_boot) {
        const bool noted = state_.Delay(position, due);
        EDDY_CHECK(noted);
        untouched_.fetch_sub(1, std::memory_order_relaxed);
      }
    }
    if (!state_.IsUntouched(position)) {
      // Everything up to here is touched or gone.
      if (from_scan && kept == first) state_.PassTo(candidate.end);
      continue;
    }
    if (kept != i) (*messages)[kept] = std::move(candidate);
    ++kept;
  }
  messages->resize(kept);
}

absl::Status QueueImpl::Claim(size_t count, absl::Duration visibility, Attempt* attempt) {
  absl::ReaderMutexLock cut(&engine_.cut());
  MutexLock lock(&mu_);
  const Moment now = Now();
  const size_t room = in_flight_max_ - std::min(in_flight_max_, state_.in_flight_count());
  std::vector<const Candidate*> moves;
  std::string op;
  op.reserve(kReceivedBytes * std::min(count, attempt->candidates.messages.size()));
  for (const Candidate& candidate : attempt->candidates.messages) {
    // Since they were found only a Delete or ChangeVisibility can have come in
    // between: receivers exclude each other.
    const Delivery* const entry = state_.Find(candidate.position);
    const bool visible = candidate.untouched
                             ? state_.IsUntouched(candidate.position)
                             : entry != nullptr && entry->phase == DeliveryPhase::kVisible;
    if (!visible) {
      attempt->candidates.overtaken = true;
      continue;
    }
    if (ReceivedTooOften(candidate, entry)) {
      moves.push_back(&candidate);
      continue;
    }
    if (attempt->taken.size() == std::min(count, room)) {
      attempt->over_limit = room < count;
      break;
    }
    Taken& taken = attempt->taken.emplace_back();
    taken.candidate = &candidate;
    taken.received.position = candidate.position;
    taken.received.receive_count =
        1 + (entry != nullptr ? entry->receive_count
                              : candidate.message.carried_receive_count());
    taken.received.first_received_ms = entry != nullptr && entry->first_received_ms != 0
                                           ? entry->first_received_ms
                                           : absl::ToUnixMillis(now.wall);
    AppendChange(taken.received, &op);
  }
  if (!op.empty()) {
    const absl::StatusOr<log::Appended> journaled = engine_.TryJournal(row_.id, op);
    if (!journaled.ok()) {
      attempt->taken.clear();
      attempt->needs_room = absl::IsResourceExhausted(journaled.status());
      return attempt->needs_room ? absl::OkStatus() : journaled.status();
    }
    attempt->journal_end = journaled->end;
  }
  int64_t untouched_count = 0;
  for (const Taken& taken : attempt->taken) {
    const bool untouched = taken.candidate->untouched;
    state_.Receive(taken.received, now.since_boot, now.since_boot + visibility,
                   untouched ? taken.candidate->end : 0);
    untouched_count += untouched;
  }
  untouched_.fetch_sub(untouched_count, std::memory_order_relaxed);
  for (const Candidate* const candidate : moves) Move(*candidate, attempt);
  return absl::OkStatus();
}

void QueueImpl::Release(const TakenList& taken) {
  if (taken.empty()) return;
  {
    MutexLock lock(&mu_);
    const absl::Duration now = clock_->SinceBoot();
    for (const Taken& one : taken) {
      const Delivery* const entry = state_.Find(one.received.position);
      // Deleted, or with a timeout of zero already somebody else's.
      if (entry == nullptr || entry->receive_count != one.received.receive_count ||
          entry->phase == DeliveryPhase::kMoving) {
        continue;
      }
      state_.SetDue(one.received.position, now, now);
    }
  }
  signal_.Notify();
}

std::vector<Message> QueueImpl::HandOut(const TakenList& taken) const {
  std::vector<Message> messages;
  messages.reserve(taken.size());
  for (const Taken& one : taken) {
    const MessageView& view = one.candidate->message;
    Message& message = messages.emplace_back();
    message.message_id = MessageIdText(view.head.id);
    message.receipt_handle = EncodeReceipt(
        {row_.id, session_, one.received.position, one.received.receive_count}, receipt_salt_);
    message.body = std::string(view.body);
    message.receive_count = static_cast<int>(one.received.receive_count);
    message.sent = absl::FromUnixMillis(view.sent_ms);
    message.first_received = absl::FromUnixMillis(one.received.first_received_ms);
    if (view.head.dead_letter) {
      message.dead_letter_source = view.head.dead_letter->source;
      message.dead_letter_reason = view.head.dead_letter->reason;
    }
  }
  return messages;
}

}  // namespace eddy::queue
