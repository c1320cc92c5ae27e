#include "tests/bench/bare_commit.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <climits>
#include <cstdint>
#include <cstdio>
#include <thread>

#include "tests/bench/bench.h"

namespace eddy::bench {
namespace {

constexpr size_t kPageBytes = 4120;  // of a WAL, with its header
constexpr int kPages = 512;          // written once before, then again and again
constexpr int kYields = 1;           // as eddy's leader, so that others come too

class BareCommit {
 public:
  BareCommit(const std::string& path, int polls)
      : path_(path), polls_(polls), file_(open(path.c_str(), O_CREAT | O_RDWR | O_TRUNC | O_CLOEXEC, 0600)) {
    if (file_ < 0) Die("cannot create " + path);
    for (int i = 0; i < kPages; ++i) WritePage(i);
    if (fsync(file_) != 0) Die("fsync " + path_);
  }
  ~BareCommit() {
    close(file_);
    std::remove(path_.c_str());
  }

  void Call() {
    const uint64_t mine = appended_.fetch_add(1) + 1;
    while (committed_.load() < mine) {
      const uint32_t seen = epoch_.load();
      if (committed_.load() >= mine) return;
      if (busy_.exchange(true)) {
        for (int i = 0; i < polls_ && epoch_.load() == seen; ++i) std::this_thread::yield();
        Futex(FUTEX_WAIT_PRIVATE, seen);
        continue;
      }
      for (int i = 0; i < kYields; ++i) std::this_thread::yield();
      const uint64_t all = appended_.load();
      WritePage(page_++ % kPages);
      if (fdatasync(file_) != 0) Die("fdatasync " + path_);
      committed_.store(all);
      busy_.store(false);
      epoch_.fetch_add(1);
      Futex(FUTEX_WAKE_PRIVATE, INT_MAX);
    }
  }

 private:
  void WritePage(int page) {
    const off_t at = static_cast<off_t>(page) * static_cast<off_t>(kPageBytes);
    if (pwrite(file_, bytes_.data(), kPageBytes, at) != static_cast<ssize_t>(kPageBytes)) {
      Die("write " + path_);
    }
  }
  void Futex(int op, uint32_t value) {
    syscall(SYS_futex, &epoch_, op, value, nullptr, nullptr, 0);
  }

  const std::string path_;
  const int polls_;
  const int file_;
  const std::string bytes_ = std::string(kPageBytes, 'b');
  int page_ = 0;  // guarded by busy_
  std::atomic<bool> busy_{false};
  std::atomic<uint64_t> appended_{0};
  std::atomic<uint64_t> committed_{0};
  std::atomic<uint32_t> epoch_{0};
};

}  // namespace

double BareCommitsPerSecond(const std::string& path, int producers, int calls, int polls,
                            std::vector<double>* us) {
  BareCommit commit(path, polls);
  return CallsPerSecond(producers, calls, [&commit] { commit.Call(); }, us);
}

}  // namespace eddy::bench
