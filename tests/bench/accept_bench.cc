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

// The intake has room for all of a round between two flushes, so that nothing
// slower is behind it.
constexpr int kSlice = 500000;  // 64 MB of frames
constexpr int kSlices = 6;      // of each kind, in turn: 768 MB, in an intake of 1 GiB
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

double SecondsOf(Stream* stream, int producers) {
  const double start = Now();
  std::vector<std::thread> threads;
  for (int p = 0; p < producers; ++p) {
    threads.emplace_back([=] { PutAll(stream, kSlice / producers); });
  }
  for (std::thread& thread : threads) thread.join();
  return Now() - start;
}

// Each Put timed for itself; what reading the clock costs is taken off.
std::vector<double> Latencies(Stream* stream) {
  using Clock = std::chrono::steady_clock;
  const size_t kTimed = 1000000;
  std::vector<double> ns(kTimed);
  for (size_t i = 0; i < kTimed; ++i) {
    const auto start = Clock::now();
    if (!stream->Put("sensor-01", kData).ok()) Die("put failed");
    ns[i] =
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

void RunAccept(const Setup& setup, Report* report) {
  std::unique_ptr<Store> store = OpenRoomy(setup.directory);
  absl::StatusOr<Stream*> stream = store->CreateStream("accept");
  if (!stream.ok()) Die(stream.status().ToString());
  for (int i = 0; i < 2 * kSlices; ++i) SecondsOf(*stream, 1);  // touches the pages, untimed
  if (!store->Flush().ok()) Die("flush failed");
  // In turn, so that what else the machine does falls on both.
  double one_s = 0;
  double two_s = 0;
  for (int i = 0; i < kSlices; ++i) {
    one_s += SecondsOf(*stream, 1);
    two_s += SecondsOf(*stream, 2);
  }
  if (!store->Flush().ok()) Die("flush failed");
  const double one = kSlices * kSlice / one_s;
  const std::vector<double> ns = Latencies(*stream);
  report->Add("accept kProcess 100 B, 1 producer", one / 1e6, "M records/s", AtLeast(12));
  report->Add("accept kProcess 100 B, p50", ns[ns.size() / 2], "ns", AtMost(80));
  report->Add("accept kProcess 100 B, p99", ns[ns.size() * 99 / 100], "ns");
  report->Add("accept kProcess 100 B, p99.9", ns[ns.size() / 1000 * 999], "ns",
              AtMost(1000));
  report->Add("accept, 2 producers / 1 producer", one_s / two_s, "ratio", AtLeast(1));
}

}  // namespace eddy::bench
