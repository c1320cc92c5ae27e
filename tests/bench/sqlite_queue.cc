// The peer: a queue of one row a message, as it is commonly written with SQLite: an
// index on visibility, statements prepared once, journal_mode=WAL, each call of ten
// messages one BEGIN IMMEDIATE transaction, synchronous FULL or NORMAL; and, as
// SQLite's documentation advises for speed, secure_delete off and a WAL of 16 MiB.
#include <sqlite3.h>

#include <filesystem>
#include <string>
#include <vector>

#include "tests/bench/bench.h"
#include "tests/bench/cycle.h"
#include "tests/bench/peers.h"

namespace eddy::bench {
namespace {

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

SqliteQueue::SqliteQueue(const std::string& directory, bool full, const std::string& vfs)
    : directory_(directory) {
  std::filesystem::create_directories(directory);
  if (sqlite3_open_v2((directory + "/queue.db").c_str(), &db_,
                      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, vfs.c_str()) != SQLITE_OK) {
    Die("open queue.db");
  }
  Exec(db_, "PRAGMA journal_mode=WAL");
  Exec(db_, full ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL");
  Exec(db_, "PRAGMA secure_delete=OFF");
  Exec(db_, "PRAGMA wal_autocheckpoint=4000");
  Exec(db_, "CREATE TABLE m (id INTEGER PRIMARY KEY, visible_ms INTEGER NOT NULL, "
            "receives INTEGER NOT NULL, body BLOB NOT NULL)");
  Exec(db_, "CREATE INDEX m_visible ON m (visible_ms)");
  send_ = Prepare(db_, "INSERT INTO m (visible_ms, receives, body) VALUES (?, 0, ?)");
  find_ = Prepare(db_, "SELECT id, body FROM m WHERE visible_ms <= ? ORDER BY visible_ms LIMIT 10");
  hide_ = Prepare(db_, "UPDATE m SET visible_ms = ?, receives = receives + 1 WHERE id = ?");
  drop_ = Prepare(db_, "DELETE FROM m WHERE id = ?");
}

SqliteQueue::~SqliteQueue() {
  for (sqlite3_stmt* statement : {send_, find_, hide_, drop_}) sqlite3_finalize(statement);
  sqlite3_close(db_);
  std::filesystem::remove_all(directory_);
}

void SqliteQueue::Send(const std::string& body) {
  const std::lock_guard<std::mutex> lock(mu_);
  ++now_ms_;
  Exec(db_, "BEGIN IMMEDIATE");
  for (int j = 0; j < kCycleBatch; ++j) {
    sqlite3_bind_int64(send_, 1, now_ms_);
    sqlite3_bind_blob(send_, 2, body.data(), static_cast<int>(body.size()), SQLITE_STATIC);
    Step(db_, send_);
  }
  Exec(db_, "COMMIT");
}

std::vector<long long> SqliteQueue::Receive() {
  std::vector<long long> ids;
  const std::lock_guard<std::mutex> lock(mu_);
  Exec(db_, "BEGIN IMMEDIATE");
  sqlite3_bind_int64(find_, 1, now_ms_);
  while (sqlite3_step(find_) == SQLITE_ROW) {
    if (sqlite3_column_bytes(find_, 1) != kBodyBytes) Die("a message is not as it was sent");
    ids.push_back(sqlite3_column_int64(find_, 0));
  }
  sqlite3_reset(find_);
  // Whoever receives has sent as many, which are there or have gone in their place.
  if (ids.size() != kCycleBatch) Die("the row queue gave fewer than it has");
  for (const long long id : ids) {
    sqlite3_bind_int64(hide_, 1, now_ms_ + 30000);
    sqlite3_bind_int64(hide_, 2, id);
    Step(db_, hide_);
  }
  Exec(db_, "COMMIT");
  return ids;
}

void SqliteQueue::Delete(const std::vector<long long>& ids) {
  const std::lock_guard<std::mutex> lock(mu_);
  Exec(db_, "BEGIN IMMEDIATE");
  for (const long long id : ids) {
    sqlite3_bind_int64(drop_, 1, id);
    Step(db_, drop_);
  }
  Exec(db_, "COMMIT");
}

double SqliteQueue::CyclesPerSecond(int messages, int workers) {
  const std::string body(kBodyBytes, 'x');
  return PerSecond(messages, workers, [&] {
    Send(body);
    Delete(Receive());
  });
}

}  // namespace eddy::bench
