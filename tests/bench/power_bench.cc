// kPower: one record a call, each call back only when its record is synced; beside
// SQLite with one row a commit, slice by slice. The hardware allows one producer
// what one write and fdatasync cost, which is measured beside it; many producers
// share a sync. A slow disk shows in both: its own p99 stands beside ours.
#include <algorithm>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/bench/bench.h"
#include "tests/bench/peers.h"

namespace eddy::bench {
namespace {

constexpr int kProducers = 64;
constexpr int kSlices = 4;
constexpr int kCalls = 4000;        // of one producer, a slice
constexpr int kManyCalls = 64000;   // of all of them
constexpr size_t kSyncBytes = 4096;

struct Calls {
  double rate = 0;         // calls a second
  std::vector<double> us;  // of each, sorted
};

Calls PutSynced(Stream* stream, int producers, int calls) {
  const std::string data(100, 'd');
  std::vector<std::vector<double>> us(static_cast<size_t>(producers));
  std::vector<std::thread> threads;
  const double start = Now();
  for (std::vector<double>& mine : us) {
    threads.emplace_back([&mine, &data, stream, each = calls / producers] {
      PutOptions options;
      options.durability = Durability::kPower;
      for (int i = 0; i < each; ++i) {
        const double before = Now();
        Ok(stream->Put(kKey, data, options).status());
        mine.push_back((Now() - before) * 1e6);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  Calls all;
  all.rate = calls / producers * producers / (Now() - start);
  for (const std::vector<double>& mine : us) all.us.insert(all.us.end(), mine.begin(), mine.end());
  std::sort(all.us.begin(), all.us.end());
  return all;
}

}  // namespace

void RunPower(const Setup& setup, Report* report) {
  const int calls = setup.Scaled(kCalls);
  SqliteRows rows(setup.directory + "-rows");
  std::unique_ptr<Store> store = OpenStore(setup.directory);
  Stream* const stream = Ok(store->CreateStream("power"));
  PutSynced(stream, 1, 100);  // warms up, both of them
  rows.Insert(100, 1);
  for (int i = 0; i < setup.Slices(kSlices); ++i) {
    const double sync = RawAppendBytesPerSecond(setup.directory + "-raw",
                                                kSyncBytes * static_cast<size_t>(calls / 4),
                                                kSyncBytes) / kSyncBytes;
    std::vector<double> row_us;
    const double row = rows.Insert(calls, 1, &row_us);
    std::sort(row_us.begin(), row_us.end());
    const Calls one = PutSynced(stream, 1, calls);
    const Calls many = PutSynced(stream, kProducers, setup.Scaled(kManyCalls));
    report->Add("a write of 4 KiB and fdatasync", 1e6 / sync, "us");
    report->Add("SQLite, one row a commit, FULL", row, "records/s");
    report->Add("SQLite, p50", Percentile(row_us, 50), "us");
    report->Add("SQLite, p99 / p50", Percentile(row_us, 99) / Percentile(row_us, 50), "ratio");
    report->Add("1 producer", one.rate, "records/s");
    report->Add("1 producer / SQLite", one.rate / row, "ratio", AtLeast(1));
    report->Add("1 producer, p50", Percentile(one.us, 50), "us");
    report->Add("1 producer, p99", Percentile(one.us, 99), "us");
    report->Add("1 producer, p99 / p50", Percentile(one.us, 99) / Percentile(one.us, 50), "ratio",
                AtMost(3));
    report->Add("1 producer, p99.9", Percentile(one.us, 99.9), "us");
    report->Add("64 producers", many.rate, "records/s");
    report->Add("64 producers / 1 producer", many.rate / one.rate, "ratio", AtLeast(30));
    report->Add("64 producers, p50", Percentile(many.us, 50), "us");
    report->Add("64 producers, p99", Percentile(many.us, 99), "us");
  }
}

}  // namespace eddy::bench
