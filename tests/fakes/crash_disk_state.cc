// What the steps do to the disk's bytes and names, and the faults that hit them.
#include "tests/fakes/crash_disk_state.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iterator>

#include "absl/strings/match.h"

namespace eddy::testing {

bool CrashDisk::Disk::Works(const Handle& handle) {
  if (!power_is_off && handle.generation == generation) return true;
  last_errno = EIO;
  return false;
}

void CrashDisk::Disk::Stepped() {
  if (step_count >= cut_step) power_is_off = true;
  stepped = true;
}

bool CrashDisk::Disk::Hit(Op op, const std::string& file, Fault* fault) {
  bool hit = false;
  for (size_t i = 0; i < rules.size();) {
    FaultRule& rule = rules[i];
    const bool op_matches = rule.op == op || (rule.op == Op::kAny && op != Op::kRead);
    if (!op_matches || !absl::EndsWith(file, rule.suffix)) {
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
    last_errno = *fault == Fault::kFull ? ENOSPC : *fault == Fault::kReadOnly ? EROFS : EIO;
  }
  return hit;
}

const CrashDisk::Disk::Inode* CrashDisk::Disk::Visible(const std::string& file) const {
  const auto found = directory.find(file);
  return found == directory.end() ? nullptr : found->second.visible().get();
}

uint64_t CrashDisk::Disk::BytesUsed() const {
  uint64_t bytes = 0;
  for (const auto& [file, entry] : directory) {
    if (entry.visible() != nullptr) bytes += entry.visible()->visible.size();
  }
  return bytes;
}

void CrashDisk::Disk::WriteBytes(Inode& inode, const char* from, size_t bytes, size_t offset) {
  ++last_write;
  const size_t end = offset + bytes;
  if (end > inode.visible.size()) {
    inode.visible.resize(end, '\0');
    inode.sizes.push_back({last_write, false, true, end});
  }
  std::memcpy(inode.visible.data() + offset, from, bytes);
  Note(inode, offset, end, /*data=*/true);
  bytes_written[inode.name] += bytes;
}

void CrashDisk::Disk::TruncateTo(Inode& inode, size_t bytes) {
  ++last_write;
  const size_t old = inode.visible.size();
  inode.visible.resize(bytes, '\0');
  inode.sizes.push_back({last_write, false, bytes > old, bytes});
  if (bytes < old) Note(inode, bytes, old, /*data=*/false);
}

void CrashDisk::Disk::SyncBytes(Inode& inode) {
  for (auto it = inode.dirty.begin(); it != inode.dirty.end();) {
    if (it->second.back().poisoned) {
      ++it;
      continue;
    }
    const size_t begin = it->first * kSectorBytes;
    if (begin < inode.visible.size()) {
      const size_t bytes = std::min(kSectorBytes, inode.visible.size() - begin);
      if (inode.durable.size() < begin + bytes) {
        inode.durable.resize(begin + bytes, '\0');
      }
      std::memcpy(inode.durable.data() + begin, inode.visible.data() + begin, bytes);
    }
    it = inode.dirty.erase(it);
  }
  if (inode.sizes.empty() || !inode.sizes.back().poisoned) {
    inode.durable.resize(inode.visible.size(), '\0');
    inode.sizes.clear();
  }
}

void CrashDisk::Disk::Poison(Inode& inode) {
  for (auto& [sector, versions] : inode.dirty) {
    for (Version& version : versions) version.poisoned = true;
  }
  for (SizeChange& change : inode.sizes) change.poisoned = true;
}

void CrashDisk::Disk::SyncDirectory() {
  for (auto it = directory.begin(); it != directory.end();) {
    Entry& entry = it->second;
    entry.durable = entry.visible();
    entry.changes.clear();
    it = entry.durable == nullptr ? directory.erase(it) : std::next(it);
  }
}

void CrashDisk::Disk::Note(Inode& inode, size_t from, size_t to, bool data) {
  for (size_t at = from; at < to;) {
    const size_t sector = at / kSectorBytes;
    const size_t begin = sector * kSectorBytes;
    const size_t end = std::min(begin + kSectorBytes, to);
    Version version;
    version.write = last_write;
    if (data) {
      version.from = at - begin;
      version.to = end - begin;
    }
    if (begin < inode.visible.size()) {
      std::memcpy(version.bytes.data(), inode.visible.data() + begin,
                  std::min(kSectorBytes, inode.visible.size() - begin));
    }
    inode.dirty[sector].push_back(version);
    at = end;
  }
}

}  // namespace eddy::testing
