// Queue over a log: Send appends, Receive claims, Delete forgets.
//
//   Send      log.Append, no lock of the queue's own (a delayed one notes itself)
//   Receive   1 find visible messages (reads the log), 2 claim them in memory
//             and in the journal, 3 at kPower wait for the commit, 4 hand out
//   Delete    forget in memory and in the journal, at kPower wait
//
// Invariants
//   I1  A change of durable state is made under the engine's cut and mu_, in
//       memory and in the journal: journal first, so that a full intake leaves
//       nothing half done.
//   I2  A message moves to the dead-letter queue in one cut: appended there,
//       gone here. A SIGKILL between the two is found at the next open by the
//       source that the dead letter names, and mended. Only a message too large
//       for the intake (Engine::inline_bytes_max) is committed there before it
//       goes here: a crash in between leaves it in both. Meanwhile it is marked
//       as moving, and no receipt reaches it.
//   I3  The log is trimmed only below a head that is committed, so that a power
//       cut cannot take a moved message from both queues. What lies below the
//       head before its frame was ever committed is not written at all, in the
//       commit of that head (Log::SetDiscard): a message that is sent, received
//       and deleted between two commits costs no block. Nor does the head's move
//       cost a commit then: while the tables know of nothing that has gone since
//       they were written, they may stay as they are (MayWait), and the journal
//       knows the rest. After a SIGKILL it names messages whose frames were never
//       written; after a power cut neither is there.
//   I4  Leases are in memory only: they end with the process. Receive counts,
//       deletes and delays do not.
//
// Lock order: receive_mu_, the engine's cut, mu_, the log's own. No two queues'
// mu_ are ever held together: a dead letter needs the target's log, not its
// state, and the target is told afterwards. receive_mu_ alone is held over
// reads from disk; nobody but receivers takes it.
//
// Depends on log/, sql/, runtime/, base/. Receive is in queue_receive.cc, Delete
// and ChangeVisibility in queue_settle.cc, moves in queue_dead_letter.cc, what a
// transaction needs in queue_transact.cc, opening in queue_load.cc.
#ifndef EDDY_SRC_QUEUE_QUEUE_IMPL_H_
#define EDDY_SRC_QUEUE_QUEUE_IMPL_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/inlined_vector.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "eddy/queue.h"
#include "src/base/mutex.h"
#include "src/log/engine.h"
#include "src/log/log.h"
#include "src/log/pending_frame.h"
#include "src/queue/catalog.h"
#include "src/queue/delivery.h"
#include "src/queue/message_frame.h"
#include "src/queue/receipt.h"
#include "src/runtime/arrival_clock.h"
#include "src/runtime/signal.h"

namespace eddy::queue {

// As SQS. More make a short poll fail and a long poll wait.
inline constexpr size_t kInFlightMax = 120000;

// How long a kPower call waits for its commit before kUnavailable.
inline constexpr absl::Duration kCommitWaitMax = absl::Seconds(30);

// A message that is to be sent when its transaction commits.
struct PendingSend {
  log::PendingFrame frame;
  std::string message_id;
  std::optional<Delay> delay;
};

// Lifetime: outlives the engine's Close(), dies before the engine.
class QueueImpl final : public Queue, public log::Participant {
 public:
  // Creates the queue durably, in one transaction. `dead_letter_queue` is the
  // queue that options.dead_letter_queue names, or null.
  //   kInvalidArgument   name or an option out of its range.
  //   kAlreadyExists     the name is taken (look first, see SameOptions).
  static absl::StatusOr<std::unique_ptr<QueueImpl>> Create(log::Engine& engine,
                                                           std::string_view name,
                                                           const QueueOptions& options,
                                                           QueueImpl* dead_letter_queue);

  // The queues of the tables. To be called between Engine::Open and
  // Engine::FinishOpen, which replays the journal into them; then FinishLoad,
  // before any other call.
  static absl::StatusOr<std::vector<std::unique_ptr<QueueImpl>>> LoadAll(log::Engine& engine);
  // Counts what lies there, and trims what a death left undeleted.
  static absl::Status FinishLoad(log::Engine& engine,
                                 const std::vector<std::unique_ptr<QueueImpl>>& queues);

  // For CreateQueue on a name that exists: OK, or kAlreadyExists naming the
  // first of the options given that differs.
  //   kInvalidArgument   one is out of its range.
  absl::Status SameOptions(const QueueOptions& wanted) const;

  const std::string& name() const override { return row_.name; }
  QueueDescription Describe() override;
  absl::StatusOr<SendResult> Send(std::string_view body, const SendOptions& options) override;
  absl::StatusOr<std::vector<absl::StatusOr<SendResult>>> SendBatch(
      const std::vector<SendEntry>& entries, const SendOptions& options) override;
  absl::StatusOr<std::vector<Message>> Receive(const ReceiveOptions& options) override;
  absl::Status Delete(std::string_view receipt_handle, Durability durability) override;
  absl::StatusOr<std::vector<absl::Status>> DeleteBatch(
      const std::vector<std::string_view>& receipt_handles, Durability durability) override;
  absl::Status ChangeVisibility(std::string_view receipt_handle,
                                absl::Duration visibility_timeout,
                                Durability durability) override;
  // Takes any bytes, none too: whoever gives a record up must not lose it here.
  absl::StatusOr<SendResult> SendDeadLetter(std::string_view body, std::string_view source,
                                            std::string_view reason,
                                            const SendOptions& options) override;
  uint64_t StaleDeletes() override { return stale_deletes_.load(std::memory_order_relaxed); }

  // For a transaction. A message to be sent when it commits; errors as Send, but for
  // room, which is not looked at. Then, once it is committed, NoteSent.
  absl::StatusOr<PendingSend> Prepare(std::string_view body,
                                      std::optional<absl::Duration> delay);
  SendResult NoteSent(const PendingSend& sent, const log::Appended& appended)
      ABSL_LOCKS_EXCLUDED(mu_);
  // Nobody else has the message from now on, until EndHold. Returns its position.
  //   kInvalidArgument   not a handle of this queue.
  //   kAborted           gone, moving, or received again.
  absl::StatusOr<uint64_t> Hold(std::string_view receipt_handle) ABSL_LOCKS_EXCLUDED(mu_);
  // Marks what is held as gone, inside the engine's transaction.
  absl::Status WriteGone(sql::Database& db, const std::vector<uint64_t>& held);
  // Committed: they are gone. Else they are as before.
  void EndHold(const std::vector<uint64_t>& held, bool committed) ABSL_LOCKS_EXCLUDED(mu_);
  // Receivers look again: what lies behind a transaction's frames can be read now.
  void Wake() { signal_.Notify(); }

  // For tests, before anybody receives.
  void LimitInFlight(size_t most) ABSL_LOCKS_EXCLUDED(mu_);

  // Messages and positions that memory holds something for.
  size_t TouchedCount() const ABSL_LOCKS_EXCLUDED(mu_);

  // log::Participant
  bool Capture() override;
  bool MayWait() override ABSL_LOCKS_EXCLUDED(mu_);
  absl::Status Write(sql::Database& db) override;
  void Finish(bool committed) override;
  log::Passed passed() override ABSL_LOCKS_EXCLUDED(mu_);
  bool LiveWithin(uint64_t first, uint64_t end, size_t most,
                  std::vector<uint64_t>* live) override ABSL_LOCKS_EXCLUDED(mu_);
  absl::Status Replay(std::string_view op) override;

 private:
  // A visible message that a receive has found and may claim.
  struct Candidate {
    uint64_t position = 0;
    uint64_t end = 0;
    MessageView message;     // points into a pin
    bool untouched = false;  // it had no entry
  };
  // On the stack as a rule: of one receive.
  using CandidateList = absl::InlinedVector<Candidate, kMessageBatchMax>;
  struct Candidates {
    CandidateList messages;
    absl::InlinedVector<std::shared_ptr<const void>, 2> pins;
    bool overtaken = false;  // one was deleted or taken under our eyes
  };
  struct Taken {
    const Candidate* candidate = nullptr;  // of the attempt
    DeliveryChange received;
  };
  using TakenList = absl::InlinedVector<Taken, kMessageBatchMax>;
  // What one look at the queue has brought.
  struct Attempt {
    TakenList taken;
    std::vector<Candidate> large_moves;  // to be moved outside of the cut
    size_t moved_count = 0;
    uint64_t journal_end = 0;            // to wait for, at kPower
    uint64_t dead_letter_end = 0;
    bool needs_room = false;             // the intake was full
    bool over_limit = false;             // kInFlightMax
    Candidates candidates;               // keeps the bytes
  };

  QueueImpl(log::Engine& engine, QueueRow row, log::Log* log, QueueImpl* dead_letter_queue);

  // Takes part in the engine's commits from now on, until its Close.
  void Join() ABSL_LOCKS_EXCLUDED(mu_);
  Moment Now() const;
  // That it exists, and can be had on this thread now.
  absl::Status CheckLevel(Durability asked) const;
  bool IsPower(Durability asked) const;
  absl::Status WaitPower(log::Log& log, uint64_t end);
  // The whole of a message or dead letter in one frame, arriving now.
  log::FrameParts MessageParts(const MessageHead& head, const std::string& encoded_head,
                               std::string_view body);
  void SetArrival(const Arrival& arrival, bool delayed, log::FrameParts* parts);
  absl::StatusOr<std::optional<Delay>> DelayFromNow(absl::Duration delay) const;
  void NoteDelayed(uint64_t position, const Delay& delay) ABSL_LOCKS_EXCLUDED(mu_);
  SendResult NoteSent(std::string message_id, const std::optional<Delay>& delay,
                      const log::Appended& appended) ABSL_LOCKS_EXCLUDED(mu_);
  // One message of any kind.
  absl::StatusOr<SendResult> Accept(MessageHead head, std::string_view body,
                                    absl::Duration delay, absl::Duration timeout);
  // At most kMessageBatchMax plain ones, each with its result.
  void AcceptAll(const SendEntry* entries, size_t count, const SendOptions& options,
                 absl::StatusOr<SendResult>* results) ABSL_LOCKS_EXCLUDED(mu_);
  void NoteArrived(size_t count);

  absl::Status TryReceive(size_t count, absl::Duration visibility, Attempt* attempt)
      ABSL_LOCKS_EXCLUDED(receive_mu_, mu_);
  absl::Status FindCandidates(size_t count, Candidates* found)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(receive_mu_) ABSL_LOCKS_EXCLUDED(mu_);
  // `still_delayed`: one of them was a delayed message, and is one now.
  absl::Status FindEntries(const std::vector<uint64_t>& positions, Candidates* found,
                           bool* still_delayed)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(receive_mu_) ABSL_LOCKS_EXCLUDED(mu_);
  bool IsStillDelayed(const Candidate& candidate) ABSL_LOCKS_EXCLUDED(mu_);
  bool PassMissing(uint64_t position) ABSL_LOCKS_EXCLUDED(mu_);
  bool DropDamaged(uint64_t position) ABSL_LOCKS_EXCLUDED(mu_);
  void PassDamaged(const log::LogGap& gap, bool pass) ABSL_LOCKS_EXCLUDED(mu_);
  // `all_are`: nothing was touched at or above `from` a moment ago.
  absl::Status FindUntouched(size_t count, uint64_t from, bool all_are, Candidates* found)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(receive_mu_) ABSL_LOCKS_EXCLUDED(mu_);
  void DropTouched(size_t first, bool from_scan, CandidateList* messages)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(receive_mu_) ABSL_LOCKS_EXCLUDED(mu_);
  absl::Status Claim(size_t count, absl::Duration visibility, Attempt* attempt)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(receive_mu_) ABSL_LOCKS_EXCLUDED(mu_);
  void Move(const Candidate& candidate, Attempt* attempt)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status MoveLarge(const Candidate& candidate, Attempt* attempt)
      ABSL_LOCKS_EXCLUDED(mu_);
  MessageHead DeadLetterHead(const Candidate& candidate, uint32_t receive_count) const;
  bool ReceivedTooOften(const Candidate& candidate, const Delivery* entry) const;
  void Release(const TakenList& taken) ABSL_LOCKS_EXCLUDED(mu_);
  std::vector<Message> HandOut(const TakenList& taken) const;

  bool IsNewest(const Receipt& receipt, const Delivery* entry) const;
  // Whether receivers may be waiting for one in flight to go.
  bool InFlightIsFull() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return state_.in_flight_count() >= in_flight_max_;
  }

  void PassReplayed() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status MendMoves(const std::vector<std::unique_ptr<QueueImpl>>& queues);
  absl::Status CountUntouched() ABSL_LOCKS_EXCLUDED(mu_);

  log::Engine& engine_;  // not owned
  Clock* const clock_;
  const QueueRow row_;                  // its options are all there
  log::Log* const log_;
  QueueImpl* const dead_letter_queue_;  // null: none; created before this one
  const uint64_t receipt_salt_;
  const uint32_t session_;              // drawn at each open
  const uint64_t boot_hash_;
  const uint64_t recovered_from_;       // the log's committed end at the open

  ArrivalClock arrival_;
  Signal signal_;                       // something may have become visible
  // Messages without an entry, at or above the scan. Counted after the append,
  // so that it may be below zero for a moment.
  std::atomic<int64_t> untouched_{0};
  std::atomic<uint64_t> stale_deletes_{0};

  Mutex receive_mu_ ABSL_ACQUIRED_BEFORE(mu_);  // one receiver looks at a time

  mutable Mutex mu_;
  DeliveryState state_ ABSL_GUARDED_BY(mu_);
  uint64_t damage_counted_to_ ABSL_GUARDED_BY(mu_) = 0;  // see PassDamaged
  // While the journal is replayed: the frames from the scan on, so far as they are
  // known, the next one last.
  enum class ReplayState { kGoesOn, kAtEnd };
  ReplayState replay_ ABSL_GUARDED_BY(mu_) = ReplayState::kGoesOn;
  std::vector<std::pair<uint64_t, uint64_t>> replay_frames_ ABSL_GUARDED_BY(mu_);
  size_t in_flight_max_ ABSL_GUARDED_BY(mu_) = kInFlightMax;

  DeliverySnapshot snapshot_;  // the committer's, from Capture to Finish
};

// What a failed append means to the caller: the log says kUnavailable of a frame
// too large for the intake whose commit failed, and ours says "accepted".
absl::Status NotAccepted(const absl::Status& append);

}  // namespace eddy::queue

#endif  // EDDY_SRC_QUEUE_QUEUE_IMPL_H_
