// kPower: one record a call, each call back only when its record is synced. The
// hardware allows one producer what one fdatasync costs, which is measured beside
// it; many producers share a sync.
#include <algorithm>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "eddy/eddy.h"
#include "tests/bench/peers.h"
#include "tests/bench/report.h"

namespace eddy::bench {
namespace {

constexpr int kProducers = 64;
constexpr int kCalls = 20000;

// Microseconds of each call, sorted; `rate` becomes calls a second.
std::vector<double> PutSynced(Stream* stream, int producers, int calls, size_t bytes,
                              double* rate) {
  const std::string data(bytes, 'd');
  std::vector<std::vector<double>> us(static_cast<size_t>(producers));
  std::vector<std::thread> threads;
  const double start = Now();
  for (std::vector<double>& mine : us) {
    threads.emplace_back([&mine, &data, stream, each = calls / producers] {
      PutOptions options;
      options.durability = Durability::kPower;
      for (int i = 0; i < each; ++i) {
        const double before = Now();
        if (!stream->Put("sensor-01", data, options).ok()) Die("put failed");
        mine.push_back((Now() - before) * 1e6);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  *rate = calls / producers * producers / (Now() - start);
  std::vector<double> all;
  for (const std::vector<double>& mine : us) all.insert(all.end(), mine.begin(), mine.end());
  std::sort(all.begin(), all.end());
  return all;
}

}  // namespace

void RunPower(const Setup& setup, Report* report) {
  const int calls = setup.Scaled(kCalls);
  const double rows = SqliteRowsPerSecond(setup.directory + "-rows", calls, 1);
  const double sync = RawAppendBytesPerSecond(setup.directory + "-raw", 4096 * 2000, 4096) / 4096;
  absl::StatusOr<std::unique_ptr<Store>> store = Store::Open(setup.directory);
  if (!store.ok()) Die(store.status().ToString());
  absl::StatusOr<Stream*> stream = (*store)->CreateStream("power");
  if (!stream.ok()) Die(stream.status().ToString());
  double one = 0;
  double many = 0;
  double stored = 0;
  PutSynced(*stream, 1, 200, 100, &one);  // warms up, not reported
  const std::vector<double> us = PutSynced(*stream, 1, calls, 100, &one);
  const std::vector<double> us_many = PutSynced(*stream, kProducers, calls * 8, 100, &many);
  const std::vector<double> us_256 = PutSynced(*stream, 1, calls, 256, &stored);
  const auto at = [](const std::vector<double>& v, size_t percent) {
    return v[v.size() * percent / 100];
  };
  report->Add("one write of 4 KiB and fdatasync", 1e6 / sync, "us");
  report->Add("SQLite one row a commit, FULL", rows, "records/s");
  report->Add("kPower, 1 producer", one, "records/s");
  report->Add("kPower, 1 producer / SQLite one row a commit", one / rows, "ratio", AtLeast(1));
  report->Add("kPower, 1 producer, p50", at(us, 50), "us");
  report->Add("kPower, 1 producer, p99 / p50", at(us, 99) / at(us, 50), "ratio", AtMost(3));
  report->Add("kPower, 64 producers / 1 producer", many / one, "ratio", AtLeast(30));
  report->Add("kPower, 64 producers, p50", at(us_many, 50), "us");
  report->Add("kPower, 64 producers, p99", at(us_many, 99), "us");
  // device-storelibrary's published figures: synced 5.3 k/s, p99 1.2-1.6 ms.
  report->Add("kPower 256 B (device-storelibrary: 5300)", stored, "records/s", AtLeast(5300));
  report->Add("kPower 256 B, p99 (device-storelibrary: 1200)", at(us_256, 99), "us", AtMost(1200));
}

}  // namespace eddy::bench
