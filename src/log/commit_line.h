// CommitLine: those who wait for a commit, by the round that will serve them.
//
//     Join --> | open room | --Close, at a round's cut--> | closed room |
//                    |                                          |
//        Release wakes one, to lead                 EndRound releases all of them, who
//        the next round                             are committed; Release wakes them
//
// So a commit wakes those that it serves, and before them one of the others, who
// leads the next round while they are still waking. With one signal for all, each
// commit would wake everybody, of whom many find nothing done for them.
//
//   waiter:  Join; then until its frame is committed:
//              try the commit lock:   got it:  lead a round, Leave, EndRound, unlock, Release
//                                     else:    Wait
//            Leave
//
// Nobody passes through a lock in order to join, to sleep, to wake or to leave: a crowd
// that wakes at once would wait for one another there (64 producers: 0.70 of a bare group
// commit with a lock, 0.73 to 0.82 without). One word of a room says its epoch and how many
// have joined it, so that those who are released need not leave: each change of a word that
// other processors have changed costs as much as an append.
//
// A crowd does not sleep where the disk is quick (kCrowdPerCpu, kQuickRoundMax): each of
// it gives its processor away instead, up to kPolls times, until something has happened.
// That is a switch or two, where sleeping is a system call, a wake-up by the leader, who
// has better things to do, and often the start of an idle processor. Measured on two
// processors, a sync of 50 us, by medians: 33 producers 138 -> 185 thousand records a second,
// 64: 236 -> 295, 128: 222 -> 367, at no more processor time a record if nobody else wants
// the processors. Where a thread of the same process computes, each processor that is given
// away comes back a slice of milliseconds later: a crowd that often takes so long to come
// together sleeps for the next kCalmRounds. (Other processes take their slices too, but
// one in many rounds only; beside them polling brings more than sleeping does.)
//
// No wake-up is lost, though nothing is fenced:
//   C1  Join counts itself in, and Release reads that count, both as read-modify-write
//       of one word, of which one comes first. If that is Join, Release sees it. If it
//       is Release, then Join is ordered after the unlock before that Release, and the
//       TryLock after the Join sees the lock free, or held by one who will Release.
//   C2  A room that is no longer open when Join looks again is not joined. If it still
//       was, then the EndRound of that room comes later, or Join sees its epoch (C1).
//   C3  Each event moves the room's word before it looks for sleepers; a waiter reads the
//       word before it looks at epoch and lead, counts itself as a sleeper, and sleeps only
//       if the word is still the same. Both do so by read-modify-write of that count: the
//       event sees the sleeper, or the sleeper sees the event.
// Who was chosen to lead, and need not after all, calls Release itself. The lead may be
// taken by another than the one that was woken for it: then that one leads.
//
// One who appends before the cut and joins after it is woken a round late, at worst.
// What has been tried instead: a seat for each waiter, that knows its position. It is
// woken by a system call of its own, and every other time preempts the one who wakes
// it: with 64 producers that took a sixth off the rate.
// Depends on base/mutex.h and platform.h.
#ifndef EDDY_SRC_LOG_COMMIT_LINE_H_
#define EDDY_SRC_LOG_COMMIT_LINE_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "eddy/platform.h"
#include "src/base/mutex.h"

namespace eddy::log {

// Threads: safe; Close to EndRound under the commit lock. Its own lock is the last:
// nothing is called under it.
// `clock` outlives it, and it outlives each call of Release.
class CommitLine {
 public:
  // A place in one of the rooms.
  struct Place {
    uint32_t room = 0;
    uint32_t epoch = 0;
  };
  enum class Woken { kReleased, kChosen, kTimeout };

  // `crowd_min`: so many do not sleep where rounds are quick. `give_way`: what they do
  // instead, for tests.
  explicit CommitLine(Clock* clock, uint32_t crowd_min = CrowdMin(),
                      std::function<void()> give_way = std::this_thread::yield)
      : clock_(clock), crowd_min_(crowd_min), give_way_(std::move(give_way)) {}
  CommitLine(const CommitLine&) = delete;
  CommitLine& operator=(const CommitLine&) = delete;

  // In the open room from now on, until it is released or left.
  Place Join();
  // Nothing, if the place's room has been released.
  void Leave(const Place& place);

  // Until the place's room is released, or the caller is chosen, or `deadline` has passed
  // on the clock that counts suspend.
  Woken Wait(const Place& place, absl::Duration deadline);

  // How many are in the open room, and in all. Hints.
  uint32_t Arrived() const;
  uint32_t Waiting() const;

  // How often one who waits gives its processor away before it sleeps.
  int polls() const { return polls_.load(std::memory_order_relaxed); }

  // The cut comes next: all that have joined so far are in it. Under the commit lock.
  void Close();

  // The commit lock was not taken by one of the line: how long that one waited says nothing
  // of them.
  void LedByAnother() { ended_at_ = absl::InfiniteDuration(); }
  // Whether a round was made under the commit lock, since it was taken.
  bool HasClosed() const { return closed_.has_value(); }

  // Before the commit lock is let go: releases the room that was closed under it, if one
  // was. Who polls sees that at once; the others are to be woken.
  std::optional<uint32_t> EndRound();

  // The commit lock is free again: chooses one in the open room, and wakes who sleeps in the
  // room that EndRound has named. Without one by who was chosen, and need not lead.
  void Release(std::optional<uint32_t> served);

 private:
  // With half as many, polling brings more too, but takes more processor time a record
  // than sleeping; so it does where each has to be done often before the disk has.
  static constexpr uint32_t kCrowdPerCpu = 16;
  static constexpr absl::Duration kQuickRoundMax = absl::Microseconds(500);
  static constexpr int kPolls = 40;
  static constexpr int kPollsATime = 8;  // between two looks at the clock
  // More than one late round in five, some times, and a thousand sleep.
  static constexpr int kLateWeight = 4;
  static constexpr int kLatenessMax = 16;
  static constexpr int kCalmRounds = 1000;
  static uint32_t CrowdMin();
  void NoteGathering(absl::Duration took);

  // More than two, so that those who sleep in a room are not woken by a Release of
  // the same room that has come late to its notification.
  static constexpr uint32_t kRooms = 4;
  // Two lines: the one that all who poll read is written by events, and those who sleep.
  struct Room {
    alignas(64) std::atomic<uint64_t> state{0};  // epoch, moved by each release; who joined
    alignas(64) std::atomic<uint32_t> word{0};   // moved by each event, to sleep on
    std::atomic<uint32_t> sleepers{0};
  };
  static constexpr uint64_t kOne = 1;
  static constexpr int kEpochShift = 32;
  static uint32_t Epoch(uint64_t state) { return static_cast<uint32_t>(state >> kEpochShift); }
  static uint32_t Joined(uint64_t state) { return static_cast<uint32_t>(state); }

  Clock* const clock_;
  const uint32_t crowd_min_;
  const std::function<void()> give_way_;
  Room rooms_[kRooms];
  // The next in the open room that wakes, or would sleep, leads.
  alignas(64) std::atomic<bool> lead_{false};
  std::atomic<uint32_t> open_{0};  // changed under mu_
  std::atomic<int> polls_{0};
  Mutex mu_;
  // Under the commit lock.
  std::optional<uint32_t> closed_;  // a room that waits for the round's end
  absl::Duration closed_at_;        // infinitely long ago, if there was no crowd
  absl::Duration ended_at_ = absl::InfiniteDuration();  // to come, if there was none
  int lateness_ = 0;
  int calm_rounds_ = 0;  // to come
};

}  // namespace eddy::log

#endif  // EDDY_SRC_LOG_COMMIT_LINE_H_
