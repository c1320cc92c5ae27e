// The peer LevelDB, after its doc/index.md: WriteBatch, WriteOptions::sync,
// write_buffer_size 64 MiB for bulk loads, and no compression (the data would
// shrink to nothing, which no real data does).
#include "tests/bench/peers.h"

#ifdef EDDY_BENCH_LEVELDB
#include <leveldb/db.h>
#include <leveldb/write_batch.h>

#include <cstdio>
#include <filesystem>

#include "tests/bench/bench.h"

namespace eddy::bench {
namespace {

void Ok(const leveldb::Status& status) {
  if (!status.ok()) Die("leveldb: " + status.ToString());
}

}  // namespace

std::optional<double> LevelDbRowsPerSecond(const std::string& directory, int rows, int batch) {
  leveldb::Options options;
  options.create_if_missing = true;
  options.write_buffer_size = size_t{64} << 20;
  options.compression = leveldb::kNoCompression;
  leveldb::DB* db = nullptr;
  Ok(leveldb::DB::Open(options, directory, &db));
  leveldb::WriteOptions synced;
  synced.sync = true;
  const std::string value = "sensor-01" + std::string(100, 'd');
  leveldb::WriteBatch writes;
  const double start = Now();
  for (int i = 0; i < rows; ++i) {
    char key[17];
    std::snprintf(key, sizeof(key), "%016d", i);
    writes.Put(key, value);
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
std::optional<double> LevelDbRowsPerSecond(const std::string&, int, int) { return std::nullopt; }
}  // namespace eddy::bench
#endif
