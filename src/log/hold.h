// Hold: when frames that wait to become useless have waited long enough.
//
// A log with a mark (Log::SetDiscard) may be kept out of the commits, so that what
// the mark passes in time is never written. From time to time the committer notes
// where the log ends; what lies below the note is at least as old as the note:
//
//     ---- passed ----|-- waits --|----- younger ----
//                    mark        note                tail
//
// While the mark passes each note in time, a new one is made and nothing is due.
// A frame above the mark is due when it has waited for one to two times the hold,
// and from then on everything is, at every look, until the mark has passed the note.
// Pure. Depends on nothing.
#ifndef EDDY_SRC_LOG_HOLD_H_
#define EDDY_SRC_LOG_HOLD_H_

#include <cstdint>

#include "absl/time/time.h"

namespace eddy::log {

// Threads: not safe.
class Hold {
 public:
  // `now`: a steady clock that never goes back. `hold` is above zero.
  bool IsDue(absl::Duration now, absl::Duration hold, uint64_t mark, uint64_t tail) {
    if (mark < note_) return now - noted_at_ >= hold;
    note_ = tail;
    noted_at_ = now;
    return false;
  }

 private:
  uint64_t note_ = 0;
  absl::Duration noted_at_;
};

}  // namespace eddy::log

#endif  // EDDY_SRC_LOG_HOLD_H_
