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

absl::StatusOr<PutResult> StreamImpl::Put(std::string_view partition_key,
                                          std::string_view data,
                                          const PutOptions& options) {
  if (ABSL_PREDICT_FALSE(options.durability > Durability::kPower)) {
    return CheckDurability(options.durability);  // says why
  }
  if (IsPower(options.durability, row_.durability)) {
    EDDY_RETURN_IF_ERROR(engine_.CheckMayCommit());
  }
  absl::StatusOr<PutResult> result =
      Accept({partition_key, data, options.explicit_hash_key},
             options.timeout.value_or(engine_.options().append_timeout));
  if (result.ok() && IsPower(options.durability, row_.durability)) {
    EDDY_RETURN_IF_ERROR(WaitCommitted(engine_, result->token));
  }
  return result;
}

ABSL_ATTRIBUTE_ALWAYS_INLINE inline absl::Status StreamImpl::Frame(
    const PutRecordsEntry& entry, char* hash_key, log::FrameParts* parts,
    ShardId* shard) {
  EDDY_RETURN_IF_ERROR(CheckRecord(entry.partition_key, entry.data));
  parts->kind = kRecordKind;
  parts->key = entry.partition_key;
  parts->body = entry.data;
  if (entry.explicit_hash_key.empty()) {
    *shard = router_.ByKey(entry.partition_key);
  } else {
    EDDY_ASSIGN_OR_RETURN(const HashKey hash,
                          ParseHashKey(entry.explicit_hash_key));
    *shard = router_.ByHash(hash);
    StoreHashKey(hash, hash_key);
    parts->kind = kRecordWithHashKeyKind;
    parts->head = {hash_key, kHashKeyBytes};
  }
  const Arrival arrival = arrival_.Now();
  parts->time_ms = arrival.time_ms;
  parts->time_trusted = arrival.trusted;
  return absl::OkStatus();
}

absl::StatusOr<PendingPut> StreamImpl::Prepare(const PutRecordsEntry& entry) {
  char hash_key[kHashKeyBytes];
  log::FrameParts parts;
  PendingPut put;
  EDDY_RETURN_IF_ERROR(Frame(entry, hash_key, &parts, &put.shard));
  put.frame = log::PendingFrame(&reader_.shard_log(put.shard), parts);
  return put;
}

absl::StatusOr<PutResult> StreamImpl::Accept(const PutRecordsEntry& entry,
                                             absl::Duration timeout) {
  char hash_key[kHashKeyBytes];
  log::FrameParts parts;
  ShardId shard;
  EDDY_RETURN_IF_ERROR(Frame(entry, hash_key, &parts, &shard));
  log::Log& log = reader_.shard_log(shard);
  if (ABSL_PREDICT_FALSE(parts.Bytes() > log.room())) {
    return log.CheckRoom(parts.Bytes());  // says why
  }
  const absl::StatusOr<log::Appended> appended = log.Append(parts, timeout);
  if (ABSL_PREDICT_FALSE(!appended.ok())) {
    // A record that is too large for the intake is accepted by its commit. If
    // that fails the caller must not hear kUnavailable, which says "accepted".
    if (!absl::IsUnavailable(appended.status())) return appended.status();
    return absl::ResourceExhaustedError(
        absl::StrCat("not accepted: ", appended.status().message()));
  }
  return PutResult{shard, appended->position, {log.id(), appended->end}};
}

absl::StatusOr<std::vector<absl::StatusOr<PutResult>>> StreamImpl::PutRecords(
    const std::vector<PutRecordsEntry>& entries, const PutOptions& options) {
  EDDY_RETURN_IF_ERROR(CheckRequest(entries));
  EDDY_RETURN_IF_ERROR(CheckDurability(options.durability));
  if (IsPower(options.durability, row_.durability)) {
    EDDY_RETURN_IF_ERROR(engine_.CheckMayCommit());
  }
  // One bound for the whole call: in a store whose disk is gone it must not
  // wait once for each of 500 records.
  const absl::Duration deadline =
      clock_->SinceBoot() +
      options.timeout.value_or(engine_.options().append_timeout);
  std::vector<absl::StatusOr<PutResult>> results;
  results.reserve(entries.size());
  for (PutRecordsEntry entry : entries) {
    if (entry.explicit_hash_key.empty()) {
      entry.explicit_hash_key = options.explicit_hash_key;
    }
    // A failure does not stop those behind it, as in the contract.
    results.push_back(Accept(entry, deadline - clock_->SinceBoot()));
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
        WaitCommitted(engine_, last[shard], deadline - clock_->SinceBoot());
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
