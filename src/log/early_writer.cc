#include "src/log/early_writer.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include "src/log/block_row.h"

namespace eddy::log {

EarlyWriter::Loan::Loan(EarlyWriter* writer, BlockExtents* extents, std::vector<Source> sources)
    : writer_(writer) {
  absl::MutexLock lock(&writer->mu_);
  writer->extents_ = extents;
  writer->sources_ = std::move(sources);
  writer->written_.clear();  // what the round has not found it will not
  writer->lent_.store(extents != nullptr, std::memory_order_relaxed);
}

void EarlyWriter::TakeBack() {
  lent_.store(false, std::memory_order_relaxed);
  absl::MutexLock lock(&mu_);
  extents_ = nullptr;
  sources_.clear();
}

bool EarlyWriter::WriteOne() {
  if (!lent_.load(std::memory_order_relaxed) || !mu_.TryLock()) return false;
  const bool wrote = extents_ != nullptr && WriteOneLocked();
  mu_.Unlock();
  return wrote;
}

bool EarlyWriter::WriteOneLocked() {
  while (!sources_.empty()) {
    Source& source = sources_.back();
    const std::optional<CutRun> run = source.log->SealedRun(source.from);
    std::vector<BlockDraft> drafts;
    if (!run.has_value()) {
      sources_.pop_back();
      continue;
    }
    source.from = run->end;
    const uint64_t end = DraftRun(source.log->id(), *run, source.log->boot_starts(),
                                  kPackedSpanMax, 0, &drafts);
    if (end != run->end || drafts.size() != 1) continue;  // not published yet: the round waits
    BlockDraft& draft = drafts.front();
    const std::string_view bytes = packer_.Pack(draft.Frames(), draft.frame_count);
    if (bytes.size() < kExtentBytesMin) continue;
    const absl::StatusOr<uint64_t> ticket = extents_->PutEarly(bytes);
    if (!ticket.ok()) {  // the round will meet it, and tell
      extents_ = nullptr;
      return false;
    }
    draft.early_ticket = *ticket;
    draft.early_checksum = BlockChecksum(bytes, BlockId(draft.log, draft.first),
                                         static_cast<int64_t>(draft.end - draft.first));
    written_.push_back(draft);
    return true;
  }
  return false;
}

bool EarlyWriter::Find(LogId log, const CutRun& run, BlockDraft* draft) {
  if (!run.sealed) return false;
  absl::MutexLock lock(&mu_);
  const auto found =
      std::find_if(written_.begin(), written_.end(), [&](const BlockDraft& written) {
        return written.log == log && written.first == run.first && written.end == run.end;
      });
  if (found == written_.end()) return false;
  *draft = *found;
  written_.erase(found);
  return true;
}

}  // namespace eddy::log
