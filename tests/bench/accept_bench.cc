// Measures what a Put at kProcess costs its caller, 100 B of data and a 9 B key:
// routing, the clock, claim, copy, checksum, publication. The hardware allows
// some 25 M/s for claim, checksum and copy alone (DESIGN's prototype).
#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "eddy/eddy.h"
#include "tests/bench/report.h"

namespace eddy::bench {
namespace {

constexpr int kRecords = 4000000;  // 512 MB of frames, in an intake of 1 GiB
const std::string kData(100, 'd');

std::unique_ptr<Store> OpenRoomy(const std::string& directory) {
  StoreOptions options;
  options.intake_bytes = size_t{1} << 30;
  options.commit_bytes = size_t{4} << 30;      // no commit while the clock runs
  options.flush_interval = absl::Hours(1);
  absl::StatusOr<std::unique_ptr<Store>> store = Store::Open(directory, options);
  if (!store.ok()) Die(store.status().ToString());
  return *std::move(store);
}

void PutAll(Stream* stream, int count) {
  for (int i = 0; i < count; ++i) {
    if (!stream->Put("sensor-01", kData).ok()) Die("put failed");
  }
}

double RateOf(Store* store, Stream* stream, int producers) {
  const double start = Now();
  std::vector<std::thread> threads;
  for (int p = 0; p < producers; ++p) {
    threads.emplace_back([=] { PutAll(stream, kRecords / producers); });
  }
  for (std::thread& thread : threads) thread.join();
  const double rate = kRecords / (Now() - start);
  if (!store->Flush().ok()) Die("flush failed");
  return rate;
}

// Each Put timed for itself; what reading the clock costs is taken off.
std::vector<double> Latencies(Stream* stream) {
  using Clock = std::chrono::steady_clock;
  constexpr int kTimed = 1000000;
  std::vector<double> ns(kTimed);
  for (int i = 0; i < kTimed; ++i) {
    const auto start = Clock::now();
    if (!stream->Put("sensor-01", kData).ok()) Die("put failed");
    ns[static_cast<size_t>(i)] =
        std::chrono::duration<double, std::nano>(Clock::now() - start).count();
  }
  std::vector<double> empty(100000);
  for (double& e : empty) {
    const auto start = Clock::now();
    e = std::chrono::duration<double, std::nano>(Clock::now() - start).count();
  }
  std::sort(empty.begin(), empty.end());
  std::sort(ns.begin(), ns.end());
  for (double& n : ns) n = std::max(0.0, n - empty[empty.size() / 2]);
  return ns;
}

}  // namespace

void RunAccept(const std::string& directory, Report* report) {
  std::unique_ptr<Store> store = OpenRoomy(directory);
  absl::StatusOr<Stream*> stream = store->CreateStream("accept");
  if (!stream.ok()) Die(stream.status().ToString());
  RateOf(store.get(), *stream, 1);  // touches the pages, untimed
  const double one = RateOf(store.get(), *stream, 1);
  const double two = RateOf(store.get(), *stream, 2);
  const std::vector<double> ns = Latencies(*stream);
  report->Add("accept kProcess 100 B, 1 producer", one / 1e6, "M records/s", AtLeast(3));
  report->Add("accept kProcess 100 B, p50", ns[ns.size() / 2], "ns", AtMost(300));
  report->Add("accept kProcess 100 B, p99", ns[ns.size() * 99 / 100], "ns");
  report->Add("accept kProcess 100 B, p99.9", ns[ns.size() / 1000 * 999], "ns");
  report->Add("accept, 2 producers / 1 producer", two / one, "ratio", AtLeast(1));
}

}  // namespace eddy::bench
