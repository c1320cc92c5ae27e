// Accept and group commit together, until 2.2 GB of 100 B records is on the disk, in
// slices; between them the peers write theirs and a plain file is appended to. One
// sync costs some 0.2 ms on the machines this was written on, so what counts is how
// many bytes a record costs and how often they are written.
//
// A slice ends when all of it is flushed. Payload is what the contract bills: data
// and key, 100 B + 9 B. Bytes on the disk are counted to the end, with the WAL
// checkpoint that closing the store makes.
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/bench/bench.h"
#include "tests/bench/disk.h"
#include "tests/bench/peers.h"

namespace eddy::bench {
namespace {

constexpr int kSlices = 4;
constexpr int kRecords = 5500000;  // a slice
constexpr int kPeerRows = 1000000;
constexpr int kPeerBatch = 1000;
constexpr size_t kBlock = 1 << 20;  // StoreOptions::commit_bytes: a sync each
constexpr char kName[] = "sustained";
constexpr size_t kKeys = 16;  // in turn: eddy does not keep again what it has just kept

std::vector<std::string> Keys() {
  std::vector<std::string> keys;
  for (size_t i = 0; i < kKeys; ++i) keys.push_back("sensor-" + std::to_string(10 + i));
  return keys;
}

// All that is in the store, which is opened anew: what was promised is on the disk,
// as it was put. Records a second, each of them compared.
double Replay(const std::string& directory, long expected) {
  const std::unique_ptr<Store> store = OpenStore(directory);
  Stream* const stream = Ok(store->OpenStream(kName));
  const std::string data(100, 'd');
  const std::vector<std::string> keys = Keys();
  size_t next_key = 0;
  const double start = Now();
  long count = 0;
  std::string iterator = Ok(stream->GetShardIterator(0, {}));
  for (;;) {
    RecordBatch batch = Ok(stream->GetRecords(iterator));
    if (batch.records.empty()) break;
    count += static_cast<long>(batch.records.size());
    for (const Record& record : batch.records) {
      if (record.data != data || record.partition_key != keys[next_key]) {
        Die("a record is not as it was put");
      }
      next_key = next_key + 1 < kKeys ? next_key + 1 : 0;
    }
    iterator = std::move(batch.next_shard_iterator);
  }
  const double rate = static_cast<double>(count) / (Now() - start);
  if (count != expected) {
    Die(std::to_string(expected) + " records were put and " + std::to_string(count) + " are there");
  }
  return rate;
}

void AddPeer(const std::string& name, std::optional<double> rate, Report* report) {
  const std::string title = name + ", 1000 a batch, synced";
  if (rate.has_value()) {
    report->Add(title, *rate / 1e6, "M records/s");
  } else {
    report->AddMissing(title, "absent", "M records/s");
  }
}

// At least 1.5 beside each of them is at least 1.5 beside the best.
void AddRatio(const std::string& name, double ours, std::optional<double> rate, Report* report) {
  if (rate.has_value()) {
    report->Add("eddy / " + name, ours / *rate, "ratio", AtLeast(1.5));
  } else {
    report->AddMissing("eddy / " + name, "absent", "ratio", AtLeast(1.5));
  }
}

}  // namespace

void RunSustained(const Setup& setup, Report* report) {
  const std::string& directory = setup.directory;
  const int rows = setup.Scaled(kPeerRows);
  const int records = setup.Scaled(kRecords);
  RequireCountedDisk(directory);
  const DiskCount disk;
  RawAppend raw_append(directory + "-raw");
  StoreOptions options;
  options.platform.sqlite_vfs = disk.vfs();
  std::unique_ptr<Store> store = OpenStore(directory, options);
  Stream* const stream = Ok(store->CreateStream(kName));
  const std::string data(100, 'd');
  const std::vector<std::string> keys = Keys();
  size_t next_key = 0;
  double kernel = 0;  // while eddy's slices run
  std::vector<double> over_raw;
  const int slices = setup.Slices(kSlices);
  for (int slice = 0; slice < slices; ++slice) {
    const double disk_before = disk.bytes();
    const double row = SqliteRows(directory + "-rows").Insert(rows, kPeerBatch);
    const auto lmdb = LmdbRowsPerSecond(directory + "-lmdb", rows, kPeerBatch);
    const auto level = LevelDbRowsPerSecond(directory + "-leveldb", rows, kPeerBatch);
    const auto rocks = RocksDbRowsPerSecond(directory + "-rocksdb", rows, kPeerBatch);
    // As many bytes as eddy's slice, to a file that stays as eddy's does.
    const double raw = raw_append.Append(static_cast<size_t>(records * kRecordBytes), kBlock);
    // What eddy writes while the peers run is work of its last slice put off.
    if (slice > 0) report->Add("eddy, after its slices", (disk.bytes() - disk_before) / 1e6, "MB");

    const double kernel_before = KernelWriteBytes();
    const double start = Now();
    for (int i = 0; i < records; ++i) {
      Ok(stream->Put(keys[next_key], data).status());
      next_key = next_key + 1 < kKeys ? next_key + 1 : 0;
    }
    Ok(store->Flush());
    const double rate = records / (Now() - start);
    kernel += KernelWriteBytes() - kernel_before;

    report->Add("eddy", rate / 1e6, "M records/s");
    report->Add("SQLite rows, 1000 a transaction, FULL", row / 1e6, "M records/s");
    AddPeer("LMDB", lmdb, report);
    AddPeer("LevelDB", level, report);
    AddPeer("RocksDB", rocks, report);
    report->Add("raw append + fdatasync, 1 MiB blocks", raw / 1e6, "MB/s");
    report->Add("eddy / SQLite rows", rate / row, "ratio", AtLeast(4));
    AddRatio("LMDB", rate, lmdb, report);
    AddRatio("LevelDB", rate, level, report);
    AddRatio("RocksDB", rate, rocks, report);
    over_raw.push_back(rate / raw);
  }
  const double kernel_before = KernelWriteBytes();
  store.reset();
  kernel += KernelWriteBytes() - kernel_before;
  if (FileBytes(directory + "/eddy.db-wal") != 0) Die("closing has left the WAL to be copied");
  const long all = static_cast<long>(records) * slices;
  const double payload = static_cast<double>(all) * kRecordBytes;
  // Stored bytes: what the files have grown to, keys and frames included.
  const double files =
      FileBytes(directory + "/eddy.db") + FileBytes(directory + "/eddy.db-blocks");
  if (kernel < files) Die("the kernel counted fewer bytes than the files have");
  const double stored = files / static_cast<double>(all);
  for (const double ratio : over_raw) {
    report->Add("eddy, stored bytes / raw append", ratio * stored, "ratio", AtLeast(0.9));
    report->Add("eddy, payload bytes / raw append", ratio * kRecordBytes, "ratio");
  }
  report->Add("overhead a record on disk, key aside", stored - kRecordBytes, "B", AtMost(24));
  report->Add("disk / payload bytes, SQLite's files", disk.bytes() / payload, "ratio",
              AtMost(2.2));
  report->Add("disk / payload bytes, kernel, with intake", kernel / payload, "ratio",
              AtMost(2.2));
  report->Add("replay, cold open, warm page cache", Replay(directory, all) / 1e6, "M records/s",
              AtLeast(5));
}

}  // namespace eddy::bench
