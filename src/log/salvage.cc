#include "src/log/salvage.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/log/block_codec.h"
#include "src/log/meta.h"
#include "src/log/set_aside.h"

namespace eddy::log {
namespace {

constexpr char kPutGap[] =
    "INSERT OR REPLACE INTO gaps (log_id, first_position, end_position, frame_count, reason) "
    "VALUES (?, ?, ?, ?, ?)";
constexpr char kAddDropped[] =
    "INSERT INTO dropped (log_id, reason, frame_count, bytes) VALUES (?, ?, ?, 0) "
    "ON CONFLICT (log_id, reason) DO UPDATE SET frame_count = frame_count + excluded.frame_count";
constexpr char kFirstStored[] =
    "SELECT id FROM blocks WHERE id >= ? AND id < ? ORDER BY id LIMIT 1";
constexpr char kLastStored[] =
    "SELECT id, " EDDY_BLOCK_SPAN " FROM blocks WHERE id >= ? AND id < ? "
    "ORDER BY id DESC LIMIT 1";
constexpr char kForget[] = "DELETE FROM meta WHERE name = ?";

}  // namespace

Salvage::Salvage(sql::Database* db, BlockWriter* writer, Keeper* keeper, Files* files,
                 std::string directory, std::string from, std::string vfs)
    : db_(db),
      writer_(writer),
      keeper_(keeper),
      files_(files),
      directory_(std::move(directory)),
      from_(std::move(from)),
      vfs_(std::move(vfs)) {}

absl::Status Salvage::Load(const std::vector<SegmentLog*>& logs) {
  stats_.set_asides = SetAsides(files_, directory_).size();
  EDDY_ASSIGN_OR_RETURN(const std::string state, MetaText(*db_, kMetaSalvage));
  if (state.empty()) return absl::OkStatus();
  const auto count = [&](const char* name, uint64_t* to) -> absl::Status {
    EDDY_ASSIGN_OR_RETURN(const int64_t number, MetaInt(*db_, name, 0));
    *to = static_cast<uint64_t>(std::max<int64_t>(number, 0));
    return absl::OkStatus();
  };
  EDDY_RETURN_IF_ERROR(count(kMetaSalvageBlocks, &stats_.blocks));
  EDDY_RETURN_IF_ERROR(count(kMetaSalvageRecords, &stats_.records));
  EDDY_RETURN_IF_ERROR(count(kMetaSalvageLost, &stats_.records_lost));
  EDDY_RETURN_IF_ERROR(count(kMetaSalvageOrphans, &stats_.blocks_orphaned));
  running_ = state == kSalvageRunning;
  stats_.state = running_ ? SalvageState::kRunning : SalvageState::kDone;
  if (!running_) return MarkSalvaged(files_, Unsalvaged(files_, directory_));
  for (SegmentLog* log : logs) {
    EDDY_ASSIGN_OR_RETURN(const int64_t at, MetaInt(*db_, SalvageAtName(log->id()).c_str(), -1));
    EDDY_ASSIGN_OR_RETURN(const int64_t end, MetaInt(*db_, SalvageEndName(log->id()).c_str(), -1));
    if (at < 0 || end <= at || static_cast<uint64_t>(end) > kPositionMax) continue;
    Work work;
    work.log = log;
    work.at = work.prepared_to = static_cast<uint64_t>(at);
    work.end = static_cast<uint64_t>(end);
    EDDY_ASSIGN_OR_RETURN(const int64_t oldest,
                          MetaInt(*db_, SalvageOldestName(log->id()).c_str(), -1));
    work.oldest = oldest < 0 ? log->oldest() : static_cast<uint64_t>(oldest);
    log->SetSalvage(work.at, work.end);
    EDDY_RETURN_IF_ERROR(keeper_->Freeze(log));
    works_.push_back(work);
  }
  return absl::OkStatus();
}

absl::Status Salvage::OpenSources() {
  if (sources_ != nullptr) return absl::OkStatus();
  EDDY_ASSIGN_OR_RETURN(
      sources_, SalvageSources::Open(from_.empty() ? Unsalvaged(files_, directory_)
                                                   : std::vector<std::string>{from_},
                                     vfs_));
  for (const Work& work : works_) {
    for (size_t i = sources_->Begin(work.log->id()); i < sources_->End(work.log->id()); ++i) {
      if (sources_->blocks()[i].first() >= work.at) left_bytes_ += sources_->blocks()[i].span;
    }
  }
  return absl::OkStatus();
}

void Salvage::ChooseLog() {
  if (works_.empty() || works_.front().begun || pass_) return;
  std::stable_partition(works_.begin(), works_.end(),
                        [this](const Work& work) { return keeper_->IsDroppable(work.log); });
}

void Salvage::BeginLog(Work* work) {
  work->begun = true;
  const LogId id = work->log->id();
  work->next = sources_->Begin(id);
  const OldCount counted = sources_->counted(id);
  uint64_t found = 0;
  int64_t last = -1;
  for (size_t i = work->next; i < sources_->End(id); ++i) {
    const OldBlock& block = sources_->blocks()[i];
    if (block.id == last || block.first() >= counted.to) continue;
    last = block.id;
    if (block.end() > work->oldest) found += block.frame_count;
  }
  work->missing = counted.frames - std::min(counted.frames, found);
}

absl::Status Salvage::Prepare() {
  EDDY_RETURN_IF_ERROR(OpenSources());
  if (pass_ || !prepared_.empty() || prepared_all_ || works_.empty()) return absl::OkStatus();
  Work* const work = &works_.front();
  if (!work->begun) BeginLog(work);
  const LogId id = work->log->id();
  const size_t end = sources_->End(id);
  size_t copies = 0;
  for (size_t looks = 0; looks < kSalvageStepLooks && copies < kSalvageStepBlocks &&
                         prepared_bytes_ < kSalvageStepBytes && work->next < end;) {
    const OldBlock& block = sources_->blocks()[work->next];
    if (block.end() <= std::max(work->prepared_to, work->log->oldest()) ||
        block.first() < work->prepared_to) {
      ++work->next;  // trimmed, or there already
      left_bytes_ = Less(left_bytes_, block.span);
      continue;
    }
    ++looks;
    absl::StatusOr<DamagedStore::Whole> whole = sources_->Read(block);
    if (whole.ok()) patience_ = kPatience;
    if (!whole.ok() && !absl::IsDataLoss(whole.status())) {
      if (!prepared_.empty()) break;  // those first
      if (++work->unread < patience_) {
        const absl::Status unread = whole.status();
        std::rotate(works_.begin(), works_.begin() + 1, works_.end());  // others meanwhile
        return unread;
      }
      patience_ = kNoPatience;
    }
    work->unread = 0;
    ++work->next;
    left_bytes_ = Less(left_bytes_, block.span);
    Found& found = prepared_.emplace_back();
    Copy& copy = found.copy.emplace();
    copy.block = block;
    if (whole.ok()) copy.whole = *std::move(whole);
    if (!whole.ok() || !Describe(*work->log, &copy)) {
      prepared_.pop_back();
      // Perhaps the same is whole in an older database.
      const bool again = work->next < end && sources_->blocks()[work->next].id == block.id;
      if (!again) work->failed_frames += block.frame_count;
      work->failed = true;
      continue;
    }
    found.gap = GapBefore(work, block.first(), /*last=*/false);
    work->prepared_to = block.end();
    prepared_bytes_ += copy.whole.stored.size();
    ++copies;
  }
  prepared_all_ = work->next >= end;
  return absl::OkStatus();
}

absl::Status Salvage::Decide(uint64_t grow_bytes_max, uint64_t disk_bytes) {
  if (pass_ || works_.empty()) return absl::OkStatus();  // that first
  copies_ = false;
  std::vector<Keeper::SalvageBlock> blocks;
  const int64_t now_ms = keeper_->NowMs();
  for (const Found& found : prepared_) {
    const Copy& copy = *found.copy;
    blocks.push_back({copy.whole.stored.size(), copy.draft.frame_count,
                      std::clamp<int64_t>(copy.whole.kept_ms, 0, now_ms)});
  }
  EDDY_ASSIGN_OR_RETURN(const Keeper::SalvageStep step,
                        keeper_->DecideSalvage(works_.front().log, blocks, grow_bytes_max,
                                               disk_bytes));
  for (const GapReason reason : step.passed) PassFirst(reason);
  if (step.kind == Keeper::SalvageStep::Kind::kPassRest) PassRest();
  copies_ = step.kind == Keeper::SalvageStep::Kind::kCopy;
  return absl::OkStatus();
}

void Salvage::Pass(uint64_t first, uint64_t end, uint64_t frames, uint64_t bytes,
                   GapReason reason) {
  if (!pass_) {
    pass_ = GapPiece{first, end, 0, reason};
    pass_bytes_ = 0;
  }
  pass_->end = std::max(pass_->end, end);
  pass_->frames += frames;
  pass_->reason = reason;
  pass_bytes_ += bytes;
}

// With what is missing before it.
void Salvage::PassFirst(GapReason reason) {
  const Found& found = prepared_.front();
  const BlockDraft& draft = found.copy->draft;
  const size_t bytes = found.copy->whole.stored.size();
  Pass(found.gap ? found.gap->first : draft.first, draft.end,
       draft.frame_count + (found.gap ? found.gap->frames : 0), bytes, reason);
  prepared_bytes_ = Less(prepared_bytes_, bytes);
  prepared_.pop_front();
}

// All of the log, by what the rows say, which nobody has to read for it.
void Salvage::PassRest() {
  while (!prepared_.empty()) PassFirst(GapReason::kQuota);
  Work& work = works_.front();
  const size_t end = sources_->End(work.log->id());
  uint64_t frames = std::exchange(work.failed_frames, 0) + std::exchange(work.missing, 0);
  uint64_t first = work.failed || frames > 0 ? work.prepared_to : UINT64_MAX;
  work.failed = false;
  uint64_t bytes = 0;
  for (; work.next < end; ++work.next) {
    const OldBlock& block = sources_->blocks()[work.next];
    left_bytes_ = Less(left_bytes_, block.span);
    if (block.end() <= std::max(work.prepared_to, work.log->oldest()) ||
        block.first() < work.prepared_to || block.first() >= work.end) {
      continue;
    }
    first = std::min(first, block.first());
    frames += block.frame_count;
    bytes += block.span;
    // A row that is not sure may reach too far.
    const bool has_next = work.next + 1 < end;
    const OldBlock& next = sources_->blocks()[work.next + (has_next ? 1 : 0)];
    const bool cut = has_next && next.id != block.id && next.first() < block.end();
    work.prepared_to = std::min(cut ? next.first() : block.end(), work.end);
  }
  prepared_all_ = true;
  if (first == UINT64_MAX) return;
  // What was failed at the end may reach up to there.
  if (first >= work.prepared_to) work.prepared_to = work.end;
  Pass(first, work.prepared_to, frames, bytes, GapReason::kQuota);
}

bool Salvage::Describe(const SegmentLog& log, Copy* copy) const {
  const absl::StatusOr<std::string_view> frames =
      StoredFrames(copy->whole.stored, copy->whole.span, &copy->memory);
  if (!frames.ok()) return false;
  BlockDraft& draft = copy->draft;
  draft.log = log.id();
  draft.first = copy->block.first();
  draft.end = draft.first + frames->size();
  draft.frames = frames->data();
  for (size_t at = 0; at < frames->size();) {
    FrameView frame;
    if (!ParseFrame(frames->data() + at, frames->size() - at, draft.first + at, &frame)) {
      return false;
    }
    log.RepairTime(&frame);
    draft.Count(frame);
    draft.last = frame.position;
    at += static_cast<size_t>(frame.end - frame.position);
  }
  return draft.frame_count > 0 && draft.end <= kPositionMax;
}

std::optional<GapPiece> Salvage::GapBefore(Work* work, uint64_t first, bool last) {
  const uint64_t from = std::max({work->prepared_to, work->log->oldest(), kFirstPosition});
  const bool failed = std::exchange(work->failed, false);
  const uint64_t failed_frames = std::exchange(work->failed_frames, 0);
  if (from >= first) return std::nullopt;
  const LogId id = work->log->id();
  const bool lacks = sources_->places().empty() || sources_->MayLack(id, from, first);
  const bool counted = work->missing > 0 && first <= sources_->counted(id).to;
  if (!failed && !lacks && !counted) return std::nullopt;
  GapPiece gap;
  gap.first = from;
  gap.end = first;
  gap.reason = GapReason::kDamaged;
  // What its rows say; beside that, what the old store had counted and nobody has found,
  // all of it in the first place where it may have been.
  gap.frames = failed_frames;
  if (lacks || counted) gap.frames += std::exchange(work->missing, 0);
  gap.frames = std::max<uint64_t>(gap.frames, last || failed || lacks ? 1 : 0);
  return gap;
}

absl::StatusOr<uint64_t> Salvage::FirstStored(LogId log, uint64_t from, uint64_t end) {
  EDDY_ASSIGN_OR_RETURN(sql::Statement first, db_->Prepare(kFirstStored));
  first.Bind(1, BlockId(log, from)).Bind(2, BlockId(log, end));
  EDDY_ASSIGN_OR_RETURN(const bool found, first.Step());
  if (!found) return end;
  return static_cast<uint64_t>(first.ColumnInt(0) - BlockId(log, 0)) << 2;
}

absl::Status Salvage::WriteGap(LogId log, const GapPiece& gap) {
  EDDY_ASSIGN_OR_RETURN(sql::Statement put, db_->Prepare(kPutGap));
  EDDY_RETURN_IF_ERROR(put.Bind(1, int64_t{log})
                           .Bind(2, static_cast<int64_t>(gap.first))
                           .Bind(3, static_cast<int64_t>(gap.end))
                           .Bind(4, static_cast<int64_t>(gap.frames))
                           .Bind(5, static_cast<int64_t>(gap.reason))
                           .Run());
  EDDY_ASSIGN_OR_RETURN(sql::Statement add, db_->Prepare(kAddDropped));
  return add.Bind(1, int64_t{log})
      .Bind(2, static_cast<int64_t>(gap.reason))
      .Bind(3, static_cast<int64_t>(gap.frames))
      .Run();
}

absl::Status Salvage::WriteCounts(const SalvageStats& stats) {
  EDDY_RETURN_IF_ERROR(SetMeta(*db_, kMetaSalvageBlocks, static_cast<int64_t>(stats.blocks)));
  EDDY_RETURN_IF_ERROR(SetMeta(*db_, kMetaSalvageRecords, static_cast<int64_t>(stats.records)));
  return SetMeta(*db_, kMetaSalvageLost, static_cast<int64_t>(stats.records_lost));
}

absl::Status Salvage::FinishAll() {
  EDDY_RETURN_IF_ERROR(SetMeta(*db_, kMetaSalvage, kSalvageDone));
  running_ = false;
  stats_.state = SalvageState::kDone;
  sources_.reset();
  // If that fails the next open does it.
  MarkSalvaged(files_, Unsalvaged(files_, directory_)).IgnoreError();
  return absl::OkStatus();
}

absl::Status Salvage::Write() {
  if (!running_) return absl::OkStatus();
  if (works_.empty()) return FinishAll();
  Work& work = works_.front();
  const LogId id = work.log->id();
  SalvageStats stats = stats_;
  uint64_t at = work.at;
  const bool ends = prepared_all_ && (copies_ || prepared_.empty());
  std::optional<GapPiece> passed;
  std::vector<GapPiece> gaps;
  std::vector<const BlockDraft*> came;
  BlockSum added;
  const int64_t now_ms = keeper_->NowMs();
  int64_t kept_ms = 0;
  const auto write = [&]() -> absl::Status {
    EDDY_RETURN_IF_ERROR(writer_->Settle(*db_));
    EDDY_ASSIGN_OR_RETURN(sql::Transaction transaction, sql::Transaction::Begin(*db_));
    EDDY_RETURN_IF_ERROR(keeper_->WriteDrops());  // or Finish would forget them
    if (pass_) {
      passed = pass_;
      at = passed->end;
      passed->first = std::max({passed->first, work.log->oldest(), kFirstPosition});
      // What the intake has brought back is there.
      EDDY_ASSIGN_OR_RETURN(const uint64_t stored, FirstStored(id, work.at, work.end));
      passed->end = std::min(passed->end, stored);
      if (passed->first >= passed->end) passed.reset();  // trimmed meanwhile
    }
    if (passed) {
      EDDY_RETURN_IF_ERROR(WriteGap(id, *passed));
      const uint64_t committed = work.log->committed();
      uint64_t before = passed->end;
      EDDY_ASSIGN_OR_RETURN(const BlockSum trimmed, writer_->Trim(id, committed, &before));
      EDDY_RETURN_IF_ERROR(keeper_->Trimmed(work.log, committed, trimmed));
    }
    for (const Found& found : prepared_) {
      if (!copies_) break;
      if (found.gap) gaps.push_back(*found.gap);
      const BlockDraft& draft = found.copy->draft;
      at = draft.end;
      if (draft.end <= work.log->oldest()) continue;  // trimmed meanwhile
      kept_ms = std::clamp<int64_t>(found.copy->whole.kept_ms, 0, now_ms);
      EDDY_ASSIGN_OR_RETURN(const uint64_t stored, writer_->Insert(draft, kept_ms));
      came.push_back(&draft);
      ++added.blocks;
      added.frames += draft.frame_count;
      added.bytes += stored;
    }
    if (ends) {
      // What the intake has brought back behind the last whole block is not lost.
      EDDY_ASSIGN_OR_RETURN(const uint64_t first, FirstStored(id, work.prepared_to, work.end));
      if (const auto gap = GapBefore(&work, first, /*last=*/true)) gaps.push_back(*gap);
      EDDY_ASSIGN_OR_RETURN(sql::Statement forget, db_->Prepare(kForget));
      for (const std::string& name :
           {SalvageAtName(id), SalvageEndName(id), SalvageOldestName(id)}) {
        EDDY_RETURN_IF_ERROR(forget.BindText(1, name).Run());
      }
    } else {
      EDDY_RETURN_IF_ERROR(SetMeta(*db_, SalvageAtName(id).c_str(), static_cast<int64_t>(at)));
      EDDY_RETURN_IF_ERROR(SetMeta(*db_, SalvageOldestName(id).c_str(),
                                   static_cast<int64_t>(work.oldest)));
    }
    for (const GapPiece& gap : gaps) EDDY_RETURN_IF_ERROR(WriteGap(id, gap));
    stats.blocks += added.blocks;
    stats.records += added.frames;
    for (const GapPiece& gap : gaps) stats.records_lost += gap.frames;
    EDDY_RETURN_IF_ERROR(WriteCounts(stats));
    if (added.blocks > 0) EDDY_RETURN_IF_ERROR(keeper_->Thinned(work.log, {}, added, kept_ms));
    EDDY_RETURN_IF_ERROR(writer_->Sync());
    return transaction.Commit();
  };
  const Work before = work;
  const absl::Status status = write();
  writer_->Finish(status.ok());
  keeper_->Finish(status.ok());
  if (!status.ok()) {
    work = before;
    return status;
  }
  // In this order: who finds nothing must find the gap.
  if (passed) keeper_->PassedOver(work.log, *passed, pass_bytes_);
  pass_.reset();
  for (const GapPiece& gap : gaps) keeper_->Report(work.log, gap, 0);
  stats_ = stats;
  for (const BlockDraft* const draft : came) work.log->TellSalvaged(*draft);
  if (copies_) {
    prepared_.clear();
    prepared_bytes_ = 0;
  }
  if (!ends) {
    work.at = at;
    work.log->SetSalvaged(at);
    return absl::OkStatus();
  }
  prepared_all_ = false;
  EDDY_ASSIGN_OR_RETURN(sql::Statement last, db_->Prepare(kLastStored));
  last.Bind(1, BlockId(id, 0)).Bind(2, BlockId(id + 1, 0));
  const absl::StatusOr<bool> has_last = last.Step();
  uint64_t stored_end = has_last.ok() ? 0 : work.end;  // too high does no harm
  if (has_last.ok() && *has_last) {
    stored_end = (static_cast<uint64_t>(last.ColumnInt(0) - BlockId(id, 0)) << 2) +
                 static_cast<uint64_t>(last.ColumnInt(1));
  }
  keeper_->Thaw(work.log);
  work.log->EndSalvage(stored_end);
  works_.pop_front();
  return absl::OkStatus();
}

}  // namespace eddy::log
