// DeliveryState: who has which message of a queue - arithmetic on positions.
//
//   Send --> DELAYED --delay ends--> VISIBLE --Receive--> IN FLIGHT --Remove--> gone
//                                       ^                    |
//                                       +--- timeout ends ---+
//
// A message too large to move to the dead-letter queue in one cut is MOVING
// meanwhile, and so is one that a transaction is to delete: nobody else has it, and
// no timeout ends that, only Remove, StopMove or Unhold.
//
// A log position falls into one of four parts:
//
//        gone              touched or gone             untouched
//   ---------------+-----------------------------+--------------------->
//                 head                          scan
//
// Below the head all is gone. Between head and scan every message that is not
// gone has an entry. From the scan on a message is untouched, visible, and costs
// nothing, unless it has an entry (it was delayed; or a restart took the scan
// back to the head) or is gone.
//
// Invariants
//   D1  head = the lowest entry, or the scan if that is lower. Both only grow.
//   D2  Memory is O(entries + positions gone above the head): never O(backlog).
//   D3  A message that is gone stays gone, whatever is replayed later.
// No I/O, no clock, no lock: the caller brings the time and excludes others.
#ifndef EDDY_SRC_QUEUE_DELIVERY_H_
#define EDDY_SRC_QUEUE_DELIVERY_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "absl/time/time.h"

namespace eddy::queue {

enum class DeliveryPhase : uint8_t { kVisible, kInFlight, kDelayed, kMoving };

// What is known of a touched message.
struct Delivery {
  uint32_t receive_count = 0;     // also tells one receive from the next
  DeliveryPhase phase = DeliveryPhase::kVisible;
  bool received_here = false;     // since the store was opened
  int64_t first_received_ms = 0;  // wall time
  absl::Duration due;             // in flight, delayed: when it becomes visible
  absl::Duration received_at;     // the last receive; the open if before it
};

// The durable part of a message's state: a row, or a record of the journal.
struct DeliveryChange {
  uint64_t position = 0;
  uint32_t receive_count = 0;
  int64_t first_received_ms = 0;
  bool gone = false;
};

// What a commit has to write.
struct DeliverySnapshot {
  uint64_t head = 0;                    // if it has moved, rows below it go
  bool head_moved = false;
  std::vector<DeliveryChange> changes;  // at or above the head, by position
};

class DeliveryState {
 public:
  // `head`: as it was committed. Everything above is untouched until Restore
  // says otherwise.
  explicit DeliveryState(uint64_t head)
      : head_(head), scan_(head), committed_head_(head) {}

  // --- At open: rows (committed), then the journal's records (not yet).
  void Restore(const DeliveryChange& change, bool committed, absl::Duration now);

  // --- Time. All times are of the clock that counts suspend.
  // Makes visible what is due at `now`; returns how many messages.
  size_t ExpireUntil(absl::Duration now);
  std::optional<absl::Duration> NextDue() const;

  // --- Places.
  uint64_t head() const { return head_; }
  uint64_t committed_head() const { return committed_head_; }
  uint64_t scan() const { return scan_; }
  // Of a position at which a message lies.
  bool IsUntouched(uint64_t position) const;
  bool IsGone(uint64_t position) const;
  const Delivery* Find(uint64_t position) const;  // null: no entry
  // Messages in [first, end) that have an entry or are gone.
  size_t TouchedWithin(uint64_t first, uint64_t end) const;
  // The lowest visible positions with an entry, at most `count`.
  std::vector<uint64_t> VisibleEntries(size_t count) const;

  // --- Changes. Those that must survive are journalled by the caller.
  // All messages below `next` have an entry or are gone: the scan goes there.
  void PassTo(uint64_t next);
  // An untouched message is delayed. False: it is no longer untouched.
  bool Delay(uint64_t position, absl::Duration due);
  // Visible or untouched; from now on in flight until `due`, or still visible
  // if that is not after `now`.
  void Receive(const DeliveryChange& received, absl::Duration now, absl::Duration due);
  // An entry that was received and is not moving: in flight until `due`, or visible.
  void SetDue(uint64_t position, absl::Duration now, absl::Duration due);
  // A visible entry is moving; a moving one is visible again.
  void StartMove(uint64_t position);
  void StopMove(uint64_t position);
  // A visible entry or one in flight is moving, as far as others can see; Unhold
  // makes it what it was, for the rest of its time.
  void Hold(uint64_t position);
  void Unhold(uint64_t position, absl::Duration now);
  // Deleted or moved. The position has an entry.
  void Remove(uint64_t position);

  // --- Commits.
  // Moves what has changed since the last call to `to`; false: nothing.
  bool TakeChanges(DeliverySnapshot* to);
  void Committed(const DeliverySnapshot& snapshot);
  void PutBack(const DeliverySnapshot& snapshot);

  // --- Counts.
  size_t visible_count() const { return visible_.size(); }  // with an entry
  size_t in_flight_count() const { return in_flight_count_ + moving_count_; }
  size_t delayed_count() const { return timers_.size() - in_flight_count_; }
  size_t entry_count() const { return entries_.size(); }
  size_t gone_count() const { return gone_.size(); }  // above the head
  size_t changed_count() const { return changed_.size(); }

 private:
  void Enter(uint64_t position, Delivery* entry, DeliveryPhase phase, absl::Duration due);
  void Leave(uint64_t position, const Delivery& entry);
  void AdvanceHead();

  uint64_t head_;
  uint64_t scan_;
  uint64_t committed_head_;
  absl::btree_map<uint64_t, Delivery> entries_;
  absl::btree_set<uint64_t> gone_;     // at or above the head
  absl::btree_set<uint64_t> visible_;  // entries by phase: this one, or in flight
  absl::btree_set<std::pair<absl::Duration, uint64_t>> timers_;  // and delayed
  size_t in_flight_count_ = 0;  // without those that are
  size_t moving_count_ = 0;     // moving, which have no timer
  absl::btree_set<uint64_t> changed_;  // positions of which a row is out of date
};

}  // namespace eddy::queue

#endif  // EDDY_SRC_QUEUE_DELIVERY_H_
