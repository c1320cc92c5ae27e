// TransactionImpl: what the user's function of Store::Transact does, gathered.
//
//   the function runs   records and messages are made and kept here; messages to be
//                       deleted are held in their queues; moves are noted; rows go
//                       into SQLite at once, within the engine's transaction
//   the round           frames into their logs, rows of queues and cursors
//   the end             results, or everything let go
//
// Depends on log/, stream/, queue/.
#ifndef EDDY_SRC_STORE_TRANSACTION_H_
#define EDDY_SRC_STORE_TRANSACTION_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "eddy/transaction.h"
#include "src/log/engine.h"
#include "src/log/pending_frame.h"
#include "src/queue/queue_impl.h"
#include "src/stream/cursor_set.h"
#include "src/stream/stream.h"

namespace eddy {

// Whose is it? Null: not of this store.
class ViewFinder {
 public:
  virtual ~ViewFinder() = default;
  virtual stream::StreamImpl* Find(const Stream& stream) = 0;
  virtual queue::QueueImpl* Find(const Queue& queue) = 0;
  virtual stream::CursorSet* Find(const Cursor& cursor) = 0;
};

// Threads: the one that calls Engine::Transact.
class TransactionImpl final : public Transaction, public log::TransactionWork {
 public:
  TransactionImpl(ViewFinder* views, const std::function<absl::Status(Transaction&)>& function)
      : views_(views), function_(function) {}

  // Transaction
  absl::Status Put(Stream& stream, std::string_view partition_key, std::string_view data,
                   std::string_view explicit_hash_key) override;
  absl::Status Send(Queue& queue, std::string_view body,
                    std::optional<absl::Duration> delay) override;
  absl::Status Delete(Queue& queue, std::string_view receipt_handle) override;
  absl::Status Advance(Cursor& cursor, ShardId shard, SequenceNumber next) override;
  Sql& sql() override { return *sql_; }

  // log::TransactionWork
  absl::Status Run(Sql& sql) override;
  bool HasChanges() const override { return changes_ > 0; }
  bool MakesRoom() const override { return !held_.empty() || !moves_.empty(); }
  std::vector<log::LogFrames>& frames() override { return frames_; }
  absl::Status Write(sql::Database& db) override;
  void Finish(bool committed) override;

  TransactResult TakeResult() { return std::move(result_); }

 private:
  // Notes a failure for good: the transaction must not commit without the call.
  absl::Status Fail(absl::Status status);
  absl::Status AddChange();
  // Counts the frame, and looks for room for all of them together.
  absl::Status AddFrame(const log::PendingFrame& frame);

  // Where a frame stands in frames_.
  struct Slot {
    size_t log = 0;
    size_t frame = 0;
  };
  struct NotedPut {
    stream::PendingPut put;
    Slot slot;
  };
  struct NotedSend {
    queue::QueueImpl* queue = nullptr;
    queue::PendingSend send;
    Slot slot;
  };
  // Behind the log's others, in the order of the calls. The frame stays where it is.
  Slot Place(const log::PendingFrame& frame);
  const log::Appended& AppendedAt(const Slot& slot) const {
    return frames_[slot.log].appended[slot.frame];
  }

  ViewFinder* const views_;
  const std::function<absl::Status(Transaction&)>& function_;
  Sql* sql_ = nullptr;  // while the function runs

  absl::Status failed_;
  size_t changes_ = 0;
  size_t bytes_ = 0;
  // Deques: frames_ holds views into them.
  std::deque<NotedPut> puts_;
  std::deque<NotedSend> sends_;
  std::map<queue::QueueImpl*, std::vector<uint64_t>> held_;
  std::vector<stream::CursorSet::PendingMove> moves_;

  std::vector<log::LogFrames> frames_;
  std::map<log::Log*, size_t> places_;  // of a log in frames_
  TransactResult result_;
};

}  // namespace eddy

#endif  // EDDY_SRC_STORE_TRANSACTION_H_
