// Measures what a Put at kProcess costs its caller, 100 B of data and a 9 B key:
// routing, the clock, claim, copy, checksum, publication. What the hardware allows
// for claim, copy and checksum alone (bare.h) is measured beside it, slice by slice:
// the bar of 12 M/s was set on a machine where that gave 24 M/s, so half of it is the
// bar on any other. The last rows: how soon a reader that sleeps at the tail has the
// record in its hands.
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "tests/bench/bare.h"
#include "tests/bench/bench.h"
#include "tests/bench/memory.h"

namespace eddy::bench {
namespace {

// The intake has room for all of a round between two flushes, so that nothing
// slower is behind it.
constexpr int kSlice = 500000;   // 64 MB of frames
constexpr int kSlices = 6;       // of each kind, in turn: 768 MB, in an intake of 1 GiB
constexpr int kTimed = 1000000;  // each for itself
constexpr size_t kFrameBytes = 128;  // of such a record
constexpr int kWoken = 2000;

// Where the intakes lie: on a tmpfs if there is one with room for two of them. An intake
// of this size is dirty for longer than the kernel lets pages be, and while it writes them
// back each is faulted in anew: that would be something slower behind it.
class InMemory {
 public:
  explicit InMemory(const std::string& otherwise) : directory_(otherwise + "-memory") {
    std::error_code error;
    const auto space = std::filesystem::space("/dev/shm", error);
    if (!error && space.available > uintmax_t{3} << 30) {
      directory_ = "/dev/shm/eddy-bench-" + std::to_string(getpid());
    }
    std::filesystem::create_directories(directory_);
  }
  ~InMemory() { std::filesystem::remove_all(directory_); }
  const std::string& directory() const { return directory_; }

 private:
  std::string directory_;
};

std::unique_ptr<Store> OpenRoomy(const std::string& directory, const std::string& memory) {
  StoreOptions options;
  options.intake_directory = memory;
  options.intake_bytes = size_t{1} << 30;
  options.commit_bytes = size_t{4} << 30;      // no commit while the clock runs
  options.flush_interval = absl::Hours(1);
  return OpenStore(directory, options);
}

// In threads of the same kind for one as for two.
double SecondsOfThreads(int producers, const std::function<void()>& work) {
  const double start = Now();
  std::vector<std::thread> threads;
  for (int p = 0; p < producers; ++p) threads.emplace_back(work);
  for (std::thread& thread : threads) thread.join();
  return Now() - start;
}

double SecondsOf(Stream* stream, int producers, int count) {
  return SecondsOfThreads(producers, [=] {
    const std::string data(100, 'd');
    for (int i = 0; i < count / producers; ++i) Ok(stream->Put(kKey, data).status());
  });
}

double BareSecondsOf(BareAppend* bare, int producers, int count) {
  return SecondsOfThreads(producers, [=] {
    const std::string data(100, 'd');
    for (int i = 0; i < count / producers; ++i) bare->Append(kKey, data);
  });
}

// From before the Put to behind the read, of a reader that was asleep at the tail.
std::vector<double> WakeMicroseconds(Stream* stream, int count) {
  std::vector<double> us;
  std::atomic<bool> reads{true};
  std::atomic<int> seen{0};
  ShardIteratorPosition latest;
  latest.type = ShardIteratorType::kLatest;
  std::string iterator = Ok(stream->GetShardIterator(0, latest));
  std::thread reader([&] {
    GetRecordsOptions options;
    options.wait_time = absl::Seconds(1);
    while (reads.load()) {
      RecordBatch batch = Ok(stream->GetRecords(iterator, options));
      iterator = std::move(batch.next_shard_iterator);
      for (const Record& record : batch.records) {
        if (record.data.size() != sizeof(double)) continue;
        double put;
        std::memcpy(&put, record.data.data(), sizeof(put));
        us.push_back((Now() - put) * 1e6);
        seen.fetch_add(1);
      }
    }
  });
  for (int i = 0; i < count; ++i) {
    SleepSeconds(0.0002);  // until it sleeps
    const double now = Now();
    Ok(stream->Put(kKey, {reinterpret_cast<const char*>(&now), sizeof(now)}).status());
    while (seen.load() <= i) SleepSeconds(0.00005);
  }
  reads.store(false);
  Ok(stream->Put(kKey, "end").status());
  reader.join();
  std::sort(us.begin(), us.end());
  return us;
}

// Each call timed for itself, sorted; what reading the clock costs is taken off.
template <typename Call>
std::vector<double> Latencies(int count, const Call& call) {
  using Clock = std::chrono::steady_clock;
  std::vector<double> ns(static_cast<size_t>(count));
  for (double& n : ns) {
    const auto start = Clock::now();
    call();
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
  const InMemory memory(setup.directory);
  std::unique_ptr<Store> store = OpenRoomy(setup.directory, memory.directory());
  Stream* const stream = Ok(store->CreateStream("accept"));
  for (int i = 0; i < 2 * slices; ++i) SecondsOf(stream, 1, slice);  // touches the pages
  Ok(store->Flush());
  const int timed = setup.Scaled(kTimed);
  const size_t bare_records = 2 * static_cast<size_t>(slices) * static_cast<size_t>(slice) +
                              static_cast<size_t>(timed);
  BareAppend bare(memory.directory() + "/bare", bare_records * kFrameBytes);
  for (int i = 0; i < slices; ++i) {
    const double bare_s = BareSecondsOf(&bare, 1, slice);
    const double bare_two_s = BareSecondsOf(&bare, 2, slice);
    const double one_s = SecondsOf(stream, 1, slice);
    const double two_s = SecondsOf(stream, 2, slice);
    report->Add("1 producer", slice / one_s / 1e6, "M records/s", AtLeast(12));
    report->Add("the bare protocol", slice / bare_s / 1e6, "M records/s");
    report->Add("1 producer / the bare protocol", bare_s / one_s, "ratio", AtLeast(0.5));
    report->Add("2 producers / 1 producer", one_s / two_s, "ratio", AtLeast(1));
    report->Add("the bare protocol, 2 producers / 1", bare_s / bare_two_s, "ratio");
    report->Add("2 producers / the bare protocol's 2", bare_two_s / two_s, "ratio");
  }
  Ok(store->Flush());
  const std::string data(100, 'd');
  const std::vector<double> ns =
      Latencies(timed, [&] { Ok(stream->Put(kKey, data).status()); });
  report->Add("1 producer, p50", Percentile(ns, 50), "ns", AtMost(80));
  report->Add("1 producer, p99", Percentile(ns, 99), "ns");
  report->Add("1 producer, p99.9", Percentile(ns, 99.9), "ns", AtMost(1000));
  const std::vector<double> bare_ns = Latencies(timed, [&] { bare.Append(kKey, data); });
  report->Add("the bare protocol, p50", Percentile(bare_ns, 50), "ns");
  const std::vector<double> us = WakeMicroseconds(stream, setup.Scaled(kWoken));
  report->Add("put to read, reader asleep, p50", Percentile(us, 50), "us");
  report->Add("put to read, reader asleep, p99", Percentile(us, 99), "us");
}

}  // namespace eddy::bench
