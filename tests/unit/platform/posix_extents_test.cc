// The blocks' file over SQLite's unix VFS, whose stat() of it fails for a while: with EIO on a
// disk that is about to go, with EOVERFLOW on a 32-bit board where a clock that was wrong for
// an hour has dated it 2038 or later (and the database, written since, has not).
#include <sqlite3.h>
#include <sys/stat.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <cerrno>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>

#include "eddy/store.h"
#include "tests/unit/platform/posix_test_util.h"

namespace eddy {
namespace {

using testing::TempDirectory;

int stat_errno = 0;  // of the blocks' file; 0: stat() works
int FailingStat(const char* path, struct stat* info) {
  const std::string_view name(path);
  constexpr std::string_view kSuffix = "-blocks";
  if (stat_errno != 0 && name.size() > kSuffix.size() &&
      name.substr(name.size() - kSuffix.size()) == kSuffix) {
    errno = stat_errno;
    return -1;
  }
  return stat(path, info);
}

struct StatFault {
  StatFault() {
    vfs = sqlite3_vfs_find("unix");
    REQUIRE(vfs != nullptr);
    REQUIRE(vfs->xSetSystemCall(vfs, "stat",
                                reinterpret_cast<sqlite3_syscall_ptr>(&FailingStat)) == SQLITE_OK);
  }
  ~StatFault() { vfs->xSetSystemCall(vfs, "stat", nullptr); }
  sqlite3_vfs* vfs = nullptr;
};

std::string Data(int number) {
  std::string data = "record " + std::to_string(number) + " ";
  uint32_t state = static_cast<uint32_t>(number) * 2654435761u + 1;
  while (data.size() < 12000) {
    state = state * 1664525 + 1013904223;
    data.push_back(static_cast<char>(state >> 24));
  }
  return data;
}

TEST_CASE("a blocks' file that cannot be looked at for once is neither taken for none nor "
          "written over",
          "[platform][extents][fault]") {
  TempDirectory temp;
  StatFault fault;
  const int error = GENERATE(EIO, EOVERFLOW);
  const bool put = GENERATE(false, true);
  StoreOptions options;
  options.threads = false;
  int next = 0;
  const auto put_some = [&](Store& store) {
    const absl::StatusOr<Stream*> stream = store.OpenStream("s");
    REQUIRE(stream.ok());
    for (int i = 0; i < 10; ++i) REQUIRE((*stream)->Put("k", Data(next++)).ok());
    REQUIRE(store.Flush().ok());
  };
  {
    absl::StatusOr<std::unique_ptr<Store>> store = Store::Open(temp / "store", options);
    INFO(store.status().ToString());
    REQUIRE(store.ok());
    REQUIRE((*store)->CreateStream("s").ok());
    put_some(**store);
  }
  {
    stat_errno = error;
    absl::StatusOr<std::unique_ptr<Store>> store = Store::Open(temp / "store", options);
    // To refuse would be right, or to write nothing there.
    if (store.ok()) {
      if (put) put_some(**store);
      const absl::StatusOr<Stream*> stream = (*store)->OpenStream("s");
      const absl::StatusOr<RecordBatch> batch =
          (*stream)->GetRecords(*(*stream)->GetShardIterator(0, {}));
      INFO(batch.status().ToString());
      CHECK_FALSE((batch.ok() && batch->gap.has_value()));
    }
    stat_errno = 0;
  }
  absl::StatusOr<std::unique_ptr<Store>> store = Store::Open(temp / "store", options);
  REQUIRE(store.ok());
  const absl::StatusOr<Stream*> stream = (*store)->OpenStream("s");
  REQUIRE(stream.ok());
  std::string iterator = *(*stream)->GetShardIterator(0, {});
  int found = 0;
  for (;;) {
    const absl::StatusOr<RecordBatch> batch = (*stream)->GetRecords(iterator);
    REQUIRE(batch.ok());
    CHECK_FALSE(batch->gap.has_value());
    for (const Record& record : batch->records) {
      CHECK((record.data == Data(found)));
      ++found;
    }
    if (batch->records.empty() && !batch->gap) break;
    iterator = batch->next_shard_iterator;
  }
  CHECK(found == next);
  CHECK((*store)->Stats().blocks_damaged == 0);
}

}  // namespace
}  // namespace eddy
