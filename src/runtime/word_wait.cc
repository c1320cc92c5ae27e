// What Clock does for sleepers on a word where the system has nothing of the kind: a
// few mutexes with their condition variables, which all words share.
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>

#include "eddy/platform.h"

namespace eddy {
namespace {

struct Bench {
  std::mutex mu;
  std::condition_variable moved;
};

// Never destroyed: a thread may sleep here when the process ends.
Bench& BenchOf(const std::atomic<uint32_t>& word) {
  constexpr size_t kBenches = 32;
  static Bench* const benches = new Bench[kBenches];
  return benches[reinterpret_cast<uintptr_t>(&word) / 64 % kBenches];
}

}  // namespace

void Clock::WaitOnAny(const std::atomic<uint32_t>& word, uint32_t seen,
                      absl::Duration timeout) {
  Bench& bench = BenchOf(word);
  std::unique_lock<std::mutex> lock(bench.mu);
  // Under the lock: who changes the word takes it too before it wakes anybody.
  if (word.load(std::memory_order_acquire) == seen) Wait(lock, bench.moved, timeout);
}

// All of them: the one that was meant may sit behind those of another word.
void Clock::WakeAny(const std::atomic<uint32_t>& word) {
  Bench& bench = BenchOf(word);
  { const std::lock_guard<std::mutex> lock(bench.mu); }
  bench.moved.notify_all();
}

}  // namespace eddy
