#include "src/queue/delivery.h"

#include <algorithm>

#include "src/base/status.h"

namespace eddy::queue {

void DeliveryState::Restore(const DeliveryChange& change, bool committed,
                            absl::Duration now) {
  const uint64_t position = change.position;
  if (IsGone(position)) return;  // D3
  if (!committed) changed_.insert(position);
  const auto found = entries_.find(position);
  if (change.gone) {
    if (found != entries_.end()) {
      Leave(position, found->second);
      entries_.erase(found);
    }
    gone_.insert(position);
    return;
  }
  if (found != entries_.end()) {
    // A record older than the row may be replayed over it.
    if (found->second.receive_count >= change.receive_count) return;
    found->second.receive_count = change.receive_count;
    return;
  }
  // Its lease ended with the process that held it.
  Delivery& entry = entries_[position];
  entry.receive_count = change.receive_count;
  entry.first_received_ms = change.first_received_ms;
  entry.received_at = now;
  Enter(position, &entry, DeliveryPhase::kVisible, {});
}

size_t DeliveryState::ExpireUntil(absl::Duration now) {
  size_t count = 0;
  while (!timers_.empty() && timers_.begin()->first <= now) {
    const uint64_t position = timers_.begin()->second;
    Delivery& entry = entries_.at(position);
    Leave(position, entry);
    Enter(position, &entry, DeliveryPhase::kVisible, {});
    ++count;
  }
  return count;
}

std::optional<absl::Duration> DeliveryState::NextDue() const {
  if (timers_.empty()) return std::nullopt;
  return timers_.begin()->first;
}

bool DeliveryState::IsUntouched(uint64_t position) const {
  return position >= scan_ && entries_.count(position) == 0 && gone_.count(position) == 0;
}

bool DeliveryState::IsGone(uint64_t position) const {
  return position < head_ || gone_.count(position) != 0;
}

const Delivery* DeliveryState::Find(uint64_t position) const {
  const auto found = entries_.find(position);
  return found == entries_.end() ? nullptr : &found->second;
}

size_t DeliveryState::TouchedWithin(uint64_t first, uint64_t end) const {
  return static_cast<size_t>(
      std::distance(entries_.lower_bound(first), entries_.lower_bound(end)) +
      std::distance(gone_.lower_bound(first), gone_.lower_bound(end)));
}

std::vector<uint64_t> DeliveryState::VisibleEntries(size_t count) const {
  std::vector<uint64_t> positions;
  for (auto it = visible_.begin(); it != visible_.end() && positions.size() < count; ++it) {
    positions.push_back(*it);
  }
  return positions;
}

void DeliveryState::PassTo(uint64_t next) {
  if (next <= scan_) return;
  scan_ = next;
  AdvanceHead();
}

bool DeliveryState::Delay(uint64_t position, absl::Duration due) {
  if (!IsUntouched(position)) return false;
  Enter(position, &entries_[position], DeliveryPhase::kDelayed, due);
  return true;
}

void DeliveryState::Receive(const DeliveryChange& received, absl::Duration now,
                            absl::Duration due) {
  const uint64_t position = received.position;
  const auto [found, is_new] = entries_.try_emplace(position);
  Delivery& entry = found->second;
  if (!is_new) {
    EDDY_CHECK(entry.phase == DeliveryPhase::kVisible);
    Leave(position, entry);
  }
  entry.receive_count = received.receive_count;
  entry.first_received_ms = received.first_received_ms;
  entry.received_here = true;
  entry.received_at = now;
  Enter(position, &entry, due > now ? DeliveryPhase::kInFlight : DeliveryPhase::kVisible, due);
  changed_.insert(position);
}

void DeliveryState::SetDue(uint64_t position, absl::Duration now, absl::Duration due) {
  Delivery& entry = entries_.at(position);
  EDDY_CHECK(entry.phase == DeliveryPhase::kVisible || entry.phase == DeliveryPhase::kInFlight);
  Leave(position, entry);
  Enter(position, &entry, due > now ? DeliveryPhase::kInFlight : DeliveryPhase::kVisible, due);
}

void DeliveryState::StartMove(uint64_t position) {
  Delivery& entry = entries_.at(position);
  EDDY_CHECK(entry.phase == DeliveryPhase::kVisible);
  Leave(position, entry);
  Enter(position, &entry, DeliveryPhase::kMoving, {});
}

void DeliveryState::StopMove(uint64_t position) {
  Delivery& entry = entries_.at(position);
  EDDY_CHECK(entry.phase == DeliveryPhase::kMoving);
  Leave(position, entry);
  Enter(position, &entry, DeliveryPhase::kVisible, {});
}

void DeliveryState::Hold(uint64_t position) {
  Delivery& entry = entries_.at(position);
  EDDY_CHECK(entry.phase == DeliveryPhase::kVisible || entry.phase == DeliveryPhase::kInFlight);
  Leave(position, entry);
  Enter(position, &entry, DeliveryPhase::kMoving, entry.due);
}

void DeliveryState::Unhold(uint64_t position, absl::Duration now) {
  Delivery& entry = entries_.at(position);
  EDDY_CHECK(entry.phase == DeliveryPhase::kMoving);
  Leave(position, entry);
  Enter(position, &entry,
        entry.due > now ? DeliveryPhase::kInFlight : DeliveryPhase::kVisible, entry.due);
}

void DeliveryState::Remove(uint64_t position) {
  const auto found = entries_.find(position);
  EDDY_CHECK(found != entries_.end());
  Leave(position, found->second);
  entries_.erase(found);
  gone_.insert(position);
  changed_.insert(position);
  AdvanceHead();
}

bool DeliveryState::TakeChanges(DeliverySnapshot* to) {
  if (changed_.empty() && head_ == committed_head_) return false;
  to->head = head_;
  to->head_moved = head_ != committed_head_;
  to->changes.clear();
  to->changes.reserve(changed_.size());
  for (const uint64_t position : changed_) {
    DeliveryChange& change = to->changes.emplace_back();
    change.position = position;
    const Delivery* const entry = Find(position);
    change.gone = entry == nullptr;
    if (entry == nullptr) continue;
    change.receive_count = entry->receive_count;
    change.first_received_ms = entry->first_received_ms;
  }
  changed_.clear();
  return true;
}

void DeliveryState::Committed(const DeliverySnapshot& snapshot) {
  committed_head_ = snapshot.head;
}

void DeliveryState::PutBack(const DeliverySnapshot& snapshot) {
  for (const DeliveryChange& change : snapshot.changes) {
    if (change.position >= head_) changed_.insert(change.position);
  }
}

void DeliveryState::Enter(uint64_t position, Delivery* entry, DeliveryPhase phase,
                          absl::Duration due) {
  entry->phase = phase;
  entry->due = due;
  if (phase == DeliveryPhase::kVisible) {
    visible_.insert(position);
    return;
  }
  if (phase == DeliveryPhase::kMoving) {
    ++moving_count_;
    return;
  }
  timers_.emplace(due, position);
  if (phase == DeliveryPhase::kInFlight) ++in_flight_count_;
}

void DeliveryState::Leave(uint64_t position, const Delivery& entry) {
  if (entry.phase == DeliveryPhase::kVisible) {
    visible_.erase(position);
    return;
  }
  if (entry.phase == DeliveryPhase::kMoving) {
    --moving_count_;
    return;
  }
  timers_.erase({entry.due, position});
  if (entry.phase == DeliveryPhase::kInFlight) --in_flight_count_;
}

void DeliveryState::AdvanceHead() {
  const uint64_t head =
      entries_.empty() ? scan_ : std::min(scan_, entries_.begin()->first);
  EDDY_CHECK(head >= head_);
  head_ = head;
  gone_.erase(gone_.begin(), gone_.lower_bound(head));
  // A message that came and went between two commits leaves no row; the rows
  // that there are below the head go by range.
  changed_.erase(changed_.begin(), changed_.lower_bound(head));
}

}  // namespace eddy::queue
