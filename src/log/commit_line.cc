#include "src/log/commit_line.h"

#include <algorithm>
#include <utility>

#include "src/base/status.h"

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
  while (Epoch(state) == place.epoch) {
    EDDY_CHECK(Joined(state) > 0);
    if (word.compare_exchange_weak(state, state - kOne, std::memory_order_acq_rel,
                                   std::memory_order_relaxed)) {
      return;
    }
  }
}

CommitLine::Woken CommitLine::Wait(const Place& place, absl::Duration deadline) {
  Room& room = rooms_[place.room];
  int polls = this->polls();
  // Who has no time to wait has none to give away.
  if (polls > 0 && deadline - clock_->SinceBoot() <= kQuickRoundMax) polls = 0;
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
      give_way_();
      if (--polls % kPollsATime == 0 && deadline - clock_->SinceBoot() <= kQuickRoundMax) {
        polls = 0;  // a slice of another thread may be long
      }
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
  if (closed_.has_value()) return;  // a second round under one lock: who came since waits on
  const bool crowd = Waiting() >= crowd_min_;
  closed_at_ = crowd ? clock_->SinceBoot() : -absl::InfiniteDuration();
  if (polls() > 0) NoteGathering(closed_at_ - ended_at_);
  const MutexLock lock(&mu_);
  const uint32_t open = open_.load(std::memory_order_relaxed);
  closed_ = open;
  lead_.store(false, std::memory_order_release);  // somebody leads
  open_.store((open + 1) % kRooms, std::memory_order_release);
}

void CommitLine::NoteGathering(absl::Duration took) {
  lateness_ = took > kQuickRoundMax ? lateness_ + kLateWeight : std::max(0, lateness_ - 1);
  if (lateness_ < kLatenessMax) return;
  lateness_ = 0;
  calm_rounds_ = kCalmRounds;
}

std::optional<uint32_t> CommitLine::EndRound() {
  if (!closed_.has_value()) return std::nullopt;
  const bool crowd = Waiting() >= crowd_min_;
  ended_at_ = crowd ? clock_->SinceBoot() : absl::InfiniteDuration();
  const bool quick = ended_at_ - closed_at_ <= kQuickRoundMax;
  polls_.store(quick && calm_rounds_ == 0 ? kPolls : 0, std::memory_order_relaxed);
  if (calm_rounds_ > 0) --calm_rounds_;
  Room& room = rooms_[*closed_];
  uint64_t state = room.state.load(std::memory_order_relaxed);
  while (!room.state.compare_exchange_weak(state, uint64_t{Epoch(state) + 1} << kEpochShift,
                                           std::memory_order_acq_rel,
                                           std::memory_order_relaxed)) {
  }
  room.word.fetch_add(1, std::memory_order_acq_rel);
  return std::exchange(closed_, std::nullopt);
}

void CommitLine::Release(std::optional<uint32_t> served) {
  Room* to_lead = nullptr;
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
  }
  // Not under the lock, for the next round wants it.
  if (to_lead != nullptr && to_lead->sleepers.fetch_add(0, std::memory_order_acq_rel) > 0) {
    clock_->WakeOne(to_lead->word);
  }
  if (!served.has_value()) return;
  Room& room = rooms_[*served];
  if (room.sleepers.fetch_add(0, std::memory_order_acq_rel) > 0) clock_->WakeAll(room.word);
}

}  // namespace eddy::log
