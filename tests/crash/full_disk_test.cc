// A tmpfs of a few MiB, really full: another program has taken every byte that
// eddy left. In a child with mounts of its own; it warns where the system does not
// allow that, and proves nothing. The promise under test is StoreOptions::reserve_bytes.
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <memory>
#include <string>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include "eddy/store.h"

namespace eddy {
namespace {

constexpr int kNoMount = 100;  // else: the step that went wrong, 0 for none

// Until not one byte more is taken.
void FillDisk(const char* path) {
  const int file = ::open(path, O_CREAT | O_WRONLY | O_APPEND, 0600);
  const std::string bytes(4096, 'f');
  for (size_t size = bytes.size(); size > 0; size /= 2) {
    while (::write(file, bytes.data(), size) > 0) {
    }
  }
  ::close(file);
}

// For this process alone. False: it is not allowed.
bool MountSmallDisk(const std::string& root) {
  // With a user namespace where we are not root; with neither there is no mount.
  if (::unshare(CLONE_NEWNS) != 0 && ::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return false;
  (void)::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
  return ::mount("none", root.c_str(), "tmpfs", 0, "size=6m") == 0;
}

StoreOptions Options(bool with_reserve) {
  StoreOptions options;
  options.intake_bytes = 256 << 10;
  options.reserve_bytes = with_reserve ? 640 << 10 : 0;
  options.threads = false;
  options.flush_interval = absl::Milliseconds(1);
  return options;
}

int Run(const std::string& root, bool with_reserve) {
  if (!MountSmallDisk(root)) return kNoMount;
  const absl::StatusOr<std::unique_ptr<Store>> store =
      Store::Open(root + "/store", Options(with_reserve));
  if (!store.ok()) return 1;
  const absl::StatusOr<Stream*> stream = (*store)->CreateStream("telemetry");
  if (!stream.ok()) return 2;
  const absl::StatusOr<Cursor*> cursor = (*stream)->OpenCursor("reader");
  if (!cursor.ok()) return 3;
  for (int i = 0; i < 1000; ++i) {
    if (!(*stream)->Put("key", std::string(1000, 'x')).ok()) return 4;
  }
  if (!(*store)->Flush().ok()) return 5;
  const std::string filler = root + "/filler";
  FillDisk(filler.c_str());

  // What is accepted now needs space that is not there.
  for (int i = 0; i < 150; ++i) {
    if (!(*stream)->Put("key", std::string(1000, 'y')).ok()) return 4;
  }
  if (!(*store)->Flush().ok()) return 16;
  const absl::StatusOr<RecordBatch> batch = (*cursor)->Read(0);
  if (!batch.ok() || batch->records.size() != 1150) return 6;
  for (const Record& record : batch->records) {
    if (record.sequence_number % 8 != 0) continue;
    if (!(*cursor)->Advance(0, record.sequence_number + 1, Durability::kPower).ok()) return 7;
  }
  if ((*store)->Stats().reserve_held) return 8;
  if (!absl::IsResourceExhausted((*stream)->Put("key", "no more").status())) return 9;
  if (!(*stream)->Trim(0, batch->next_sequence_number).ok()) return 10;
  if (!(*store)->Flush().ok()) return 11;
  if ((*stream)->Describe().shards[0].oldest != batch->next_sequence_number) return 12;

  // Room comes back: so do the reserve and the puts.
  if (::unlink(filler.c_str()) != 0) return 13;
  (void)::poll(nullptr, 0, 1010);  // the store looks once a second
  (*store)->Pump();
  if (!(*store)->Stats().reserve_held) return 14;
  if (!(*stream)->Put("key", "again", {{}, Durability::kPower, {}}).ok()) return 15;
  return 0;
}

// The agent is started anew while the disk is full: its backlog is drained all the same.
int RunRestart(const std::string& root, bool fill_while_open) {
  if (!MountSmallDisk(root)) return kNoMount;
  const StoreOptions options = Options(/*with_reserve=*/true);
  absl::StatusOr<std::unique_ptr<Store>> store = Store::Open(root + "/store", options);
  if (!store.ok()) return 1;
  absl::StatusOr<Stream*> stream = (*store)->CreateStream("telemetry");
  if (!stream.ok()) return 2;
  absl::StatusOr<Cursor*> cursor = (*stream)->OpenCursor("reader");
  if (!cursor.ok()) return 3;
  for (int i = 0; i < 1000; ++i) {
    if (!(*stream)->Put("key", std::string(1000, 'x')).ok()) return 4;
  }
  if (!(*store)->Flush().ok()) return 5;
  const std::string filler = root + "/filler";
  if (fill_while_open) FillDisk(filler.c_str());
  store->reset();
  FillDisk(filler.c_str());
  if (::access((root + "/store/eddy.reserve").c_str(), F_OK) != 0) return 6;
  store = Store::Open(root + "/store", options);
  if (!store.ok()) return 7;
  stream = (*store)->OpenStream("telemetry");
  if (!stream.ok()) return 8;
  cursor = (*stream)->OpenCursor("reader");
  if (!cursor.ok()) return 9;
  const absl::StatusOr<RecordBatch> batch = (*cursor)->Read(0);
  if (!batch.ok() || batch->records.size() != 1000) return 10;
  if (!(*cursor)->Advance(0, batch->next_sequence_number, Durability::kPower).ok()) return 11;
  if (!(*stream)->Trim(0, batch->next_sequence_number).ok()) return 12;
  if (!(*store)->Flush().ok()) return 13;
  return 0;
}

// Calls `run` with an empty directory, in a process of its own. Returns what it does.
int InChild(const std::function<int(const std::string& root)>& run) {
  char root[] = "/tmp/eddy-full-XXXXXX";
  REQUIRE(::mkdtemp(root) != nullptr);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) ::_exit(run(root));  // the mount dies with it
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  (void)::rmdir(root);
  REQUIRE(WIFEXITED(status));
  return WEXITSTATUS(status);
}

}  // namespace

TEST_CASE("on a disk that is really full the reserve lets acknowledgements and trims commit",
          "[crash][quota]") {
  const int step = InChild([](const std::string& root) { return Run(root, true); });
  if (step == kNoMount) {
    WARN("not run: no mount of a tmpfs is allowed here");
    return;
  }
  CHECK(step == 0);
}

TEST_CASE("on a disk that is really full a store with a reserve can be opened, and drained",
          "[crash][quota]") {
  const bool fill_while_open = GENERATE(false, true);
  CAPTURE(fill_while_open);
  const int step =
      InChild([&](const std::string& root) { return RunRestart(root, fill_while_open); });
  if (step == kNoMount) {
    WARN("not run: no mount of a tmpfs is allowed here");
    return;
  }
  CHECK(step == 0);
}

TEST_CASE("on a disk that is really full a store without a reserve cannot commit",
          "[crash][quota]") {
  const int step = InChild([](const std::string& root) { return Run(root, false); });
  if (step == kNoMount) {
    WARN("not run: no mount of a tmpfs is allowed here");
    return;
  }
  CHECK(step == 16);  // so that the test above proves something
}

}  // namespace eddy
