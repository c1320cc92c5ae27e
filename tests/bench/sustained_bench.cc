// Accept and group commit together, until 1 GB of 100 B records is on the disk.
// One sync costs about 0.2 ms on the machines this was written on, so what counts
// is how many bytes a record costs and how often they are written.
//
// Payload is what the contract bills: data and key, 100 B + 9 B. Bytes on the disk
// are counted to the end: with the WAL checkpoint that closing the store makes,
// which is what is still to be copied of the WAL at that time.
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <system_error>

#include "eddy/eddy.h"
#include "tests/bench/report.h"

namespace eddy::bench {
namespace {

constexpr int kRecords = 10000000;
constexpr int kPeerRows = 2000000;
constexpr char kName[] = "sustained";
constexpr char kKey[] = "sensor-01";
const std::string kData(100, 'd');

constexpr double kRecordBytes = 100 + 9;

// What the kernel counts as sent towards the disk by this process, the intake's
// dirty pages included. It counts nothing on a tmpfs, which writes nothing.
double KernelWriteBytes() {
  std::ifstream io("/proc/self/io");
  std::string name;
  double value = 0;
  while (io >> name >> value) {
    if (name == "write_bytes:") return value;
  }
  Die("/proc/self/io does not say how much this process writes");
}

// Dies where the kernel does not count what is written to `directory`: a ratio of
// zero would hold every bar.
void RequireCountedDisk(const std::string& directory) {
  const std::string path = directory + "-probe";
  const double before = KernelWriteBytes();
  constexpr size_t kProbeBytes = 1 << 20;
  std::ofstream(path, std::ios::binary) << std::string(kProbeBytes, 'p');
  const double counted = KernelWriteBytes() - before;
  std::filesystem::remove(path);
  if (counted < kProbeBytes) {
    Die(path + ": " + std::to_string(kProbeBytes) + " bytes were written and the kernel counted " +
        std::to_string(static_cast<long>(counted)) + "; choose a directory on a disk");
  }
}

double FileBytes(const std::string& path) {
  std::error_code error;
  const auto bytes = std::filesystem::file_size(path, error);
  return error ? 0 : static_cast<double>(bytes);
}

// All that is in the store, which is opened anew: what was promised is on the disk.
void CountBack(const std::string& directory, Report* report) {
  absl::StatusOr<std::unique_ptr<Store>> store = Store::Open(directory);
  if (!store.ok()) Die(store.status().ToString());
  absl::StatusOr<Stream*> stream = (*store)->OpenStream(kName);
  if (!stream.ok()) Die(stream.status().ToString());
  const double start = Now();
  long count = 0;
  absl::StatusOr<std::string> iterator = (*stream)->GetShardIterator(0, {});
  if (!iterator.ok()) Die(iterator.status().ToString());
  for (;;) {
    const absl::StatusOr<RecordBatch> batch = (*stream)->GetRecords(*iterator);
    if (!batch.ok()) Die(batch.status().ToString());
    if (batch->records.empty()) break;
    count += static_cast<long>(batch->records.size());
    for (const Record& record : batch->records) {
      if (record.data != kData || record.partition_key != kKey) Die("a record is not as it was put");
    }
    iterator = batch->next_shard_iterator;
  }
  const double rate = static_cast<double>(count) / (Now() - start);
  if (count != kRecords) {
    Die(std::to_string(kRecords) + " records were put and " + std::to_string(count) + " are there");
  }
  report->Add("read back after a new open", rate / 1e6, "M records/s");
}

}  // namespace

void RunSustained(const std::string& directory, Report* report) {
  RequireCountedDisk(directory);
  const double peer = SqliteRowsPerSecond(directory + "-rows", kPeerRows, 1000);

  absl::StatusOr<std::unique_ptr<Store>> store = Store::Open(directory);
  if (!store.ok()) Die(store.status().ToString());
  absl::StatusOr<Stream*> stream = (*store)->CreateStream(kName);
  if (!stream.ok()) Die(stream.status().ToString());
  const double kernel_before = KernelWriteBytes();
  const double start = Now();
  for (int i = 0; i < kRecords; ++i) {
    const absl::StatusOr<PutResult> put = (*stream)->Put(kKey, kData);
    if (!put.ok()) Die(put.status().ToString());
  }
  if (!(*store)->Flush().ok()) Die("flush failed");
  const double rate = kRecords / (Now() - start);
  const double disk = static_cast<double>((*store)->Stats().disk_bytes_written);
  const double wal = FileBytes(directory + "/eddy.db-wal");
  store->reset();
  if (FileBytes(directory + "/eddy.db-wal") != 0) Die("closing has left the WAL to be copied");
  const double kernel = KernelWriteBytes() - kernel_before;
  const double payload = kRecords * kRecordBytes;
  if (kernel < payload) Die("the kernel counted fewer bytes than the records have");
  CountBack(directory, report);

  report->Add("sustained to disk, 100 B, 1 GB", rate / 1e6, "M records/s");
  report->Add("SQLite rows, 1000 a transaction, FULL", peer / 1e6, "M records/s");
  report->Add("sustained / SQLite rows", rate / peer, "ratio", AtLeast(3));
  // The WAL's length is the most that the last checkpoint can copy.
  report->Add("disk / payload (data + key) bytes, SQLite's files", (disk + wal) / payload, "ratio",
              AtMost(2.5));
  report->Add("disk / payload (data + key) bytes, kernel, with intake", kernel / payload, "ratio",
              AtMost(2.5));
  report->Add("disk / data alone bytes, kernel, with intake", kernel / (kRecords * 100.0), "ratio");
}

}  // namespace eddy::bench
