// The database over SQLite's unix VFS: what only real files and processes show.
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>

#include "src/sql/counting_vfs.h"
#include "src/sql/database.h"
#include "tests/unit/platform/posix_test_util.h"

namespace eddy::sql {
namespace {

using testing::Child;
using testing::TempDirectory;

absl::StatusOr<Database> OpenAt(const std::string& path, Mode mode,
                                const std::string& vfs = "") {
  OpenOptions options;
  options.mode = mode;
  options.vfs = vfs;
  return Database::Open(path, options);
}

int64_t CountRows(Database& db) {
  auto count = db.Prepare("SELECT COUNT(*) FROM t");
  if (!count.ok()) return -1;
  const absl::StatusOr<bool> has_row = count->Step();
  return has_row.ok() && *has_row ? count->ColumnInt(0) : -1;
}

// Opens as the owner and commits one row, or aborts.
std::unique_ptr<Database> Own(const std::string& path) {
  auto db = OpenAt(path, Mode::kOwner);
  if (!db.ok()) return nullptr;
  auto owned = std::make_unique<Database>(*std::move(db));
  if (!owned
           ->Exec("CREATE TABLE t (id INTEGER PRIMARY KEY);"
                  "INSERT INTO t (id) VALUES (1)")
           .ok()) {
    return nullptr;
  }
  return owned;
}

TEST_CASE("a reader works beside an owner in another process, and after it",
          "[platform][sql][reader]") {
  TempDirectory temp;
  const std::string path = temp / "eddy.db";
  std::unique_ptr<Database> of_the_child;
  Child owner(
      [&] {
        of_the_child = Own(path);
        return of_the_child != nullptr ? 0 : 1;
      },
      /*hang=*/true);
  REQUIRE(owner.code() == 0);
  {
    auto reader = OpenAt(path, Mode::kReadOnly);
    INFO(reader.status().ToString());
    REQUIRE(reader.ok());
    CHECK(CountRows(*reader) == 1);
  }
  owner.Kill();
  REQUIRE(std::filesystem::exists(path + "-wal"));
  {
    auto reader = OpenAt(path, Mode::kReadOnly);
    INFO(reader.status().ToString());
    REQUIRE(reader.ok());
    CHECK(CountRows(*reader) == 1);
  }
  // The reader has left the WAL to the next owner.
  CHECK(std::filesystem::file_size(path + "-wal") > 0);
  auto next = OpenAt(path, Mode::kOwner);
  REQUIRE(next.ok());
  CHECK(CountRows(*next) == 1);
}

TEST_CASE("a reader works beside an owner in the same process",
          "[platform][sql][reader]") {
  TempDirectory temp;
  const std::string path = temp / "eddy.db";
  auto owner = Own(path);
  REQUIRE(owner != nullptr);
  auto reader = OpenAt(path, Mode::kReadOnly);
  REQUIRE(reader.ok());
  CHECK(CountRows(*reader) == 1);
  REQUIRE(owner->Exec("INSERT INTO t (id) VALUES (2)").ok());
  CHECK(CountRows(*reader) == 2);
}

TEST_CASE("a reader works after an owner that closed",
          "[platform][sql][reader]") {
  TempDirectory temp;
  const std::string path = temp / "eddy.db";
  REQUIRE(Own(path) != nullptr);  // and destroyed
  CHECK_FALSE(std::filesystem::exists(path + "-wal"));
  auto reader = OpenAt(path, Mode::kReadOnly);
  REQUIRE(reader.ok());
  CHECK(CountRows(*reader) == 1);
}

TEST_CASE("an open says which of the usual things is wrong",
          "[platform][sql][open]") {
  TempDirectory temp;
  CHECK(absl::IsNotFound(OpenAt(temp / "no/eddy.db", Mode::kOwner).status()));
  CHECK(absl::IsNotFound(OpenAt(temp / "eddy.db", Mode::kReadOnly).status()));
  CHECK_FALSE(OpenAt(temp.path(), Mode::kOwner).ok());  // a directory

  REQUIRE(Own(temp / "eddy.db") != nullptr);
  REQUIRE(chmod((temp / "eddy.db").c_str(), 0400) == 0);
  REQUIRE(chmod(temp.path().c_str(), 0755) == 0);
  Child child([&temp] {
    if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0)) return 1;
    const absl::Status status = OpenAt(temp / "eddy.db", Mode::kOwner).status();
    return absl::IsPermissionDenied(status) ? 0 : 2;
  });
  CHECK(child.code() == 0);
}

TEST_CASE("a file dated 2040 opens, or says why it cannot",
          "[platform][sql][open]") {
  TempDirectory temp;
  const std::string path = temp / "eddy.db";
  REQUIRE(Own(path) != nullptr);
  const std::string touch = "touch -d 2040-01-01 '" + path + "'";
  REQUIRE(std::system(touch.c_str()) == 0);
  const absl::Status status = OpenAt(path, Mode::kOwner).status();
  INFO(status.ToString());
  if (!status.ok()) {
    CHECK(absl::IsFailedPrecondition(status));
    CHECK(std::string(status.message()).find("2038") != std::string::npos);
  }
}

TEST_CASE("the counting VFS passes real files through",
          "[platform][sql][counting_vfs]") {
  TempDirectory temp;
  const std::string path = temp / "eddy.db";
  auto vfs = CountingVfs::Register("");
  REQUIRE(vfs.ok());
  auto owner = OpenAt(path, Mode::kOwner, (*vfs)->name());
  REQUIRE(owner.ok());
  REQUIRE(owner
              ->Exec("CREATE TABLE t (id INTEGER PRIMARY KEY);"
                     "INSERT INTO t (id) VALUES (1)")
              .ok());
  CHECK((*vfs)->Counts().wal_bytes ==
        std::filesystem::file_size(path + "-wal"));
  CHECK((*vfs)->Counts().sync_count > 0);
  // One through it and one beside it share the WAL's memory.
  auto reader = OpenAt(path, Mode::kReadOnly);
  REQUIRE(reader.ok());
  CHECK(CountRows(*reader) == 1);
  REQUIRE(owner->Exec("INSERT INTO t (id) VALUES (2)").ok());
  CHECK(CountRows(*reader) == 2);
}

// SQLite's unix VFS takes a write of 128 KiB for one of nothing.
TEST_CASE("long runs of pages reach the real file whole", "[platform][sql]") {
  TempDirectory temp;
  const std::string path = temp / "eddy.db";
  auto vfs = CountingVfs::Register("");
  REQUIRE(vfs.ok());
  auto db = OpenAt(path, Mode::kOwner, (*vfs)->name());
  REQUIRE(db->Exec("CREATE TABLE t (id INTEGER PRIMARY KEY, bytes BLOB);"
                   "INSERT INTO t (bytes) VALUES (randomblob(2000000))").ok());
  const auto sum = [](Database& of) {
    auto row = of.Prepare("SELECT hex(bytes) FROM t");
    REQUIRE(row->Step().value());
    return std::string(row->ColumnText(0));
  };
  const std::string before = sum(*db);
  REQUIRE(db->Checkpoint(CheckpointMode::kFull).ok());
  REQUIRE(db->Close().ok());
  CHECK(!std::filesystem::exists(path + "-wal"));
  auto again = OpenAt(path, Mode::kOwner);
  CHECK(sum(*again) == before);
}

}  // namespace
}  // namespace eddy::sql
