#include "tests/fakes/fake_clock.h"

#include <algorithm>
#include <chrono>

namespace eddy::testing {

FakeClock::FakeClock(absl::Time wall, absl::Duration since_boot)
    : wall_(wall), since_boot_(since_boot) {}

FakeClock::FakeClock(FakeClock& before) {
  {
    std::lock_guard<std::mutex> lock(before.mu_);
    wall_ = before.wall_;
    boot_count_ = before.boot_count_;
    trusted_ = before.trusted_;
    auto_advance_ = before.auto_advance_;
  }
  Reboot();
}

absl::Time FakeClock::WallNow() {
  std::lock_guard<std::mutex> lock(mu_);
  return wall_;
}

absl::Duration FakeClock::SinceBoot() {
  std::lock_guard<std::mutex> lock(mu_);
  return since_boot_;
}

bool FakeClock::WallIsTrusted() {
  std::lock_guard<std::mutex> lock(mu_);
  return trusted_;
}

std::string FakeClock::BootId() {
  std::lock_guard<std::mutex> lock(mu_);
  return "boot-" + std::to_string(boot_count_);
}

void FakeClock::Wait(std::unique_lock<std::mutex>& lock,
                     std::condition_variable& condition,
                     absl::Duration timeout) {
  timeout = std::max(timeout, absl::ZeroDuration());
  {
    std::unique_lock<std::mutex> own(mu_);
    if (auto_advance_) {
      lock.unlock();  // as the real one does, so that others get their turn
      if (timeout != absl::InfiniteDuration()) MoveLocked(timeout);
      own.unlock();
      lock.lock();
      return;
    }
    ++waiter_count_;
  }
  // One look, then back to the caller, who checks its condition and deadline: a
  // notification that comes just as a look ends must not be swallowed here.
  const std::cv_status waited = condition.wait_for(lock, std::chrono::milliseconds(1));
  std::lock_guard<std::mutex> own(mu_);
  if (waited == std::cv_status::timeout && timeout <= kBackOff) MoveLocked(timeout);
  --waiter_count_;
}

void FakeClock::MoveLocked(absl::Duration d) {
  wall_ += d;
  since_boot_ += d;
}

void FakeClock::Advance(absl::Duration d) {
  std::lock_guard<std::mutex> lock(mu_);
  MoveLocked(d);
}

void FakeClock::SetWall(absl::Time wall) {
  std::lock_guard<std::mutex> lock(mu_);
  wall_ = wall;
}

void FakeClock::SetTrusted(bool trusted) {
  std::lock_guard<std::mutex> lock(mu_);
  trusted_ = trusted;
}

void FakeClock::Reboot() {
  std::lock_guard<std::mutex> lock(mu_);
  ++boot_count_;
  since_boot_ = absl::ZeroDuration();
}

void FakeClock::SetAutoAdvance(bool auto_advance) {
  std::lock_guard<std::mutex> lock(mu_);
  auto_advance_ = auto_advance;
}

int FakeClock::WaiterCount() {
  std::lock_guard<std::mutex> lock(mu_);
  return waiter_count_;
}

}  // namespace eddy::testing
