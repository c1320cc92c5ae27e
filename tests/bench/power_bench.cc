// kPower: one record a call, each call back only when its record is synced; beside
// SQLite with one row a commit, slice by slice. The hardware allows one producer
// what one write and fdatasync cost, which is measured beside it; many producers
// share a sync. How many can do so is a matter of how fast the machine puts 64 threads
// to sleep and wakes them, not of the disk: so group commit without anything around it
// (bare_commit.h) is measured beside them, as it is known, where those who wait sleep, and
// as eddy's crowd waits, which polls. A slow disk shows in both: SQLite's own p99 stands
// beside ours. The slices are short, so that what else the disk does falls on both;
// percentiles are those of all calls of a round.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/bench/bare_commit.h"
#include "tests/bench/bench.h"
#include "tests/bench/peers.h"
#include "tests/bench/slow_sync.h"

namespace eddy::bench {
namespace {

constexpr int kProducers = 64;
constexpr int kSlices = 32;
constexpr int kCalls = 500;        // of one producer, a slice
constexpr int kManyCalls = 16000;  // of all of them
constexpr int kPolls = 40;         // as src/log/commit_line.h
constexpr size_t kSyncBytes = 4096;

constexpr int kSlowSlices = 8;

double PutSynced(Stream* stream, int producers, int calls, std::vector<double>* us) {
  const std::string data(100, 'd');
  PutOptions options;
  options.durability = Durability::kPower;
  return CallsPerSecond(
      producers, calls, [&] { Ok(stream->Put(kKey, data, options).status()); }, us);
}

void AddPercentiles(const std::string& who, std::vector<double>* us, std::optional<Bar> bar,
                    Report* report) {
  std::sort(us->begin(), us->end());
  report->Add(who + ", p50", Percentile(*us, 50), "us");
  report->Add(who + ", p99", Percentile(*us, 99), "us");
  report->Add(who + ", p99.9", Percentile(*us, 99.9), "us");
  report->Add(who + ", p99 / p50", Percentile(*us, 99) / Percentile(*us, 50), "ratio", bar);
}

// The same where a sync takes longer. The bar was set where SQLite makes 4 to 8 thousand
// commits a second.
void AddSlowSync(const Setup& setup, Report* report) {
  StoreOptions options;
  options.platform.sqlite_vfs = SlowSyncVfs();
  std::unique_ptr<Store> store = OpenStore(setup.directory + "-slow", options);
  Stream* const stream = Ok(store->CreateStream("power"));
  std::vector<double> us;
  PutSynced(stream, 1, 100, &us);
  for (int i = 0; i < setup.Slices(kSlowSlices); ++i) {
    const double one = PutSynced(stream, 1, setup.Scaled(kCalls), &us);
    const double many = PutSynced(stream, kProducers, setup.Scaled(kManyCalls), &us);
    report->Add("1 producer, each sync some 0.2 ms longer", one, "records/s");
    report->Add("64 producers, likewise", many, "records/s");
    report->Add("64 producers / 1 producer, likewise", many / one, "ratio");
  }
}

}  // namespace

void RunPower(const Setup& setup, Report* report) {
  const int calls = setup.Scaled(kCalls);
  SqliteRows rows(setup.directory + "-rows");
  std::unique_ptr<Store> store = OpenStore(setup.directory);
  Stream* const stream = Ok(store->CreateStream("power"));
  std::vector<double> row_us;
  std::vector<double> one_us;
  std::vector<double> many_us;
  std::vector<double> bare_us;
  std::vector<double> polled_us;
  PutSynced(stream, 1, 100, &one_us);  // warms up, both of them
  rows.Insert(100, 1);
  one_us.clear();
  for (int i = 0; i < setup.Slices(kSlices); ++i) {
    const double sync = RawAppend(setup.directory + "-raw")
                            .Append(kSyncBytes * static_cast<size_t>(calls / 4 + 1), kSyncBytes) /
                        kSyncBytes;
    const double row = rows.Insert(calls, 1, &row_us);
    const double one = PutSynced(stream, 1, calls, &one_us);
    const uint64_t commits = store->Stats().commits;
    const int many_calls = setup.Scaled(kManyCalls);
    const double many = PutSynced(stream, kProducers, many_calls, &many_us);
    report->Add("a write of 4 KiB and fdatasync", 1e6 / sync, "us");
    report->Add("SQLite, one row a commit, FULL", row, "records/s");
    report->Add("1 producer", one, "records/s");
    report->Add("1 producer / SQLite", one / row, "ratio", AtLeast(1));
    report->Add("64 producers", many, "records/s");
    report->Add("64 producers / 1 producer", many / one, "ratio", AtLeast(30));
    const double bare = BareCommitsPerSecond(setup.directory + "-bare", kProducers, many_calls,
                                             0, &bare_us);
    const double polled = BareCommitsPerSecond(setup.directory + "-bare", kProducers, many_calls,
                                               kPolls, &polled_us);
    report->Add("64 producers, bare group commit", bare, "records/s");
    report->Add("64 producers, bare group commit that polls", polled, "records/s");
    report->Add("64 producers / bare group commit", many / bare, "ratio", AtLeast(0.9));
    report->Add("64 producers / bare group commit that polls", many / polled, "ratio");
    report->Add("64 producers, records a commit",
                many_calls / static_cast<double>(store->Stats().commits - commits), "records");
  }
  AddPercentiles("SQLite", &row_us, std::nullopt, report);
  AddPercentiles("1 producer", &one_us, AtMost(3), report);
  AddPercentiles("64 producers", &many_us, std::nullopt, report);
  AddPercentiles("64 producers, bare group commit", &bare_us, std::nullopt, report);
  AddSlowSync(setup, report);
}

}  // namespace eddy::bench
