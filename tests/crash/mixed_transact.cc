// The transactions of a mixed run: records in both shards of the first stream, a
// message sent, one deleted, a cursor moved and a row, or some of these. One in six is
// given up by its function.
#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "tests/crash/mixed_run.h"

namespace eddy::crash {
namespace {

constexpr char kMakeTable[] = "CREATE TABLE IF NOT EXISTS app_done (number INTEGER PRIMARY KEY)";

}  // namespace

KnownTransaction MixedRun::PlanTransaction(std::string* receipt_handle) {
  KnownTransaction plan;
  for (uint32_t i = random_.Below(4u); i > 0; --i) {
    KnownRecord record;
    record.number = world_.next_number++;
    record.bytes = SomeBytes();
    const size_t shard = random_.Below(size_t{2});
    world_.shards[shard].records.push_back(record);
    plan.records.emplace_back(shard, record.number);
  }
  if (random_.OneIn(2)) {
    const uint32_t number = world_.next_number++;
    world_.messages[number].bytes = SomeBytes();
    plan.sent.push_back(number);
  }
  if (!in_flight_.empty() && random_.OneIn(2)) {
    *receipt_handle = in_flight_.back().second;
    plan.deleted.push_back(in_flight_.back().first);
    in_flight_.pop_back();
  }
  plan.shard = random_.Below(size_t{2});
  if (random_.OneIn(2)) {
    GetRecordsOptions some;
    some.limit = 1 + random_.Below(size_t{10});
    const auto batch = CursorOf(plan.shard)->Read(IdOf(plan.shard), some);
    if (Answered("Cursor::Read", batch) && !batch->records.empty()) {
      plan.cursor = batch->next_sequence_number;
    }
  }
  return plan;
}

absl::Status MixedRun::RunPlan(const KnownTransaction& plan, uint32_t number,
                               const std::string& receipt_handle, Transaction& t) {
  for (const auto& [shard, record] : plan.records) {
    const std::string data = Bytes(record, world_.FindRecord(shard, record)->bytes);
    const absl::Status put = t.Put(*streams_[0], "key", data, HashKeyOf(shard));
    if (!put.ok()) return put;
  }
  for (const uint32_t sent : plan.sent) {
    const absl::Status status = t.Send(*queue_, Bytes(sent, world_.messages[sent].bytes));
    if (!status.ok()) return status;
  }
  if (!plan.deleted.empty()) {
    const absl::Status deleted = t.Delete(*queue_, receipt_handle);
    if (!deleted.ok()) return deleted;
  }
  if (plan.cursor != 0) {
    const absl::Status moved = t.Advance(*CursorOf(plan.shard), IdOf(plan.shard), plan.cursor);
    if (!moved.ok()) return moved;
  }
  absl::Status row = t.sql().Run(kMakeTable).status();
  if (row.ok()) row = t.sql().Run("INSERT INTO app_done VALUES (?)", {int64_t{number}}).status();
  return row;
}

void MixedRun::DoTransact() {
  std::string receipt_handle;
  const uint32_t number = world_.next_number++;
  const KnownTransaction plan = PlanTransaction(&receipt_handle);
  world_.open_transactions[number] = plan;
  const bool give_up = random_.OneIn(6);
  const absl::StatusOr<TransactResult> result = store_->Transact([&](Transaction& t) {
    const absl::Status run = RunPlan(plan, number, receipt_handle, t);
    return run.ok() && give_up ? absl::CancelledError("given up") : run;
  });
  Say("Transact", result.status(), absl::StrCat(number));
  if (absl::IsCancelled(result.status()) || absl::IsAborted(result.status())) {
    // Aborted: the message was received again, or is gone, so nothing was committed.
    if (called_) called_();
    world_.Decide(plan, /*is_there=*/false);
    world_.open_transactions.erase(number);
    return;
  }
  if (!Answered("Transact", result)) {
    // Nobody may see anything of it; but a death may find that it was committed.
    world_.Decide(plan, /*is_there=*/false);
    return;
  }
  world_.Decide(plan, /*is_there=*/true);
  world_.open_transactions.erase(number);
  world_.rows.insert(number);
  for (size_t i = 0; i < plan.records.size(); ++i) {
    const auto [shard, record] = plan.records[i];
    KnownRecord* const known = world_.FindRecord(shard, record);
    Accepted(shard, known, result->puts[i], Durability::kPower);
    known->whole = false;  // judged by itself from now on
  }
}

// J7. What was open is decided then.
void MixedRun::JudgeTransactions() {
  std::set<uint32_t> there;
  const absl::StatusOr<std::vector<SqlRow>> rows = store_->Query("SELECT number FROM app_done");
  // Without the table there is no transaction.
  if (rows.ok()) {
    for (const SqlRow& row : *rows) there.insert(static_cast<uint32_t>(std::get<int64_t>(row[0])));
  } else {
    Hold(absl::IsInvalidArgument(rows.status()), rows.status().ToString());
  }
  for (const uint32_t number : world_.rows) {
    Hold(there.count(number) == 1, "a transaction is lost");
  }
  for (const uint32_t number : there) {
    const bool known = world_.rows.count(number) + world_.open_transactions.count(number) > 0;
    Hold(known, "a transaction that failed is there");
  }
  for (const auto& [number, transaction] : world_.open_transactions) {
    const bool is_there = there.count(number) == 1;
    world_.Decide(transaction, is_there);
    (is_there ? sights_.transactions_there : sights_.transactions_gone) += 1;
  }
  world_.open_transactions.clear();
  world_.rows = std::move(there);
}

}  // namespace eddy::crash
