// CommitLine: those who wait for a commit, by the round that will serve them.
//
//     Join --> | open room | --Close, at a round's cut--> | closed room |
//                    |                                          |
//        Release wakes one, to lead                 Release wakes all of them:
//        the next round                             they are committed
//
// So a commit wakes those that it serves, and before them one of the others, who
// leads the next round while they are still waking. With one signal for all, each
// commit would wake everybody, of whom many find nothing done for them.
//
//   waiter:  Join; then until its frame is committed:
//              try the commit lock:   got it:  lead a round, Leave, unlock, Release
//                                     else:    Wait
//            Leave
//
// Nobody passes through a lock in order to join, to sleep, to wake or to leave: a crowd
// that wakes at once would wait for one another there (64 producers: 0.70 of a bare group
// commit with a lock, 0.73 to 0.82 without).
//
// No wake-up is lost, though nothing is fenced:
//   C1  Join counts itself in, and Release reads that count, both as read-modify-write
//       of one word, of which one comes first. If that is Join, Release sees it. If it
//       is Release, then Join is ordered after the unlock before that Release, and the
//       TryLock after the Join sees the lock free, or held by one who will Release.
//   C2  A room that is no longer open when Join looks again is not joined. If it still
//       was, then the Release of that room comes later, or Join sees its epoch (C1).
//   C3  Each event moves the room's word before it wakes; a waiter reads the word
//       before it looks at epoch and lead, and sleeps only if it is still the same.
// Who was chosen to lead, and need not after all, calls Release itself. The lead may be
// taken by another than the one that was woken for it: then that one leads.
//
// One who appends before the cut and joins after it is woken a round late, at worst.
// What has been tried instead: a seat for each waiter, that knows its position. It is
// woken by a system call of its own, and every other time preempts the one who wakes
// it: with 64 producers that took a sixth off the rate.
// Depends on platform.h.
#ifndef EDDY_SRC_LOG_COMMIT_LINE_H_
#define EDDY_SRC_LOG_COMMIT_LINE_H_

#include <atomic>
#include <cstdint>
#include <mutex>

#include "absl/time/time.h"
#include "eddy/platform.h"

namespace eddy::log {

// Threads: safe. Its lock is the last: nothing is called under it.
// `clock` outlives it, and it outlives each call of Release.
class CommitLine {
 public:
  // A place in one of the rooms.
  struct Place {
    uint32_t room = 0;
    uint32_t epoch = 0;
  };
  enum class Woken { kReleased, kChosen, kTimeout };

  explicit CommitLine(Clock* clock) : clock_(clock) {}
  CommitLine(const CommitLine&) = delete;
  CommitLine& operator=(const CommitLine&) = delete;

  // In the open room from now on, until Leave.
  Place Join();
  void Leave(const Place& place);

  // Sleeps until the place's room is released, which is as Leave, or the caller is
  // chosen, or `timeout` has passed on the clock that counts suspend.
  Woken Wait(const Place& place, absl::Duration timeout);

  // The cut comes next: all that have joined so far are in it. Under the commit lock.
  void Close();

  // The commit lock is free again: releases the closed room, if a round has closed
  // one, and chooses one in the open room.
  void Release();

 private:
  // More than two, so that those who sleep in a room are not woken by a Release of
  // the same room that has come late to its notification.
  static constexpr uint32_t kRooms = 4;
  struct alignas(64) Room {
    std::atomic<uint32_t> word{0};     // moved by each event, to sleep on
    std::atomic<uint32_t> epoch{0};    // moved by each release of the room
    std::atomic<uint32_t> waiters{0};  // joined, not left; some of an epoch before
  };

  Clock* const clock_;
  Room rooms_[kRooms];
  // The next in the open room that wakes, or would sleep, leads.
  std::atomic<bool> lead_{false};
  std::atomic<uint32_t> open_{0};  // changed under mu_
  std::mutex mu_;
  bool closed_ = false;  // guarded by mu_: the room before it waits for a round's end
};

}  // namespace eddy::log

#endif  // EDDY_SRC_LOG_COMMIT_LINE_H_
