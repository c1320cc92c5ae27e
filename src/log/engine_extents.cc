// What a commit round has to know and do about the blocks' file: block_extents.h.
#include <algorithm>

#include "src/base/status.h"
#include "src/log/engine_impl.h"

namespace eddy::log {
namespace {

// Between two attempts to make the index of the blocks' places anew.
constexpr absl::Duration kMendPause = absl::Minutes(1);

// Frames of one run become one block, so that a busy log's blocks are as long as its
// segments; recovered and large runs are cut here. What was measured (100 B, ext4, one
// producer): blocks of 64, 128 and 250 KiB write 1.83 to 1.91 bytes per byte of payload
// and need 0.57 to 0.69 us of CPU a record; commit_bytes of 256 KiB, 1 and 4 MiB 1.84
// to 1.89 bytes. The rates lay closer together than the disk's own unrest.
constexpr uint64_t kBlockBytesMax = 1 << 20;
static_assert(kBlockBytesMax == kPackedSpanMax, "an early block is one of the round's");

}  // namespace

// Where the files are bounded none is larger than is usual, so that each place outside
// counts: see room_plan.h.
uint64_t EngineImpl::BlockBytesMax() const {
  return IsBounded() ? std::min<uint64_t>(kBlockBytesMax,
                                          PlanIntake(options_.store.intake_bytes).segment_bytes)
                     : kBlockBytesMax;
}

bool EngineImpl::AnyLarge(const std::vector<LogRound>& rounds) {
  for (const LogRound& round : rounds) {
    for (const BlockDraft& draft : round.drafts) {
      if (draft.end - draft.first >= kExtentBytesMin) return true;
    }
  }
  return false;
}

// See early_writer.h.
bool EngineImpl::MayLend() {
  return !IsBounded() && options_.store.write_budget_bytes_per_day == 0 &&
         transacting_ == nullptr && !IsDegraded();
}

std::vector<EarlyWriter::Source> EngineImpl::EarlySources(
    const std::vector<LogRound>& rounds) const {
  std::vector<EarlyWriter::Source> sources;
  for (const LogRound& round : rounds) {
    if (round.log == journal_ || round.holds() || round.cut.discards) continue;
    sources.push_back({round.log, round.end});
  }
  return sources;
}

// So that bytes may go beside the database again: see block_extents.h.
absl::Status EngineImpl::SettleBlocks() {
  if (db_->InTransaction()) return absl::OkStatus();
  if (UsesExtents() && !writer_->knows_outside()) {
    const absl::Status mended = MendIndex();
    // Nothing is committed behind a sync that failed; else the blocks go into the database.
    if (sql::IsSyncFailure(mended)) return mended;
  }
  return writer_->Settle(*db_);
}

// Where places are wanted that lie in pieces: see room_plan.h.
absl::Status EngineImpl::MoveLast() {
  const absl::Duration now = clock_->SinceBoot();
  if (!keeper_->IsCramped() || now < move_after_ || transacting_ != nullptr || IsDegraded()) {
    return absl::OkStatus();
  }
  EDDY_ASSIGN_OR_RETURN(const uint64_t moved, writer_->MoveLast());
  // What is dropped in this round is a place only after it.
  if (moved == 0 && !keeper_->HasDropsToWrite()) move_after_ = now + kMovePause;
  return absl::OkStatus();
}

// A changed bit in the index, or in the column that it is of, would stop every trim, and
// with it every commit. It holds nothing that is not in the rows.
absl::Status EngineImpl::MendIndex() {
  mend_wanted_ = false;
  const absl::Duration now = clock_->SinceBoot();
  if (mended_at_ && now - *mended_at_ < kMendPause) {
    return absl::UnavailableError("the index was made anew a moment ago");
  }
  mended_at_ = now;
  const absl::Status made = db_->Exec("REINDEX blocks_outside");
  if (sql::IsSyncFailure(made)) NoteCommit(made);
  EDDY_RETURN_IF_ERROR(made);
  writer_->Relearn(*db_);
  return absl::OkStatus();
}

}  // namespace eddy::log
