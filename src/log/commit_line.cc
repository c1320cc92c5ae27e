#include "src/log/commit_line.h"

#include <algorithm>
#include <thread>
#include <utility>

namespace eddy::log {

uint32_t CommitLine::CrowdMin() {
  static const uint32_t cpus = std::max(1u, std::thread::hardware_concurrency());
  return cpus * kCrowdPerCpu;
}

CommitLine::Place CommitLine::Join() {
  for (;;) {
    const uint32_t open = open_.load(std::memory_order_acquire);
    const uint64_t state = rooms_[open].state.fetch_add(kOne, std::memory_order_acq_rel);  // C1
    const Place place{open, Epoch(state)};
    if (open_.load(std::memory_order_acquire) == open) return place;  // C2
    Leave(place);
  }
}

void CommitLine::Leave(const Place& place) {
  std::atomic<uint64_t>& word = rooms_[place.room].state;
  uint64_t state = word.load(std::memory_order_relaxed);
  while (Epoch(state) == place.epoch &&
         !word.compare_exchange_weak(state, state - kOne, std::memory_order_acq_rel,
                                     std::memory_order_relaxed)) {
  }
}

CommitLine::Woken CommitLine::Wait(const Place& place, absl::Duration deadline) {
  Room& room = rooms_[place.room];
  int polls = this->polls();
  for (;;) {
    const uint32_t seen = room.word.load(std::memory_order_acquire);  // C3
    if (Epoch(room.state.load(std::memory_order_acquire)) != place.epoch) {
      return Woken::kReleased;
    }
    // Before the deadline: a notification that came with it must not be lost.
    if (lead_.load(std::memory_order_acquire) &&
        open_.load(std::memory_order_acquire) == place.room &&
        lead_.exchange(false, std::memory_order_acq_rel)) {
      return Woken::kChosen;
    }
    while (polls > 0 && room.word.load(std::memory_order_relaxed) == seen) {
      std::this_thread::yield();
      --polls;
    }
    if (room.word.load(std::memory_order_relaxed) != seen) continue;
    const absl::Duration left = deadline - clock_->SinceBoot();
    if (left <= absl::ZeroDuration()) return Woken::kTimeout;
    room.sleepers.fetch_add(1, std::memory_order_acq_rel);
    if (room.word.load(std::memory_order_acquire) == seen) {
      clock_->WaitOn(room.word, seen, left);
    }
    room.sleepers.fetch_sub(1, std::memory_order_acq_rel);
  }
}

uint32_t CommitLine::Arrived() const {
  return Joined(rooms_[open_.load(std::memory_order_relaxed)].state.load(
      std::memory_order_relaxed));
}

uint32_t CommitLine::Waiting() const {
  uint32_t waiting = 0;
  for (const Room& room : rooms_) {
    waiting += Joined(room.state.load(std::memory_order_relaxed));
  }
  return waiting;
}

void CommitLine::Close() {
  const bool crowd = Waiting() >= crowd_min_;
  const absl::Duration now = crowd ? clock_->SinceBoot() : -absl::InfiniteDuration();
  const MutexLock lock(&mu_);
  if (closed_) return;  // a second round under one lock: who came since waits on
  closed_ = true;
  closed_at_ = now;
  lead_.store(false, std::memory_order_release);  // somebody leads
  open_.store((open_.load(std::memory_order_relaxed) + 1) % kRooms, std::memory_order_release);
}

void CommitLine::Release() {
  const bool crowd = Waiting() >= crowd_min_;
  const absl::Duration now = crowd ? clock_->SinceBoot() : absl::InfiniteDuration();
  Room* to_lead = nullptr;
  Room* served = nullptr;
  {
    const MutexLock lock(&mu_);
    const uint32_t open = open_.load(std::memory_order_relaxed);
    // Added to nothing, in order to be a read-modify-write: C1.
    if (Joined(rooms_[open].state.fetch_add(0, std::memory_order_acq_rel)) > 0) {
      to_lead = &rooms_[open];
      lead_.store(true, std::memory_order_release);
      to_lead->word.fetch_add(1, std::memory_order_acq_rel);
    } else {
      lead_.store(false, std::memory_order_release);
    }
    if (std::exchange(closed_, false)) {
      const bool quick = now - closed_at_ <= kQuickRoundMax;
      polls_.store(quick ? kPolls : 0, std::memory_order_relaxed);
      Room& closed = rooms_[(open + kRooms - 1) % kRooms];
      uint64_t state = closed.state.load(std::memory_order_relaxed);
      while (!closed.state.compare_exchange_weak(
          state, uint64_t{Epoch(state) + 1} << kEpochShift, std::memory_order_acq_rel,
          std::memory_order_relaxed)) {
      }
      if (Joined(state) > 0) served = &closed;
      closed.word.fetch_add(1, std::memory_order_acq_rel);
    }
  }
  // Not under the lock, for the next round wants it.
  if (to_lead != nullptr && to_lead->sleepers.fetch_add(0, std::memory_order_acq_rel) > 0) {
    clock_->WakeOne(to_lead->word);
  }
  if (served != nullptr && served->sleepers.fetch_add(0, std::memory_order_acq_rel) > 0) {
    clock_->WakeAll(served->word);
  }
}

}  // namespace eddy::log
