// A queue's whole cycle, send + receive + delete, 256 B in batches of 10; beside the
// row queue at the same durability and with as many workers, slice by slice. Disk bytes
// of both are counted in the VFS to the end, with the WAL checkpoint of closing.
//
// At kPower the bars are on 64 workers. One worker alone says what a call costs: it
// waits for a sync in each of its three calls, as the row queue does, and a disk gives
// both as many syncs; nothing that keeps the promise can be five times faster there.
#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/bench/bench.h"
#include "tests/bench/child.h"
#include "tests/bench/cycle.h"
#include "tests/bench/disk.h"
#include "tests/bench/peers.h"

namespace eddy::bench {
namespace {

constexpr int kSlices = 8;

constexpr int kManyWorkers = 64;

struct Run {
  Durability durability = Durability::kPower;
  int workers = 1;
  int ours = 0;  // messages a slice
  int rows = 0;
  std::optional<Bar> bar;  // of the ratio
};

struct Written {
  double ours = 0;  // bytes on the disk for each byte of body
  double rows = 0;
};

Written Compare(const Setup& setup, const Run& run, const std::string& name,
                const std::string& row_name, Report* report) {
  const DiskCount our_disk;
  const DiskCount row_disk;
  const bool full = run.durability == Durability::kPower;
  const int slices = setup.Slices(kSlices);
  {
    SqliteQueue rows(setup.directory + "-rows" + name, full, row_disk.vfs());
    StoreOptions options;
    options.platform.sqlite_vfs = our_disk.vfs();
    const std::unique_ptr<Store> store = OpenStore(setup.directory + "-" + name, options);
    QueueOptions queue_options;
    queue_options.durability = run.durability;
    Queue* const queue = Ok(store->CreateQueue(kCycleQueue, queue_options));
    for (int i = 0; i < slices; ++i) {
      const double row = rows.CyclesPerSecond(run.rows, run.workers);
      const double start = Now();
      Cycle(queue, run.ours, run.workers);
      Ok(store->Flush());
      const double rate = run.ours / (Now() - start);
      report->Add(row_name, row, "cycles/s");
      if (full) {
        report->Add(name, rate, "cycles/s");
      } else {
        report->Add(name, rate / 1e6, "M cycles/s", AtLeast(1));
      }
      report->Add(name + " / " + row_name, rate / row, "ratio", run.bar);
    }
  }
  const auto per_byte = [slices](const DiskCount& disk, int messages) {
    return disk.bytes() / (static_cast<double>(messages) * slices * kBodyBytes);
  };
  const Written written = {per_byte(our_disk, run.ours), per_byte(row_disk, run.rows)};
  report->Add(row_name + ", disk / body bytes", written.rows, "ratio");
  return written;
}

}  // namespace

void RunQueue(const Setup& setup, Report* report) {
  const int few = setup.Scaled(10000);
  constexpr int kAll = kManyWorkers * kCycleBatch;  // a cycle of each worker
  const int many = kAll * setup.Scaled(80);
  const int many_rows = kAll * std::max(1, setup.Scaled(10));
  const Written one = Compare(setup, {Durability::kPower, 1, few, few / 2, std::nullopt},
                              "kPower, 1 worker", "row queue FULL, 1 worker", report);
  report->Add("kPower, 1 worker, disk / body bytes", one.ours, "ratio");
  const Written power =
      Compare(setup, {Durability::kPower, kManyWorkers, many, many_rows, AtLeast(5)},
              "kPower, 64 workers", "row queue FULL, 64 workers", report);
  report->Add("kPower, 64 workers, disk / body bytes", power.ours, "ratio");
  report->Add("kPower, 64 workers, disk bytes / row queue FULL's", power.ours / power.rows,
              "ratio", AtMost(1.0 / 3));
  const Written process = Compare(setup, {Durability::kProcess, 1, setup.Scaled(500000),
                                          setup.Scaled(50000), AtLeast(10)},
                                  "kProcess", "row queue NORMAL", report);
  report->Add("kProcess, disk / body bytes", process.ours, "ratio", AtMost(0.1));
}

// One backlog for all repetitions, since 10 M messages are 3 GB to write; the two
// depths in turn, each time in a process of its own, so that memory is its own.
void RunBacklog(const Setup& setup, Report* report) {
  const std::string few = setup.directory + "-few";
  const std::string many = setup.directory + "-many";
  RunInChild("fill-queue", {few, "10000"});
  RunInChild("fill-queue", {many, std::to_string(setup.Scaled(10000000))});
  const std::string cycles = std::to_string(setup.Scaled(400000));
  for (int i = 0; i < setup.rounds; ++i) {
    const std::vector<double> with_few = RunInChild("cycle", {few, cycles});
    const std::vector<double> with_many = RunInChild("cycle", {many, cycles});
    report->Add("10 k messages", with_few[0] / 1e6, "M cycles/s");
    report->Add("10 M messages", with_many[0] / 1e6, "M cycles/s");
    report->Add("10 M messages / 10 k, rate", with_many[0] / with_few[0], "ratio", AtLeast(0.9));
    report->Add("resident memory, 10 k messages", with_few[1], "MB");
    report->Add("resident memory, 10 M messages more", with_many[1] - with_few[1], "MB",
                AtMost(1));
  }
}

}  // namespace eddy::bench
