#include "src/sql/error.h"

#include <sqlite3.h>

#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <string>
#include <utility>

#include "src/sql/database.h"

namespace eddy::sql {
namespace {

absl::StatusCode CodeOf(int code) {
  return ToStatus(code, nullptr, "x").code();
}

TEST_CASE("a result that is no error is OK", "[sql][error]") {
  CHECK(ToStatus(SQLITE_OK, nullptr, "x").ok());
  CHECK(ToStatus(SQLITE_ROW, nullptr, "x").ok());
  CHECK(ToStatus(SQLITE_DONE, nullptr, "x").ok());
}

TEST_CASE("a code says what to do next", "[sql][error]") {
  CHECK(CodeOf(SQLITE_CORRUPT_VTAB) == absl::StatusCode::kDataLoss);
  CHECK(CodeOf(SQLITE_NOTADB) == absl::StatusCode::kDataLoss);
  CHECK(CodeOf(SQLITE_READONLY) == absl::StatusCode::kPermissionDenied);
  CHECK(CodeOf(SQLITE_PERM) == absl::StatusCode::kPermissionDenied);
  CHECK(CodeOf(SQLITE_READONLY_DBMOVED) ==
        absl::StatusCode::kFailedPrecondition);
  CHECK(CodeOf(SQLITE_FULL) == absl::StatusCode::kResourceExhausted);
  CHECK(CodeOf(SQLITE_NOMEM) == absl::StatusCode::kResourceExhausted);
  CHECK(CodeOf(SQLITE_BUSY_SNAPSHOT) == absl::StatusCode::kUnavailable);
  CHECK(CodeOf(SQLITE_IOERR_READ) == absl::StatusCode::kUnavailable);
  CHECK(CodeOf(SQLITE_IOERR_NOMEM) == absl::StatusCode::kResourceExhausted);
  CHECK(CodeOf(SQLITE_CONSTRAINT_UNIQUE) == absl::StatusCode::kAlreadyExists);
  CHECK(CodeOf(SQLITE_CONSTRAINT_NOTNULL) == absl::StatusCode::kInternal);
  CHECK(CodeOf(SQLITE_TOOBIG) == absl::StatusCode::kInvalidArgument);
  CHECK(CodeOf(SQLITE_INTERRUPT) == absl::StatusCode::kAborted);
  CHECK(CodeOf(SQLITE_MISUSE) == absl::StatusCode::kInternal);
}

TEST_CASE("a message names the work and the extended code", "[sql][error]") {
  const absl::Status status =
      ToStatus(SQLITE_IOERR_FSYNC, nullptr, "commit of /x");
  const std::string message(status.message());
  CHECK(message.find("commit of /x") == 0);
  CHECK(message.find("SQLITE_IOERR_FSYNC 1034") != std::string::npos);
}

TEST_CASE("the extended code can be asked for", "[sql][error]") {
  CHECK(SqliteCode(ToStatus(SQLITE_IOERR_WRITE, nullptr, "x")) ==
        SQLITE_IOERR_WRITE);
  CHECK(SqliteCode(absl::OkStatus()) == 0);
  CHECK(SqliteCode(absl::UnavailableError("no network")) == 0);
}

TEST_CASE("a failed sync is told from other I/O errors", "[sql][error]") {
  CHECK(IsSyncFailure(ToStatus(SQLITE_IOERR_FSYNC, nullptr, "x")));
  CHECK(IsSyncFailure(ToStatus(SQLITE_IOERR_DIR_FSYNC, nullptr, "x")));
  CHECK_FALSE(IsSyncFailure(ToStatus(SQLITE_IOERR_WRITE, nullptr, "x")));
  CHECK_FALSE(IsSyncFailure(absl::OkStatus()));
}

// SQLite's own VFS, but for a path that lstat() cannot represent or reach.
class UnopenableVfs {
 public:
  explicit UnopenableVfs(int error) : vfs_(*sqlite3_vfs_find(nullptr)) {
    error_ = error;
    vfs_.zName = "unopenable";
    vfs_.xFullPathname = [](sqlite3_vfs*, const char*, int, char*) {
      return SQLITE_CANTOPEN;
    };
    vfs_.xGetLastError = [](sqlite3_vfs*, int, char*) { return error_; };
    sqlite3_vfs_register(&vfs_, 0);
  }
  ~UnopenableVfs() { sqlite3_vfs_unregister(&vfs_); }
  UnopenableVfs(const UnopenableVfs&) = delete;
  UnopenableVfs& operator=(const UnopenableVfs&) = delete;

  absl::Status Open() const {
    OpenOptions options;
    options.vfs = vfs_.zName;
    return Database::Open("/x.db", options).status();
  }

 private:
  static inline int error_ = 0;
  sqlite3_vfs vfs_;
};

TEST_CASE("a file that cannot be opened says why", "[sql][error]") {
  SECTION("dated 2038 or later on a board with 32-bit times") {
    const absl::Status status = UnopenableVfs(EOVERFLOW).Open();
    CHECK(absl::IsFailedPrecondition(status));
    const std::string message(status.message());
    CHECK(message.find("2038") != std::string::npos);
    CHECK(message.find("/x.db") != std::string::npos);
  }
  SECTION("in a directory that does not exist") {
    CHECK(absl::IsNotFound(UnopenableVfs(ENOENT).Open()));
  }
  SECTION("without the rights") {
    CHECK(absl::IsPermissionDenied(UnopenableVfs(EACCES).Open()));
    CHECK(absl::IsPermissionDenied(UnopenableVfs(EROFS).Open()));
  }
  SECTION("without room for it") {
    CHECK(absl::IsResourceExhausted(UnopenableVfs(ENOSPC).Open()));
    CHECK(absl::IsResourceExhausted(UnopenableVfs(EMFILE).Open()));
  }
}

}  // namespace
}  // namespace eddy::sql
