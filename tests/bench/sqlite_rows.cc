// The peer: a table of records as one would write it with SQLite, tuned as its
// documentation advises for inserts at this durability: WAL, synchronous FULL,
// one prepared statement, explicit transactions, secure_delete off, a larger WAL.
#include <sqlite3.h>

#include <filesystem>
#include <string>

#include "tests/bench/bench.h"
#include "tests/bench/peers.h"

namespace eddy::bench {
namespace {

void Exec(sqlite3* db, const char* sql) {
  if (sqlite3_exec(db, sql, nullptr, nullptr, nullptr) != SQLITE_OK) Die(sqlite3_errmsg(db));
}

}  // namespace

SqliteRows::SqliteRows(const std::string& directory) : directory_(directory) {
  std::filesystem::create_directories(directory);
  if (sqlite3_open((directory + "/rows.db").c_str(), &db_) != SQLITE_OK) Die("open rows.db");
  Exec(db_, "PRAGMA journal_mode=WAL");
  Exec(db_, "PRAGMA synchronous=FULL");
  Exec(db_, "PRAGMA secure_delete=OFF");
  Exec(db_, "PRAGMA wal_autocheckpoint=4000");
  Exec(db_, "CREATE TABLE records (sequence INTEGER PRIMARY KEY, time_ms INTEGER NOT NULL, "
            "key TEXT NOT NULL, data BLOB NOT NULL)");
  if (sqlite3_prepare_v2(db_, "INSERT INTO records (time_ms, key, data) VALUES (?, ?, ?)", -1,
                         &insert_, nullptr) != SQLITE_OK) {
    Die(sqlite3_errmsg(db_));
  }
}

SqliteRows::~SqliteRows() {
  sqlite3_finalize(insert_);
  sqlite3_close(db_);
  std::filesystem::remove_all(directory_);
}

double SqliteRows::Insert(int rows, int rows_per_transaction, std::vector<double>* us,
                          size_t data_bytes) {
  const std::string data(data_bytes, 'd');
  const double start = Now();
  double begun = start;
  for (int i = 0; i < rows; ++i) {
    // A statement by itself is a transaction, without two more to run.
    if (rows_per_transaction > 1 && i % rows_per_transaction == 0) Exec(db_, "BEGIN IMMEDIATE");
    sqlite3_bind_int64(insert_, 1, 1700000000000 + i);
    sqlite3_bind_text(insert_, 2, kKey.data(), static_cast<int>(kKey.size()), SQLITE_STATIC);
    sqlite3_bind_blob(insert_, 3, data.data(), static_cast<int>(data.size()), SQLITE_STATIC);
    if (sqlite3_step(insert_) != SQLITE_DONE) Die(sqlite3_errmsg(db_));
    sqlite3_reset(insert_);
    if (rows_per_transaction > 1 &&
        (i % rows_per_transaction == rows_per_transaction - 1 || i == rows - 1)) {
      Exec(db_, "COMMIT");
    }
    if (us != nullptr && (i + 1) % rows_per_transaction == 0) {
      const double now = Now();
      us->push_back((now - begun) * 1e6);
      begun = now;
    }
  }
  return rows / (Now() - start);
}

}  // namespace eddy::bench
