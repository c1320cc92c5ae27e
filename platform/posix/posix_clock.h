// The operating system's clocks.
#ifndef EDDY_PLATFORM_POSIX_POSIX_CLOCK_H_
#define EDDY_PLATFORM_POSIX_POSIX_CLOCK_H_

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <ctime>
#include <mutex>
#include <string>
#if defined(__linux__)
#include <sys/syscall.h>
#endif

#include "absl/time/time.h"
#include "eddy/platform.h"

#if defined(SYS_futex)
#define EDDY_HAS_FUTEX 1
#else
#define EDDY_HAS_FUTEX 0
#endif

namespace eddy {

// Threads: safe; immutable.
class PosixClock : public Clock {
 public:
  PosixClock();

  absl::Time WallNow() override;

  // CLOCK_BOOTTIME; where a kernel has none, CLOCK_MONOTONIC, which stands
  // still while the device is suspended.
  int64_t WallCoarseMs() override;
  absl::Duration SinceBoot() override;

  // What the kernel says of its NTP discipline. Where it will not say (a
  // sandbox may forbid the question), any plausible time is believed, for else
  // nothing would ever expire there. Never a time before eddy was written:
  // boards without a battery start in 1970 or at their firmware's date.
  bool WallIsTrusted() override;

  // The kernel's random boot id. Where there is none, one of this process's
  // own: every start then looks like a boot, which is the safe mistake.
  std::string BootId() override { return boot_id_; }

  // Waits an hour at most: the caller looks at its deadline and waits again.
  void Wait(std::unique_lock<std::mutex>& lock,
            std::condition_variable& condition,
            absl::Duration timeout) override;
#if EDDY_HAS_FUTEX
  // An hour at most, too.
  void WaitOn(const std::atomic<uint32_t>& word, uint32_t seen, absl::Duration timeout) override;
  void WakeOne(const std::atomic<uint32_t>& word) override;
  void WakeAll(const std::atomic<uint32_t>& word) override;
#endif

 private:
  const clockid_t since_boot_clock_;
  const std::string boot_id_;
};

}  // namespace eddy

#endif  // EDDY_PLATFORM_POSIX_POSIX_CLOCK_H_
