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
// No wake-up is lost: who has not got the lock had joined before it tried, and the
// one that holds it calls Release after it has let go. Who was chosen to lead, and
// need not after all, calls Release itself.
//
// One who appends before the cut and joins after it is woken a round late, at worst.
// What has been tried instead: a seat for each waiter, that knows its position. It is
// woken by a system call of its own, and every other time preempts the one who wakes
// it: with 64 producers that took a sixth off the rate.
// Depends on platform.h.
#ifndef EDDY_SRC_LOG_COMMIT_LINE_H_
#define EDDY_SRC_LOG_COMMIT_LINE_H_

#include <condition_variable>
#include <cstdint>
#include <mutex>

#include "absl/time/time.h"
#include "eddy/platform.h"

namespace eddy::log {

// Threads: safe. Its lock is the last: nothing but the clock is called under it.
// `clock` outlives it, and it outlives each call of Release.
class CommitLine {
 public:
  // A place in one of the rooms.
  struct Place {
    int room = 0;
    uint64_t epoch = 0;
  };
  enum class Woken { kReleased, kChosen, kTimeout };

  explicit CommitLine(Clock* clock) : clock_(clock) {}
  CommitLine(const CommitLine&) = delete;
  CommitLine& operator=(const CommitLine&) = delete;

  // In the open room from now on, until Leave.
  Place Join();
  void Leave(const Place& place);

  // Sleeps until the place's room is released, which is the end of the place, or the
  // caller is chosen, or `timeout` has passed on the clock that counts suspend.
  Woken Wait(const Place& place, absl::Duration timeout);

  // The cut comes next: all that have joined so far are in it.
  void Close();

  // The commit lock is free again: releases the closed room, if a round has closed
  // one, and chooses one in the open room.
  void Release();

 private:
  // More than two, so that those who sleep in a room are not woken by a Release of
  // the same room that has come late to its notification.
  static constexpr int kRooms = 4;
  struct Room {
    std::condition_variable moved;
    uint64_t epoch = 0;  // moved by each release of the room
    int waiters = 0;     // of this epoch: joined, not left
  };
  static int Before(int room) { return (room + kRooms - 1) % kRooms; }

  Clock* const clock_;
  std::mutex mu_;  // guards all below
  Room rooms_[kRooms];
  int open_ = 0;
  bool closed_ = false;  // the room before it waits for a round's end
  bool lead_ = false;    // the next in the open room that wakes, or would sleep, leads
};

}  // namespace eddy::log

#endif  // EDDY_SRC_LOG_COMMIT_LINE_H_
