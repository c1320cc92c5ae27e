// What a cut leaves of one file: of its bytes, its size and its name, after syncs that
// worked, failed and lied; and the death of the process, which leaves all.
#include <sqlite3.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "tests/fakes/crash_vfs.h"
#include "tests/unit/fakes/crash_vfs_fixture.h"

namespace eddy::testing {
namespace {

using Op = CrashDisk::Op;
using Fault = CrashDisk::Fault;

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

}  // namespace
}  // namespace eddy::testing
