#include "src/stream/cursor_set.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/base/strings.h"
#include "src/stream/commit_wait.h"
#include "src/stream/cursor_journal.h"
#include "src/stream/record_rules.h"

namespace eddy::stream {
namespace {

absl::Status Below(const std::string& name, ShardId shard, uint64_t next,
                   uint64_t present) {
  return absl::OutOfRangeError(
      absl::StrCat("cursor ", name, ", shard ", shard, ": position ", next,
                   " is below the present ", present));
}

}  // namespace

class CursorSet::CursorImpl final : public Cursor {
 public:
  CursorImpl(CursorSet* set, size_t index, std::string name)
      : set_(set), index_(index), name_(std::move(name)) {}

  const std::string& name() const override { return name_; }

  SequenceNumber Position(ShardId shard) const override {
    if (shard >= set_->reader_->shard_count()) return 0;
    return set_->Position(index_, shard);
  }

  absl::StatusOr<RecordBatch> Read(ShardId shard,
                                   const GetRecordsOptions& options) override {
    return set_->reader_->Read(shard, Position(shard), options);
  }

  absl::Status Advance(ShardId shard, SequenceNumber next,
                       Durability durability) override {
    EDDY_RETURN_IF_ERROR(CheckDurability(durability));
    return set_->Advance(index_, name_, shard, next,
                         IsPower(durability, Durability::kProcess));
  }

 private:
  CursorSet* const set_;
  const size_t index_;
  const std::string name_;
};

CursorSet::CursorSet(log::Engine& engine, uint32_t stream_id,
                     const ShardReader* reader)
    : engine_(engine), stream_id_(stream_id), reader_(reader) {}

CursorSet::~CursorSet() = default;

void CursorSet::Spill(absl::Duration hold) {
  spills_ = true;
  for (ShardId shard = 0; shard < reader_->shard_count(); ++shard) {
    log::Log& log = reader_->shard_log(shard);
    log.SetDiscard([this, shard] { return Lowest(shard); });
    log.SetHold(hold);
  }
}

uint64_t CursorSet::Lowest(ShardId shard) const {
  MutexLock lock(&mu_);
  if (places_.empty()) return 0;
  uint64_t lowest = UINT64_MAX;
  for (const std::vector<Place>& places : places_) {
    lowest = std::min(lowest, places[shard].position);
  }
  return lowest;
}

// Where the oldest record is or comes. Lower would do no harm but to a shard
// that spills, all of which would seem to wait for the new cursor.
uint64_t CursorSet::StartOf(ShardId shard) const {
  const log::Log& log = reader_->shard_log(shard);
  // First: a commit raises what is stored, then this. Noted later it could lie
  // behind a block that the look at what is stored has missed.
  const uint64_t committed = log.committed();
  if (!spills_ || log.stored_end() > log.oldest()) return log.oldest();
  return committed;
}

absl::StatusOr<Cursor*> CursorSet::Open(std::string_view name) {
  EDDY_RETURN_IF_ERROR(CheckName("cursor name", name));
  if (Cursor* const found = Find(name); found != nullptr) return found;
  EDDY_RETURN_IF_ERROR(engine_.CheckMayCommit());
  MutexLock one_at_a_time(&create_mu_);
  if (Cursor* const found = Find(name); found != nullptr) return found;
  std::vector<CursorRow> rows;
  for (ShardId shard = 0; shard < reader_->shard_count(); ++shard) {
    rows.push_back({std::string(name), shard, StartOf(shard)});
  }
  // Replaces what a transaction may have left behind whose outcome nobody knew.
  EDDY_RETURN_IF_ERROR(engine_.WithDatabase(
      [&](sql::Database& db) { return WriteCursors(db, stream_id_, rows); }));
  MutexLock lock(&mu_);
  const size_t cursor = Add(std::string(name));
  for (const CursorRow& row : rows) {
    Place& place = places_[cursor][row.shard];
    place.position = place.committed = row.position;
  }
  return static_cast<Cursor*>(cursors_[cursor].get());
}

Cursor* CursorSet::Find(std::string_view name) const {
  MutexLock lock(&mu_);
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : cursors_[found->second].get();
}

size_t CursorSet::Add(const std::string& name) {
  const auto [at, is_new] = by_name_.emplace(name, cursors_.size());
  if (is_new) {
    cursors_.push_back(std::make_unique<CursorImpl>(this, at->second, name));
    places_.emplace_back(reader_->shard_count());
  }
  return at->second;
}

std::vector<std::string> CursorSet::List() const {
  MutexLock lock(&mu_);
  std::vector<std::string> names;
  for (const auto& [name, cursor] : by_name_) names.push_back(name);
  return names;
}

uint64_t CursorSet::Position(size_t cursor, ShardId shard) const {
  MutexLock lock(&mu_);
  return places_[cursor][shard].position;
}

absl::Status CursorSet::CheckNext(const std::string& name, ShardId shard,
                                  uint64_t next) const {
  EDDY_RETURN_IF_ERROR(reader_->CheckShard(shard));
  // Outside of the cut, since it may wait for a moment. The tail only grows.
  const uint64_t tail = reader_->shard_log(shard).tail();
  if (next <= tail) return absl::OkStatus();
  return absl::OutOfRangeError(
      absl::StrCat("cursor ", name, ", shard ", shard, ": position ", next,
                   " is above ", tail, ", where the next record will go"));
}

absl::Status CursorSet::Advance(size_t cursor, const std::string& name,
                                ShardId shard, uint64_t next, bool power) {
  if (power) EDDY_RETURN_IF_ERROR(engine_.CheckMayCommit());
  EDDY_RETURN_IF_ERROR(CheckNext(name, shard, next));
  Clock* const clock = engine_.platform().clock;
  const absl::Duration deadline =
      clock->SinceBoot() + engine_.options().append_timeout;
  absl::StatusOr<uint64_t> end = TryAdvance(cursor, name, shard, next);
  while (absl::IsResourceExhausted(end.status())) {
    EDDY_RETURN_IF_ERROR(engine_.WaitForRoom(deadline - clock->SinceBoot()));
    end = TryAdvance(cursor, name, shard, next);
  }
  EDDY_RETURN_IF_ERROR(end.status());
  if (!power) return absl::OkStatus();
  return WaitCommitted(engine_, engine_.journal(), *end);
}

absl::StatusOr<uint64_t> CursorSet::TryAdvance(size_t cursor,
                                               const std::string& name,
                                               ShardId shard, uint64_t next) {
  absl::ReaderMutexLock cut(&engine_.cut());
  MutexLock lock(&mu_);
  Place& place = places_[cursor][shard];
  if (next < place.position) return Below(name, shard, next, place.position);
  // Nothing to write; a kPower call waits for what has moved it here.
  if (next == place.position) return place.journal_end;
  EDDY_ASSIGN_OR_RETURN(
      const log::Appended journaled,
      engine_.TryJournal(stream_id_, EncodeMove({name, shard, next})));
  place.position = next;
  place.journal_end = journaled.end;
  MarkChanged({cursor, shard});
  return journaled.end;
}

absl::StatusOr<CursorSet::PendingMove> CursorSet::PrepareMove(
    const Cursor& cursor, ShardId shard, uint64_t next) {
  EDDY_RETURN_IF_ERROR(CheckNext(cursor.name(), shard, next));
  MutexLock lock(&mu_);
  const size_t index = by_name_.at(cursor.name());
  const uint64_t present = places_[index][shard].position;
  if (next < present) return Below(cursor.name(), shard, next, present);
  return PendingMove{this, index, {cursor.name(), shard, next}};
}

// No journal: the row is committed.
void CursorSet::ApplyMove(const PendingMove& move) {
  {
    MutexLock lock(&mu_);
    Place& place = places_[move.cursor][move.row.shard];
    place.position = std::max(place.position, move.row.position);
    place.committed = std::max(place.committed, move.row.position);
  }
  if (spills_) TrimPassed({move.row.shard});
}

void CursorSet::MarkChanged(const PlaceId& id) {
  Place& place = places_[id.cursor][id.shard];
  if (!place.changed) changed_.push_back(id);
  place.changed = true;
}

absl::Status CursorSet::Load(const std::vector<CursorRow>& rows) {
  MutexLock lock(&mu_);
  for (const CursorRow& row : rows) {
    if (row.shard >= reader_->shard_count()) {
      return absl::DataLossError(
          absl::StrCat("cursor ", row.name, ": its shard ", row.shard,
                       " does not exist, there are ", reader_->shard_count()));
    }
    Place& place = places_[Add(row.name)][row.shard];
    place.position = place.committed =
        std::min(row.position, PositionMax(row.shard));
  }
  return absl::OkStatus();
}

// C2, while opening: the process may have died with a frame claimed and not
// published, or too large for the intake and not committed. The tail is then
// lower than it was, and what comes there is new.
uint64_t CursorSet::PositionMax(ShardId shard) const {
  const log::Log& log = reader_->shard_log(shard);
  return std::max(log.tail(), log.reach());
}

absl::Status CursorSet::Replay(std::string_view op) {
  EDDY_ASSIGN_OR_RETURN(const CursorMove move, DecodeMove(op));
  MutexLock lock(&mu_);
  const auto found = by_name_.find(move.name);
  if (found == by_name_.end() || move.shard >= reader_->shard_count()) {
    return absl::DataLossError(
        absl::StrCat("a journal frame moves the cursor ", AbslView(move.name),
                     " in shard ", move.shard, ", which does not exist"));
  }
  Place& place = places_[found->second][move.shard];
  const uint64_t position = std::min(move.position, PositionMax(move.shard));
  if (position > place.position) {
    place.position = position;
    MarkChanged({found->second, move.shard});
  }
  return absl::OkStatus();
}

bool CursorSet::Capture() {
  EDDY_CHECK(captured_.empty());
  MutexLock lock(&mu_);
  captured_.swap(changed_);
  for (const PlaceId& id : captured_) {
    Place& place = places_[id.cursor][id.shard];
    place.changed = false;
    captured_rows_.push_back(
        {cursors_[id.cursor]->name(), id.shard, place.position});
  }
  return !captured_.empty();
}

bool CursorSet::MayWait() {
  MutexLock lock(&mu_);
  for (const PlaceId& id : captured_) {
    const Place& place = places_[id.cursor][id.shard];
    if (reader_->shard_log(id.shard).stored_end() > place.committed) return false;
  }
  return true;
}

absl::Status CursorSet::Write(sql::Database& db) {
  return WriteCursors(db, stream_id_, captured_rows_);
}

void CursorSet::Finish(bool committed) {
  {
    MutexLock lock(&mu_);
    for (size_t i = 0; i < captured_.size(); ++i) {
      const PlaceId& id = captured_[i];
      if (committed) {
        places_[id.cursor][id.shard].committed = captured_rows_[i].position;
      } else {
        // Only that they have to be written: with the newest position, not the
        // captured one.
        MarkChanged(id);
      }
    }
  }
  if (committed && spills_) {
    std::vector<ShardId> shards;
    for (const PlaceId& id : captured_) shards.push_back(id.shard);
    TrimPassed(shards);
  }
  captured_.clear();
  captured_rows_.clear();
}

// What a power cut would have read again must still be there: below what is
// committed, not below the mark. A trim that fails is asked for again when a
// cursor moves on.
void CursorSet::TrimPassed(const std::vector<ShardId>& shards) {
  std::vector<uint64_t> lowest(reader_->shard_count(), UINT64_MAX);
  {
    MutexLock lock(&mu_);
    for (const std::vector<Place>& places : places_) {
      for (ShardId shard = 0; shard < lowest.size(); ++shard) {
        lowest[shard] = std::min(lowest[shard], places[shard].committed);
      }
    }
  }
  for (const ShardId shard : shards) {
    reader_->shard_log(shard).Trim(lowest[shard]).IgnoreError();
  }
}

}  // namespace eddy::stream
