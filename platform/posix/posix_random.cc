#include "platform/posix/posix_random.h"

#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/random.h>
#endif

#include <atomic>
#include <cstddef>
#include <ctime>

namespace eddy {
namespace {

// How often this process is a child of a fork. Relaxed: the child's only thread
// writes it before it runs anything else.
std::atomic<uint32_t> fork_count{0};

void CountForks() {
  static const int registered = pthread_atfork(nullptr, nullptr, [] {
    fork_count.fetch_add(1, std::memory_order_relaxed);
  });
  (void)registered;  // without memory for it, children share the numbers
}

// Fills `to` from the kernel. Does not wait for a kernel that has just booted
// and has no entropy yet: a device must not hang at boot for the sake of
// jitter. /dev/urandom gives what there is.
bool ReadKernel(void* to, size_t bytes) {
#if defined(__linux__)
  if (getrandom(to, bytes, GRND_NONBLOCK) == static_cast<ssize_t>(bytes)) {
    return true;
  }
#endif
  const int fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const ssize_t got = read(fd, to, bytes);
  close(fd);
  return got == static_cast<ssize_t>(bytes);
}

uint64_t Rotate(uint64_t x, int by) { return (x << by) | (x >> (64 - by)); }

}  // namespace

PosixRandom::PosixRandom() {
  CountForks();
  Seed();
}

void PosixRandom::Seed() {
  fork_count_ = fork_count.load(std::memory_order_relaxed);
  if (!ReadKernel(state_, sizeof(state_))) {
    // Neither system call nor device: times and ids are all there is.
    timespec wall = {};
    timespec steady = {};
    clock_gettime(CLOCK_REALTIME, &wall);
    clock_gettime(CLOCK_MONOTONIC, &steady);
    state_[0] ^= static_cast<uint64_t>(wall.tv_nsec);
    state_[1] ^= static_cast<uint64_t>(wall.tv_sec);
    state_[2] ^= static_cast<uint64_t>(steady.tv_nsec);
    state_[3] ^= static_cast<uint64_t>(getpid());
  }
  state_[0] |= 1;  // all zero is the one state it never leaves
}

uint64_t PosixRandom::Next() {
  std::lock_guard<std::mutex> lock(mu_);
  if (fork_count_ != fork_count.load(std::memory_order_relaxed)) Seed();
  const uint64_t result = Rotate(state_[1] * 5, 7) * 9;
  const uint64_t t = state_[1] << 17;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= t;
  state_[3] = Rotate(state_[3], 45);
  return result;
}

}  // namespace eddy
