#include "platform/posix/posix_files.h"

#include <fcntl.h>
#include <grp.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>

#include "tests/unit/platform/posix_test_util.h"

namespace eddy {
namespace {

using testing::Child;
using testing::TempDirectory;

// Files of this process cannot grow beyond `bytes` while it lives: a full disk
// without root's help.
class FullDisk {
 public:
  explicit FullDisk(rlim_t bytes) {
    old_handler_ = std::signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old_);
    rlimit limit = old_;
    limit.rlim_cur = bytes;
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FullDisk() {
    setrlimit(RLIMIT_FSIZE, &old_);
    std::signal(SIGXFSZ, old_handler_);
  }
  FullDisk(const FullDisk&) = delete;
  FullDisk& operator=(const FullDisk&) = delete;

 private:
  rlimit old_;
  void (*old_handler_)(int);
};

void WriteFile(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

// --- Directories -------------------------------------------------------------

TEST_CASE("a directory is made when its parent exists", "[platform][files]") {
  TempDirectory temp;
  PosixFiles files;
  CHECK(absl::IsNotFound(files.PrepareDirectory(temp / "a/b")));
  CHECK(files.PrepareDirectory(temp / "a").ok());
  CHECK(files.PrepareDirectory(temp / "a").ok());
  CHECK(files.PrepareDirectory(temp / "a/b/").ok());
  CHECK(std::filesystem::is_directory(temp / "a/b"));
  CHECK(std::filesystem::is_empty(temp / "a/b"));  // the probe is gone
}

TEST_CASE("a file is renamed into another directory, and nothing is written over",
          "[platform][files]") {
  TempDirectory temp;
  PosixFiles files;
  REQUIRE(files.PrepareDirectory(temp / "a").ok());
  WriteFile(temp / "one", "1");
  WriteFile(temp / "a/two", "2");
  CHECK(absl::IsAlreadyExists(files.Rename(temp / "one", temp / "a/two")));
  CHECK(absl::IsNotFound(files.Rename(temp / "none", temp / "a/none")));
  CHECK(absl::IsNotFound(files.Rename(temp / "one", temp / "b/one")));
  REQUIRE(files.Rename(temp / "one", temp / "a/one").ok());
  CHECK_FALSE(files.Exists(temp / "one"));
  CHECK(*files.Size(temp / "a/one") == 1);
  CHECK(*files.Size(temp / "a/two") == 1);
}

TEST_CASE("the start of the write-back changes nothing, and makes no file", "[platform][files]") {
  TempDirectory dir;
  PosixFiles files;
  const std::string path = dir.path() + "/file";
  files.StartWriteBack(path, 0, 4096);
  CHECK_FALSE(files.Exists(path));
  const std::string content(10000, 'x');
  std::ofstream(path, std::ios::binary) << content;
  files.StartWriteBack(path, 4096, 4096);
  files.StartWriteBack(path, 1 << 20, 4096);  // behind its end
  std::ifstream read(path, std::ios::binary);
  CHECK(std::string(std::istreambuf_iterator<char>(read), {}) == content);
}

TEST_CASE("a file in the place of a directory is refused",
          "[platform][files]") {
  TempDirectory temp;
  PosixFiles files;
  WriteFile(temp / "f", "x");
  CHECK(absl::IsFailedPrecondition(files.PrepareDirectory(temp / "f")));
  CHECK(absl::IsFailedPrecondition(files.PrepareDirectory(temp / "f/g")));
}

TEST_CASE("a directory that cannot be written is refused",
          "[platform][files]") {
  TempDirectory temp;
  REQUIRE(chmod(temp.path().c_str(), 0555) == 0);
  // In a child without root's rights, for root may write everywhere.
  Child child([&temp] {
    if (geteuid() == 0 && (setgroups(0, nullptr) != 0 || setgid(65534) != 0 ||
                           setuid(65534) != 0)) {
      return 1;
    }
    PosixFiles files;
    if (!absl::IsPermissionDenied(files.PrepareDirectory(temp.path()))) {
      return 2;
    }
    return absl::IsPermissionDenied(files.PrepareDirectory(temp / "a")) ? 0 : 3;
  });
  CHECK(child.code() == 0);
  REQUIRE(chmod(temp.path().c_str(), 0755) == 0);
}

TEST_CASE("a directory on a full disk is refused", "[platform][files]") {
  TempDirectory temp;
  PosixFiles files;
  {
    FullDisk full(100);
    CHECK(absl::IsResourceExhausted(files.PrepareDirectory(temp.path())));
  }
  CHECK(std::filesystem::is_empty(temp.path()));
  CHECK(files.PrepareDirectory(temp.path()).ok());
}

TEST_CASE("what a crash has left of a probe is taken away",
          "[platform][files]") {
  TempDirectory temp;
  WriteFile(temp / ".eddy-probe", "x");
  CHECK(PosixFiles().PrepareDirectory(temp.path()).ok());
  CHECK(std::filesystem::is_empty(temp.path()));
}

// --- Locks ---------------------------------------------------------------

TEST_CASE("a second lock in the same process is refused", "[platform][files]") {
  TempDirectory temp;
  PosixFiles files;
  auto lock = files.Lock(temp / "lock");
  REQUIRE(lock.ok());
  const absl::Status refused = files.Lock(temp / "lock").status();
  CHECK(absl::IsFailedPrecondition(refused));
  CHECK(std::string(refused.message())
            .find("this process (pid " + std::to_string(getpid()) + ")") !=
        std::string::npos);
  lock->reset();
  CHECK(files.Lock(temp / "lock").ok());
}

TEST_CASE("a refusal names the process that holds the lock, and ends with it",
          "[platform][files]") {
  TempDirectory temp;
  PosixFiles files;
  std::unique_ptr<FileLock> of_the_child;
  Child child(
      [&] {
        auto lock = files.Lock(temp / "lock");
        if (!lock.ok()) return 1;
        of_the_child = *std::move(lock);
        return 0;
      },
      /*hang=*/true);
  REQUIRE(child.code() == 0);
  const absl::Status refused = files.Lock(temp / "lock").status();
  CHECK(absl::IsFailedPrecondition(refused));
  CHECK(std::string(refused.message())
            .find("process " + std::to_string(child.pid())) !=
        std::string::npos);
  child.Kill();
  CHECK(files.Lock(temp / "lock").ok());
}

TEST_CASE("a program that the owner starts does not hold its lock",
          "[platform][files]") {
  TempDirectory temp;
  PosixFiles files;
  auto lock = files.Lock(temp / "lock");
  int from_child[2];
  REQUIRE(pipe(from_child) == 0);
  const pid_t pid = fork();
  if (pid == 0) {
    dup2(from_child[1], 1);
    // The shell becomes the sleep, so that the kill below ends all that holds
    // this test's pipes: ctest waits for them.
    execlp("sh", "sh", "-c", "echo; exec sleep 60", nullptr);
    _exit(1);
  }
  char byte;
  REQUIRE(read(from_child[0], &byte, 1) == 1);  // it has started
  lock->reset();
  CHECK(files.Lock(temp / "lock").ok());
  kill(pid, SIGKILL);
  waitpid(pid, nullptr, 0);
  close(from_child[0]);
  close(from_child[1]);
}

TEST_CASE("a lock needs its directory", "[platform][files]") {
  TempDirectory temp;
  CHECK(absl::IsNotFound(PosixFiles().Lock(temp / "no/lock").status()));
}

TEST_CASE("a full disk does not refuse a lock", "[platform][files]") {
  TempDirectory temp;
  FullDisk full(0);
  CHECK(PosixFiles().Lock(temp / "lock").ok());
}

// --- Mappings ------------------------------------------------------------

TEST_CASE("a new mapping is zero and what is stored in it stays",
          "[platform][files]") {
  constexpr size_t kBytes = 300000;
  TempDirectory temp;
  PosixFiles files;
  {
    auto mapping = files.MapShared(temp / "intake", kBytes);
    REQUIRE(mapping.ok());
    CHECK((*mapping)->size() == kBytes);
    CHECK(std::string((*mapping)->data(), kBytes) == std::string(kBytes, '\0'));
    std::memcpy((*mapping)->data() + kBytes - 4, "eddy", 4);
  }
  CHECK(files.Size(temp / "intake").value() == kBytes);
  {
    auto again = files.MapShared(temp / "intake", 2 * kBytes);
    REQUIRE(again.ok());
    CHECK(std::memcmp((*again)->data() + kBytes - 4, "eddy", 4) == 0);
    CHECK((*again)->data()[kBytes] == 0);
    CHECK(files.Size(temp / "intake").value() == 2 * kBytes);
  }
  auto part = files.MapShared(temp / "intake", kBytes);
  REQUIRE(part.ok());
  CHECK(files.Size(temp / "intake").value() == 2 * kBytes);  // not cut
}

TEST_CASE("a mapping takes its space at once, holes and all",
          "[platform][files]") {
  constexpr size_t kBytes = 256 << 10;
  TempDirectory temp;
  const std::string path = temp / "intake";
  WriteFile(path, "begin");
  std::filesystem::resize_file(path, kBytes);  // a hole behind it
  auto mapping = PosixFiles().MapShared(path, kBytes);
  REQUIRE(mapping.ok());
  CHECK(std::memcmp((*mapping)->data(), "begin", 5) == 0);
  struct stat st;
  REQUIRE(stat(path.c_str(), &st) == 0);
  CHECK(st.st_blocks * 512 >= static_cast<blkcnt_t>(kBytes));
}

TEST_CASE("a full disk is an error of the mapping, and its space comes back",
          "[platform][files]") {
  TempDirectory temp;
  PosixFiles files;
  WriteFile(temp / "intake", "old");
  {
    FullDisk full(64 << 10);
    CHECK(absl::IsResourceExhausted(
        files.MapShared(temp / "intake", 256 << 10).status()));
  }
  CHECK(files.Size(temp / "intake").value() == 3);
}

TEST_CASE("a file is mapped once at a time", "[platform][files]") {
  TempDirectory temp;
  PosixFiles files;
  {
    auto first = files.MapShared(temp / "intake", 4096);
    REQUIRE(first.ok());
    const absl::Status second = files.MapShared(temp / "intake", 4096).status();
    CHECK(absl::IsFailedPrecondition(second));
    CHECK(second.message().find("intake") != std::string::npos);
  }
  CHECK(files.MapShared(temp / "intake", 4096).ok());
}

TEST_CASE("what a killed process has stored is there", "[platform][files]") {
  TempDirectory temp;
  PosixFiles files;
  Child child(
      [&] {
        auto mapping = files.MapShared(temp / "intake", 4096);
        if (!mapping.ok()) return 1;
        std::memcpy((*mapping)->data(), "published", 9);
        mapping->release();  // still mapped when the signal comes
        return 0;
      },
      /*hang=*/true);
  REQUIRE(child.code() == 0);
  child.Kill();
  auto mapping = files.MapShared(temp / "intake", 4096);
  REQUIRE(mapping.ok());
  CHECK(std::memcmp((*mapping)->data(), "published", 9) == 0);
}

TEST_CASE("a mapping of nothing is refused", "[platform][files]") {
  TempDirectory temp;
  CHECK(absl::IsInvalidArgument(
      PosixFiles().MapShared(temp / "intake", 0).status()));
}

// --- Others --------------------------------------------------------------

TEST_CASE("files are seen, measured and removed", "[platform][files]") {
  TempDirectory temp;
  PosixFiles files;
  CHECK_FALSE(files.Exists(temp / "f"));
  CHECK(absl::IsNotFound(files.Size(temp / "f").status()));
  CHECK(absl::IsNotFound(files.Remove(temp / "f")));
  WriteFile(temp / "f", "12345");
  CHECK(files.Exists(temp / "f"));
  CHECK(files.Size(temp / "f").value() == 5);
  CHECK(files.Remove(temp / "f").ok());
  CHECK_FALSE(files.Exists(temp / "f"));
}

TEST_CASE("a file above 4 GiB has its true size", "[platform][files]") {
  constexpr uint64_t kBytes = (uint64_t{5} << 30) + 1;
  TempDirectory temp;
  WriteFile(temp / "f", "");
  std::error_code error;
  std::filesystem::resize_file(temp / "f", kBytes, error);
  if (error) return;  // a file system without sparse files or large ones
  CHECK(PosixFiles().Size(temp / "f").value() == kBytes);
}

TEST_CASE("files dated 2040 are files", "[platform][files]") {
  TempDirectory temp;
  PosixFiles files;
  WriteFile(temp / "f", "12345");
  // By touch, for utimensat() of a 32-bit time_t could not say it.
  const std::string touch =
      "touch -d 2040-01-01 '" + (temp / "f") + "' '" + temp.path() + "'";
  REQUIRE(std::system(touch.c_str()) == 0);
  CHECK(files.Exists(temp / "f"));
  CHECK(files.Size(temp / "f").value() == 5);
  CHECK(files.PrepareDirectory(temp.path()).ok());
  CHECK(files.MapShared(temp / "f", 4096).ok());
}

TEST_CASE("the default platform is complete and one", "[platform]") {
  const Platform& platform = DefaultPlatform();
  REQUIRE(platform.clock != nullptr);
  REQUIRE(platform.random != nullptr);
  REQUIRE(platform.files != nullptr);
  CHECK(platform.sqlite_vfs.empty());
  CHECK(&DefaultPlatform() == &platform);
}

}  // namespace
}  // namespace eddy
