#include "src/forward/shard_window.h"

#include <algorithm>
#include <utility>

#include "src/base/status.h"

namespace eddy::forward {

void ShardWindow::Add(WindowRecord record) {
  const SequenceNumber number = record.sequence_number;
  EDDY_CHECK(number >= end_);
  end_ = number + 1;
  ++unsettled_count_;
  unsettled_bytes_ += record.bytes();
  bool is_ready = true;
  if (order_ == KeyOrder::kStrict) {
    const auto [newest, is_first] = newest_of_key_.try_emplace(record.partition_key, number);
    if (!is_first) {
      Find(newest->second).next_of_key = number;
      newest->second = number;
      is_ready = false;
    }
  }
  entries_.push_back(Entry{std::move(record)});
  if (is_ready) ready_.insert(ready_.end(), number);
}

WindowRecord* ShardWindow::NextReady(SequenceNumber from, absl::Duration now) {
  for (auto found = ready_.lower_bound(from); found != ready_.end(); ++found) {
    WindowRecord& record = Find(*found).record;
    if (record.due <= now) return &record;
  }
  return nullptr;
}

absl::Duration ShardWindow::NextDue() {
  absl::Duration next = absl::InfiniteDuration();
  for (const SequenceNumber number : ready_) next = std::min(next, Find(number).record.due);
  return next;
}

void ShardWindow::Settle(SequenceNumber sequence_number) {
  Entry& entry = Find(sequence_number);
  EDDY_CHECK(ready_.erase(sequence_number) == 1);
  entry.settled = true;
  --unsettled_count_;
  unsettled_bytes_ -= entry.record.bytes();
  if (entry.next_of_key != 0) {
    ready_.insert(entry.next_of_key);
  } else if (order_ == KeyOrder::kStrict) {
    newest_of_key_.erase(entry.record.partition_key);
  }
  // It may have to stand here for long behind an earlier one: only as a number.
  entry.record = WindowRecord{};
  entry.record.sequence_number = sequence_number;
  while (!entries_.empty() && entries_.front().settled) entries_.pop_front();
}

ShardWindow::Entry& ShardWindow::Find(SequenceNumber sequence_number) {
  const auto found = std::lower_bound(
      entries_.begin(), entries_.end(), sequence_number,
      [](const Entry& e, SequenceNumber n) { return e.record.sequence_number < n; });
  EDDY_CHECK(found != entries_.end() && found->record.sequence_number == sequence_number &&
             !found->settled);
  return *found;
}

}  // namespace eddy::forward
