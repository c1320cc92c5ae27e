#include "src/log/commit_line.h"

#include <utility>

namespace eddy::log {

CommitLine::Place CommitLine::Join() {
  for (;;) {
    const uint32_t open = open_.load(std::memory_order_acquire);
    Room& room = rooms_[open];
    room.waiters.fetch_add(1, std::memory_order_acq_rel);  // C1
    const uint32_t epoch = room.epoch.load(std::memory_order_acquire);
    if (open_.load(std::memory_order_acquire) == open) return {open, epoch};  // C2
    room.waiters.fetch_sub(1, std::memory_order_acq_rel);
  }
}

void CommitLine::Leave(const Place& place) {
  rooms_[place.room].waiters.fetch_sub(1, std::memory_order_acq_rel);
}

CommitLine::Woken CommitLine::Wait(const Place& place, absl::Duration timeout) {
  Room& room = rooms_[place.room];
  const absl::Duration deadline = clock_->SinceBoot() + timeout;
  for (;;) {
    const uint32_t seen = room.word.load(std::memory_order_acquire);  // C3
    if (room.epoch.load(std::memory_order_acquire) != place.epoch) {
      Leave(place);
      return Woken::kReleased;
    }
    // Before the deadline: a notification that came with it must not be lost.
    if (lead_.load(std::memory_order_acquire) &&
        open_.load(std::memory_order_acquire) == place.room &&
        lead_.exchange(false, std::memory_order_acq_rel)) {
      return Woken::kChosen;
    }
    const absl::Duration left = deadline - clock_->SinceBoot();
    if (left <= absl::ZeroDuration()) return Woken::kTimeout;
    clock_->WaitOn(room.word, seen, left);
  }
}

void CommitLine::Close() {
  const std::lock_guard<std::mutex> lock(mu_);
  if (closed_) return;  // a second round under one lock: who came since waits on
  closed_ = true;
  lead_.store(false, std::memory_order_release);  // somebody leads
  open_.store((open_.load(std::memory_order_relaxed) + 1) % kRooms, std::memory_order_release);
}

void CommitLine::Release() {
  Room* to_lead = nullptr;
  Room* served = nullptr;
  {
    const std::lock_guard<std::mutex> lock(mu_);
    const uint32_t open = open_.load(std::memory_order_relaxed);
    // Added to nothing, in order to be a read-modify-write: C1.
    if (rooms_[open].waiters.fetch_add(0, std::memory_order_acq_rel) > 0) {
      to_lead = &rooms_[open];
      lead_.store(true, std::memory_order_release);
      to_lead->word.fetch_add(1, std::memory_order_acq_rel);
    } else {
      lead_.store(false, std::memory_order_release);
    }
    if (std::exchange(closed_, false)) {
      Room& closed = rooms_[(open + kRooms - 1) % kRooms];
      if (closed.waiters.fetch_add(0, std::memory_order_acq_rel) > 0) served = &closed;
      closed.epoch.fetch_add(1, std::memory_order_acq_rel);
      closed.word.fetch_add(1, std::memory_order_acq_rel);
    }
  }
  // Not under the lock, for the next round wants it.
  if (to_lead != nullptr) clock_->WakeOne(to_lead->word);
  if (served != nullptr) clock_->WakeAll(served->word);
}

}  // namespace eddy::log
