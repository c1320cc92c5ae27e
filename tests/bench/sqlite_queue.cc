// The peer: a queue of one row a message, as it is commonly written with SQLite:
// an index on visibility, statements prepared once, journal_mode=WAL, each call of
// ten messages one BEGIN IMMEDIATE transaction, synchronous FULL or NORMAL.
#include <sqlite3.h>

#include <filesystem>
#include <string>
#include <vector>

#include "tests/bench/peers.h"
#include "tests/bench/report.h"

namespace eddy::bench {
namespace {

constexpr int kBatch = 10;

void Exec(sqlite3* db, const char* sql) {
  if (sqlite3_exec(db, sql, nullptr, nullptr, nullptr) != SQLITE_OK) Die(sqlite3_errmsg(db));
}

sqlite3_stmt* Prepare(sqlite3* db, const char* sql) {
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v2(db, sql, -1, &statement, nullptr) != SQLITE_OK) Die(sqlite3_errmsg(db));
  return statement;
}

void Step(sqlite3* db, sqlite3_stmt* statement) {
  if (sqlite3_step(statement) != SQLITE_DONE) Die(sqlite3_errmsg(db));
  sqlite3_reset(statement);
}

}  // namespace

double SqliteQueueCyclesPerSecond(const std::string& directory, int messages, bool full) {
  std::filesystem::create_directories(directory);
  sqlite3* db = nullptr;
  if (sqlite3_open((directory + "/queue.db").c_str(), &db) != SQLITE_OK) Die("open queue.db");
  Exec(db, "PRAGMA journal_mode=WAL");
  Exec(db, full ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL");
  Exec(db, "CREATE TABLE m (id INTEGER PRIMARY KEY, visible_ms INTEGER NOT NULL, "
           "receives INTEGER NOT NULL, body BLOB NOT NULL)");
  Exec(db, "CREATE INDEX m_visible ON m (visible_ms)");
  sqlite3_stmt* send = Prepare(db, "INSERT INTO m (visible_ms, receives, body) VALUES (?, 0, ?)");
  sqlite3_stmt* find =
      Prepare(db, "SELECT id, body FROM m WHERE visible_ms <= ? ORDER BY visible_ms LIMIT 10");
  sqlite3_stmt* hide =
      Prepare(db, "UPDATE m SET visible_ms = ?, receives = receives + 1 WHERE id = ?");
  sqlite3_stmt* drop = Prepare(db, "DELETE FROM m WHERE id = ?");
  const std::string body(256, 'x');
  sqlite3_int64 now_ms = 1700000000000;
  const double start = Now();
  for (int i = 0; i < messages; i += kBatch, ++now_ms) {
    Exec(db, "BEGIN IMMEDIATE");
    for (int j = 0; j < kBatch; ++j) {
      sqlite3_bind_int64(send, 1, now_ms);
      sqlite3_bind_blob(send, 2, body.data(), static_cast<int>(body.size()), SQLITE_STATIC);
      Step(db, send);
    }
    Exec(db, "COMMIT");
    Exec(db, "BEGIN IMMEDIATE");
    std::vector<sqlite3_int64> ids;
    sqlite3_bind_int64(find, 1, now_ms);
    while (sqlite3_step(find) == SQLITE_ROW) {
      if (sqlite3_column_bytes(find, 1) != 256) Die("a message is not as it was sent");
      ids.push_back(sqlite3_column_int64(find, 0));
    }
    sqlite3_reset(find);
    if (ids.size() != kBatch) Die("the row queue gave fewer than it has");
    for (const sqlite3_int64 id : ids) {
      sqlite3_bind_int64(hide, 1, now_ms + 30000);
      sqlite3_bind_int64(hide, 2, id);
      Step(db, hide);
    }
    Exec(db, "COMMIT");
    Exec(db, "BEGIN IMMEDIATE");
    for (const sqlite3_int64 id : ids) {
      sqlite3_bind_int64(drop, 1, id);
      Step(db, drop);
    }
    Exec(db, "COMMIT");
  }
  const double rate = messages / (Now() - start);
  for (sqlite3_stmt* statement : {send, find, hide, drop}) sqlite3_finalize(statement);
  sqlite3_close(db);
  std::filesystem::remove_all(directory);
  return rate;
}

}  // namespace eddy::bench
