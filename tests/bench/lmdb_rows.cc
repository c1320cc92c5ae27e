// The peer LMDB, after lmdb.h: MDB_APPEND for keys in order (fills pages whole),
// MDB_WRITEMAP (no malloc and copy of dirty pages), MDB_INTEGERKEY. No MDB_NOSYNC
// and no MDB_NOMETASYNC: a commit is on the disk, as FULL is for SQLite.
#include "tests/bench/peers.h"

#ifdef EDDY_BENCH_LMDB
#include <lmdb.h>

#include <cstdint>
#include <filesystem>

#include "tests/bench/bench.h"

namespace eddy::bench {
namespace {

void Ok(int rc) {
  if (rc != 0) Die(std::string("lmdb: ") + mdb_strerror(rc));
}

}  // namespace

std::optional<double> LmdbRowsPerSecond(const std::string& directory, int rows, int batch) {
  std::filesystem::create_directories(directory);
  MDB_env* env = nullptr;
  Ok(mdb_env_create(&env));
  Ok(mdb_env_set_mapsize(env, size_t{2} << 30));
  Ok(mdb_env_open(env, directory.c_str(), MDB_WRITEMAP, 0600));
  const std::string value = "sensor-01" + std::string(100, 'd');
  MDB_txn* txn = nullptr;
  MDB_dbi dbi = 0;
  const double start = Now();
  for (int i = 0; i < rows; ++i) {
    if (i % batch == 0) {
      Ok(mdb_txn_begin(env, nullptr, 0, &txn));
      if (i == 0) Ok(mdb_dbi_open(txn, nullptr, MDB_INTEGERKEY | MDB_CREATE, &dbi));
    }
    uint64_t sequence = static_cast<uint64_t>(i);
    MDB_val k{sizeof(sequence), &sequence};
    MDB_val v{value.size(), const_cast<char*>(value.data())};
    Ok(mdb_put(txn, dbi, &k, &v, MDB_APPEND));
    if (i % batch == batch - 1 || i == rows - 1) Ok(mdb_txn_commit(txn));
  }
  const double rate = rows / (Now() - start);
  mdb_env_close(env);
  std::filesystem::remove_all(directory);
  return rate;
}

}  // namespace eddy::bench
#else
namespace eddy::bench {
std::optional<double> LmdbRowsPerSecond(const std::string&, int, int) { return std::nullopt; }
}  // namespace eddy::bench
#endif
