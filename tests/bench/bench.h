// What the benchmarks share: the sizes, the clock, opening stores, and how they end
// when the ground they stand on gives way.
#ifndef EDDY_TESTS_BENCH_BENCH_H_
#define EDDY_TESTS_BENCH_BENCH_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "eddy/eddy.h"
#include "tests/bench/report.h"

namespace eddy::bench {

struct Setup {
  std::string directory;  // of a store; what a benchmark needs besides lies beside it
  bool quick = false;     // small sizes, for development and CI: no bar is proven
  int rounds = 3;
  int Scaled(int count) const { return quick ? count / 40 : count; }
  int Slices(int count) const { return quick ? 1 : count; }
};

// --- the subjects; main.cc runs each once a round, but those that say so once ---

void RunAccept(const Setup& setup, Report* report);
void RunSustained(const Setup& setup, Report* report);
void RunPower(const Setup& setup, Report* report);
void RunWear(const Setup& setup, Report* report);
void RunOpen(const Setup& setup, Report* report);
void RunQueue(const Setup& setup, Report* report);
void RunBacklog(const Setup& setup, Report* report);  // once, with its own repetitions
void RunDevice(const Setup& setup, Report* report);

inline constexpr std::string_view kKey = "sensor-01";
inline constexpr double kRecordBytes = 100 + 9;  // billed: 100 B of data, and the key

double Now();  // seconds, steady

[[noreturn]] void Die(const std::string& what);
void Ok(const absl::Status& status);  // dies if it is not
template <typename T>
T Ok(absl::StatusOr<T> result) {
  Ok(result.status());
  return *std::move(result);
}

std::unique_ptr<Store> OpenStore(const std::string& directory, const StoreOptions& options = {});

// Calls a second of so many threads, `calls` in all; what each call took is appended to
// `us`. For all that are compared, so that the timing costs each of them the same.
double CallsPerSecond(int threads, int calls, const std::function<void()>& call,
                      std::vector<double>* us);

// The `percent`th percentile (0 to 100) of what is sorted.
double Percentile(const std::vector<double>& sorted, double percent);

}  // namespace eddy::bench

#endif  // EDDY_TESTS_BENCH_BENCH_H_
