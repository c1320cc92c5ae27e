#include "tests/bench/slow_sync.h"

#include <sqlite3.h>

#include <algorithm>
#include <list>

#include "tests/bench/bench.h"
#include "tests/bench/memory.h"

namespace eddy::bench {
namespace {

constexpr char kName[] = "eddy-bench-slow-sync";
constexpr double kSyncSeconds = 100e-6;

// The methods of one kind of SQLite's files: those that it locks, and the others.
struct Kind {
  sqlite3_io_methods slow;
  const sqlite3_io_methods* own;
};

sqlite3_vfs* own = nullptr;
std::list<Kind> kinds;  // stay where they are; of one thread's files

int Sync(sqlite3_file* file, int flags) {
  const auto* const kind = reinterpret_cast<const Kind*>(file->pMethods);
  const int status = kind->own->xSync(file, flags);
  SleepSeconds(kSyncSeconds);
  return status;
}

int Open(sqlite3_vfs*, sqlite3_filename name, sqlite3_file* file, int flags, int* out_flags) {
  const int status = own->xOpen(own, name, file, flags, out_flags);
  if (file->pMethods == nullptr) return status;
  auto kind = std::find_if(kinds.begin(), kinds.end(),
                           [&](const Kind& known) { return known.own == file->pMethods; });
  if (kind == kinds.end()) {
    kind = kinds.insert(kind, {*file->pMethods, file->pMethods});
    kind->slow.xSync = &Sync;
  }
  file->pMethods = &kind->slow;
  return status;
}

}  // namespace

std::string SlowSyncVfs() {
  static sqlite3_vfs slow;
  if (own == nullptr) {
    own = sqlite3_vfs_find(nullptr);
    slow = *own;
    slow.zName = kName;
    slow.xOpen = &Open;
    if (sqlite3_vfs_register(&slow, 0) != SQLITE_OK) Die("cannot register a VFS");
  }
  return kName;
}

}  // namespace eddy::bench
