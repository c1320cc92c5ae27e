// SalvageSources: the databases that were set aside and are not yet all taken over, as
// one. There are several if the next one was damaged before the salvage of the last had
// come to its end: then the newest tells the catalog, and blocks come from all.
// Depends on damaged_store.h.
#ifndef EDDY_SRC_LOG_SALVAGE_SOURCES_H_
#define EDDY_SRC_LOG_SALVAGE_SOURCES_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "src/log/damaged_store.h"

namespace eddy::log {

// What the newest database had counted of a log's blocks that begin below `to`.
struct OldCount {
  uint64_t to = 0;
  uint64_t frames = 0;
};

// Threads: not safe.
class SalvageSources {
 public:
  // `places`: directories, the newest last. Reads the trees of the blocks, a sixtieth of
  // the databases, or where they are damaged all of them.
  static absl::StatusOr<std::unique_ptr<SalvageSources>> Open(std::vector<std::string> places,
                                                              const std::string& vfs);

  const std::vector<std::string>& places() const { return places_; }
  DamagedStore& newest() { return *stores_.front(); }
  // As DamagedStore::Rows, of the newest database; then, if some of them may be missing
  // there, of the one before it, whose rows are older. False: they may be.
  absl::StatusOr<bool> Rows(const std::string& table,
                            const std::function<void(const DamagedStore::Row&)>& row);

  // By id; of one id that of the newest database first. Not all are whole.
  const std::vector<OldBlock>& blocks() const { return blocks_; }
  absl::StatusOr<DamagedStore::Whole> Read(const OldBlock& block) {
    return stores_[block.source]->ReadBlock(block);
  }
  // Those of the log, as indices.
  size_t Begin(LogId log) const;
  size_t End(LogId log) const { return Begin(log + 1); }

  // Whether in the log's positions [first, end) there may have been a block that was
  // not found.
  bool MayLack(LogId log, uint64_t first, uint64_t end) const;
  OldCount counted(LogId log) const;

 private:
  SalvageSources() = default;

  std::vector<std::string> places_;
  std::vector<std::unique_ptr<DamagedStore>> stores_;  // the newest first
  std::vector<OldBlock> blocks_;
  std::vector<sql::LostRows> lost_;
  std::map<LogId, OldCount> counted_;
};

}  // namespace eddy::log

#endif  // EDDY_SRC_LOG_SALVAGE_SOURCES_H_
