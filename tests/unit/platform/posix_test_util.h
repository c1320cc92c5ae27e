// A real directory and real processes, for tests of what only they can show.
#ifndef EDDY_TESTS_UNIT_PLATFORM_POSIX_TEST_UTIL_H_
#define EDDY_TESTS_UNIT_PLATFORM_POSIX_TEST_UTIL_H_

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>

namespace eddy::testing {

// A new directory, removed with all in it.
class TempDirectory {
 public:
  TempDirectory() {
    std::string name =
        (std::filesystem::temp_directory_path() / "eddy-test-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) std::abort();
    path_ = name;
  }
  ~TempDirectory() {
    std::error_code ignored;  // a test's leftovers are no failure of the test
    std::filesystem::remove_all(path_, ignored);
  }
  TempDirectory(const TempDirectory&) = delete;
  TempDirectory& operator=(const TempDirectory&) = delete;

  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const {
    return path_ + "/" + name;
  }

 private:
  std::string path_;
};

// Runs `work`, which returns an exit code below 100, in a forked process that
// runs no destructors of the parent's.
class Child {
 public:
  // With `hang` the child, its work done, waits to be killed. Construction
  // returns when the work is done, in either case.
  template <typename Work>
  explicit Child(Work work, bool hang = false) {
    int ready[2];
    if (pipe(ready) != 0) std::abort();
    pid_ = fork();
    if (pid_ < 0) std::abort();
    if (pid_ == 0) {
      const char code = static_cast<char>(work());
      if (write(ready[1], &code, 1) != 1) _exit(99);
      while (hang) pause();
      _exit(code);
    }
    close(ready[1]);
    char code = 99;
    if (read(ready[0], &code, 1) != 1) code = 99;
    close(ready[0]);
    code_ = code;
  }
  ~Child() { Kill(); }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  pid_t pid() const { return pid_; }
  int code() const { return code_; }
  void Kill() {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }

 private:
  pid_t pid_ = 0;
  int code_ = 99;
};

}  // namespace eddy::testing

#endif  // EDDY_TESTS_UNIT_PLATFORM_POSIX_TEST_UTIL_H_
