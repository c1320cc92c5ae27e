// How it is held: each file keeps its durable bytes, the bytes that the process
// sees, and for each 512-byte sector that differs, or may, every version since
// the last good sync. A version is the whole sector, as in a page cache, and
// bears the number of the write that made it:
//
//   durable  |  old   |  old   |  old   |
//   write 7  |        |  v7    |  v7    |      a cut decides for 7 and for 8
//   write 8  |        |        |  v8    |      (keep, drop, tear), then takes
//   visible  |  old   |  v7    |  v8    |      the last kept version of each
//
// A sync makes the visible bytes durable and forgets the versions, but for
// sectors whose last version was under a sync that failed (V3). Sizes and names
// keep histories in the same way.
#include "tests/fakes/crash_vfs.h"

#include <sqlite3.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <map>
#include <mutex>
#include <new>
#include <thread>
#include <utility>

#include "src/base/status.h"
#include "tests/fakes/fake_random.h"

namespace eddy::testing {
namespace {

constexpr size_t kSectorBytes = 512;
constexpr int kShmLockCount = SQLITE_SHM_NLOCK;

struct Version {
  uint64_t write = 0;
  bool poisoned = false;  // V3
  size_t from = 0;        // the bytes of the sector that the write covered
  size_t to = 0;
  std::array<char, kSectorBytes> bytes = {};
};

struct SizeChange {
  uint64_t write = 0;
  bool poisoned = false;
  bool extends = false;  // at least `size`; else exactly
  size_t size = 0;
};

struct Handle;

struct Inode {
  std::string name;
  std::string visible;
  std::string durable;
  std::map<size_t, std::vector<Version>> dirty;  // by sector
  std::vector<SizeChange> sizes;

  // Locks of SQLite's rollback mode, of which WAL mode uses the shared one.
  int shared_count = 0;
  const Handle* reserved = nullptr;
  const Handle* pending = nullptr;  // or exclusive

  // The WAL's shared memory and its locks.
  std::vector<std::unique_ptr<char[]>> regions;
  int shm_user_count = 0;
  std::array<int, kShmLockCount> shm_shared = {};
  std::array<const Handle*, kShmLockCount> shm_exclusive = {};
};

// A name and the changes to what it means since the last directory sync.
struct Entry {
  struct Change {
    uint64_t write = 0;
    std::shared_ptr<Inode> inode;  // null: deleted
  };
  std::shared_ptr<Inode> durable;
  std::vector<Change> changes;

  const std::shared_ptr<Inode>& visible() const {
    return changes.empty() ? durable : changes.back().inode;
  }
};

struct Handle {
  std::shared_ptr<Inode> inode;
  uint64_t generation = 0;
  int flags = 0;
  bool needs_directory_sync = false;
  int lock_level = SQLITE_LOCK_NONE;
  bool uses_shm = false;
  unsigned shm_shared = 0;  // bit masks of the slots it holds
  unsigned shm_exclusive = 0;
};

struct FaultRule {
  CrashDisk::Op op;
  uint64_t remaining;
  CrashDisk::Fault fault;
  bool sticky;
  std::string suffix;
};

bool EndsWith(const std::string& text, const std::string& suffix) {
  return text.size() >= suffix.size() &&
         text.compare(text.size() - suffix.size(), suffix.size(), suffix) == 0;
}

// What a cut does to a write.
enum class Fate { kKeep, kDrop, kTear };

// The decisions of one cut. The kinds of disks take turns, because a fair mix
// of everything almost never shows what each alone does.
class Fates {
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
        return write < cut_write_    ? Fate::kKeep
               : write == cut_write_ ? Fate::kTear
                                     : Fate::kDrop;
      case Style::kMixed:
        break;
    }
    // From the seed and the number alone, so that all of a write's sectors meet
    // the same fate.
    FakeRandom random(seed_ ^ (write * 0x9e3779b97f4a7c15u));
    if (random.Below(100) < tear_percent_) return Fate::kTear;
    return random.Below(100) < keep_percent_ ? Fate::kKeep : Fate::kDrop;
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

std::string SizeAndBytesAfterCut(const Inode& inode, Fates& fates) {
  size_t size = inode.durable.size();
  for (const SizeChange& change : inode.sizes) {
    const Fate fate = fates.Of(change.write);
    const bool kept = fate == Fate::kKeep ||
                      (fate == Fate::kTear && fates.random().OneIn(2));
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

}  // namespace

struct CrashDisk::Disk {
  sqlite3_vfs vfs = {};  // pAppData is this object
  std::string name;

  mutable std::mutex mu;  // guards all below
  std::map<std::string, Entry> directory;
  uint64_t generation = 1;  // of the handles that still work
  int handle_count = 0;
  uint64_t last_write = 0;  // numbers of changes, for Fates
  int last_errno = 0;

  bool power_is_off = false;
  uint64_t cut_step = UINT64_MAX;
  uint64_t step_count = 0;
  uint64_t sync_count = 0;
  std::map<std::string, uint64_t> bytes_written;

  std::vector<FaultRule> rules;
  uint64_t fault_count = 0;
  uint64_t capacity = UINT64_MAX;
  bool lies = false;
  FakeRandom random{1};

  // --- For the functions that SQLite calls; `mu` is held --------------------

  bool Works(const Handle& handle) {
    if (!power_is_off && handle.generation == generation) return true;
    last_errno = EIO;
    return false;
  }

  // Counts a step. Call Stepped when it is done.
  void Step() { ++step_count; }
  void Stepped() {
    if (step_count >= cut_step) power_is_off = true;
  }

  // Whether an injected fault hits this operation, and which.
  bool Hit(Op op, const std::string& file, Fault* fault) {
    bool hit = false;
    for (size_t i = 0; i < rules.size();) {
      FaultRule& rule = rules[i];
      const bool op_matches =
          rule.op == op || (rule.op == Op::kAny && op != Op::kRead);
      if (!op_matches || !EndsWith(file, rule.suffix)) {
        ++i;
        continue;
      }
      if (rule.remaining > 1) {
        --rule.remaining;
        ++i;
        continue;
      }
      hit = true;
      *fault = rule.fault;
      if (rule.sticky) {
        ++i;
      } else {
        rules.erase(rules.begin() + static_cast<std::ptrdiff_t>(i));
      }
    }
    if (hit) {
      ++fault_count;
      last_errno = *fault == Fault::kFull ? ENOSPC : EIO;
    }
    return hit;
  }

  uint64_t BytesUsed() const {
    uint64_t bytes = 0;
    for (const auto& [file, entry] : directory) {
      if (entry.visible() != nullptr) bytes += entry.visible()->visible.size();
    }
    return bytes;
  }

  // Records what [from, to) of the visible bytes has become.
  void Note(Inode& inode, size_t from, size_t to) {
    for (size_t at = from; at < to;) {
      const size_t sector = at / kSectorBytes;
      const size_t begin = sector * kSectorBytes;
      const size_t end = std::min(begin + kSectorBytes, to);
      Version version;
      version.write = last_write;
      version.from = at - begin;
      version.to = end - begin;
      if (begin < inode.visible.size()) {
        std::memcpy(version.bytes.data(), inode.visible.data() + begin,
                    std::min(kSectorBytes, inode.visible.size() - begin));
      }
      inode.dirty[sector].push_back(version);
      at = end;
    }
  }

  void WriteBytes(Inode& inode, const char* from, size_t bytes, size_t offset) {
    ++last_write;
    const size_t end = offset + bytes;
    if (end > inode.visible.size()) {
      inode.visible.resize(end, '\0');
      inode.sizes.push_back({last_write, false, true, end});
    }
    std::memcpy(inode.visible.data() + offset, from, bytes);
    Note(inode, offset, end);
    bytes_written[inode.name] += bytes;
  }

  void TruncateTo(Inode& inode, size_t bytes) {
    ++last_write;
    const size_t old = inode.visible.size();
    inode.visible.resize(bytes, '\0');
    inode.sizes.push_back({last_write, false, bytes > old, bytes});
    if (bytes < old) Note(inode, bytes, old);
  }

  void SyncBytes(Inode& inode) {
    for (auto it = inode.dirty.begin(); it != inode.dirty.end();) {
      if (it->second.back().poisoned) {
        ++it;
        continue;
      }
      const size_t begin = it->first * kSectorBytes;
      if (begin < inode.visible.size()) {
        const size_t bytes =
            std::min(kSectorBytes, inode.visible.size() - begin);
        if (inode.durable.size() < begin + bytes) {
          inode.durable.resize(begin + bytes, '\0');
        }
        std::memcpy(inode.durable.data() + begin, inode.visible.data() + begin,
                    bytes);
      }
      it = inode.dirty.erase(it);
    }
    if (inode.sizes.empty() || !inode.sizes.back().poisoned) {
      inode.durable.resize(inode.visible.size(), '\0');
      inode.sizes.clear();
    }
  }

  static void Poison(Inode& inode) {
    for (auto& [sector, versions] : inode.dirty) {
      for (Version& version : versions) version.poisoned = true;
    }
    for (SizeChange& change : inode.sizes) change.poisoned = true;
  }

  void SyncDirectory() {
    for (auto it = directory.begin(); it != directory.end();) {
      Entry& entry = it->second;
      entry.durable = entry.visible();
      entry.changes.clear();
      it = entry.durable == nullptr ? directory.erase(it) : std::next(it);
    }
  }

  // The directory as a cut now leaves it, with new inodes.
  std::map<std::string, Entry> DirectoryAfterCut(uint64_t seed) const {
    Fates fates(seed, last_write);
    std::map<std::string, Entry> result;
    for (const auto& [file, entry] : directory) {
      std::shared_ptr<Inode> inode = entry.durable;
      for (const Entry::Change& change : entry.changes) {
        const Fate fate = fates.Of(change.write);
        const bool kept = fate == Fate::kKeep ||
                          (fate == Fate::kTear && fates.random().OneIn(2));
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
};

namespace {

using Disk = CrashDiskAccess;

}  // namespace
}  // namespace eddy::testing
