#include "src/log/commit_line.h"

#include <utility>

namespace eddy::log {

CommitLine::Place CommitLine::Join() {
  const std::lock_guard<std::mutex> lock(mu_);
  ++rooms_[open_].waiters;
  return {open_, rooms_[open_].epoch};
}

void CommitLine::Leave(const Place& place) {
  const std::lock_guard<std::mutex> lock(mu_);
  if (rooms_[place.room].epoch == place.epoch) --rooms_[place.room].waiters;
}

CommitLine::Woken CommitLine::Wait(const Place& place, absl::Duration timeout) {
  const absl::Duration deadline = clock_->SinceBoot() + timeout;
  std::unique_lock<std::mutex> lock(mu_);
  Room& room = rooms_[place.room];
  while (room.epoch == place.epoch) {
    // Before the deadline: a notification that came with it must not be lost.
    if (lead_ && place.room == open_) {
      lead_ = false;
      return Woken::kChosen;
    }
    const absl::Duration left = deadline - clock_->SinceBoot();
    if (left <= absl::ZeroDuration()) return Woken::kTimeout;
    clock_->Wait(lock, room.moved, left);
  }
  return Woken::kReleased;
}

void CommitLine::Close() {
  const std::lock_guard<std::mutex> lock(mu_);
  if (closed_) return;  // a second round under one lock: who came since waits on
  closed_ = true;
  lead_ = false;  // somebody leads
  open_ = (open_ + 1) % kRooms;
}

void CommitLine::Release() {
  Room* open;
  Room* closed = nullptr;
  {
    const std::lock_guard<std::mutex> lock(mu_);
    open = &rooms_[open_];
    lead_ = open->waiters > 0;
    if (!lead_) open = nullptr;
    if (std::exchange(closed_, false)) {
      closed = &rooms_[Before(open_)];
      ++closed->epoch;
      if (std::exchange(closed->waiters, 0) == 0) closed = nullptr;
    }
  }
  // Not under the lock, which they need in order to wake.
  if (open != nullptr) open->moved.notify_one();
  if (closed != nullptr) closed->moved.notify_all();
}

}  // namespace eddy::log
