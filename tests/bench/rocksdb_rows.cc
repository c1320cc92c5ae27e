// The peer RocksDB, after its tuning guide: WriteBatch, WriteOptions::sync,
// write_buffer_size 64 MiB, IncreaseParallelism to the cores, and no compression
// (the data would shrink to nothing, which no real data does).
#include "tests/bench/peers.h"

#ifdef EDDY_BENCH_ROCKSDB
#include <rocksdb/db.h>
#include <rocksdb/write_batch.h>

#include <cstdio>
#include <filesystem>

#include "tests/bench/bench.h"

namespace eddy::bench {
namespace {

void Ok(const rocksdb::Status& status) {
  if (!status.ok()) Die("rocksdb: " + status.ToString());
}

}  // namespace

std::optional<double> RocksDbRowsPerSecond(const std::string& directory, int rows, int batch) {
  rocksdb::Options options;
  options.create_if_missing = true;
  options.write_buffer_size = size_t{64} << 20;
  options.compression = rocksdb::kNoCompression;
  options.IncreaseParallelism(2);
  rocksdb::DB* db = nullptr;
  Ok(rocksdb::DB::Open(options, directory, &db));
  rocksdb::WriteOptions synced;
  synced.sync = true;
  const std::string value = "sensor-01" + std::string(100, 'd');
  rocksdb::WriteBatch writes;
  const double start = Now();
  for (int i = 0; i < rows; ++i) {
    char key[17];
    std::snprintf(key, sizeof(key), "%016d", i);
    Ok(writes.Put(key, value));
    if (i % batch == batch - 1 || i == rows - 1) {
      Ok(db->Write(synced, &writes));
      writes.Clear();
    }
  }
  const double rate = rows / (Now() - start);
  delete db;
  std::filesystem::remove_all(directory);
  return rate;
}

}  // namespace eddy::bench
#else
namespace eddy::bench {
std::optional<double> RocksDbRowsPerSecond(const std::string&, int, int) { return std::nullopt; }
}  // namespace eddy::bench
#endif
