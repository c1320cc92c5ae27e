// The peers: each keeps rows of 100 B with a 9 B key and a growing number for an
// order, as its own documentation advises for speed at this durability. What was
// not found at configuration is absent (nullopt), and no bar beside it holds.
#ifndef EDDY_TESTS_BENCH_PEERS_H_
#define EDDY_TESTS_BENCH_PEERS_H_

#include <cstddef>
#include <optional>
#include <string>

namespace eddy::bench {

// Rows a second; each batch is on the disk (synced) before the next one begins.
double SqliteRowsPerSecond(const std::string& directory, int rows, int rows_per_transaction);
std::optional<double> LmdbRowsPerSecond(const std::string& directory, int rows, int batch);
std::optional<double> LevelDbRowsPerSecond(const std::string& directory, int rows, int batch);
std::optional<double> RocksDbRowsPerSecond(const std::string& directory, int rows, int batch);

// Bytes a second of write and fdatasync in turn, `block` bytes each: what this
// disk allows an append that promises to survive a power cut.
double RawAppendBytesPerSecond(const std::string& directory, size_t bytes, size_t block);

// Messages a second through send, receive and delete of 256 B in batches of 10,
// one row a message; `full`: synchronous FULL, else NORMAL.
double SqliteQueueCyclesPerSecond(const std::string& directory, int messages, bool full);

}  // namespace eddy::bench

#endif  // EDDY_TESTS_BENCH_PEERS_H_
