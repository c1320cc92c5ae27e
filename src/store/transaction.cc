#include "src/store/transaction.h"

#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/log/log.h"

namespace eddy {
namespace {

absl::Status NotOurs(const char* what, const std::string& name) {
  return absl::InvalidArgumentError(
      absl::StrCat(what, " ", name, " is not one of the store whose transaction this is"));
}

}  // namespace

absl::Status TransactionImpl::Fail(absl::Status status) {
  if (failed_.ok()) failed_ = std::move(status);
  return failed_;
}

absl::Status TransactionImpl::AddChange() {
  if (!failed_.ok()) return failed_;
  if (changes_ == kTransactionChangesMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("a transaction of ", changes_ + 1, " puts, sends, deletes and moves: at most ",
                     kTransactionChangesMax, " are allowed"));
  }
  ++changes_;
  return absl::OkStatus();
}

absl::Status TransactionImpl::AddFrame(const log::PendingFrame& frame) {
  bytes_ += frame.Bytes();
  if (bytes_ > kTransactionBytesMax) {
    return absl::InvalidArgumentError(absl::StrCat(
        "a transaction with records and messages of ", bytes_, " bytes: at most ",
        kTransactionBytesMax, " are allowed"));
  }
  return frame.log->CheckRoom(bytes_);
}

TransactionImpl::Slot TransactionImpl::Place(const log::PendingFrame& frame) {
  const auto [place, is_new] = places_.try_emplace(frame.log, frames_.size());
  if (is_new) frames_.emplace_back().log = frame.log;
  std::vector<log::FrameParts>& frames = frames_[place->second].frames;
  frames.push_back(frame.Parts());
  return {place->second, frames.size() - 1};
}

absl::Status TransactionImpl::Put(Stream& stream, std::string_view partition_key,
                                  std::string_view data, std::string_view explicit_hash_key) {
  stream::StreamImpl* const to = views_->Find(stream);
  if (to == nullptr) return Fail(NotOurs("stream", stream.name()));
  absl::StatusOr<stream::PendingPut> put = to->Prepare({partition_key, data, explicit_hash_key});
  if (!put.ok()) return Fail(put.status());
  absl::Status added = AddChange();
  if (added.ok()) added = AddFrame(put->frame);
  if (!added.ok()) return Fail(added);
  NotedPut& noted = puts_.emplace_back();
  noted.put = *std::move(put);
  noted.slot = Place(noted.put.frame);
  return absl::OkStatus();
}

absl::Status TransactionImpl::Send(Queue& queue, std::string_view body,
                                   std::optional<absl::Duration> delay) {
  queue::QueueImpl* const to = views_->Find(queue);
  if (to == nullptr) return Fail(NotOurs("queue", queue.name()));
  absl::StatusOr<queue::PendingSend> send = to->Prepare(body, delay);
  if (!send.ok()) return Fail(send.status());
  absl::Status added = AddChange();
  if (added.ok()) added = AddFrame(send->frame);
  if (!added.ok()) return Fail(added);
  NotedSend& noted = sends_.emplace_back();
  noted.queue = to;
  noted.send = *std::move(send);
  noted.slot = Place(noted.send.frame);
  return absl::OkStatus();
}

absl::Status TransactionImpl::Delete(Queue& queue, std::string_view receipt_handle) {
  queue::QueueImpl* const from = views_->Find(queue);
  if (from == nullptr) return Fail(NotOurs("queue", queue.name()));
  const absl::Status added = AddChange();
  if (!added.ok()) return Fail(added);
  const absl::StatusOr<uint64_t> held = from->Hold(receipt_handle);
  if (!held.ok()) return Fail(held.status());
  held_[from].push_back(*held);
  return absl::OkStatus();
}

absl::Status TransactionImpl::Advance(Cursor& cursor, ShardId shard, SequenceNumber next) {
  stream::CursorSet* const set = views_->Find(cursor);
  if (set == nullptr) return Fail(NotOurs("cursor", cursor.name()));
  const absl::Status added = AddChange();
  if (!added.ok()) return Fail(added);
  absl::StatusOr<stream::CursorSet::PendingMove> move = set->PrepareMove(cursor, shard, next);
  if (!move.ok()) return Fail(move.status());
  moves_.push_back(*std::move(move));
  return absl::OkStatus();
}

absl::Status TransactionImpl::Run(Sql& sql) {
  sql_ = &sql;
  const absl::Status returned = function_(*this);
  sql_ = nullptr;
  return returned.ok() ? failed_ : returned;
}

absl::Status TransactionImpl::Write(sql::Database& db) {
  for (const auto& [queue, held] : held_) EDDY_RETURN_IF_ERROR(queue->WriteGone(db, held));
  for (const stream::CursorSet::PendingMove& move : moves_) {
    EDDY_RETURN_IF_ERROR(move.set->WriteMove(db, move));
  }
  return absl::OkStatus();
}

void TransactionImpl::Finish(bool committed) {
  for (const auto& [queue, held] : held_) queue->EndHold(held, committed);
  if (!committed) {
    for (const NotedSend& sent : sends_) sent.queue->Wake();
    return;
  }
  for (const stream::CursorSet::PendingMove& move : moves_) move.set->ApplyMove(move);
  for (const NotedPut& noted : puts_) {
    const log::Appended& at = AppendedAt(noted.slot);
    result_.puts.push_back(
        {noted.put.shard, at.position, {noted.put.frame.log->id(), at.end}});
  }
  for (const NotedSend& sent : sends_) {
    result_.sends.push_back(sent.queue->NoteSent(sent.send, AppendedAt(sent.slot)));
  }
}

}  // namespace eddy
