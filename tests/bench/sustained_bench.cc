// Accept and group commit together, until 2.2 GB of 100 B records is on the disk.
// One sync costs about 0.2 ms on the machines this was written on, so what counts
// is how many bytes a record costs and how often they are written.
//
// Payload is what the contract bills: data and key, 100 B + 9 B. Bytes on the disk
// are counted to the end: with the WAL checkpoint that closing the store makes,
// which is what is still to be copied of the WAL at that time.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <system_error>

#include "eddy/eddy.h"
#include "tests/bench/peers.h"
#include "tests/bench/report.h"

namespace eddy::bench {
namespace {

constexpr int kRecordsFull = 20000000;
constexpr int kPeerRows = 1000000;
constexpr size_t kBlock = 1 << 20;  // StoreOptions::commit_bytes: a sync each
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
void CountBack(const std::string& directory, int kRecords, Report* report) {
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
  report->Add("replay, 100 B, cold open, warm page cache", rate / 1e6, "M records/s",
              AtLeast(5));
}

// The fastest of the key-value stores; absent unless all three are measured.
std::optional<double> BestPeer(const Setup& setup, Report* report) {
  const int rows = setup.Scaled(kPeerRows);
  double best = 0;
  bool all = true;
  const auto add = [&](const char* name, std::optional<double> rate) {
    const std::string title = std::string(name) + ", 1000 a batch, synced";
    if (rate.has_value()) {
      report->Add(title, *rate / 1e6, "M records/s");
      best = std::max(best, *rate);
    } else {
      report->AddMissing(title, "absent", "M records/s");
      all = false;
    }
  };
  add("LMDB", LmdbRowsPerSecond(setup.directory + "-lmdb", rows, 1000));
  add("LevelDB", LevelDbRowsPerSecond(setup.directory + "-leveldb", rows, 1000));
  add("RocksDB", RocksDbRowsPerSecond(setup.directory + "-rocksdb", rows, 1000));
  if (!all) return std::nullopt;
  return best;
}

}  // namespace

void RunSustained(const Setup& setup, Report* report) {
  const std::string& directory = setup.directory;
  const int records = setup.Scaled(kRecordsFull);
  RequireCountedDisk(directory);
  const double peer = SqliteRowsPerSecond(directory + "-rows", setup.Scaled(kPeerRows), 1000);
  const double raw =
      RawAppendBytesPerSecond(directory + "-raw", setup.quick ? 100 << 20 : 1 << 30, kBlock);
  const std::optional<double> best = BestPeer(setup, report);

  absl::StatusOr<std::unique_ptr<Store>> store = Store::Open(directory);
  if (!store.ok()) Die(store.status().ToString());
  absl::StatusOr<Stream*> stream = (*store)->CreateStream(kName);
  if (!stream.ok()) Die(stream.status().ToString());
  const double kernel_before = KernelWriteBytes();
  const double start = Now();
  for (int i = 0; i < records; ++i) {
    const absl::StatusOr<PutResult> put = (*stream)->Put(kKey, kData);
    if (!put.ok()) Die(put.status().ToString());
  }
  if (!(*store)->Flush().ok()) Die("flush failed");
  const double rate = records / (Now() - start);
  const double disk = static_cast<double>((*store)->Stats().disk_bytes_written);
  const double wal = FileBytes(directory + "/eddy.db-wal");
  store->reset();
  if (FileBytes(directory + "/eddy.db-wal") != 0) Die("closing has left the WAL to be copied");
  const double stored = FileBytes(directory + "/eddy.db");
  const double kernel = KernelWriteBytes() - kernel_before;
  const double payload = records * kRecordBytes;
  if (kernel < payload) Die("the kernel counted fewer bytes than the records have");
  CountBack(directory, records, report);

  report->Add("sustained to disk, 100 B, 2.2 GB", rate / 1e6, "M records/s");
  report->Add("SQLite rows, 1000 a transaction, FULL", peer / 1e6, "M records/s");
  report->Add("sustained / SQLite rows", rate / peer, "ratio", AtLeast(4));
  if (best.has_value()) {
    report->Add("sustained / best of LMDB, LevelDB, RocksDB", rate / *best, "ratio", AtLeast(1.5));
  } else {
    report->AddMissing("sustained / best of LMDB, LevelDB, RocksDB", "absent", "ratio",
                       AtLeast(1.5));
  }
  // Stored bytes: what the database file has grown to, the key's and the frame's
  // bytes included, against blocks of a commit's size.
  report->Add("raw append + fdatasync, 1 MiB blocks", raw / 1e6, "MB/s");
  report->Add("sustained, stored bytes / raw append", stored / records * rate / raw, "ratio",
              AtLeast(0.9));
  report->Add("overhead a record on disk, key aside", stored / records - kRecordBytes, "B",
              AtMost(24));
  // The WAL's length is the most that the last checkpoint can copy.
  report->Add("disk / payload (data + key) bytes, SQLite's files", (disk + wal) / payload, "ratio",
              AtMost(2.2));
  report->Add("disk / payload (data + key) bytes, kernel, with intake", kernel / payload, "ratio",
              AtMost(2.2));
  report->Add("disk / data alone bytes, kernel, with intake", kernel / (records * 100.0), "ratio");
}

}  // namespace eddy::bench
