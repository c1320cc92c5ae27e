// What a power cut leaves of the disk (V2): which of the unsynced writes are kept,
// dropped or torn, and the bytes, sizes and names that come of it.
#include <algorithm>
#include <cstring>
#include <utility>

#include "tests/fakes/crash_disk_state.h"

namespace eddy::testing {

// The decisions of one cut. The kinds of disks take turns, because a fair mix
// of everything almost never shows what each alone does.
class CrashDisk::Disk::Fates {
 public:
  Fates(uint64_t seed, uint64_t last_write) : random_(seed), seed_(seed) {
    style_ = static_cast<Style>(random_.Below(4));
    cut_write_ = last_write == 0 ? 0 : random_.Below(last_write + 1);
    keep_percent_ = random_.Below(101);
    tear_percent_ = random_.Below(51);
    garbage_ = random_.OneIn(2);
  }

  Fate Of(uint64_t write) const {
    switch (style_) {
      case Style::kNothing:
        return Fate::kDrop;
      case Style::kEverything:
        return Fate::kKeep;
      case Style::kInOrder:
        return write < cut_write_ ? Fate::kKeep : write == cut_write_ ? Fate::kTear : Fate::kDrop;
      case Style::kMixed:
        break;
    }
    // From the seed and the number alone, so that all of a write's sectors meet
    // the same fate.
    FakeRandom random(seed_ ^ (write * 0x9e3779b97f4a7c15u));
    if (random.Below(uint64_t{100}) < tear_percent_) return Fate::kTear;
    return random.Below(uint64_t{100}) < keep_percent_ ? Fate::kKeep : Fate::kDrop;
  }

  bool garbage() const { return garbage_; }
  FakeRandom& random() { return random_; }  // for what is decided one by one

 private:
  enum class Style { kNothing, kEverything, kInOrder, kMixed };
  FakeRandom random_;
  uint64_t seed_;
  Style style_;
  uint64_t cut_write_;
  uint64_t keep_percent_;
  uint64_t tear_percent_;
  bool garbage_;
};

std::map<std::string, CrashDisk::Disk::Entry> CrashDisk::Disk::DirectoryAfterCut(
    uint64_t seed) const {
  Fates fates(seed, last_write);
  std::map<std::string, Entry> result;
  for (const auto& [file, entry] : directory) {
    std::shared_ptr<Inode> inode = entry.durable;
    for (const Entry::Change& change : entry.changes) {
      const Fate fate = fates.Of(change.write);
      const bool kept = fate == Fate::kKeep ||
                        (fate == Fate::kTear && (change.renamed || fates.random().OneIn(2)));
      if (!kept) break;  // a file system's journal keeps their order
      inode = change.inode;
    }
    if (inode == nullptr) continue;
    auto after = std::make_shared<Inode>();
    after->name = file;
    after->durable = SizeAndBytesAfterCut(*inode, fates);
    after->visible = after->durable;
    result[file].durable = std::move(after);
  }
  return result;
}

std::string CrashDisk::Disk::SizeAndBytesAfterCut(const Inode& inode, Fates& fates) {
  size_t size = inode.durable.size();
  for (const SizeChange& change : inode.sizes) {
    const Fate fate = fates.Of(change.write);
    const bool kept = fate == Fate::kKeep || (fate == Fate::kTear && fates.random().OneIn(2));
    if (!kept) continue;
    size = change.extends ? std::max(size, change.size) : change.size;
  }
  std::string result = inode.durable;
  result.resize(size, '\0');
  for (const auto& [sector, versions] : inode.dirty) {
    const size_t begin = sector * kSectorBytes;
    if (begin >= size) continue;
    const size_t bytes = std::min(kSectorBytes, size - begin);
    for (const Version& version : versions) {
      Fate fate = fates.Of(version.write);
      bool garbage = false;
      const bool data = version.to > version.from;
      if (fate == Fate::kTear && !data) fate = Fate::kDrop;
      if (fate == Fate::kTear) {
        garbage = fates.garbage() && fates.random().OneIn(4);
        fate = garbage || fates.random().OneIn(2) ? Fate::kKeep : Fate::kDrop;
      }
      if (fate == Fate::kDrop) continue;
      std::memcpy(result.data() + begin, version.bytes.data(), bytes);
      if (!garbage) continue;
      for (size_t i = version.from; i < std::min(version.to, bytes); ++i) {
        result[begin + i] = static_cast<char>(fates.random().Next());
      }
    }
  }
  return result;
}

}  // namespace eddy::testing
