#include "src/log/thinner.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "src/base/status.h"
#include "src/log/frame.h"

namespace eddy::log {
namespace {

constexpr size_t kCandidatesMax = 1024;

// What a row costs beside its bytes: id, columns, its place in the page.
constexpr uint64_t kRowBytes = 64;

// A block that was read and is not worth it is not read again at once.
constexpr absl::Duration kNotWorthPause = absl::Minutes(10);

}  // namespace

absl::Status Thinner::Plan(const std::vector<View>& views) {
  looks_.clear();
  ++turn_;
  for (size_t i = 0; i < views.size() && looks_.size() < kThinLooksMax; ++i) {
    const absl::Status listed =
        List(views[(turn_ + i) % views.size()], kThinLooksMax - looks_.size());
    if (listed.ok()) continue;
    looks_.clear();
    return listed;
  }
  return absl::OkStatus();
}

absl::Status Thinner::List(const View& view, size_t most) {
  uint64_t& from = from_[view.log->id()];
  const bool from_start = from == 0;
  std::vector<BlockRow> rows;
  EDDY_RETURN_IF_ERROR(writer_->List(view.log->id(), from, view.end, most, &rows));
  from = rows.size() < most ? 0 : rows.back().end;
  if (from_start && !rows.empty()) {
    candidates_.erase(candidates_.lower_bound(BlockId(view.log->id(), 0)),
                      candidates_.lower_bound(rows.front().id));
  }
  for (const BlockRow& row : rows) {
    if (row.end > view.end) {
      from = 0;
      break;
    }
    looks_.push_back({view, row, {}});
  }
  return absl::OkStatus();
}

bool Thinner::Choose(absl::Duration now) {
  bool one_is_due = false;
  size_t chosen = 0;
  for (Look& look : looks_) {
    const uint64_t most = look.row.frame_count / kThinLiveShare;
    const bool few = look.view.participant->LiveWithin(look.row.first, look.row.end,
                                                       static_cast<size_t>(most), &look.live);
    if (!few || !look.live.empty()) {
      if (one_is_due || !RewriteIsDue(look, few, now)) continue;
      one_is_due = true;
    }
    std::swap(look, looks_[chosen++]);
  }
  looks_.erase(looks_.begin() + static_cast<std::ptrdiff_t>(chosen), looks_.end());
  return chosen > 0;
}

bool Thinner::RewriteIsDue(const Look& look, bool few, absl::Duration now) {
  if (!few || look.row.bytes < kThinBytesMin) {
    candidates_.erase(look.row.id);
    return false;
  }
  auto since = candidates_.find(look.row.id);
  if (since == candidates_.end() && candidates_.size() < kCandidatesMax) {
    since = candidates_.emplace(look.row.id, now).first;
  }
  if (since == candidates_.end() || now - since->second < kThinAfter) return false;
  since->second = now + kNotWorthPause;
  return true;
}

absl::Status Thinner::Write() {
  for (const Look& look : looks_) {
    BlockSum added;
    if (look.live.empty()) {
      EDDY_ASSIGN_OR_RETURN(const bool deleted, writer_->Delete(look.row.id));
      if (!deleted) continue;  // trimmed in this round, before its blocks, and counted off there
    } else {
      EDDY_RETURN_IF_ERROR(Replace(look, &added));
      if (added.blocks == 0) continue;
    }
    SegmentLog* const log = look.view.log;
    // It may have been the last one, by which the next open knows the log's end.
    EDDY_RETURN_IF_ERROR(writer_->SetEnd(log->id(), log->committed(), 0));
    EDDY_RETURN_IF_ERROR(keeper_->Thinned(log, {1, look.row.frame_count, look.row.bytes}, added,
                                          look.row.kept_ms));
  }
  return absl::OkStatus();
}

// Nothing is added: the block is damaged, which its reader will tell, or not worth it.
absl::Status Thinner::Replace(const Look& look, BlockSum* added) {
  std::unique_ptr<char[]> memory;
  EDDY_ASSIGN_OR_RETURN(const std::string_view frames, writer_->Read(look.row.id, &memory));
  std::vector<BlockDraft> runs;
  if (frames.empty() ||
      !CutRuns(look.row, frames, look.live, look.view.log->boot_starts(), &runs)) {
    return absl::OkStatus();
  }
  uint64_t bytes = 0;  // if they were not packed
  for (const BlockDraft& run : runs) bytes += kRowBytes + (run.end - run.first);
  if (2 * bytes > look.row.bytes) return absl::OkStatus();
  EDDY_RETURN_IF_ERROR(writer_->Delete(look.row.id).status());
  for (const BlockDraft& run : runs) {
    EDDY_ASSIGN_OR_RETURN(const uint64_t stored, writer_->Insert(run, look.row.kept_ms));
    added->blocks += 1;
    added->frames += run.frame_count;
    added->bytes += stored;
  }
  return absl::OkStatus();
}

void Thinner::Finish(bool committed) {
  for (const Look& look : looks_) {
    if (!committed) candidates_.erase(look.row.id);
  }
  looks_.clear();
}

bool CutRuns(const BlockRow& row, std::string_view frames, const std::vector<uint64_t>& live,
             const BootStarts& starts, std::vector<BlockDraft>* runs) {
  runs->clear();
  size_t found = 0;
  for (size_t at = 0; at < frames.size();) {
    FrameView frame;
    if (!ParseFrame(frames.data() + at, frames.size() - at, row.first + at, &frame)) return false;
    RepairTime(starts, &frame);
    if (found < live.size() && live[found] == frame.position) {
      ++found;
      if (runs->empty() || runs->back().end != frame.position) {
        BlockDraft& run = runs->emplace_back();
        run.log = row.log;
        run.first = frame.position;
        run.frames = frames.data() + at;
        run.first_time_ms = frame.time_ms;
      }
      BlockDraft& run = runs->back();
      run.end = frame.end;
      run.last = frame.position;
      ++run.frame_count;
      run.payload_bytes += frame.key.size() + frame.body.size();
      run.last_time_ms = std::max(run.last_time_ms, frame.time_ms);
      run.time_trusted = run.time_trusted && frame.time_trusted;
    }
    at += static_cast<size_t>(frame.end - frame.position);
  }
  return found == live.size();
}

}  // namespace eddy::log
