// The peer: a table of records as one would write it with SQLite, tuned as its
// documentation advises for inserts at this durability: WAL, synchronous FULL,
// one prepared statement, explicit transactions, secure_delete off, a larger WAL.
#include <sqlite3.h>

#include <filesystem>
#include <string>

#include "tests/bench/peers.h"
#include "tests/bench/report.h"

namespace eddy::bench {
namespace {

void Exec(sqlite3* db, const char* sql) {
  if (sqlite3_exec(db, sql, nullptr, nullptr, nullptr) != SQLITE_OK) Die(sqlite3_errmsg(db));
}

}  // namespace

double SqliteRowsPerSecond(const std::string& directory, int rows, int rows_per_transaction) {
  std::filesystem::create_directories(directory);
  sqlite3* db = nullptr;
  if (sqlite3_open((directory + "/rows.db").c_str(), &db) != SQLITE_OK) Die("open rows.db");
  Exec(db, "PRAGMA journal_mode=WAL");
  Exec(db, "PRAGMA synchronous=FULL");
  Exec(db, "PRAGMA secure_delete=OFF");
  Exec(db, "PRAGMA wal_autocheckpoint=4000");
  Exec(db, "CREATE TABLE records (sequence INTEGER PRIMARY KEY, time_ms INTEGER NOT NULL, "
           "key TEXT NOT NULL, data BLOB NOT NULL)");
  sqlite3_stmt* insert = nullptr;
  sqlite3_prepare_v2(db, "INSERT INTO records (time_ms, key, data) VALUES (?, ?, ?)", -1,
                     &insert, nullptr);
  const std::string data(100, 'd');
  const double start = Now();
  for (int i = 0; i < rows; ++i) {
    if (i % rows_per_transaction == 0) Exec(db, "BEGIN IMMEDIATE");
    sqlite3_bind_int64(insert, 1, 1700000000000 + i);
    sqlite3_bind_text(insert, 2, "sensor-01", 9, SQLITE_STATIC);
    sqlite3_bind_blob(insert, 3, data.data(), static_cast<int>(data.size()), SQLITE_STATIC);
    if (sqlite3_step(insert) != SQLITE_DONE) Die(sqlite3_errmsg(db));
    sqlite3_reset(insert);
    if (i % rows_per_transaction == rows_per_transaction - 1) Exec(db, "COMMIT");
  }
  const double rate = rows / (Now() - start);
  sqlite3_finalize(insert);
  sqlite3_close(db);
  std::filesystem::remove_all(directory);
  return rate;
}

}  // namespace eddy::bench
