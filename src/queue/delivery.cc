#include "src/queue/delivery.h"

#include <algorithm>
#include <utility>

#include "src/base/status.h"

namespace eddy::queue {
namespace {

// Lists that hold things of the past are cleaned once those are more than what
// counts, and more than this, so that a change costs a constant time on average.
constexpr size_t kPastMax = 64;

}  // namespace

void DeliveryState::Restore(const DeliveryChange& change, bool committed,
                            absl::Duration now) {
  const uint64_t position = change.position;
  if (committed ? position < head_ : IsGone(position)) return;  // D3
  Item* const found = FindItem(position);
  if (change.gone) {
    if (found != nullptr) {
      Remove(position);
    } else if (position >= scan_) {
      gone_[position].has_row = committed;
      if (committed) return;
      gone_[position].changed = true;
      changed_.push_back(position);
      ++changed_count_;
    } else if (committed) {
      NoteErased(position);  // a transaction's mark, which the scan has passed
    }
    return;
  }
  if (found != nullptr) {
    // A record older than the row may be replayed over it.
    if (found->delivery.receive_count >= change.receive_count) return;
    found->delivery.receive_count = change.receive_count;
    if (!committed) NoteChanged(found);
    return;
  }
  Item item;
  item.position = position;
  item.has_row = committed;
  item.delivery.receive_count = change.receive_count;
  item.delivery.first_received_ms = change.first_received_ms;
  item.delivery.received_at = now;
  Item* entry;
  if (position < scan_) {
    EDDY_CHECK(items_.size() == first_ || items_.back().position < position);
    entry = &items_.emplace_back(item);
  } else {
    entry = &ahead_.emplace(position, item).first->second;
  }
  // Its lease ended with the process that held it.
  Enter(entry, DeliveryPhase::kVisible, {});
  if (!committed) NoteChanged(entry);
}

void DeliveryState::Loaded(uint64_t next) {
  AdvanceHead();  // the lowest rows may be gone
  PassTo(next);
}

size_t DeliveryState::ExpireUntil(absl::Duration now) {
  const int64_t now_ns = absl::ToInt64Nanoseconds(now);
  size_t count = 0;
  while (!timers_.empty() && timers_.front().due_ns <= now_ns) {
    const Timer timer = timers_.front();
    const bool running = IsRunning(timer);
    std::pop_heap(timers_.begin(), timers_.end());
    timers_.pop_back();
    if (!running) continue;
    Item* const item = FindItem(timer.position);
    Leave(*item);
    Enter(item, DeliveryPhase::kVisible, {});
    ++count;
  }
  return count;
}

std::optional<absl::Duration> DeliveryState::NextDue() {
  while (!timers_.empty() && !IsRunning(timers_.front())) {
    std::pop_heap(timers_.begin(), timers_.end());
    timers_.pop_back();
  }
  if (timers_.empty()) return std::nullopt;
  return FindItem(timers_.front().position)->delivery.due;
}

bool DeliveryState::IsUntouched(uint64_t position) const {
  if (position >= scan_ && ahead_.empty() && gone_.empty()) return true;
  return position >= scan_ && ahead_.count(position) == 0 && gone_.count(position) == 0;
}

bool DeliveryState::IsGone(uint64_t position) const {
  return position < scan_ ? FindItem(position) == nullptr : gone_.count(position) != 0;
}

const Delivery* DeliveryState::Find(uint64_t position) const {
  const Item* const item = FindItem(position);
  return item == nullptr ? nullptr : &item->delivery;
}

size_t DeliveryState::TouchedWithin(uint64_t first, uint64_t end) const {
  size_t count = static_cast<size_t>(
      std::distance(ahead_.lower_bound(first), ahead_.lower_bound(end)) +
      std::distance(gone_.lower_bound(first), gone_.lower_bound(end)));
  for (size_t i = LowerBound(first); i < items_.size() && items_[i].position < end; ++i) {
    count += items_[i].live;
  }
  return count;
}

bool DeliveryState::LiveWithin(uint64_t first, uint64_t end, size_t most,
                               std::vector<uint64_t>* live) const {
  EDDY_CHECK(end <= scan_);
  for (size_t i = LowerBound(first); i < items_.size() && items_[i].position < end; ++i) {
    if (!items_[i].live) continue;
    if (live->size() == most) return false;
    live->push_back(items_[i].position);
  }
  return true;
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
  while (!ahead_.empty() && ahead_.begin()->first < next) {
    items_.push_back(ahead_.begin()->second);
    ahead_.erase(ahead_.begin());
  }
  while (!gone_.empty() && gone_.begin()->first < next) {
    const auto [position, mark] = *gone_.begin();
    if (mark.changed) --changed_count_;
    if (mark.has_row) NoteErased(position);
    passed_gone_ = true;
    gone_.erase(gone_.begin());
  }
  AdvanceHead();
}

bool DeliveryState::Delay(uint64_t position, absl::Duration due) {
  if (IsUntouched(position)) {
    Item* const item = &ahead_[position];
    item->position = position;
    item->delivery.delay_known = true;
    Enter(item, DeliveryPhase::kDelayed, due);
    return true;
  }
  Item* const item = FindItem(position);
  if (item == nullptr || item->delivery.delay_known || item->delivery.receive_count != 0 ||
      item->delivery.phase != DeliveryPhase::kVisible) {
    return false;
  }
  item->delivery.delay_known = true;
  Leave(*item);
  Enter(item, DeliveryPhase::kDelayed, due);
  return true;
}

void DeliveryState::Receive(const DeliveryChange& received, absl::Duration now,
                            absl::Duration due, uint64_t next) {
  const uint64_t position = received.position;
  Item* item = FindItem(position);
  if (item != nullptr) {
    EDDY_CHECK(item->delivery.phase == DeliveryPhase::kVisible);
    Leave(*item);
  } else if (next > position && ahead_count() == 0) {
    // The usual case: the scan takes it along.
    item = &items_.emplace_back();
    scan_ = next;
  } else {
    item = &ahead_[position];
  }
  item->position = position;
  Delivery& entry = item->delivery;
  entry.receive_count = received.receive_count;
  entry.first_received_ms = received.first_received_ms;
  entry.received_here = true;
  entry.received_at = now;
  Enter(item, due > now ? DeliveryPhase::kInFlight : DeliveryPhase::kVisible, due);
  NoteChanged(item);
  if (next > scan_) PassTo(next);
  AdvanceHead();
}

void DeliveryState::SetDue(uint64_t position, absl::Duration now, absl::Duration due) {
  Item* const item = FindItem(position);
  EDDY_CHECK(item != nullptr && (item->delivery.phase == DeliveryPhase::kVisible ||
                                 item->delivery.phase == DeliveryPhase::kInFlight));
  Leave(*item);
  Enter(item, due > now ? DeliveryPhase::kInFlight : DeliveryPhase::kVisible, due);
}

void DeliveryState::StartMove(uint64_t position) {
  Item* const item = FindItem(position);
  EDDY_CHECK(item != nullptr && item->delivery.phase == DeliveryPhase::kVisible);
  Leave(*item);
  Enter(item, DeliveryPhase::kMoving, {});
}

void DeliveryState::StopMove(uint64_t position) {
  Item* const item = FindItem(position);
  EDDY_CHECK(item != nullptr && item->delivery.phase == DeliveryPhase::kMoving);
  Leave(*item);
  Enter(item, DeliveryPhase::kVisible, {});
}

void DeliveryState::Hold(uint64_t position) {
  Item* const item = FindItem(position);
  EDDY_CHECK(item != nullptr && (item->delivery.phase == DeliveryPhase::kVisible ||
                                 item->delivery.phase == DeliveryPhase::kInFlight));
  Leave(*item);
  Enter(item, DeliveryPhase::kMoving, item->delivery.due);
}

void DeliveryState::Unhold(uint64_t position, absl::Duration now) {
  Item* const item = FindItem(position);
  EDDY_CHECK(item != nullptr && item->delivery.phase == DeliveryPhase::kMoving);
  Leave(*item);
  const absl::Duration due = item->delivery.due;
  Enter(item, due > now ? DeliveryPhase::kInFlight : DeliveryPhase::kVisible, due);
}

void DeliveryState::Remove(uint64_t position, bool has_row) {
  Item* const item = FindItem(position);
  EDDY_CHECK(item != nullptr);
  item->has_row = item->has_row || has_row;
  Leave(*item);
  // What comes and goes leaves nothing behind that would have to be looked at later.
  if (item->changed && --changed_count_ == 0) changed_.clear();
  if (position >= scan_) {
    gone_[position] = {/*changed=*/true, item->has_row};
    changed_.push_back(position);
    ++changed_count_;
    ahead_.erase(position);
    return;
  }
  if (item->has_row) NoteErased(position);
  passed_gone_ = passed_gone_ || position >= committed_scan_;
  Forget(item);
  AdvanceHead();
}

void DeliveryState::NoteErased(uint64_t position) {
  frees_rows_ = true;
  erased_.push_back(position);
  erased_max_ = std::max(erased_max_, position);
}

// Takes an item that was left out of items_.
void DeliveryState::Forget(Item* item) {
  item->live = false;
  ++holes_;
  while (first_ < items_.size() && !items_[first_].live) {
    ++first_;
    --holes_;
  }
  if (first_ == items_.size()) {
    items_.clear();
    first_ = 0;
  } else if (first_ + holes_ > items_.size() / 2 + kPastMax) {
    items_.erase(std::remove_if(items_.begin(), items_.end(),
                                [](const Item& one) { return !one.live; }),
                 items_.end());
    first_ = 0;
    holes_ = 0;
  }
}

bool DeliveryState::TakeChanges(DeliverySnapshot* to) {
  if (changed_count_ == 0 && erased_.empty() && head_ == committed_head_ && !passed_gone_) {
    changed_.clear();
    return false;
  }
  to->head = head_;
  to->scan = scan_;
  to->moved = head_ != committed_head_ || passed_gone_;
  to->frees_rows = std::exchange(frees_rows_, false);
  to->changes.clear();
  to->erased.clear();
  const auto put = [&](Item* item) {
    to->changes.push_back({item->position, item->delivery.receive_count,
                           item->delivery.first_received_ms, /*gone=*/false});
    item->changed = false;
    item->has_row = true;
  };
  for (const uint64_t position : changed_) {
    if (!StillChanged(position)) continue;
    if (Item* const item = FindItem(position)) {
      put(item);
      continue;
    }
    gone_[position] = {/*changed=*/false, /*has_row=*/true};
    to->changes.push_back({position, 0, 0, /*gone=*/true});
  }
  if (to->moved) {
    // D4: delayed messages that the scan has passed since.
    for (size_t i = LowerBound(committed_scan_); i < items_.size(); ++i) {
      if (items_[i].live && !items_[i].has_row) put(&items_[i]);
    }
  }
  std::sort(to->changes.begin(), to->changes.end(),
            [](const DeliveryChange& a, const DeliveryChange& b) {
              return a.position < b.position;
            });
  for (const uint64_t position : erased_) {
    if (position >= head_) to->erased.push_back(position);
  }
  changed_.clear();
  changed_count_ = 0;
  erased_.clear();
  passed_gone_ = false;
  return true;
}

void DeliveryState::Committed(const DeliverySnapshot& snapshot) {
  if (!snapshot.moved) return;
  committed_head_ = snapshot.head;
  committed_scan_ = snapshot.scan;
}

void DeliveryState::PutBack(const DeliverySnapshot& snapshot) {
  passed_gone_ = passed_gone_ || snapshot.moved;
  frees_rows_ = frees_rows_ || snapshot.frees_rows;
  for (const uint64_t position : snapshot.erased) {
    if (position >= head_) NoteErased(position);
  }
  for (const DeliveryChange& change : snapshot.changes) {
    const uint64_t position = change.position;
    if (Item* const item = FindItem(position)) {
      NoteChanged(item);
    } else if (const auto mark = gone_.find(position);
               mark != gone_.end() && !mark->second.changed) {
      mark->second.changed = true;
      changed_.push_back(position);
      ++changed_count_;
    }
  }
}

size_t DeliveryState::LowerBound(uint64_t position) const {
  const auto found = std::lower_bound(
      items_.begin() + static_cast<std::ptrdiff_t>(first_), items_.end(), position,
      [](const Item& item, uint64_t wanted) { return item.position < wanted; });
  return static_cast<size_t>(found - items_.begin());
}

DeliveryState::Item* DeliveryState::FindItem(uint64_t position) {
  if (position >= scan_) {
    if (ahead_.empty()) return nullptr;
    const auto found = ahead_.find(position);
    return found == ahead_.end() ? nullptr : &found->second;
  }
  // Most are looked for in the order in which they came.
  const size_t i = first_ < items_.size() && items_[first_].position == position
                       ? first_
                       : LowerBound(position);
  return i < items_.size() && items_[i].position == position && items_[i].live ? &items_[i]
                                                                               : nullptr;
}

void DeliveryState::NoteChanged(Item* item) {
  if (item->changed) return;
  item->changed = true;
  ++changed_count_;
  changed_.push_back(item->position);
  if (changed_.size() <= 2 * changed_count_ + kPastMax) return;
  changed_.erase(std::remove_if(changed_.begin(), changed_.end(),
                                [this](uint64_t position) { return !StillChanged(position); }),
                 changed_.end());
  // One that was put back may stand here twice.
  std::sort(changed_.begin(), changed_.end());
  changed_.erase(std::unique(changed_.begin(), changed_.end()), changed_.end());
}

bool DeliveryState::StillChanged(uint64_t position) const {
  if (const Item* const item = FindItem(position)) return item->changed;
  const auto mark = gone_.find(position);
  return mark != gone_.end() && mark->second.changed;
}

void DeliveryState::Enter(Item* item, DeliveryPhase phase, absl::Duration due) {
  item->delivery.phase = phase;
  item->delivery.due = due;
  if (phase == DeliveryPhase::kVisible) {
    visible_.insert(item->position);
    return;
  }
  if (phase == DeliveryPhase::kMoving) {
    ++moving_count_;
    return;
  }
  ++(phase == DeliveryPhase::kInFlight ? in_flight_count_ : delayed_count_);
  timers_.push_back({absl::ToInt64Nanoseconds(due), item->position});
  std::push_heap(timers_.begin(), timers_.end());
  if (timers_.size() <= 2 * (in_flight_count_ + delayed_count_) + kPastMax) return;
  timers_.erase(std::remove_if(timers_.begin(), timers_.end(),
                               [this](const Timer& timer) { return !IsRunning(timer); }),
                timers_.end());
  // Sorted, the earliest first, they are a heap; the same due twice is one timer.
  std::sort(timers_.rbegin(), timers_.rend());
  timers_.erase(std::unique(timers_.begin(), timers_.end()), timers_.end());
}

void DeliveryState::Leave(const Item& item) {
  switch (item.delivery.phase) {
    case DeliveryPhase::kVisible: visible_.erase(item.position); break;
    case DeliveryPhase::kMoving: --moving_count_; break;
    case DeliveryPhase::kInFlight: --in_flight_count_; break;
    case DeliveryPhase::kDelayed: --delayed_count_; break;
  }
  if (in_flight_count_ + delayed_count_ == 0) timers_.clear();
}

bool DeliveryState::IsRunning(const Timer& timer) const {
  const Item* const item = FindItem(timer.position);
  if (item == nullptr) return false;
  const Delivery& entry = item->delivery;
  return (entry.phase == DeliveryPhase::kInFlight || entry.phase == DeliveryPhase::kDelayed) &&
         absl::ToInt64Nanoseconds(entry.due) == timer.due_ns;
}

void DeliveryState::AdvanceHead() {
  const uint64_t head =
      items_.size() == first_ ? scan_ : std::min(scan_, items_[first_].position);
  EDDY_CHECK(head >= head_);
  head_ = head;
  // What lies below the head goes by range.
  if (erased_max_ < head) erased_.clear();
}

}  // namespace eddy::queue
