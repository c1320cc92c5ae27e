#include "src/sql/write_gather.h"

#include <sqlite3.h>

#include <catch2/catch_test_macros.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "src/sql/counting_vfs.h"
#include "src/sql/database.h"
#include "tests/fakes/crash_vfs.h"

namespace eddy::sql {
namespace {

using testing::CrashDisk;

struct Written {
  int64_t offset;
  std::string bytes;
  bool operator==(const Written& other) const {
    return offset == other.offset && bytes == other.bytes;
  }
};

struct Below {
  std::vector<Written> writes;
  int code = SQLITE_OK;
  WriteGather gather{[this](const void* from, int bytes, int64_t offset) {
    if (code == SQLITE_OK) {
      writes.push_back({offset, std::string(static_cast<const char*>(from), bytes)});
    }
    return code;
  }};
  int Write(const std::string& bytes, int64_t offset) {
    return gather.Write(bytes.data(), static_cast<int>(bytes.size()), offset);
  }
};

TEST_CASE("writes that follow one another are handed on as one", "[sql][write_gather]") {
  Below below;
  CHECK(below.Write("ab", 10) == SQLITE_OK);
  CHECK(below.Write("cde", 12) == SQLITE_OK);
  CHECK(below.writes.empty());
  CHECK(below.gather.Flush() == SQLITE_OK);
  CHECK(below.writes == std::vector<Written>{{10, "abcde"}});
  CHECK(below.gather.Flush() == SQLITE_OK);
  CHECK(below.writes.size() == 1);
}

TEST_CASE("a write elsewhere hands on what came before it", "[sql][write_gather]") {
  Below below;
  below.Write("ab", 10);
  below.Write("X", 11);  // over it, not behind it
  CHECK(below.writes == std::vector<Written>{{10, "ab"}});
  below.gather.Flush();
  CHECK(below.writes == std::vector<Written>{{10, "ab"}, {11, "X"}});
}

TEST_CASE("no more is held back than its bound, and a larger write goes through",
          "[sql][write_gather]") {
  Below below;
  const std::string most(kGatherBytesMax, 'm');
  below.Write(most, 0);
  CHECK(below.writes.empty());
  below.Write("n", static_cast<int64_t>(most.size()));
  CHECK(below.writes == std::vector<Written>{{0, most}});
  below.Write(most + "+", 1 << 20);
  CHECK(below.writes.size() == 3);
  CHECK(below.writes.back() == Written{1 << 20, most + "+"});
}

TEST_CASE("a write that fails late is told once, by whoever hands it on",
          "[sql][write_gather][fault]") {
  Below below;
  CHECK(below.Write("ab", 0) == SQLITE_OK);
  below.code = SQLITE_FULL;
  SECTION("a flush") { CHECK(below.gather.Flush() == SQLITE_FULL); }
  SECTION("the next write") { CHECK(below.Write("z", 9) == SQLITE_FULL); }
  SECTION("the call after one that could not tell") {
    below.gather.FlushAndRemember();
    CHECK(below.gather.Flush() == SQLITE_FULL);
  }
  below.code = SQLITE_OK;
  CHECK(below.gather.Flush() == SQLITE_OK);
  CHECK(below.writes.empty());  // nothing of it comes after all
}

// On a CrashDisk, of which a second connection through another VFS sees what another
// process would: the file as it is.
struct Store {
  CrashDisk disk;
  std::unique_ptr<CountingVfs> vfs = *CountingVfs::Register(disk.name());
  Database owner = *Open(vfs->name(), Mode::kOwner);

  static absl::StatusOr<Database> Open(const std::string& vfs, Mode mode) {
    OpenOptions options;
    options.mode = mode;
    options.vfs = vfs;
    return Database::Open("db", options);
  }
  Database Stranger() { return *Open(disk.name(), Mode::kReadOnly); }
  void Fill(int rows) {
    for (int i = 0; i < rows; ++i) {
      REQUIRE(owner.Exec("INSERT INTO t (bytes) VALUES (randomblob(50000))").ok());
    }
  }
  static constexpr char kTable[] = "CREATE TABLE t (id INTEGER PRIMARY KEY, bytes BLOB)";
};

std::string Sum(Database& db) {
  Statement sum = *db.Prepare(
      "SELECT count(*) || ' ' || sum(length(bytes)) || ' ' || group_concat(hex(substr(bytes, "
      "40000, 4))) FROM t");
  REQUIRE(sum.Step().value());
  return std::string(sum.ColumnText(0));
}

TEST_CASE("a commit of many pages is one write to the WAL", "[sql][write_gather]") {
  Store store;
  REQUIRE(store.owner.Exec(Store::kTable).ok());
  const uint64_t before = store.vfs->Counts().write_count;
  REQUIRE(store.owner.Exec("INSERT INTO t (bytes) VALUES (randomblob(100000))").ok());
  CHECK(store.vfs->Counts().write_count - before == 1);
}

TEST_CASE("a checkpoint of everything is a few writes, and a stranger reads them all",
          "[sql][write_gather]") {
  Store store;
  REQUIRE(store.owner.Exec(Store::kTable).ok());
  store.Fill(8);
  const uint64_t before = store.vfs->Counts().write_count;
  REQUIRE(store.owner.Checkpoint(CheckpointMode::kPassive).ok());
  CHECK(store.vfs->Counts().write_count - before < 10);  // of some hundred pages
  Database stranger = store.Stranger();
  CHECK(Sum(stranger) == Sum(store.owner));
}

TEST_CASE("a checkpoint that a reader holds up hands each page on at once",
          "[sql][write_gather]") {
  Store store;
  REQUIRE(store.owner.Exec(Store::kTable).ok());
  store.Fill(4);
  Database reader = store.Stranger();
  absl::StatusOr<Transaction> old = Transaction::Begin(reader);
  REQUIRE(old.ok());
  const std::string then = Sum(reader);
  store.Fill(4);
  const uint64_t before = store.vfs->Counts().write_count;
  REQUIRE(store.owner.Checkpoint(CheckpointMode::kPassive).ok());
  CHECK(store.vfs->Counts().write_count - before > 40);  // the pages of the first four
  Database stranger = store.Stranger();
  CHECK(Sum(stranger) == Sum(store.owner));
  CHECK(Sum(reader) == then);
}

TEST_CASE("a disk that fills while a checkpoint copies is told, and nothing is lost",
          "[sql][write_gather][fault]") {
  Store store;
  REQUIRE(store.owner.Exec(Store::kTable).ok());
  store.Fill(8);
  const std::string all = Sum(store.owner);
  store.disk.FailNth(CrashDisk::Op::kWrite, 1, CrashDisk::Fault::kFull, false, "db");
  CHECK(absl::IsResourceExhausted(
      store.owner.Checkpoint(CheckpointMode::kPassive).status()));
  CHECK(Sum(store.owner) == all);
  REQUIRE(store.owner.Checkpoint(CheckpointMode::kFull).ok());
  Database stranger = store.Stranger();
  CHECK(Sum(stranger) == all);
}

}  // namespace
}  // namespace eddy::sql
