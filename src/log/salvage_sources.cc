#include "src/log/salvage_sources.h"

#include <algorithm>
#include <tuple>
#include <utility>
#include <variant>

#include "src/base/status.h"
#include "src/log/meta.h"

namespace eddy::log {
namespace {

uint64_t Number(const SqlValue& value) {
  const int64_t* const number = std::get_if<int64_t>(&value);
  return number == nullptr || *number < 0 ? 0 : static_cast<uint64_t>(*number);
}

}  // namespace

absl::StatusOr<std::unique_ptr<SalvageSources>> SalvageSources::Open(
    std::vector<std::string> places, const std::string& vfs) {
  std::unique_ptr<SalvageSources> sources(new SalvageSources());
  sources->places_ = std::move(places);
  for (auto place = sources->places_.rbegin(); place != sources->places_.rend(); ++place) {
    EDDY_ASSIGN_OR_RETURN(sources->stores_.emplace_back(),
                          DamagedStore::Open(*place + kDatabaseFile, vfs));
    EDDY_RETURN_IF_ERROR(sources->stores_.back()->FindBlocks(
        static_cast<uint16_t>(sources->stores_.size() - 1), &sources->blocks_, &sources->lost_));
  }
  std::sort(sources->blocks_.begin(), sources->blocks_.end(),
            [](const OldBlock& a, const OldBlock& b) {
              return std::tie(a.id, a.source, a.page, a.offset) <
                     std::tie(b.id, b.source, b.page, b.offset);
            });
  // id, oldest, end, reserved, counted_position, _blocks, _frames, _bytes
  const absl::StatusOr<bool> counted =
      sources->Rows("logs", [&](const DamagedStore::Row& row) {
        if (row.size() != 8) return;
        sources->counted_.emplace(static_cast<LogId>(Number(row[0])),
                                  OldCount{Number(row[4]), Number(row[6])});
      });
  EDDY_RETURN_IF_ERROR(counted.status());
  return sources;
}

absl::StatusOr<bool> SalvageSources::Rows(
    const std::string& table, const std::function<void(const DamagedStore::Row&)>& row) {
  for (const std::unique_ptr<DamagedStore>& store : stores_) {
    EDDY_ASSIGN_OR_RETURN(const bool whole, store->Rows(table, row));
    if (whole) return store == stores_.front();
  }
  return false;
}

size_t SalvageSources::Begin(LogId log) const {
  const int64_t first = BlockId(log, 0);
  return static_cast<size_t>(std::lower_bound(blocks_.begin(), blocks_.end(), first,
                                              [](const OldBlock& block, int64_t id) {
                                                return block.id < id;
                                              }) -
                             blocks_.begin());
}

bool SalvageSources::MayLack(LogId log, uint64_t first, uint64_t end) const {
  const int64_t first_id = BlockId(log, first);
  const int64_t last_id = BlockId(log, end) - 1;
  return std::any_of(lost_.begin(), lost_.end(), [&](const sql::LostRows& lost) {
    return lost.first <= last_id && lost.last >= first_id;
  });
}

OldCount SalvageSources::counted(LogId log) const {
  const auto found = counted_.find(log);
  return found == counted_.end() ? OldCount() : found->second;
}

}  // namespace eddy::log
