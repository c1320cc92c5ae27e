#include "tests/bench/bench.h"

#include <chrono>
#include <cstdio>
#include <cstdlib>

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

double Percentile(const std::vector<double>& sorted, double percent) {
  if (sorted.empty()) Die("a percentile of nothing");
  const auto at = static_cast<size_t>(static_cast<double>(sorted.size()) * percent / 100);
  return sorted[at < sorted.size() ? at : sorted.size() - 1];
}

}  // namespace eddy::bench
