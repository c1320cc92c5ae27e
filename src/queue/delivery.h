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
// A log position falls into one of three parts:
//
//        gone        touched, or gone without a trace        untouched
//   ---------------+-----------------------------------+--------------------->
//                 head                                scan
//
// Below the head all is gone. Between head and scan a message has an entry or is
// gone: what was deleted out of order needs no mark, however much it is. From the
// scan on a message is untouched, visible, and costs nothing, but for the few that
// are touched *ahead* of the scan (delayed; or replayed from the journal): these
// have an entry or, if they are gone, a mark, until the scan has passed them.
//
// The rows in the table say the same: those of live entries, and of what is ahead.
// So a commit writes head and scan, puts the rows of entries that have changed and
// deletes those of entries that are gone; a message that was received and deleted
// since the last commit leaves nothing but the move of the scan.
//
// Invariants
//   D1  head = the lowest entry, or the scan if that is lower. Both only grow.
//   D2  Memory is O(live entries + marks ahead): never O(backlog), nor O(deleted).
//   D3  A message that is gone stays gone, whatever is replayed later.
//   D4  The committed scan passes a live message only in a commit that holds its
//       row.
// No I/O, no clock, no lock: the caller brings the time and excludes others.
#ifndef EDDY_SRC_QUEUE_DELIVERY_H_
#define EDDY_SRC_QUEUE_DELIVERY_H_

#include <cstddef>
#include <cstdint>
#include <optional>
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
  bool delay_known = false;       // its frame need not be asked
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
  uint64_t head = 0;                    // rows below it go
  uint64_t scan = 0;
  bool moved = false;                   // head and scan are to be written
  bool frees_rows = false;              // some row is of a message that is gone
  std::vector<DeliveryChange> changes;  // rows to put, by position
  std::vector<uint64_t> erased;         // positions at or above the head; rows to delete
};

class DeliveryState {
 public:
  // As committed. Everything above `scan` is untouched until Restore says
  // otherwise.
  explicit DeliveryState(uint64_t head) : DeliveryState(head, head) {}
  DeliveryState(uint64_t head, uint64_t scan)
      : head_(head), scan_(scan), committed_head_(head), committed_scan_(scan) {}

  // --- At open: rows (committed) in order, then Loaded, then the journal's records
  // (not committed yet).
  void Restore(const DeliveryChange& change, bool committed, absl::Duration now);
  // No message lies at or above the scan and below `next`: what the journal says of
  // one there, whose frame was never written, is passed over.
  void Loaded(uint64_t next);

  // --- Time. All times are of the clock that counts suspend.
  // Makes visible what is due at `now`; returns how many messages.
  size_t ExpireUntil(absl::Duration now);
  std::optional<absl::Duration> NextDue();

  // --- Places.
  uint64_t head() const { return head_; }
  uint64_t committed_head() const { return committed_head_; }
  uint64_t scan() const { return scan_; }
  uint64_t committed_scan() const { return committed_scan_; }
  // Of a position at which a message lies.
  bool IsUntouched(uint64_t position) const;
  bool IsGone(uint64_t position) const;
  const Delivery* Find(uint64_t position) const;  // null: no entry
  // Messages with an entry in [first, end), and of the marked ones there.
  size_t TouchedWithin(uint64_t first, uint64_t end) const;
  // The entries in [first, end) below the scan, where all else is gone, in order.
  // False: they are more than `most`.
  bool LiveWithin(uint64_t first, uint64_t end, size_t most, std::vector<uint64_t>* live) const;
  // Messages at or above the scan that are not untouched.
  size_t ahead_count() const { return ahead_.size() + gone_.size(); }
  // The lowest visible positions with an entry, at most `count`.
  std::vector<uint64_t> VisibleEntries(size_t count) const;

  // --- Changes. Those that must survive are journalled by the caller.
  // All messages below `next` have an entry or are gone: the scan goes there.
  void PassTo(uint64_t next);
  // An untouched message is delayed, or the frame of a visible one that was never
  // received says so. False: neither.
  bool Delay(uint64_t position, absl::Duration due);
  // Visible or untouched; from now on in flight until `due`, or still visible
  // if that is not after `now`. `next`: as PassTo, once this one has its entry.
  void Receive(const DeliveryChange& received, absl::Duration now, absl::Duration due,
               uint64_t next = 0);
  // An entry that was received and is not moving: in flight until `due`, or visible.
  void SetDue(uint64_t position, absl::Duration now, absl::Duration due);
  // A visible entry is moving; a moving one is visible again.
  void StartMove(uint64_t position);
  void StopMove(uint64_t position);
  // A visible entry or one in flight is moving, as far as others can see; Unhold
  // makes it what it was, for the rest of its time.
  void Hold(uint64_t position);
  void Unhold(uint64_t position, absl::Duration now);
  // Deleted or moved. The position has an entry. `has_row`: a row says so already.
  void Remove(uint64_t position, bool has_row = false);

  // --- Commits.
  // Moves what has changed since the last call to `to`; false: nothing.
  bool TakeChanges(DeliverySnapshot* to);
  void Committed(const DeliverySnapshot& snapshot);
  void PutBack(const DeliverySnapshot& snapshot);

  // --- Counts.
  size_t visible_count() const { return visible_.size(); }  // with an entry
  size_t in_flight_count() const { return in_flight_count_ + moving_count_; }
  size_t delayed_count() const { return delayed_count_; }
  size_t entry_count() const { return items_.size() - first_ - holes_ + ahead_.size(); }
  size_t gone_count() const { return gone_.size(); }  // marks
  size_t changed_count() const { return changed_count_ + erased_.size(); }

 private:
  struct Item {
    uint64_t position = 0;
    Delivery delivery;
    bool live = true;      // false: a hole in items_
    bool changed = false;  // its row is out of date
    bool has_row = false;  // or may have
  };
  struct Mark {
    bool changed = false;
    bool has_row = false;
  };
  struct Timer {
    int64_t due_ns = 0;
    uint64_t position = 0;
    // Of a heap with the earliest on top.
    bool operator<(const Timer& other) const {
      return due_ns != other.due_ns ? due_ns > other.due_ns : position > other.position;
    }
    bool operator==(const Timer& other) const {
      return due_ns == other.due_ns && position == other.position;
    }
  };

  size_t LowerBound(uint64_t position) const;  // an index of items_
  Item* FindItem(uint64_t position);
  const Item* FindItem(uint64_t position) const {
    return const_cast<DeliveryState*>(this)->FindItem(position);
  }
  void Enter(Item* item, DeliveryPhase phase, absl::Duration due);
  void Leave(const Item& item);
  bool IsRunning(const Timer& timer) const;
  void NoteChanged(Item* item);
  bool StillChanged(uint64_t position) const;
  void NoteErased(uint64_t position);
  void Forget(Item* item);
  void AdvanceHead();

  uint64_t head_;
  uint64_t scan_;
  uint64_t committed_head_;
  uint64_t committed_scan_;
  bool passed_gone_ = false;  // below the scan, unknown to the committed one
  bool frees_rows_ = false;   // since the last TakeChanges

  // Entries below the scan, by position, from first_ on. They come at the end, as
  // the scan passes them, and go mostly at the front; the others leave holes, which
  // are closed once they are more than the rest.
  std::vector<Item> items_;
  size_t first_ = 0;
  size_t holes_ = 0;
  absl::btree_map<uint64_t, Item> ahead_;
  absl::btree_map<uint64_t, Mark> gone_;
  absl::btree_set<uint64_t> visible_;
  // A heap. What stops before it is due stays in it, and is thrown out when it is
  // due or when such are more than half.
  std::vector<Timer> timers_;
  size_t in_flight_count_ = 0;
  size_t delayed_count_ = 0;
  size_t moving_count_ = 0;
  // Positions whose item or mark is changed, and likewise some that no longer are.
  std::vector<uint64_t> changed_;
  size_t changed_count_ = 0;
  std::vector<uint64_t> erased_;  // whose rows are to be deleted, if not by the head
  uint64_t erased_max_ = 0;
};

}  // namespace eddy::queue

#endif  // EDDY_SRC_QUEUE_DELIVERY_H_
