// The work; the judge is in mixed_judge.cc.
#include "tests/crash/mixed_run.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace eddy::crash {
namespace {

constexpr char kDirectory[] = "/store";
constexpr const char* kStreams[] = {"trimmed", "kept"};
constexpr char kCursor[] = "c";
constexpr char kQueue[] = "q";
constexpr char kDeadQueue[] = "dead";
constexpr uint64_t kRecordsKept = 12;
constexpr const char* kHashKeys[] = {"0", "340282366920938463463374607431768211455"};

}  // namespace

MixedRun::MixedRun(testing::Device* device, MixedOptions options)
    : MixedRun(device, options, World()) {}

MixedRun::MixedRun(testing::Device* device, MixedOptions options, World world)
    : device_(device), options_(options), random_(options.seed), world_(std::move(world)) {}

void MixedRun::Hold(bool promise, std::string_view otherwise) {
  if (!promise && broken_.empty()) broken_ = std::string(otherwise);
}

void MixedRun::Say(std::string_view call, const absl::Status& status, std::string_view more) {
  if (!trace_) return;
  trace_(absl::StrCat(absl::FormatDuration(device_->clock.SinceBoot()), " ",
                      std::string(call), ": ", absl::StatusCodeToString(status.code()), " ",
                      std::string(more)));
}

bool MixedRun::IsSuccess(std::string_view call, const absl::Status& status) {
  if (status.ok() || device_->disk.PowerIsOff()) return status.ok();
  const bool disk_said = absl::IsUnavailable(status) || absl::IsResourceExhausted(status);
  Hold(options_.bad_disk && disk_said, absl::StrCat(std::string(call), ": ", status.ToString()));
  return false;
}

// --- Opening.

bool MixedRun::Open() {
  StoreOptions options;
  options.platform = device_->platform();
  options.threads = false;
  options.intake_bytes = options_.intake_bytes;
  options.append_timeout = absl::Milliseconds(100);
  absl::StatusOr<std::unique_ptr<Store>> store = Store::Open(kDirectory, options);
  status_ = store.status();
  if (called_) called_();
  if (!store.ok()) return false;
  store_ = *std::move(store);
  in_flight_.clear();
  status_ = OpenAll();
  return status_.ok();
}

absl::Status MixedRun::OpenAll() {
  StreamOptions trimmed;
  trimmed.shard_count = 2;
  StreamOptions kept;
  kept.retention.records = kRecordsKept;
  kept.retention.age = options_.age;
  const StreamOptions* const how[] = {&trimmed, &kept};
  for (size_t i = 0; i < 2; ++i) {
    const absl::StatusOr<Stream*> stream = OpenStream(kStreams[i], *how[i]);
    if (!stream.ok()) return stream.status();
    streams_[i] = *stream;
    if (absl::Status cursor = OpenCursor(i); !cursor.ok()) return cursor;
  }
  const absl::StatusOr<Queue*> dead = OpenQueue(kDeadQueue, {});
  if (!dead.ok()) return dead.status();
  dead_ = *dead;
  QueueOptions queue_options;
  queue_options.visibility_timeout = absl::Seconds(5);
  queue_options.dead_letter_queue = kDeadQueue;
  queue_options.max_receive_count = kReceivesMax;
  const absl::StatusOr<Queue*> queue = OpenQueue(kQueue, queue_options);
  if (!queue.ok()) return queue.status();
  queue_ = *queue;
  return absl::OkStatus();
}

absl::StatusOr<Stream*> MixedRun::OpenStream(const std::string& name,
                                             const StreamOptions& options) {
  absl::StatusOr<Stream*> stream = store_->OpenStream(name);
  if (stream.ok()) return stream;
  Hold(world_.made.count(name) == 0, absl::StrCat("the stream ", name, " is lost"));
  stream = store_->CreateStream(name, options);
  if (called_) called_();
  if (stream.ok()) world_.made.insert(name);
  return stream;
}

absl::StatusOr<Queue*> MixedRun::OpenQueue(const std::string& name, const QueueOptions& options) {
  absl::StatusOr<Queue*> queue = store_->OpenQueue(name);
  if (queue.ok()) return queue;
  Hold(world_.made.count(name) == 0, absl::StrCat("the queue ", name, " is lost"));
  queue = store_->CreateQueue(name, options);
  if (called_) called_();
  if (queue.ok()) world_.made.insert(name);
  return queue;
}

absl::Status MixedRun::OpenCursor(size_t stream) {
  const absl::StatusOr<Cursor*> cursor = streams_[stream]->OpenCursor(kCursor);
  if (called_) called_();
  if (!cursor.ok()) return cursor.status();
  cursors_[stream] = *cursor;
  return absl::OkStatus();
}

// --- The works.

void MixedRun::Step() {
  switch (random_.Below(13)) {
    case 0:
    case 1:
    case 2: DoPut(); break;
    case 3: DoPutRecords(); break;
    case 4:
    case 5: DoSend(); break;
    case 6:
    case 7: DoReceive(); break;
    case 8: DoCursor(); break;
    case 9: DoTrim(); break;
    case 10: DoTransact(); break;
    case 11: device_->clock.Advance(absl::Milliseconds(300)); break;
    default: DoCommit(); break;
  }
  NoteCommitted();
}

const char* MixedRun::HashKeyOf(size_t shard) { return kHashKeys[IdOf(shard)]; }

Durability MixedRun::Level() {
  if (options_.level == Durability::kPower) return Durability::kPower;
  return random_.OneIn(8) ? Durability::kPower : Durability::kProcess;
}

uint32_t MixedRun::SomeBytes() {
  if (random_.OneIn(30)) return 100'000;  // straight into a commit
  return random_.OneIn(4) ? random_.Below(6000u) : random_.Below(300u);
}

void MixedRun::Accepted(size_t shard, KnownRecord* record,
                        const absl::StatusOr<PutResult>& result, Durability level) {
  if (!result.ok()) {
    // A large record that was refused may turn up nevertheless: see Stream::Put.
    const bool refused = absl::IsResourceExhausted(result.status()) && record->bytes < kLargeBytes;
    if (refused) record->outcome = Outcome::kRefused;
    return;
  }
  Hold(result->shard == IdOf(shard), "a record went to another shard");
  Hold(result->sequence_number > world_.shards[shard].highest, "a sequence number was given twice");
  world_.shards[shard].highest = result->sequence_number;
  record->outcome = Outcome::kAccepted;
  record->sequence_number = result->sequence_number;
  record->durable = level == Durability::kPower;
}

void MixedRun::DoPut() {
  const size_t shard = std::min(random_.Below(size_t{5}), kShardCount - 1);
  const Durability level = Level();
  KnownRecord record;
  record.number = world_.next_number++;
  record.bytes = SomeBytes();
  std::vector<KnownRecord>& records = world_.shards[shard].records;
  records.push_back(record);
  PutOptions options;
  options.durability = level;
  options.explicit_hash_key = HashKeyOf(shard);
  const absl::StatusOr<PutResult> result =
      StreamOf(shard)->Put("key", Bytes(record.number, record.bytes), options);
  Answered("Put", result);
  Accepted(shard, &records.back(), result, level);
  Say("Put", result.status(), result.ok() ? absl::StrCat(result->sequence_number) : "");
}

// Both shards of the first stream in one call.
void MixedRun::DoPutRecords() {
  constexpr size_t kEntries = 4;
  const Durability level = Level();
  std::vector<std::string> data;
  for (size_t i = 0; i < kEntries; ++i) {
    KnownRecord record;
    record.number = world_.next_number++;
    record.bytes = SomeBytes();
    world_.shards[i % 2].records.push_back(record);
    data.push_back(Bytes(record.number, record.bytes));
  }
  std::vector<PutRecordsEntry> entries;
  for (size_t i = 0; i < kEntries; ++i) entries.push_back({"key", data[i], kHashKeys[i % 2]});
  PutOptions options;
  options.durability = level;
  const auto results = streams_[0]->PutRecords(entries, options);
  const bool called = Answered("PutRecords", results);
  Say("PutRecords", results.status());
  for (size_t i = 0; called && i < kEntries; ++i) {
    std::vector<KnownRecord>& records = world_.shards[i % 2].records;
    KnownRecord* const record = &records[records.size() - (kEntries - i + 1) / 2];
    Accepted(i % 2, record, (*results)[i], level);
    Say("entry", (*results)[i].status());
    if (!(*results)[i].ok() && !options_.bad_disk) {
      Hold(device_->disk.PowerIsOff(), (*results)[i].status().ToString());
    }
  }
}

void MixedRun::DoSend() {
  const Durability level = Level();
  const uint32_t number = world_.next_number++;
  KnownMessage& message = world_.messages[number];
  message.bytes = SomeBytes();
  SendOptions options;
  options.durability = level;
  if (random_.OneIn(4)) options.delay = absl::Seconds(random_.Below(4));
  const absl::StatusOr<SendResult> result = queue_->Send(Bytes(number, message.bytes), options);
  Answered("Send", result);
  Say("Send", result.status());
  if (!result.ok()) {
    const bool refused = absl::IsResourceExhausted(result.status()) && message.bytes < kLargeBytes;
    if (refused) message.outcome = Outcome::kRefused;
    return;
  }
  message.outcome = Outcome::kAccepted;
  message.durable = level == Durability::kPower;
}

void MixedRun::DoReceive() {
  const Durability level = Level();
  ReceiveOptions options;
  options.max_messages = 1 + random_.Below(4);
  options.durability = level;
  if (random_.OneIn(6)) options.wait_time = absl::Milliseconds(700);
  // Any message may now be shown once more, whatever comes back.
  std::map<uint32_t, int> before;
  for (auto& [number, message] : world_.messages) before[number] = message.count_tried++;
  const absl::StatusOr<std::vector<Message>> result = queue_->Receive(options);
  if (!Answered("Receive", result)) {
    Say("Receive", result.status());
    return;
  }
  for (auto& [number, message] : world_.messages) message.count_tried = before[number];
  std::string shown;
  for (const Message& received : *result) {
    const uint32_t number = NumberOf(received.body);
    const auto found = world_.messages.find(number);
    Hold(found != world_.messages.end(), "a message that was never sent was received");
    if (found == world_.messages.end()) continue;
    KnownMessage& message = found->second;
    Hold(AreBytes(received.body, number, message.bytes), "a message is not whole");
    if (message.has_twin) continue;
    Hold(!message.erase_accepted, "a deleted message was received");
    Hold(message.outcome != Outcome::kRefused, "a refused message was received");
    Hold(received.receive_count > message.count_accepted, "a receive count was forgotten");
    message.count_accepted = received.receive_count;
    message.count_tried = std::max(message.count_tried, received.receive_count);
    if (level == Durability::kPower) message.count_durable = received.receive_count;
    absl::StrAppend(&shown, " ", number, "/", received.receive_count);
  }
  Say("Receive", result.status(), shown);
  for (const Message& received : *result) DoSettle(received);
}

void MixedRun::DoSettle(const Message& received) {
  const auto found = world_.messages.find(NumberOf(received.body));
  if (found == world_.messages.end()) return;
  KnownMessage& message = found->second;
  const Durability level = Level();
  switch (random_.Below(4)) {
    case 0:
    case 1: {
      message.erase_tried = true;
      const absl::Status erased = queue_->Delete(received.receipt_handle, level);
      Say("Delete", erased, absl::StrCat(NumberOf(received.body), level == Durability::kPower ? " P" : " p"));
      if (!Answered("Delete", erased)) return;
      message.erase_accepted = true;
      if (level == Durability::kPower) message.erase_durable = true;
      return;
    }
    case 2: {
      const absl::Status changed = queue_->ChangeVisibility(
          received.receipt_handle, absl::Seconds(random_.Below(20)), level);
      Say("ChangeVisibility", changed);
      Answered("ChangeVisibility", changed);
      return;
    }
    default:
      in_flight_.emplace_back(NumberOf(received.body), received.receipt_handle);
      return;
  }
}

void MixedRun::DoCursor() {
  const size_t shard = random_.Below(kShardCount);
  const Durability level = Level();
  GetRecordsOptions some;
  some.limit = 1 + random_.Below(size_t{10});
  if (random_.OneIn(4)) some.wait_time = absl::Milliseconds(300);
  const absl::StatusOr<RecordBatch> batch = CursorOf(shard)->Read(IdOf(shard), some);
  Say("Read", batch.status(), batch.ok() ? absl::StrCat(batch->records.size()) : "");
  if (!Answered("Cursor::Read", batch) || batch->records.empty()) return;
  const SequenceNumber next = batch->next_sequence_number;
  KnownPlace& place = world_.shards[shard].cursor;
  place.tried = std::max(place.tried, next);
  const absl::Status moved = CursorOf(shard)->Advance(IdOf(shard), next, level);
  Say("Advance", moved, absl::StrCat(next));
  if (!Answered("Advance", moved)) return;
  place.accepted = next;
  if (level == Durability::kPower) place.durable = next;
}

// All that is committed, of which nothing may remain then, or up to some record.
void MixedRun::DoTrim() {
  const size_t shard = random_.Below(size_t{2});
  KnownShard& known = world_.shards[shard];
  const bool all = random_.OneIn(2);
  SequenceNumber before = streams_[0]->Describe().shards[shard].committed;
  if (!all) {
    if (known.records.empty()) return;
    before = known.records[random_.Below(known.records.size())].sequence_number;
  }
  known.trim.tried = std::max(known.trim.tried, before);
  const absl::Status trimmed = streams_[0]->Trim(IdOf(shard), before);
  Say("Trim", trimmed, absl::StrCat(before));
  if (Answered("Trim", trimmed) && all) {
    known.trim.accepted = std::max(known.trim.accepted, before);
  }
}

// A flush, or what the background thread does when the interval has passed or not.
void MixedRun::DoCommit() {
  if (random_.OneIn(3)) {
    Flush();
    return;
  }
  const bool due = random_.OneIn(2);
  if (due) device_->clock.Advance(absl::Seconds(1));
  const absl::Duration pause = store_->Pump();
  if (called_) called_();
  const StoreStats stats = store_->Stats();
  Say("Pump", stats.last_commit,
      absl::StrCat(absl::FormatDuration(pause), ", commits ", stats.commits));
  const bool covered = due && stats.last_commit.ok() && !device_->disk.PowerIsOff();
  if (covered && !options_.bad_disk) world_.AllIsDurable();
}

bool MixedRun::Flush() {
  const absl::Status flushed = store_->Flush();
  Say("Flush", flushed);
  if (!Answered("Flush", flushed)) return false;
  world_.AllIsDurable();
  return true;
}

// What the store itself says to be committed.
void MixedRun::NoteCommitted() {
  if (device_->disk.PowerIsOff()) return;
  for (size_t i = 0; i < streams_.size(); ++i) {
    const StreamDescription description = streams_[i]->Describe();
    for (const ShardDescription& shard : description.shards) {
      for (KnownRecord& record : world_.shards[i * 2 + shard.shard].records) {
        const bool accepted = record.outcome == Outcome::kAccepted;
        if (accepted && record.sequence_number < shard.committed) record.durable = true;
      }
      if (trace_) {
        Say("shard", absl::OkStatus(),
            absl::StrCat(shard.oldest, " ", shard.committed, " ", shard.next));
      }
    }
  }
}

}  // namespace eddy::crash
