// The putting side of StreamImpl.
#include <algorithm>
#include <utility>

#include "absl/base/attributes.h"
#include "absl/base/optimization.h"
#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/stream/commit_wait.h"
#include "src/stream/hash_key.h"
#include "src/stream/record_frame.h"
#include "src/stream/record_rules.h"
#include "src/stream/stream.h"

namespace eddy::stream {

namespace {

// A record that is too large for the intake is accepted by its commit. If that
// fails the caller must not hear kUnavailable, which says "accepted".
absl::Status NotAccepted(const absl::Status& append) {
  if (!absl::IsUnavailable(append)) return append;
  return absl::ResourceExhaustedError(
      absl::StrCat("not accepted: ", append.message()));
}

absl::StatusOr<size_t> AppendNow(log::Log& log, const log::FrameParts& parts,
                                 log::Appended* appended) {
  const absl::StatusOr<log::Appended> one = log.TryAppend(parts);
  if (absl::IsInvalidArgument(one.status())) {  // it needs a commit
    return absl::ResourceExhaustedError(
        absl::StrCat("not accepted: the call's time is over: ", one.status().message()));
  }
  if (!one.ok()) return one.status();
  *appended = *one;
  return size_t{1};
}

}  // namespace

// Everything of a record's frame but its time. `hash_key` has room for
// kHashKeyBytes, and lives as long as `parts`.
ABSL_ATTRIBUTE_ALWAYS_INLINE inline absl::Status StreamImpl::Frame(
    std::string_view partition_key, std::string_view data,
    std::string_view explicit_hash_key, char* hash_key, ShardId* shard,
    log::FrameParts* parts) const {
  if (ABSL_PREDICT_FALSE(!IsPlainRecord(partition_key, data))) {
    EDDY_RETURN_IF_ERROR(CheckRecord(partition_key, data));
  }
  parts->kind = kRecordKind;
  parts->key = partition_key;
  parts->body = data;
  if (explicit_hash_key.empty()) {
    *shard = router_.ByKey(partition_key);
  } else {
    EDDY_ASSIGN_OR_RETURN(const HashKey hash, ParseHashKey(explicit_hash_key));
    *shard = router_.ByHash(hash);
    StoreHashKey(hash, hash_key);
    parts->kind = kRecordWithHashKeyKind;
    parts->head = {hash_key, kHashKeyBytes};
  }
  const log::Log& log = reader_.shard_log(*shard);
  if (ABSL_PREDICT_FALSE(parts->Bytes() > log.room())) {
    return log.CheckRoom(parts->Bytes());  // says why
  }
  return absl::OkStatus();
}

absl::StatusOr<PendingPut> StreamImpl::Prepare(const PutRecordsEntry& entry) {
  char hash_key[kHashKeyBytes];
  log::FrameParts parts;
  PendingPut put;
  EDDY_RETURN_IF_ERROR(Frame(entry.partition_key, entry.data, entry.explicit_hash_key, hash_key,
                             &put.shard, &parts));
  const Arrival arrival = arrival_.Now();
  parts.time_ms = arrival.time_ms;
  parts.time_trusted = arrival.trusted;
  put.frame = log::PendingFrame(&reader_.shard_log(put.shard), parts);
  return put;
}

// The views one by one, as they come in registers: a struct of them is copied by loads
// that are wider than the stores before them, and wait for these.
ABSL_ATTRIBUTE_ALWAYS_INLINE inline absl::StatusOr<PutResult> StreamImpl::Accept(
    std::string_view partition_key, std::string_view data,
    std::string_view explicit_hash_key, absl::Duration timeout) {
  char hash_key[kHashKeyBytes];
  ShardId shard = 0;
  log::FrameParts parts;
  EDDY_RETURN_IF_ERROR(
      Frame(partition_key, data, explicit_hash_key, hash_key, &shard, &parts));
  const Arrival arrival = arrival_.Now();
  parts.time_ms = arrival.time_ms;
  parts.time_trusted = arrival.trusted;
  log::Log& log = reader_.shard_log(shard);
  const absl::StatusOr<log::Appended> appended = log.Append(parts, timeout);
  if (ABSL_PREDICT_FALSE(!appended.ok())) return NotAccepted(appended.status());
  return PutResult{shard, appended->position, {log.id(), appended->end}};
}

absl::StatusOr<PutResult> StreamImpl::Put(std::string_view partition_key,
                                          std::string_view data,
                                          const PutOptions& options) {
  if (ABSL_PREDICT_FALSE(options.durability > Durability::kPower)) {
    return CheckDurability(options.durability);  // says why
  }
  const absl::Duration timeout = options.timeout.value_or(append_timeout_);
  if (ABSL_PREDICT_TRUE(!IsPower(options.durability, row_.durability))) {
    // Made where the caller wants it, not copied there.
    return Accept(partition_key, data, options.explicit_hash_key, timeout);
  }
  EDDY_RETURN_IF_ERROR(engine_.CheckMayCommit());
  return PutDurably(partition_key, data, options.explicit_hash_key, timeout);
}

ABSL_ATTRIBUTE_NOINLINE absl::StatusOr<PutResult> StreamImpl::PutDurably(
    std::string_view partition_key, std::string_view data,
    std::string_view explicit_hash_key, absl::Duration timeout) {
  absl::StatusOr<PutResult> result = Accept(partition_key, data, explicit_hash_key, timeout);
  if (!result.ok()) return result;
  EDDY_RETURN_IF_ERROR(
      WaitCommitted(engine_, reader_.shard_log(result->shard), result->token.end));
  return result;
}

absl::StatusOr<std::vector<absl::StatusOr<PutResult>>> StreamImpl::PutRecords(
    const std::vector<PutRecordsEntry>& entries, const PutOptions& options) {
  EDDY_RETURN_IF_ERROR(CheckRequest(entries));
  EDDY_RETURN_IF_ERROR(CheckDurability(options.durability));
  if (IsPower(options.durability, row_.durability)) {
    EDDY_RETURN_IF_ERROR(engine_.CheckMayCommit());
  }
  // The good ones, those of one shard together: the log claims once for as many
  // as fit. A failure does not stop those behind it, as in the contract.
  struct Ready {
    size_t entry = 0;
    ShardId shard = 0;
    log::FrameParts parts;
    char hash_key[kHashKeyBytes];
  };
  std::vector<absl::StatusOr<PutResult>> results(entries.size());
  std::vector<Ready> ready;
  ready.reserve(entries.size());  // not moved: parts point to hash_key
  const Arrival arrival = arrival_.Now();
  bool in_order = true;  // of shards
  for (size_t i = 0; i < entries.size(); ++i) {
    PutRecordsEntry entry = entries[i];
    if (entry.explicit_hash_key.empty()) {
      entry.explicit_hash_key = options.explicit_hash_key;
    }
    Ready& one = ready.emplace_back();
    one.entry = i;
    const absl::Status prepared =
        Frame(entry.partition_key, entry.data, entry.explicit_hash_key, one.hash_key,
              &one.shard, &one.parts);
    if (!prepared.ok()) {
      results[i] = prepared;
      ready.pop_back();
      continue;
    }
    one.parts.time_ms = arrival.time_ms;
    one.parts.time_trusted = arrival.trusted;
    if (ready.size() > 1 && one.shard < ready[ready.size() - 2].shard) {
      in_order = false;
    }
  }
  std::vector<const Ready*> sorted;
  sorted.reserve(ready.size());
  for (const Ready& one : ready) sorted.push_back(&one);
  if (!in_order) {
    std::stable_sort(
        sorted.begin(), sorted.end(),
        [](const Ready* a, const Ready* b) { return a->shard < b->shard; });
  }
  std::vector<log::FrameParts> frames;
  frames.reserve(sorted.size());
  for (const Ready* one : sorted) frames.push_back(one->parts);
  std::vector<log::Appended> appended(sorted.size());

  // One bound for the whole call: in a store whose disk is gone it must not
  // wait once for each of 500 records.
  const absl::Duration timeout =
      options.timeout.value_or(append_timeout_);
  const absl::Duration deadline = clock_->SinceBoot() + timeout;
  absl::Duration left = timeout;
  for (size_t at = 0; at < sorted.size();) {
    const ShardId shard = sorted[at]->shard;
    size_t end = at + 1;
    while (end < sorted.size() && sorted[end]->shard == shard) ++end;
    log::Log& log = reader_.shard_log(shard);
    while (at < end) {
      // Once the time is over nothing is waited for, nor is a commit led, which takes as
      // long as the disk does: what finds room is still accepted.
      const bool is_late = at > 0 && left <= absl::ZeroDuration();
      const absl::StatusOr<size_t> count =
          is_late ? AppendNow(log, frames[at], &appended[at])
                  : log.AppendBatch(&frames[at], end - at, left, &appended[at]);
      if (!count.ok()) {
        results[sorted[at]->entry] = NotAccepted(count.status());
        ++at;
      }
      for (size_t i = 0; count.ok() && i < *count; ++i, ++at) {
        results[sorted[at]->entry] = PutResult{
            shard, appended[at].position, {log.id(), appended[at].end}};
      }
      if (at < sorted.size()) left = deadline - clock_->SinceBoot();
    }
  }
  if (IsPower(options.durability, row_.durability)) WaitForAll(&results);
  return results;
}

// The first wait commits all of them: one sync for the call.
void StreamImpl::WaitForAll(std::vector<absl::StatusOr<PutResult>>* results) {
  std::vector<CommitToken> last(shard_count());
  for (const absl::StatusOr<PutResult>& result : *results) {
    if (!result.ok()) continue;
    CommitToken& token = last[result->shard];
    if (result->token.end > token.end) token = result->token;
  }
  const absl::Duration deadline = clock_->SinceBoot() + kCommitWaitMax;
  for (ShardId shard = 0; shard < last.size(); ++shard) {
    if (last[shard].end == 0) continue;
    const absl::Status committed =
        WaitCommitted(engine_, reader_.shard_log(shard), last[shard].end,
                      deadline - clock_->SinceBoot());
    if (committed.ok()) continue;
    const uint64_t reached = reader_.shard_log(shard).committed();
    for (absl::StatusOr<PutResult>& result : *results) {
      if (result.ok() && result->shard == shard &&
          result->token.end > reached) {
        result = committed;
      }
    }
  }
}

}  // namespace eddy::stream
