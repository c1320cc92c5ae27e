#include "tests/fakes/crash_vfs.h"

#include <sqlite3.h>

#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/fakes/fake_random.h"
#include "tests/fakes/scale.h"

namespace eddy::testing {
namespace {

using Op = CrashDisk::Op;
using Fault = CrashDisk::Fault;

constexpr char kFile[] = "db";

// --- One file, by hand -------------------------------------------------------

// A file of a CrashDisk, opened as SQLite opens it.
class RawFile {
 public:
  RawFile(const CrashDisk& disk, const char* name, int kind) {
    sqlite3_vfs* const vfs = sqlite3_vfs_find(disk.name().c_str());
    memory_ = std::make_unique<char[]>(static_cast<size_t>(vfs->szOsFile));
    opened_ =
        vfs->xOpen(vfs, name, file(),
                   kind | SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, nullptr);
  }
  ~RawFile() {
    if (file()->pMethods != nullptr) file()->pMethods->xClose(file());
  }

  int opened() const { return opened_; }
  int Write(const std::string& bytes, int64_t offset) {
    return file()->pMethods->xWrite(file(), bytes.data(),
                                    static_cast<int>(bytes.size()), offset);
  }
  int Sync() { return file()->pMethods->xSync(file(), SQLITE_SYNC_NORMAL); }
  int Truncate(int64_t bytes) {
    return file()->pMethods->xTruncate(file(), bytes);
  }
  int Read(int bytes) {
    std::string to(static_cast<size_t>(bytes), '\0');
    return file()->pMethods->xRead(file(), to.data(), bytes, 0);
  }
  int Lock(int level) { return file()->pMethods->xLock(file(), level); }
  int Unlock(int level) { return file()->pMethods->xUnlock(file(), level); }

 private:
  sqlite3_file* file() {
    return reinterpret_cast<sqlite3_file*>(memory_.get());
  }
  std::unique_ptr<char[]> memory_;
  int opened_ = SQLITE_ERROR;
};

std::string Sectors(const std::string& letters) {
  std::string bytes;
  for (char letter : letters) bytes.append(512, letter);
  return bytes;
}

// One letter for each sector that is all one letter, '?' for others.
std::string Letters(const std::string& bytes) {
  std::string letters;
  for (size_t at = 0; at < bytes.size(); at += 512) {
    const std::string sector = bytes.substr(at, 512);
    const bool uniform = sector == std::string(sector.size(), sector[0]);
    letters += !uniform ? '?' : sector[0] == '\0' ? '0' : sector[0];
  }
  return letters;
}

constexpr uint64_t kSeedCount = 400;

TEST_CASE("what was synced survives every cut", "[fakes][crash_vfs]") {
  CrashDisk disk;
  RawFile wal(disk, "x-wal", SQLITE_OPEN_WAL);
  REQUIRE(wal.Write(Sectors("abc"), 0) == SQLITE_OK);
  REQUIRE(wal.Sync() == SQLITE_OK);
  for (uint64_t seed = 0; seed < kSeedCount; ++seed) {
    CHECK(Letters(disk.AfterCut(seed)->Content("x-wal")) == "abc");
  }
}

TEST_CASE("a renaming that was cut has changed both names or neither", "[fakes][crash_vfs]") {
  int before = 0;
  int after = 0;
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    CrashDisk disk;
    disk.SetContent("old", "x");
    disk.CutAt(1);  // the renaming; its sync does not come
    REQUIRE_FALSE(disk.Rename("old", "new").ok());
    disk.Cut(seed);
    REQUIRE(disk.Exists("old") != disk.Exists("new"));
    REQUIRE(disk.Content(disk.Exists("old") ? "old" : "new") == "x");
    ++(disk.Exists("old") ? before : after);
  }
  CHECK(before > 0);
  CHECK(after > 0);
  CrashDisk disk;
  disk.SetContent("old", "x");
  REQUIRE(disk.Rename("old", "new").ok());
  disk.CutAt(0);
  disk.Cut(1);
  CHECK(disk.Content("new") == "x");
  CHECK_FALSE(disk.Exists("old"));
}

TEST_CASE("what was not synced is kept, dropped or torn by sectors",
          "[fakes][crash_vfs]") {
  CrashDisk disk;
  RawFile wal(disk, "x-wal", SQLITE_OPEN_WAL);
  REQUIRE(wal.Write(Sectors("aaaa"), 0) == SQLITE_OK);
  REQUIRE(wal.Sync() == SQLITE_OK);
  REQUIRE(wal.Write(Sectors("bb"), 0) == SQLITE_OK);
  REQUIRE(wal.Write(Sectors("cc"), 1024) == SQLITE_OK);
  std::set<std::string> seen;
  for (uint64_t seed = 0; seed < kSeedCount; ++seed) {
    const std::string letters = Letters(disk.AfterCut(seed)->Content("x-wal"));
    REQUIRE(letters.size() == 4);
    for (size_t i = 0; i < 4; ++i) {
      const char expected = i < 2 ? 'b' : 'c';
      REQUIRE(
          (letters[i] == 'a' || letters[i] == expected || letters[i] == '?'));
    }
    seen.insert(letters);
  }
  CHECK(seen.count("aaaa") == 1);
  CHECK(seen.count("bbcc") == 1);
  CHECK(seen.count("aacc") == 1);  // the later write without the earlier
  CHECK(seen.count("bbaa") == 1);
  CHECK(seen.count("abcc") == 1);  // torn
}

TEST_CASE("a cut harms no byte outside of a write", "[fakes][crash_vfs]") {
  CrashDisk disk;
  RawFile wal(disk, "x-wal", SQLITE_OPEN_WAL);
  REQUIRE(wal.Write(std::string(100, 'a'), 0) == SQLITE_OK);
  REQUIRE(wal.Sync() == SQLITE_OK);
  REQUIRE(wal.Write(std::string(700, 'b'), 100) == SQLITE_OK);
  for (uint64_t seed = 0; seed < kSeedCount; ++seed) {
    CHECK(disk.AfterCut(seed)->Content("x-wal").substr(0, 100) ==
          std::string(100, 'a'));
  }
}

TEST_CASE("a file that grew may keep its size and not its bytes",
          "[fakes][crash_vfs]") {
  CrashDisk disk;
  RawFile wal(disk, "x-wal", SQLITE_OPEN_WAL);
  REQUIRE(wal.Write(Sectors("a"), 0) == SQLITE_OK);
  REQUIRE(wal.Sync() == SQLITE_OK);
  REQUIRE(wal.Write(Sectors("bb"), 512) == SQLITE_OK);
  std::set<std::string> seen;
  for (uint64_t seed = 0; seed < kSeedCount; ++seed) {
    seen.insert(Letters(disk.AfterCut(seed)->Content("x-wal")));
  }
  CHECK(seen.count("a") == 1);
  CHECK(seen.count("abb") == 1);
  CHECK(seen.count("a00") + seen.count("a0b") + seen.count("ab0") > 0);
}

TEST_CASE("a truncation is durable only after a sync", "[fakes][crash_vfs]") {
  CrashDisk disk;
  RawFile wal(disk, "x-wal", SQLITE_OPEN_WAL);
  REQUIRE(wal.Write(Sectors("abc"), 0) == SQLITE_OK);
  REQUIRE(wal.Sync() == SQLITE_OK);
  REQUIRE(wal.Truncate(512) == SQLITE_OK);
  CHECK(Letters(disk.Content("x-wal")) == "a");
  std::set<std::string> seen;
  for (uint64_t seed = 0; seed < kSeedCount; ++seed) {
    seen.insert(Letters(disk.AfterCut(seed)->Content("x-wal")));
  }
  CHECK(seen == std::set<std::string>{"a", "abc"});
  REQUIRE(wal.Sync() == SQLITE_OK);
  for (uint64_t seed = 0; seed < kSeedCount; ++seed) {
    CHECK(Letters(disk.AfterCut(seed)->Content("x-wal")) == "a");
  }
}

TEST_CASE("a name is durable with the first sync of a new WAL",
          "[fakes][crash_vfs]") {
  CrashDisk disk;
  RawFile db(disk, "x", SQLITE_OPEN_MAIN_DB);
  REQUIRE(db.Write(Sectors("a"), 0) == SQLITE_OK);
  REQUIRE(db.Sync() == SQLITE_OK);
  const auto times_gone = [&disk] {
    uint64_t count = 0;
    for (uint64_t seed = 0; seed < kSeedCount; ++seed) {
      if (!disk.AfterCut(seed)->Exists("x")) ++count;
    }
    return count;
  };
  CHECK(times_gone() > 0);  // synced bytes of a file that nobody can find
  RawFile wal(disk, "x-wal", SQLITE_OPEN_WAL);
  REQUIRE(wal.Sync() == SQLITE_OK);
  CHECK(times_gone() == 0);
}

TEST_CASE("a deleted file may come back unless the directory is synced",
          "[fakes][crash_vfs]") {
  CrashDisk disk;
  disk.SetContent("x", "a");
  sqlite3_vfs* const vfs = sqlite3_vfs_find(disk.name().c_str());
  const int sync_directory = GENERATE_COPY(0, 1);
  REQUIRE(vfs->xDelete(vfs, "x", sync_directory) == SQLITE_OK);
  CHECK_FALSE(disk.Exists("x"));
  uint64_t back_count = 0;
  for (uint64_t seed = 0; seed < kSeedCount; ++seed) {
    if (disk.AfterCut(seed)->Exists("x")) ++back_count;
  }
  CHECK((back_count > 0) == (sync_directory == 0));
}

TEST_CASE("a sync after a failed one does not cover what the failed one lost",
          "[fakes][crash_vfs]") {
  CrashDisk disk;
  RawFile wal(disk, "x-wal", SQLITE_OPEN_WAL);
  REQUIRE(wal.Write(Sectors("aa"), 0) == SQLITE_OK);
  REQUIRE(wal.Sync() == SQLITE_OK);
  REQUIRE(wal.Write(Sectors("bb"), 0) == SQLITE_OK);
  disk.FailNth(Op::kSync, 1, Fault::kIoError);
  CHECK(wal.Sync() == SQLITE_IOERR_FSYNC);
  REQUIRE(wal.Write(Sectors("c"), 512) == SQLITE_OK);  // written anew
  CHECK(wal.Sync() == SQLITE_OK);
  std::set<std::string> seen;
  for (uint64_t seed = 0; seed < kSeedCount; ++seed) {
    seen.insert(Letters(disk.AfterCut(seed)->Content("x-wal")));
  }
  CHECK(seen.count("ac") == 1);
  CHECK(seen.count("bc") == 1);
  for (const std::string& letters : seen) CHECK(letters[1] == 'c');
}

TEST_CASE("with lying syncs nothing is durable", "[fakes][crash_vfs]") {
  CrashDisk disk;
  disk.LieAboutSyncs(true);
  RawFile wal(disk, "x-wal", SQLITE_OPEN_WAL);
  REQUIRE(wal.Write(Sectors("a"), 0) == SQLITE_OK);
  CHECK(wal.Sync() == SQLITE_OK);
  std::set<std::string> seen;
  for (uint64_t seed = 0; seed < kSeedCount; ++seed) {
    seen.insert(Letters(disk.AfterCut(seed)->Content("x-wal")));
  }
  CHECK(seen.count("") == 1);
  CHECK(seen.count("a") == 1);
}

TEST_CASE("after the step of the cut all I/O fails until the power is back",
          "[fakes][crash_vfs]") {
  CrashDisk disk;
  RawFile wal(disk, "x-wal", SQLITE_OPEN_WAL);
  disk.CutAt(2);
  CHECK(wal.Write("a", 0) == SQLITE_OK);
  CHECK(wal.Sync() == SQLITE_OK);
  CHECK(disk.PowerIsOff());
  CHECK(wal.Write("b", 0) == SQLITE_IOERR_WRITE);
  CHECK(wal.Sync() == SQLITE_IOERR_FSYNC);
  CHECK(wal.Read(1) == SQLITE_IOERR_READ);
  CHECK(RawFile(disk, "x", SQLITE_OPEN_MAIN_DB).opened() == SQLITE_CANTOPEN);
  disk.Cut(1);
  CHECK_FALSE(disk.PowerIsOff());
  CHECK(disk.Content("x-wal") == "a");
  CHECK(wal.Read(1) == SQLITE_IOERR_READ);  // opened before the cut
  CHECK(RawFile(disk, "x-wal", SQLITE_OPEN_WAL).Read(1) == SQLITE_OK);
}

TEST_CASE("the death of the process loses nothing written and frees its locks",
          "[fakes][crash_vfs]") {
  CrashDisk disk;
  RawFile first(disk, "x", SQLITE_OPEN_MAIN_DB);
  REQUIRE(first.Write(Sectors("ab"), 0) == SQLITE_OK);
  REQUIRE(first.Lock(SQLITE_LOCK_SHARED) == SQLITE_OK);
  REQUIRE(first.Lock(SQLITE_LOCK_EXCLUSIVE) == SQLITE_OK);
  disk.KillProcess();
  RawFile second(disk, "x", SQLITE_OPEN_MAIN_DB);
  CHECK(Letters(disk.Content("x")) == "ab");
  CHECK(second.Lock(SQLITE_LOCK_SHARED) == SQLITE_OK);
  CHECK(first.Write("c", 0) == SQLITE_IOERR_WRITE);
  // And what was not synced can still be lost.
  uint64_t lost_count = 0;
  for (uint64_t seed = 0; seed < kSeedCount; ++seed) {
    if (Letters(disk.AfterCut(seed)->Content("x")) != "ab") ++lost_count;
  }
  CHECK(lost_count > 0);
}

TEST_CASE("locks exclude each other as in SQLite's manual",
          "[fakes][crash_vfs]") {
  CrashDisk disk;
  RawFile a(disk, "x", SQLITE_OPEN_MAIN_DB);
  RawFile b(disk, "x", SQLITE_OPEN_MAIN_DB);
  REQUIRE(a.Lock(SQLITE_LOCK_SHARED) == SQLITE_OK);
  REQUIRE(b.Lock(SQLITE_LOCK_SHARED) == SQLITE_OK);
  CHECK(a.Lock(SQLITE_LOCK_RESERVED) == SQLITE_OK);
  CHECK(b.Lock(SQLITE_LOCK_RESERVED) == SQLITE_BUSY);
  CHECK(a.Lock(SQLITE_LOCK_EXCLUSIVE) == SQLITE_BUSY);
  CHECK(b.Unlock(SQLITE_LOCK_NONE) == SQLITE_OK);
  CHECK(b.Lock(SQLITE_LOCK_SHARED) == SQLITE_BUSY);  // a is PENDING
  CHECK(a.Lock(SQLITE_LOCK_EXCLUSIVE) == SQLITE_OK);
  CHECK(a.Unlock(SQLITE_LOCK_SHARED) == SQLITE_OK);
  CHECK(b.Lock(SQLITE_LOCK_SHARED) == SQLITE_OK);
}

TEST_CASE("a fault hits the nth operation of its kind and file",
          "[fakes][crash_vfs]") {
  CrashDisk disk;
  RawFile wal(disk, "x-wal", SQLITE_OPEN_WAL);
  RawFile db(disk, "x", SQLITE_OPEN_MAIN_DB);

  SECTION("once") {
    disk.FailNth(Op::kWrite, 2, Fault::kFull, false, "-wal");
    CHECK(wal.Write("a", 0) == SQLITE_OK);
    CHECK(db.Write("a", 0) == SQLITE_OK);
    CHECK(wal.Sync() == SQLITE_OK);
    CHECK(wal.Write("1234", 0) == SQLITE_FULL);
    CHECK(disk.Content("x-wal") == "12");  // half of it
    CHECK(wal.Write("b", 0) == SQLITE_OK);
    CHECK(disk.fault_count() == 1);
  }
  SECTION("for good, until cleared") {
    disk.FailNth(Op::kAny, 1, Fault::kIoError, true);
    CHECK(wal.Write("a", 0) == SQLITE_IOERR_WRITE);
    CHECK(wal.Sync() == SQLITE_IOERR_FSYNC);
    CHECK(wal.Truncate(0) == SQLITE_IOERR_TRUNCATE);
    CHECK(wal.Read(0) == SQLITE_OK);
    disk.ClearFaults();
    CHECK(wal.Sync() == SQLITE_OK);
  }
}

TEST_CASE("a disk with a capacity is full beyond it", "[fakes][crash_vfs]") {
  CrashDisk disk;
  disk.SetCapacity(1024);
  RawFile a(disk, "a", SQLITE_OPEN_MAIN_DB);
  RawFile b(disk, "b", SQLITE_OPEN_MAIN_DB);
  CHECK(a.Write(Sectors("a"), 0) == SQLITE_OK);
  CHECK(b.Write(Sectors("bb"), 0) == SQLITE_FULL);
  CHECK(b.Write(Sectors("b"), 0) == SQLITE_OK);
  CHECK(a.Write(Sectors("c"), 0) == SQLITE_OK);  // grows nothing
  CHECK(b.Truncate(0) == SQLITE_OK);
  CHECK(a.Write(Sectors("d"), 512) == SQLITE_OK);
}

TEST_CASE("steps, syncs and bytes are counted", "[fakes][crash_vfs]") {
  CrashDisk disk;
  RawFile wal(disk, "x-wal", SQLITE_OPEN_WAL);
  RawFile db(disk, "x", SQLITE_OPEN_MAIN_DB);
  wal.Write(Sectors("ab"), 0);
  db.Write(Sectors("a"), 0);
  wal.Sync();
  db.Truncate(0);
  CHECK(disk.step_count() == 6);  // two creations among them
  CHECK(disk.sync_count() == 1);
  CHECK(disk.BytesWritten() == 1536);
  CHECK(disk.BytesWritten("-wal") == 1024);
  CHECK(disk.List() == std::vector<std::string>{"x", "x-wal"});
}

// --- Plain SQLite ----------------------------------------------------------

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

TEST_CASE("each step is told when it is done, and a copy then is what a cut would leave",
          "[fakes][crash_vfs]") {
  CrashDisk disk;
  uint64_t told = 0;
  std::vector<std::string> copied;
  disk.OnStep([&] {
    ++told;
    CHECK(disk.step_count() == told);
    copied.push_back(disk.AfterCut(told)->Content("x-wal"));
  });
  RawFile wal(disk, "x-wal", SQLITE_OPEN_WAL);
  REQUIRE(wal.Write(Sectors("abc"), 0) == SQLITE_OK);
  REQUIRE(wal.Sync() == SQLITE_OK);
  REQUIRE(wal.Write(Sectors("defgh"), 512) == SQLITE_OK);
  CHECK(told == 4);  // the creation is one
  disk.OnStep(nullptr);
  CHECK(Letters(copied[2]) == "abc");
  disk.CutAt(0);
  disk.Cut(told);
  CHECK(disk.Content("x-wal") == copied[3]);
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
    CHECK(wrong.empty());
  }
  CHECK(disk.List() == std::vector<std::string>{"db"});  // the WAL is gone
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
