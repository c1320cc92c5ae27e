// CursorSet: the cursors of one stream, kept in memory and committed with the
// logs.
//
//   Advance   under the engine's cut, shared, and mu_: journal, then memory
//   commit    Capture takes what has moved, Write puts it into the table
//   open      the table's rows, then Replay of the journal's frames
//
// Of a stream that spills the cursors are the mark below which records are of no
// more use (Log::SetDiscard): in each shard the lowest of them, 0 if there is none.
// Moves over records that were never written may wait in the journal: a power cut
// that takes them takes the records too. Moves over blocks are committed when their
// flush is due, as everywhere, and the blocks below all cursors are trimmed after it.
//
// Invariants
//   C1  A position never moves back while the store is open.
//   C2  A position lies at or below its log's tail, or after a death below where
//       it will go on (Log::reach), so that no record to come is skipped.
//   C3  A cursor has a row for each shard before anybody holds it, so a journal
//       frame that names an unknown one is damage.
// Depends on log/, catalog.h, cursor_journal.h, shard_reader.h.
#ifndef EDDY_SRC_STREAM_CURSOR_SET_H_
#define EDDY_SRC_STREAM_CURSOR_SET_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "eddy/stream.h"
#include "src/base/mutex.h"
#include "src/log/engine.h"
#include "src/stream/catalog.h"
#include "src/stream/shard_reader.h"

namespace eddy::stream {

// Threads: safe. Lock order: create_mu_ (held over a transaction), the engine's
// cut, mu_, the logs' own.
// Lifetime: outlives the engine's last commit; engine and reader outlive it.
class CursorSet final : public log::Participant {
 public:
  CursorSet(log::Engine& engine, uint32_t stream_id, const ShardReader* reader);
  ~CursorSet() override;

  // The table's rows, before the journal is replayed.
  //   kDataLoss   a row names a shard that does not exist.
  absl::Status Load(const std::vector<CursorRow>& rows)
      ABSL_LOCKS_EXCLUDED(mu_);

  // Lets the shards' logs ask for the mark and keep records back for `hold`. Once,
  // with no engine calling yet but for what it asks of this set.
  void Spill(absl::Duration hold) ABSL_LOCKS_EXCLUDED(mu_);

  // The cursor of this name, made durably if there is none.
  absl::StatusOr<Cursor*> Open(std::string_view name)
      ABSL_LOCKS_EXCLUDED(create_mu_, mu_);
  std::vector<std::string> List() const ABSL_LOCKS_EXCLUDED(mu_);  // sorted

  // For a transaction, with the engine's commit lock held from Prepare to Apply:
  // prepare, write the row, and move in memory once that is committed. Somebody
  // else may have moved the cursor further meanwhile; then it stays there.
  struct PendingMove {
    CursorSet* set = nullptr;
    size_t cursor = 0;
    CursorRow row;
  };
  bool Owns(const Cursor& cursor) const { return Find(cursor.name()) == &cursor; }
  // Of a cursor that it owns. Errors as Advance.
  absl::StatusOr<PendingMove> PrepareMove(const Cursor& cursor, ShardId shard,
                                          uint64_t next) ABSL_LOCKS_EXCLUDED(mu_);
  absl::Status WriteMove(sql::Database& db, const PendingMove& move) const {
    return RaiseCursor(db, stream_id_, move.row);
  }
  void ApplyMove(const PendingMove& move) ABSL_LOCKS_EXCLUDED(mu_);

  // log::Participant
  bool Capture() override ABSL_LOCKS_EXCLUDED(mu_);
  bool MayWait() override ABSL_LOCKS_EXCLUDED(mu_);
  absl::Status Write(sql::Database& db) override;
  void Finish(bool committed) override ABSL_LOCKS_EXCLUDED(mu_);
  absl::Status Replay(std::string_view op) override ABSL_LOCKS_EXCLUDED(mu_);

 private:
  class CursorImpl;

  struct Place {
    uint64_t position = 0;
    uint64_t committed = 0;  // the position in the table
    uint64_t journal_end =
        0;                 // of the frame that moved it here; 0: in the table
    bool changed = false;  // it stands in changed_
  };
  struct PlaceId {
    size_t cursor = 0;
    ShardId shard = 0;
  };

  absl::Status CheckNext(const std::string& name, ShardId shard,
                         uint64_t next) const;
  uint64_t Position(size_t cursor, ShardId shard) const
      ABSL_LOCKS_EXCLUDED(mu_);
  absl::Status Advance(size_t cursor, const std::string& name, ShardId shard,
                       uint64_t next, bool power) ABSL_LOCKS_EXCLUDED(mu_);
  // Returns the end of the journal frame to wait for.
  absl::StatusOr<uint64_t> TryAdvance(size_t cursor, const std::string& name,
                                      ShardId shard, uint64_t next)
      ABSL_LOCKS_EXCLUDED(mu_);
  uint64_t Lowest(ShardId shard) const ABSL_LOCKS_EXCLUDED(mu_);
  uint64_t StartOf(ShardId shard) const;
  uint64_t PositionMax(ShardId shard) const;
  void TrimPassed(const std::vector<ShardId>& shards) ABSL_LOCKS_EXCLUDED(mu_);
  Cursor* Find(std::string_view name) const ABSL_LOCKS_EXCLUDED(mu_);
  size_t Add(const std::string& name) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void MarkChanged(const PlaceId& id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  log::Engine& engine_;  // not owned
  const uint32_t stream_id_;
  const ShardReader* const reader_;
  bool spills_ = false;  // constant after Spill

  Mutex create_mu_ ABSL_ACQUIRED_BEFORE(mu_);  // one cursor at a time

  mutable Mutex mu_;
  std::vector<std::unique_ptr<CursorImpl>> cursors_ ABSL_GUARDED_BY(mu_);
  std::vector<std::vector<Place>> places_
      ABSL_GUARDED_BY(mu_);  // [cursor][shard]
  std::map<std::string, size_t, std::less<>> by_name_ ABSL_GUARDED_BY(mu_);
  std::vector<PlaceId> changed_ ABSL_GUARDED_BY(mu_);  // since the last Capture

  // The committer's, from Capture to Finish.
  std::vector<PlaceId> captured_;
  std::vector<CursorRow> captured_rows_;
};

}  // namespace eddy::stream

#endif  // EDDY_SRC_STREAM_CURSOR_SET_H_
