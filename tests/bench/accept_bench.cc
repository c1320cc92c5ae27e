// Measures what a Put at kProcess costs its caller, 100 B of data and a 9 B key:
// routing, the clock, claim, copy, checksum, publication. The hardware allows
// some 25 M/s for claim, checksum and copy alone (DESIGN's prototype).
#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/bench/bench.h"

namespace eddy::bench {
namespace {

// The intake has room for all of a round between two flushes, so that nothing
// slower is behind it.
constexpr int kSlice = 500000;   // 64 MB of frames
constexpr int kSlices = 6;       // of each kind, in turn: 768 MB, in an intake of 1 GiB
constexpr int kTimed = 1000000;  // each for itself

std::unique_ptr<Store> OpenRoomy(const std::string& directory) {
  StoreOptions options;
  options.intake_bytes = size_t{1} << 30;
  options.commit_bytes = size_t{4} << 30;      // no commit while the clock runs
  options.flush_interval = absl::Hours(1);
  return OpenStore(directory, options);
}

void PutAll(Stream* stream, int count) {
  const std::string data(100, 'd');
  for (int i = 0; i < count; ++i) Ok(stream->Put(kKey, data).status());
}

// In threads of the same kind for one as for two.
double SecondsOf(Stream* stream, int producers, int count) {
  const double start = Now();
  std::vector<std::thread> threads;
  for (int p = 0; p < producers; ++p) {
    threads.emplace_back([=] { PutAll(stream, count / producers); });
  }
  for (std::thread& thread : threads) thread.join();
  return Now() - start;
}

// Each Put timed for itself, sorted; what reading the clock costs is taken off.
std::vector<double> Latencies(Stream* stream, int count) {
  using Clock = std::chrono::steady_clock;
  const std::string data(100, 'd');
  std::vector<double> ns(static_cast<size_t>(count));
  for (double& n : ns) {
    const auto start = Clock::now();
    Ok(stream->Put(kKey, data).status());
    n = std::chrono::duration<double, std::nano>(Clock::now() - start).count();
  }
  std::vector<double> empty(100000);
  for (double& e : empty) {
    const auto start = Clock::now();
    e = std::chrono::duration<double, std::nano>(Clock::now() - start).count();
  }
  std::sort(empty.begin(), empty.end());
  std::sort(ns.begin(), ns.end());
  for (double& n : ns) n = std::max(0.0, n - Percentile(empty, 50));
  return ns;
}

}  // namespace

void RunAccept(const Setup& setup, Report* report) {
  const int slices = setup.Slices(kSlices);
  const int slice = setup.Scaled(kSlice);
  std::unique_ptr<Store> store = OpenRoomy(setup.directory);
  Stream* const stream = Ok(store->CreateStream("accept"));
  for (int i = 0; i < 2 * slices; ++i) SecondsOf(stream, 1, slice);  // touches the pages
  Ok(store->Flush());
  for (int i = 0; i < slices; ++i) {
    const double one_s = SecondsOf(stream, 1, slice);
    const double two_s = SecondsOf(stream, 2, slice);
    report->Add("1 producer", slice / one_s / 1e6, "M records/s", AtLeast(12));
    report->Add("2 producers / 1 producer", one_s / two_s, "ratio", AtLeast(1));
  }
  Ok(store->Flush());
  const std::vector<double> ns = Latencies(stream, setup.Scaled(kTimed));
  report->Add("1 producer, p50", Percentile(ns, 50), "ns", AtMost(80));
  report->Add("1 producer, p99", Percentile(ns, 99), "ns");
  report->Add("1 producer, p99.9", Percentile(ns, 99.9), "ns", AtMost(1000));
}

}  // namespace eddy::bench
