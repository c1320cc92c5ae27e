#include "platform/posix/posix_clock.h"

#include <fcntl.h>
#include <unistd.h>
#if defined(__linux__)
#include <linux/futex.h>
#include <sys/timex.h>
#endif

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <climits>
#include <thread>

#include "absl/strings/str_cat.h"
#include "platform/posix/posix_random.h"

namespace eddy {
namespace {

// 2026-01-01: eddy did not exist then. Raise it at a release.
constexpr int64_t kPlausibleUnixSeconds = 1767225600;

constexpr absl::Duration kWaitMax = absl::Hours(1);

clockid_t SinceBootClock() {
#if defined(CLOCK_BOOTTIME)
  timespec now;
  if (clock_gettime(CLOCK_BOOTTIME, &now) == 0) return CLOCK_BOOTTIME;
#endif
  return CLOCK_MONOTONIC;
}

timespec Now(clockid_t clock) {
  timespec now = {};
  clock_gettime(clock, &now);  // cannot fail for a clock that once worked
  return now;
}

std::string ReadBootId() {
  const int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
  if (fd >= 0) {
    char text[64];
    const ssize_t bytes = read(fd, text, sizeof(text));
    close(fd);
    constexpr ssize_t kUuidBytes = 36;
    if (bytes >= kUuidBytes) return std::string(text, kUuidBytes);
  }
  PosixRandom random;
  return absl::StrCat("process-", absl::Hex(random.Next(), absl::kZeroPad16),
                      absl::Hex(random.Next(), absl::kZeroPad16));
}

}  // namespace

PosixClock::PosixClock()
    : since_boot_clock_(SinceBootClock()), boot_id_(ReadBootId()) {}

absl::Time PosixClock::WallNow() {
  return absl::TimeFromTimespec(Now(CLOCK_REALTIME));
}

int64_t PosixClock::WallCoarseMs() {
#if defined(CLOCK_REALTIME_COARSE)
  const timespec now = Now(CLOCK_REALTIME_COARSE);
#else
  const timespec now = Now(CLOCK_REALTIME);
#endif
  return int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1000000;
}

absl::Duration PosixClock::SinceBoot() {
  return absl::DurationFromTimespec(Now(since_boot_clock_));
}

bool PosixClock::WallIsTrusted() {
  if (WallNow() < absl::FromUnixSeconds(kPlausibleUnixSeconds)) return false;
#if defined(__linux__)
  timex state = {};  // modes 0: only asks
  const int result = adjtimex(&state);
  if (result >= 0) {
    return result != TIME_ERROR && (state.status & STA_UNSYNC) == 0;
  }
#endif
  return true;
}

void PosixClock::Wait(std::unique_lock<std::mutex>& lock,
                      std::condition_variable& condition,
                      absl::Duration timeout) {
  // Not Abseil's timed waits: they are measured on the wall clock, and broken
  // on 32-bit CPUs with 64-bit times.
  const absl::Duration bounded =
      std::clamp(timeout, absl::ZeroDuration(), kWaitMax);
  condition.wait_for(lock, absl::ToChronoNanoseconds(bounded));
}

#if EDDY_HAS_FUTEX
namespace {

// As the kernel has it for this call, by words of the CPU; the C library's may be wider.
struct FutexTimeout {
  long seconds;
  long nanoseconds;
};
static_assert(sizeof(std::atomic<uint32_t>) == sizeof(uint32_t));

long Futex(const std::atomic<uint32_t>& word, int operation, uint32_t value,
           const FutexTimeout* timeout) {
  return syscall(SYS_futex, &word, operation, value, timeout, nullptr, 0);
}

}  // namespace

void PosixClock::WaitOn(const std::atomic<uint32_t>& word, uint32_t seen,
                        absl::Duration timeout) {
  const timespec bounded =
      absl::ToTimespec(std::clamp(timeout, absl::ZeroDuration(), kWaitMax));
  const FutexTimeout relative = {static_cast<long>(bounded.tv_sec),
                                 static_cast<long>(bounded.tv_nsec)};
  // However it ends the caller looks for itself; where a sandbox forbids it, not at once.
  if (Futex(word, FUTEX_WAIT_PRIVATE, seen, &relative) != 0 &&
      (errno == ENOSYS || errno == EPERM)) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

void PosixClock::WakeOne(const std::atomic<uint32_t>& word) {
  Futex(word, FUTEX_WAKE_PRIVATE, 1, nullptr);
}

void PosixClock::WakeAll(const std::atomic<uint32_t>& word) {
  Futex(word, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr);
}
#endif

}  // namespace eddy
