// ShardWindow: the records of one shard between the cursor and the read position,
// and which of them may be sent now.
//
//      cursor                                            read position
//        |                                                     |
//        v                                                     v
//      [ a1  b1* c1* a2  b2* a3  c2  d1  ...  ]                 ...
//        ^ready          .   .   ^ready  ^ready
//        |               a2 waits for a1, a3 for a2
//        * settled: acknowledged or dead; remembered here only
//
// A request may fail for some of its records and not for others, in any pattern,
// and a service promises no order within a request. So order per key holds by
// construction or not at all: at KeyOrder::kStrict a record is ready when no
// earlier one of its key is unsettled, which puts at most one record of a key into
// a request. Looking far ahead finds the other keys that fill it. At kBestEffort
// every unsettled record is ready.
//
// There is no state "in flight": a failure changes no order, so what is left unsettled
// is ready again, not before its own `due`.
//
// Invariants
//   W1  Below prefix() everything is settled: the cursor may stand there.
//   W2  At kStrict no two ready records have the same partition key.
//   W3  The span from prefix() to the newest record is what a crash can send twice:
//       settled records count in span_records() until the prefix has passed them,
//       so a record that fails for ever bounds how far the others run ahead.
// Pure. Depends on the public headers.
#ifndef EDDY_SRC_FORWARD_SHARD_WINDOW_H_
#define EDDY_SRC_FORWARD_SHARD_WINDOW_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <set>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "eddy/forwarder.h"
#include "eddy/types.h"

namespace eddy::forward {

struct WindowRecord {
  SequenceNumber sequence_number = 0;
  std::string partition_key;
  std::string data;
  std::string explicit_hash_key;  // decimal; empty if none
  // What attempts left behind.
  bool failed_before = false;
  bool maybe_stored = false;
  int failure_count = 0;  // of this record by itself, in answers to others as well
  absl::Duration due;     // not before, on the clock that counts suspend

  // What the service's limits count.
  size_t bytes() const { return partition_key.size() + data.size(); }
};

// Threads: none of its own; one caller at a time.
class ShardWindow {
 public:
  // Begins at the cursor's position.
  ShardWindow(KeyOrder order, SequenceNumber position) : order_(order), end_(position) {}

  // The newest record; sequence numbers increase.
  void Add(WindowRecord record);

  // The first record at or above `from` that is ready and due; null if there is none.
  // Valid until it is settled.
  WindowRecord* NextReady(SequenceNumber from, absl::Duration now);
  // When the first ready record is due; infinite if none is ready.
  absl::Duration NextDue();
  size_t ready_count() const { return ready_.size(); }

  // The record is acknowledged or dead: frees its bytes, and readies the next one
  // of its key. The record must be unsettled.
  void Settle(SequenceNumber sequence_number);

  // W1: the first sequence number that is not yet settled.
  SequenceNumber prefix() const {
    return entries_.empty() ? end_ : entries_.front().record.sequence_number;
  }
  // Where to read on.
  SequenceNumber end() const { return end_; }

  size_t unsettled_count() const { return unsettled_count_; }
  size_t unsettled_bytes() const { return unsettled_bytes_; }
  size_t span_records() const { return entries_.size(); }

  // Unsettled; must be in the window.
  WindowRecord& At(SequenceNumber sequence_number) { return Find(sequence_number).record; }

 private:
  struct Entry {
    WindowRecord record;
    bool settled = false;
    SequenceNumber next_of_key = 0;  // kStrict: who waits for this one; 0: nobody
  };
  Entry& Find(SequenceNumber sequence_number);

  const KeyOrder order_;
  std::deque<Entry> entries_;  // by sequence number; the first one is unsettled
  std::set<SequenceNumber> ready_;
  // kStrict: the newest unsettled record of each key.
  absl::flat_hash_map<std::string, SequenceNumber> newest_of_key_;
  SequenceNumber end_;
  size_t unsettled_count_ = 0;
  size_t unsettled_bytes_ = 0;
};

}  // namespace eddy::forward

#endif  // EDDY_SRC_FORWARD_SHARD_WINDOW_H_
