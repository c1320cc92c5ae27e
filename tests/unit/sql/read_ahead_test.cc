#include "src/sql/read_ahead.h"

#include <sqlite3.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cstdint>
#include <cstring>
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

// A file of `size` bytes, each of which tells its place.
struct Below {
  explicit Below(size_t size) : bytes(size, '\0') {
    for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(i * 7 + i / 251);
  }
  std::string bytes;
  int reads = 0;
  int code = SQLITE_OK;
  ReadAhead ahead{[this](void* to, int count, int64_t offset) {
    ++reads;
    if (code != SQLITE_OK) return code;
    const size_t at = std::min(static_cast<size_t>(offset), bytes.size());
    const size_t there = std::min(static_cast<size_t>(count), bytes.size() - at);
    std::memset(to, 0, static_cast<size_t>(count));
    std::memcpy(to, bytes.data() + at, there);
    return there < static_cast<size_t>(count) ? SQLITE_IOERR_SHORT_READ : SQLITE_OK;
  }};

  // Whether the read was good and right.
  bool Reads(size_t count, size_t offset) {
    std::string to(count, 'x');
    return ahead.Read(to.data(), static_cast<int>(count), static_cast<int64_t>(offset)) ==
               SQLITE_OK &&
           to == bytes.substr(offset, count);
  }
};

constexpr size_t kPage = 4096;

TEST_CASE("reads that follow one another become few", "[sql][read_ahead]") {
  Below below(100 * kPage);
  SECTION("pages side by side") {
    for (size_t page = 0; page < 80; ++page) REQUIRE(below.Reads(kPage, page * kPage));
    CHECK(below.reads <= 7);
  }
  SECTION("pages behind headers, as in the WAL") {
    for (size_t page = 0; page < 80; ++page) {
      REQUIRE(below.Reads(kPage, 32 + 24 + page * (kPage + 24)));
    }
    CHECK(below.reads <= 8);
  }
  SECTION("pages here and there are read one by one") {
    for (size_t page = 0; page < 80; ++page) {
      REQUIRE(below.Reads(kPage, page * 37 % 90 * kPage));
    }
    CHECK(below.reads == 80);
  }
}

TEST_CASE("at the file's end each read says how it is", "[sql][read_ahead]") {
  Below below(20 * kPage);
  for (size_t page = 0; page < 20; ++page) REQUIRE(below.Reads(kPage, page * kPage));
  const int before = below.reads;
  std::string to(kPage, 'x');
  CHECK(below.ahead.Read(to.data(), kPage, 20 * kPage) == SQLITE_IOERR_SHORT_READ);
  CHECK(to == std::string(kPage, '\0'));
  CHECK(below.reads == before + 1);  // what was in vain is not tried again
}

TEST_CASE("a read that fails is an error, and none is made up from what was kept",
          "[sql][read_ahead][fault]") {
  Below below(100 * kPage);
  for (size_t page = 0; page < 3; ++page) REQUIRE(below.Reads(kPage, page * kPage));
  below.ahead.Forget();
  below.code = SQLITE_IOERR_READ;
  std::string to(kPage, 'x');
  CHECK(below.ahead.Read(to.data(), kPage, 3 * kPage) == SQLITE_IOERR_READ);
  below.code = SQLITE_OK;
  CHECK(below.Reads(kPage, 3 * kPage));
}

TEST_CASE("what was forgotten is read anew", "[sql][read_ahead]") {
  Below below(100 * kPage);
  for (size_t page = 0; page < 3; ++page) REQUIRE(below.Reads(kPage, page * kPage));
  below.bytes[3 * kPage] ^= 1;
  below.ahead.Forget();
  CHECK(below.Reads(kPage, 3 * kPage));
}

// A stranger has a VFS of its own, as another process would.
TEST_CASE("a reader that reads ahead sees each commit and each checkpoint of the owner",
          "[sql][read_ahead]") {
  CrashDisk disk;
  const std::unique_ptr<CountingVfs> ours = *CountingVfs::Register(disk.name());
  const std::unique_ptr<CountingVfs> theirs = *CountingVfs::Register(disk.name());
  OpenOptions options;
  options.vfs = ours->name();
  Database owner = *Database::Open("db", options);
  REQUIRE(owner.Exec("CREATE TABLE t (id INTEGER PRIMARY KEY, bytes BLOB)").ok());
  options.mode = Mode::kReadOnly;
  options.cache_kib = 16;  // so that it reads again and again
  Database reader = *Database::Open("db", options);
  options.vfs = theirs->name();
  Database stranger = *Database::Open("db", options);
  const auto all = [](Database& db) {
    Statement rows = *db.Prepare("SELECT hex(bytes) FROM t ORDER BY id");
    std::string text;
    while (rows.Step().value()) text += std::string(rows.ColumnText(0)) + ".";
    return text;
  };
  for (int i = 0; i < 30; ++i) {
    // The same pages, used again and again for other bytes.
    REQUIRE(owner.Exec("DELETE FROM t WHERE id % 3 = 1").ok());
    REQUIRE(owner.Exec("INSERT INTO t (bytes) VALUES (randomblob(70000))").ok());
    const std::string expected = all(owner);
    CHECK(all(reader) == expected);
    CHECK(all(stranger) == expected);
    if (i % 2 == 0) REQUIRE(owner.Checkpoint(CheckpointMode::kPassive).ok());
    CHECK(all(reader) == expected);
    CHECK(all(stranger) == expected);
    CHECK(all(owner) == expected);
  }
}

TEST_CASE("a reader in the middle of a transaction sees none of a checkpoint",
          "[sql][read_ahead]") {
  CrashDisk disk;
  const std::unique_ptr<CountingVfs> vfs = *CountingVfs::Register(disk.name());
  OpenOptions options;
  options.vfs = vfs->name();
  Database owner = *Database::Open("db", options);
  REQUIRE(owner.Exec("CREATE TABLE t (id INTEGER PRIMARY KEY, bytes BLOB)").ok());
  for (int i = 0; i < 4; ++i) {
    REQUIRE(owner.Exec("INSERT INTO t (bytes) VALUES (randomblob(70000))").ok());
  }
  REQUIRE(owner.Checkpoint(CheckpointMode::kPassive).ok());
  options.mode = Mode::kReadOnly;
  options.cache_kib = 16;
  Database reader = *Database::Open("db", options);
  absl::StatusOr<Transaction> old = Transaction::Begin(reader);
  REQUIRE(old.ok());
  const auto row = [&](int id) {
    Statement one = *reader.Prepare("SELECT hex(bytes) FROM t WHERE id = ?");
    one.Bind(1, id);
    REQUIRE(one.Step().value());
    return std::string(one.ColumnText(0));
  };
  const std::string before = row(1) + row(2) + row(3) + row(4);
  REQUIRE(owner.Exec("UPDATE t SET bytes = randomblob(70000)").ok());
  REQUIRE(owner.Checkpoint(CheckpointMode::kPassive).ok());
  CHECK(row(1) + row(2) + row(3) + row(4) == before);
}

}  // namespace
}  // namespace eddy::sql
