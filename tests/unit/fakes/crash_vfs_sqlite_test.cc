// Plain SQLite on a CrashDisk: it keeps its commits over the cuts, and fails when syncs
// lie; its connections share the disk; its faults are told as SQLite tells them.
#include <sqlite3.h>

#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/time.h"
#include "eddy/platform.h"
#include "tests/fakes/crash_vfs.h"
#include "tests/fakes/fake_random.h"
#include "tests/fakes/scale.h"

namespace eddy::testing {
namespace {

using Op = CrashDisk::Op;
using Fault = CrashDisk::Fault;

constexpr char kFile[] = "db";

using Rows = std::map<int64_t, std::string>;

// A connection that asserts nothing: after a cut all calls may fail.
class Connection {
 public:
  Connection(const CrashDisk& disk, int checkpoint_pages) {
    code_ =
        sqlite3_open_v2(kFile, &db_, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
                        disk.name().c_str());
    // A reader that finds the WAL's index half written takes the write lock for
    // a moment, to be sure; a writer that did not wait would find it busy.
    sqlite3_busy_timeout(db_, 60'000);
    Exec(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
        "PRAGMA wal_autocheckpoint=" +
        std::to_string(checkpoint_pages));
  }
  ~Connection() { sqlite3_close_v2(db_); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  bool Exec(const std::string& sql) {
    if (code_ == SQLITE_OK) {
      code_ = sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr);
    }
    return code_ == SQLITE_OK;
  }
  bool ok() const { return code_ == SQLITE_OK; }
  int code() const { return code_; }
  void ClearError() { code_ = SQLITE_OK; }
  std::string message() const { return sqlite3_errmsg(db_); }

  std::optional<Rows> Read() {
    sqlite3_stmt* stmt = nullptr;
    if (sqlite3_prepare_v2(db_, "SELECT id, bytes FROM t ORDER BY id", -1,
                           &stmt, nullptr) != SQLITE_OK) {
      return std::nullopt;
    }
    Rows rows;
    int code;
    while ((code = sqlite3_step(stmt)) == SQLITE_ROW) {
      const auto* bytes =
          static_cast<const char*>(sqlite3_column_blob(stmt, 1));
      rows[sqlite3_column_int64(stmt, 0)] =
          bytes == nullptr
              ? std::string()
              : std::string(bytes,
                            static_cast<size_t>(sqlite3_column_bytes(stmt, 1)));
    }
    sqlite3_finalize(stmt);
    if (code != SQLITE_DONE) return std::nullopt;
    return rows;
  }

  std::string Integrity() {
    std::string result;
    sqlite3_exec(
        db_, "PRAGMA integrity_check",
        [](void* to, int, char** values, char**) {
          *static_cast<std::string*>(to) += values[0];
          return 0;
        },
        &result, nullptr);
    return result;
  }

  bool Insert(int64_t id, const std::string& bytes) {
    if (code_ != SQLITE_OK) return false;
    sqlite3_stmt* stmt = nullptr;
    code_ = sqlite3_prepare_v2(
        db_, "INSERT OR REPLACE INTO t (id, bytes) VALUES (?, ?)", -1, &stmt,
        nullptr);
    if (code_ != SQLITE_OK) return false;
    sqlite3_bind_int64(stmt, 1, id);
    sqlite3_bind_blob(stmt, 2, bytes.data(), static_cast<int>(bytes.size()),
                      SQLITE_TRANSIENT);
    sqlite3_step(stmt);
    code_ = sqlite3_finalize(stmt);
    return code_ == SQLITE_OK;
  }

 private:
  sqlite3* db_ = nullptr;
  int code_ = SQLITE_OK;
};

std::string RandomBytes(FakeRandom& random) {
  std::string bytes(random.Below(9000), '\0');
  for (char& byte : bytes) byte = static_cast<char>(random.Next());
  return bytes;
}

// Several lives on one disk, each ended by a cut. Returns what was wrong, empty
// if each life found all that was committed, at most the one transaction more
// that was being committed at the cut, and a sound file.
std::string LifeAndCuts(uint64_t seed, bool lying_syncs) {
  constexpr int kLifeCount = 3;
  constexpr int kTransactionsMax = 12;
  constexpr uint64_t kStepsMax = 120;
  FakeRandom random(seed);
  CrashDisk::SeedSqlite(static_cast<uint32_t>(seed + 1));
  CrashDisk disk;
  disk.LieAboutSyncs(lying_syncs);
  Rows committed;
  std::optional<Rows> in_doubt;
  bool created = false;
  const auto where = [&](int life) {
    return "seed " + std::to_string(seed) + ", life " + std::to_string(life) +
           ": ";
  };
  for (int life = 0; life <= kLifeCount; ++life) {
    Connection db(disk, /*checkpoint_pages=*/10);
    if (life > 0) {
      const std::string integrity = db.Integrity();
      if (integrity != "ok") {
        return where(life) + "integrity: " + integrity + db.message();
      }
      const std::optional<Rows> rows = db.Read();
      if (!rows.has_value() && created) {
        return where(life) + "unreadable: " + db.message();
      }
      if (rows.has_value()) {
        const bool same = *rows == committed;
        if (!same && !(in_doubt.has_value() && *rows == *in_doubt)) {
          return where(life) + "rows were lost, damaged or made up";
        }
        committed = *rows;
      }
      in_doubt.reset();
      if (life == kLifeCount) break;
    }
    disk.CutAt(random.Below(kStepsMax));
    if (db.Exec("CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, "
                "bytes BLOB NOT NULL)")) {
      created = true;
    }
    for (int i = 0; i < kTransactionsMax && db.ok(); ++i) {
      Rows next = committed;
      db.Exec("BEGIN IMMEDIATE");
      for (uint64_t n = random.Below(4); n > 0; --n) {
        const auto id = static_cast<int64_t>(random.Below(60));
        const std::string bytes = RandomBytes(random);
        db.Insert(id, bytes);
        next[id] = bytes;
      }
      if (random.OneIn(3)) {
        const auto id = static_cast<int64_t>(random.Below(60));
        db.Exec("DELETE FROM t WHERE id < " + std::to_string(id));
        next.erase(next.begin(), next.lower_bound(id));
      }
      if (!db.ok()) break;
      if (db.Exec("COMMIT")) {
        committed = next;
      } else {
        in_doubt = next;
      }
      if (random.OneIn(6)) db.Exec("PRAGMA wal_checkpoint(TRUNCATE)");
    }
    disk.CutAt(0);  // so that closing does no work either
    disk.Cut(random.Next());
  }
  return "";
}

uint64_t Lives() { return static_cast<uint64_t>(testing::Scaled(500)); }

TEST_CASE("SQLite with WAL and FULL keeps every commit over 500 seeds of cuts",
          "[fakes][crash_vfs][crash]") {
  for (uint64_t seed = 0; seed < Lives(); ++seed) {
    const std::string wrong = LifeAndCuts(seed, /*lying_syncs=*/false);
    INFO(wrong);
    REQUIRE(wrong.empty());
  }
}

TEST_CASE("the same test fails when syncs lie", "[fakes][crash_vfs][crash]") {
  uint64_t failure_count = 0;
  for (uint64_t seed = 0; seed < Lives(); ++seed) {
    if (!LifeAndCuts(seed, /*lying_syncs=*/true).empty()) ++failure_count;
  }
  CAPTURE(failure_count);
  CHECK(failure_count > Lives() / 10);
}

TEST_CASE("a seed gives the same bytes each time", "[fakes][crash_vfs]") {
  std::string contents[2];
  for (std::string& content : contents) {
    CrashDisk::SeedSqlite(7);
    CrashDisk disk;
    Connection db(disk, 1000);
    db.Exec("CREATE TABLE t (id INTEGER PRIMARY KEY, bytes BLOB NOT NULL)");
    for (int64_t id = 0; id < 20; ++id) {
      db.Insert(id, std::string(static_cast<size_t>(id) * 100, 'x'));
    }
    REQUIRE(db.ok());
    disk.CutAt(0);
    disk.Cut(99);
    content = disk.Content("db") + disk.Content("db-wal");
  }
  CHECK_FALSE(contents[0].empty());
  CHECK(contents[0] == contents[1]);
}

TEST_CASE("one writer and one reader share a disk in two threads",
          "[fakes][crash_vfs]") {
  constexpr size_t kRowCount = 200;
  CrashDisk disk;
  {
    Connection writer(disk, 20);
    REQUIRE(
        writer.Exec("CREATE TABLE t (id INTEGER PRIMARY KEY, "
                    "bytes BLOB NOT NULL)"));
    std::string wrong;
    std::atomic<bool> written{false};
    std::thread reader_thread([&disk, &wrong, &written] {
      Connection reader(disk, 0);
      size_t seen = 0;
      for (bool last = false; !last && wrong.empty();) {
        last = written.load();  // and then read once more, to see all of it
        const std::optional<Rows> rows = reader.Read();
        if (!rows.has_value()) {
          wrong = reader.message();
        } else if (rows->size() < seen) {
          wrong = "rows went away";
        } else {
          seen = rows->size();
        }
      }
      if (wrong.empty() && seen != kRowCount) wrong = "rows are missing";
    });
    for (size_t id = 0; id < kRowCount; ++id) {
      writer.Insert(static_cast<int64_t>(id), std::string(1000, 'x'));
    }
    written.store(true);
    reader_thread.join();
    CAPTURE(writer.code());
    CHECK(writer.ok());
    CHECK(wrong == "");
  }
  CHECK(disk.List() == std::vector<std::string>{"db"});  // the WAL is gone
}

TEST_CASE("a connection waits for a lock while another thread does its work",
          "[fakes][crash_vfs]") {
  CrashDisk disk;
  Connection holder(disk, 1000);
  REQUIRE(holder.Exec("CREATE TABLE t (id INTEGER PRIMARY KEY)"));
  REQUIRE(holder.Exec("BEGIN IMMEDIATE"));
  Connection waiter(disk, 1000);
  int code = SQLITE_OK;
  std::thread waiting([&waiter, &code] {
    waiter.Exec("BEGIN IMMEDIATE; COMMIT");
    code = waiter.code();
  });
  const std::atomic<uint32_t> never{0};
  DefaultPlatform().clock->WaitOn(never, 0, absl::Milliseconds(20));
  CHECK(holder.Exec("COMMIT"));
  waiting.join();
  CHECK(code == SQLITE_OK);
}

TEST_CASE("SQLite says what the fault was, and goes on when it is over",
          "[fakes][crash_vfs]") {
  CrashDisk disk;
  Connection db(disk, 1000);
  REQUIRE(
      db.Exec("CREATE TABLE t (id INTEGER PRIMARY KEY, bytes BLOB NOT NULL)"));

  SECTION("a full disk") {
    disk.FailNth(Op::kWrite, 1, Fault::kFull, true, "-wal");
    CHECK_FALSE(db.Insert(1, "a"));
    CHECK(db.code() == SQLITE_FULL);
  }
  SECTION("a write error") {
    disk.FailNth(Op::kWrite, 1, Fault::kIoError);
    CHECK_FALSE(db.Insert(1, "a"));
    CHECK((db.code() & 0xff) == SQLITE_IOERR);
  }
  SECTION("a sync that fails") {
    disk.FailNth(Op::kSync, 1, Fault::kIoError);
    CHECK_FALSE(db.Insert(1, "a"));
    CHECK((db.code() & 0xff) == SQLITE_IOERR);
  }
  disk.ClearFaults();
  db.ClearError();
  CHECK(db.Insert(2, "b"));
  disk.CutAt(0);
  disk.Cut(3);
  Connection again(disk, 1000);
  CHECK(again.Read() == Rows{{2, "b"}});
}

}  // namespace
}  // namespace eddy::testing
