// Accept and group commit together, until 1 GB of 100 B records is on the disk.
// One sync costs about 0.2 ms on the machines this was written on, so what counts
// is how many bytes a record costs and how often they are written.
#include <cstdio>
#include <cstring>
#include <fstream>
#include <memory>
#include <string>

#include "eddy/eddy.h"
#include "tests/bench/report.h"

namespace eddy::bench {
namespace {

constexpr int kRecords = 10000000;
constexpr int kPeerRows = 2000000;
const std::string kData(100, 'd');

// What the kernel counts as sent towards the disk by this process, the intake's
// dirty pages included.
double KernelWriteBytes() {
  std::ifstream io("/proc/self/io");
  std::string name;
  double value = 0;
  while (io >> name >> value) {
    if (name == "write_bytes:") return value;
  }
  return 0;
}

}  // namespace

void RunSustained(const std::string& directory, Report* report) {
  const double peer = SqliteRowsPerSecond(directory + "-rows", kPeerRows, 1000);

  StoreOptions options;
  absl::StatusOr<std::unique_ptr<Store>> store = Store::Open(directory, options);
  if (!store.ok()) Die(store.status().ToString());
  absl::StatusOr<Stream*> stream = (*store)->CreateStream("sustained");
  if (!stream.ok()) Die(stream.status().ToString());
  const double kernel_before = KernelWriteBytes();
  const double start = Now();
  for (int i = 0; i < kRecords; ++i) {
    const absl::StatusOr<PutResult> put = (*stream)->Put("sensor-01", kData);
    if (!put.ok()) Die(put.status().ToString());
  }
  if (!(*store)->Flush().ok()) Die("flush failed");
  const double rate = kRecords / (Now() - start);
  const double kernel = KernelWriteBytes() - kernel_before;
  const StoreStats stats = (*store)->Stats();
  const double payload = static_cast<double>(stats.payload_bytes_committed);

  const double read_start = Now();
  long count = 0;
  std::string iterator = *(*stream)->GetShardIterator(0, {});
  for (;;) {
    absl::StatusOr<RecordBatch> batch = (*stream)->GetRecords(iterator);
    if (!batch.ok()) Die(batch.status().ToString());
    if (batch->records.empty()) break;
    count += static_cast<long>(batch->records.size());
    iterator = batch->next_shard_iterator;
  }
  const double read_rate = static_cast<double>(count) / (Now() - read_start);
  if (count != kRecords) Die("records are missing: " + std::to_string(count));

  report->Add("sustained to disk, 100 B, 1 GB", rate / 1e6, "M records/s");
  report->Add("SQLite rows, 1000 a transaction, FULL", peer / 1e6, "M records/s");
  report->Add("sustained / SQLite rows", rate / peer, "ratio", AtLeast(3));
  report->Add("disk bytes per payload byte (SQLite's files)",
              static_cast<double>(stats.disk_bytes_written) / payload, "ratio", AtMost(2.5));
  report->Add("disk bytes per payload byte (kernel's count, with intake)", kernel / payload,
              "ratio", AtMost(2.5));
  report->Add("read back from disk, warm", read_rate / 1e6, "M records/s");
}

}  // namespace eddy::bench
