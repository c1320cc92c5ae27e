#include "tests/bench/bench.h"

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>

namespace eddy::bench {

double Now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

void Die(const std::string& what) {
  std::fprintf(stderr, "bench: %s\n", what.c_str());
  std::exit(2);
}

void Ok(const absl::Status& status) {
  if (!status.ok()) Die(status.ToString());
}

std::unique_ptr<Store> OpenStore(const std::string& directory, const StoreOptions& options) {
  return Ok(Store::Open(directory, options));
}

double CallsPerSecond(int threads, int calls, const std::function<void()>& call,
                      std::vector<double>* us) {
  const int each = calls / threads;
  // Made before the clock runs: a thread's first allocation costs some ten microseconds.
  std::vector<std::vector<double>> each_us(static_cast<size_t>(threads));
  for (std::vector<double>& mine : each_us) mine.resize(static_cast<size_t>(each));
  // So is a thread itself, which costs as much.
  std::atomic<int> ready{0};
  std::atomic<bool> go{false};
  std::vector<std::thread> running;
  for (std::vector<double>& mine : each_us) {
    running.emplace_back([&mine, &call, &ready, &go] {
      ++ready;
      while (!go.load()) std::this_thread::yield();
      for (double& took : mine) {
        const double before = Now();
        call();
        took = (Now() - before) * 1e6;
      }
    });
  }
  while (ready.load() < threads) std::this_thread::yield();
  const double start = Now();
  go.store(true);
  for (std::thread& thread : running) thread.join();
  const double rate = each * threads / (Now() - start);
  for (const std::vector<double>& mine : each_us) us->insert(us->end(), mine.begin(), mine.end());
  return rate;
}

double Percentile(const std::vector<double>& sorted, double percent) {
  if (sorted.empty()) Die("a percentile of nothing");
  const auto at = static_cast<size_t>(static_cast<double>(sorted.size()) * percent / 100);
  return sorted[at < sorted.size() ? at : sorted.size() - 1];
}

}  // namespace eddy::bench
