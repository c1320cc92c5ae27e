// The peers: each keeps rows of 100 B with a 9 B key and a growing number for an
// order, as its own documentation advises for speed at this durability; the file of
// each says how. What was not found at configuration is absent (nullopt), and no bar
// beside it holds.
//
// What is not timed is in the peers' favour: making and opening their files, and
// what they still have to do when they are closed. (eddy's commits, its last flush
// and sync are timed.)
#ifndef EDDY_TESTS_BENCH_PEERS_H_
#define EDDY_TESTS_BENCH_PEERS_H_

#include <cstddef>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

struct sqlite3;
struct sqlite3_stmt;

namespace eddy::bench {

// Rows a second into a new database, which is removed; each batch is on the disk
// (synced) before the next one begins.
std::optional<double> LmdbRowsPerSecond(const std::string& directory, int rows, int batch);
std::optional<double> LevelDbRowsPerSecond(const std::string& directory, int rows, int batch);
std::optional<double> RocksDbRowsPerSecond(const std::string& directory, int rows, int batch);

// A new file: what this disk allows an append that promises to survive a power cut. It
// stays, and grows, until the end: one that is removed after 256 MiB hands its memory on to
// the next, which was measured at up to twice the rate of 2 GB in one file.
class RawAppend {
 public:
  explicit RawAppend(std::string directory);
  ~RawAppend();
  RawAppend(const RawAppend&) = delete;
  RawAppend& operator=(const RawAppend&) = delete;

  // Bytes a second of write and fdatasync in turn, `block` bytes each.
  double Append(size_t bytes, size_t block);

 private:
  const std::string directory_;
  int file_ = -1;
};

// A table of records, synchronous FULL.
class SqliteRows {
 public:
  explicit SqliteRows(const std::string& directory);
  ~SqliteRows();
  SqliteRows(const SqliteRows&) = delete;
  SqliteRows& operator=(const SqliteRows&) = delete;

  // Rows a second; `us`: what each transaction took, appended.
  double Insert(int rows, int rows_per_transaction, std::vector<double>* us = nullptr,
                size_t data_bytes = 100);

 private:
  const std::string directory_;
  sqlite3* db_ = nullptr;
  sqlite3_stmt* insert_ = nullptr;
};

// A queue of one row a message, through the VFS of that name. Threads: CyclesPerSecond
// is for one caller at a time, which may have several workers.
class SqliteQueue {
 public:
  SqliteQueue(const std::string& directory, bool full, const std::string& vfs);
  ~SqliteQueue();
  SqliteQueue(const SqliteQueue&) = delete;
  SqliteQueue& operator=(const SqliteQueue&) = delete;

  // Messages a second through send, receive and delete of 256 B in batches of ten, by
  // so many threads in all.
  double CyclesPerSecond(int messages, int workers = 1);

 private:
  void Send(const std::string& body);
  std::vector<long long> Receive();
  void Delete(const std::vector<long long>& ids);

  const std::string directory_;
  sqlite3* db_ = nullptr;
  sqlite3_stmt* send_ = nullptr;
  sqlite3_stmt* find_ = nullptr;
  sqlite3_stmt* hide_ = nullptr;
  sqlite3_stmt* drop_ = nullptr;
  std::mutex mu_;  // held by one transaction
  long long now_ms_ = 1700000000000;
};

}  // namespace eddy::bench

#endif  // EDDY_TESTS_BENCH_PEERS_H_
