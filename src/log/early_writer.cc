#include "src/log/early_writer.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "src/base/status.h"
#include "src/log/block_codec.h"
#include "src/log/block_extents.h"

namespace eddy::log {

EarlyWriter::Loan::Loan(EarlyWriter* writer, BlockWriter* blocks, std::vector<Source> sources)
    : writer_(writer) {
  MutexLock lock(&writer->mu_);
  writer->blocks_ = blocks;
  writer->sources_ = std::move(sources);
  writer->written_.clear();  // what the round has not found it will not
  writer->lent_.store(blocks != nullptr, std::memory_order_relaxed);
}

void EarlyWriter::TakeBack() {
  lent_.store(false, std::memory_order_relaxed);
  MutexLock lock(&mu_);
  blocks_ = nullptr;
  sources_.clear();
}

bool EarlyWriter::WriteOne() {
  if (!lent_.load(std::memory_order_relaxed) || !mu_.TryLock()) return false;
  const bool wrote = blocks_ != nullptr && WriteOneLocked();
  mu_.Unlock();
  return wrote;
}

bool EarlyWriter::WriteOneLocked() {
  while (!sources_.empty() && lent_.load(std::memory_order_relaxed)) {
    Source& source = sources_.back();
    const std::optional<CutRun> run = source.log->SealedRun(source.from);
    const Wrote wrote = run.has_value() ? WriteRun(source.log, *run) : Wrote::kNotThisLog;
    if (wrote == Wrote::kFailed) sources_.clear();  // the round will meet it, and tell
    if (wrote == Wrote::kNotThisLog) sources_.pop_back();
    if (wrote == Wrote::kNo || wrote == Wrote::kYes) source.from = run->end;
    if (wrote == Wrote::kYes) return true;
  }
  return false;
}

EarlyWriter::Wrote EarlyWriter::WriteRun(SegmentLog* log, const CutRun& run) {
  if (run.end - run.first < kExtentBytesMin) return Wrote::kNo;
  std::vector<BlockDraft> drafts;
  // One that is not published yet is waited for by the round, which ends there.
  if (DraftRun(log->id(), run, log->boot_starts(), kPackedSpanMax, 0, &drafts) != run.end) {
    return Wrote::kNotThisLog;
  }
  if (drafts.size() != 1) return Wrote::kNo;
  const absl::StatusOr<bool> put = blocks_->PutEarly(&drafts.front());
  if (!put.ok()) return Wrote::kFailed;
  if (!*put) return Wrote::kNotThisLog;  // nor will the next be large enough
  written_.push_back(drafts.front());
  return Wrote::kYes;
}

bool EarlyWriter::Find(const SegmentLog& log, const CutRun& run, BlockDraft* draft) {
  if (!run.sealed) return false;
  MutexLock lock(&mu_);
  const auto found =
      std::find_if(written_.begin(), written_.end(), [&](const BlockDraft& written) {
        return written.log == log.id() && written.first == run.first && written.end == run.end;
      });
  if (found == written_.end()) return false;
  *draft = *found;
  written_.erase(found);
  return true;
}

}  // namespace eddy::log
