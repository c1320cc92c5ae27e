// The judge of a mixed run; its promises stand in mixed_run.h.
#include <algorithm>
#include <map>

#include "absl/strings/str_cat.h"
#include "tests/crash/mixed_run.h"

namespace eddy::crash {

struct MixedRun::Found {
  uint64_t dropped = 0;          // as the gaps count it
  SequenceNumber dropped_to = 0;  // inclusive
  std::vector<SequenceNumber> sequence_numbers;
  std::vector<uint32_t> numbers;
};

void Sights::Add(const Sights& more) {
  gaps += more.gaps;
  dead_letters += more.dead_letters;
  trims += more.trims;
  open_there += more.open_there;
  open_gone += more.open_gone;
  accepted_gone += more.accepted_gone;
  transactions_there += more.transactions_there;
  transactions_gone += more.transactions_gone;
}

void MixedRun::Judge() {
  // What a cut, a kill or a failing disk leaves is no damage.
  Hold(store_->Stats().salvage.set_asides == 0, "a sound database was set aside");
  // Delays and leases end; so what is there can be received.
  device_->clock.Advance(absl::Minutes(1));
  JudgeTransactions();  // first: what else is to be there depends on them
  for (size_t shard = 0; shard < kShardCount; ++shard) JudgeShard(shard);
  JudgeMessages();
}

MixedRun::Found MixedRun::ReadAll(size_t shard) {
  Found found;
  const KnownShard& known = world_.shards[shard];
  std::map<uint32_t, uint32_t> bytes;  // by number
  for (const KnownRecord& record : known.records) bytes[record.number] = record.bytes;
  absl::StatusOr<std::string> iterator = StreamOf(shard)->GetShardIterator(
      IdOf(shard), {ShardIteratorType::kAtSequenceNumber, 0, {}});
  for (;;) {
    Hold(iterator.ok(), iterator.status().ToString());
    if (!iterator.ok()) return found;
    const absl::StatusOr<RecordBatch> batch = StreamOf(shard)->GetRecords(*iterator);
    Hold(batch.ok(), batch.status().ToString());
    if (!batch.ok()) return found;
    if (batch->gap) {
      Hold(found.numbers.empty(), "a gap between records");
      Hold(batch->gap->first > found.dropped_to, "two gaps overlap");
      found.dropped += batch->gap->count;
      found.dropped_to = batch->gap->last;
    }
    if (batch->records.empty() && !batch->gap) return found;
    for (const Record& record : batch->records) {
      const uint32_t number = NumberOf(record.data);
      const auto put = bytes.find(number);
      Hold(put != bytes.end(), "a record that was never put, or lies in another shard");
      if (put == bytes.end()) return found;
      Hold(AreBytes(record.data, number, put->second), "a record is not whole");
      found.sequence_numbers.push_back(record.sequence_number);
      found.numbers.push_back(number);
    }
    iterator = batch->next_shard_iterator;
  }
}

void MixedRun::JudgeShard(size_t shard) {
  const Found found = ReadAll(shard);
  if (!broken_.empty()) return;
  JudgeFront(shard, found);
  JudgeRecords(shard, found);
  JudgePlaces(shard);
}

// What the retention has dropped. Those records are forgotten then.
void MixedRun::JudgeFront(size_t shard, const Found& found) {
  KnownShard& known = world_.shards[shard];
  if (shard < 2) {
    Hold(found.dropped == 0, "a gap where only the user trims");
    return;
  }
  const SequenceNumber last = found.dropped_to;
  size_t gone = 0;  // so many of the first
  size_t open = 0;  // records of unknown outcome among them
  for (size_t i = 0; i < known.records.size(); ++i) {
    if (known.records[i].outcome != Outcome::kAccepted) continue;
    if (known.records[i].sequence_number <= last) gone = i + 1;
  }
  for (size_t i = 0; i < gone; ++i) open += known.records[i].outcome != Outcome::kAccepted;
  const uint64_t counted = found.dropped;
  const uint64_t most = known.dropped + gone;
  Hold(counted <= most && counted + open >= most, "a gap does not count what was dropped");
  for (const SequenceNumber number : found.sequence_numbers) {
    Hold(number > last, "a record lies in a gap");
  }
  known.dropped = counted;
  sights_.gaps += counted > 0;
  known.records.erase(known.records.begin(),
                      known.records.begin() + static_cast<std::ptrdiff_t>(gone));
}

void MixedRun::JudgeRecords(size_t shard, const Found& found) {
  KnownShard& known = world_.shards[shard];
  std::vector<KnownRecord> there;
  size_t next = 0;  // of what was found
  bool lost = false;
  for (const KnownRecord& record : known.records) {
    const bool is_next = next < found.numbers.size() && found.numbers[next] == record.number;
    if (is_next) {
      const SequenceNumber number = found.sequence_numbers[next];
      Hold(record.outcome != Outcome::kRefused, "a refused record is there");
      Hold(record.outcome != Outcome::kAccepted || record.sequence_number == number,
           "a record has another sequence number");
      Hold(next == 0 || found.sequence_numbers[next - 1] < number, "sequence numbers went back");
      Hold(!lost, "a record is lost before a later one");
      Hold(number >= known.trim.durable, "a trim was forgotten");
      known.highest = std::max(known.highest, number);
      sights_.open_there += record.outcome == Outcome::kOpen;
      there.push_back(record);
      there.back().outcome = Outcome::kAccepted;
      there.back().sequence_number = number;
      there.back().whole = false;
      ++next;
      continue;
    }
    Hold(!record.whole, "a transaction lacks a record");
    sights_.open_gone += record.outcome == Outcome::kOpen;
    if (record.outcome != Outcome::kAccepted || record.sequence_number < known.trim.tried) continue;
    Hold(!record.durable, "a durable record is lost");
    ++sights_.accepted_gone;
    lost = true;
  }
  Hold(next == found.numbers.size(), "a record is there twice or out of order");
  known.records = std::move(there);
}

void MixedRun::JudgePlaces(size_t shard) {
  KnownPlace& cursor = world_.shards[shard].cursor;
  const SequenceNumber position = CursorOf(shard)->Position(IdOf(shard));
  Hold(position >= cursor.durable, "a cursor went back");
  Hold(position <= cursor.tried, "a cursor is where nobody moved it");
  cursor = {position, position, position};
  // What a trim that was not durable has done or not is seen by now.
  KnownPlace& trim = world_.shards[shard].trim;
  sights_.trims += trim.durable > 0;
  trim = {trim.tried, trim.durable, trim.durable};
}

void MixedRun::JudgeMessages() {
  std::set<uint32_t> seen;
  JudgeQueue(queue_, /*dead=*/false, &seen);
  JudgeQueue(dead_, /*dead=*/true, &seen);
  for (auto it = world_.messages.begin(); it != world_.messages.end();) {
    if (seen.count(it->first) == 1) {
      ++it;
      continue;
    }
    Hold(!it->second.durable || it->second.erase_tried, "a durable message is lost");
    it = world_.messages.erase(it);
  }
}

void MixedRun::JudgeQueue(Queue* queue, bool dead, std::set<uint32_t>* seen) {
  ReceiveOptions options;
  options.max_messages = 10;
  options.visibility_timeout = absl::Hours(1);
  options.durability = Durability::kProcess;
  for (;;) {
    const absl::StatusOr<std::vector<Message>> result = queue->Receive(options);
    Hold(result.ok(), result.status().ToString());
    if (!result.ok() || result->empty()) return;
    for (const Message& received : *result) {
      const uint32_t number = NumberOf(received.body);
      const auto known = world_.messages.find(number);
      Hold(known != world_.messages.end(), "a message that was never sent is there");
      if (known == world_.messages.end()) return;
      KnownMessage& message = known->second;
      Hold(AreBytes(received.body, number, message.bytes), "a message is not whole");
      const bool again = !seen->insert(number).second;
      if (again && dead && message.bytes >= kLargeBytes) message.has_twin = true;
      if (message.has_twin) continue;
      Hold(!again, "a message is there twice");
      Hold(message.outcome != Outcome::kRefused, "a refused message is there");
      Hold(!message.erase_durable, "a deleted message came back");
      message.outcome = Outcome::kAccepted;
      message.erase_tried = message.erase_accepted = false;  // it was not, and is no more
      if (dead) {
        Hold(message.count_tried >= kReceivesMax, "a dead letter that was not received so often");
        message.dead = true;
        ++sights_.dead_letters;
        continue;
      }
      Hold(!message.dead, "a dead letter is alive again");
      Hold(received.receive_count > message.count_durable, "a receive count was forgotten");
      Hold(received.receive_count <= message.count_tried + 1, "a receive that never was is counted");
      message.count_tried = received.receive_count;
      message.count_accepted = received.receive_count;
    }
  }
}

void MixedRun::GoOn() {
  std::array<SequenceNumber, kShardCount> given = {};
  for (size_t shard = 0; shard < kShardCount; ++shard) {
    KnownShard& known = world_.shards[shard];
    KnownRecord record;
    record.number = world_.next_number++;
    PutOptions options;
    options.durability = Durability::kProcess;
    options.explicit_hash_key = HashKeyOf(shard);
    const absl::StatusOr<PutResult> put =
        StreamOf(shard)->Put("key", Bytes(record.number, 0), options);
    Hold(put.ok(), absl::StrCat("no record is accepted any more: ", put.status().ToString()));
    if (!put.ok()) return;
    Hold(put->sequence_number > known.highest, "a sequence number was given twice");
    given[shard] = known.highest = record.sequence_number = put->sequence_number;
    record.outcome = Outcome::kAccepted;
    known.records.push_back(record);
  }
  const absl::Status flushed = store_->Flush();
  Hold(flushed.ok(), absl::StrCat("nothing is committed any more: ", flushed.ToString()));
  if (!flushed.ok()) return;
  world_.AllIsDurable();
  for (size_t shard = 0; shard < kShardCount; ++shard) {
    const absl::StatusOr<std::string> iterator = StreamOf(shard)->GetShardIterator(
        IdOf(shard), {ShardIteratorType::kAtSequenceNumber, given[shard], {}});
    Hold(iterator.ok(), iterator.status().ToString());
    if (!iterator.ok()) return;
    const absl::StatusOr<RecordBatch> batch = StreamOf(shard)->GetRecords(*iterator);
    Hold(batch.ok() && batch->records.size() == 1 &&
             batch->records[0].sequence_number == given[shard],
         "what was put afterwards is not there");
  }
}

}  // namespace eddy::crash
