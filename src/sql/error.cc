#include "src/sql/error.h"

#include <sqlite3.h>

#include <cerrno>
#include <ctime>
#include <optional>
#include <string>
#include <system_error>

#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/base/strings.h"

namespace eddy::sql {

static_assert((kFullAtRead & 0xff) == SQLITE_IOERR);

namespace {

constexpr char kPayloadUrl[] = "eddy/sqlite-code";
constexpr char kErrnoUrl[] = "eddy/errno";

// stat() of a 32-bit time_t fails with EOVERFLOW on a file or directory that a
// board with a wrong clock has dated 2038 or later. SQLite then cannot open the
// file, and only a build with 64-bit times can.
constexpr char kYear2038[] =
    "the file or its directory is dated 2038 or later, which this build of "
    "SQLite cannot represent: set the clock and touch both, or build SQLite "
    "and eddy with 64-bit times (_TIME_BITS=64)";

// Why a file could not be opened, as far as errno tells.
absl::StatusCode CannotOpenCode(int error) {
  switch (error) {
    case ENOENT:
      return absl::StatusCode::kNotFound;
    case EACCES:
    case EPERM:
    case EROFS:
      return absl::StatusCode::kPermissionDenied;
    case ENOSPC:
    case EDQUOT:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
      return absl::StatusCode::kResourceExhausted;
    default:
      return absl::StatusCode::kFailedPrecondition;
  }
}

absl::StatusCode Code(int code, int error) {
  switch (code) {
    case SQLITE_READONLY_DBMOVED:
      return absl::StatusCode::kFailedPrecondition;
    case SQLITE_CONSTRAINT_UNIQUE:
    case SQLITE_CONSTRAINT_PRIMARYKEY:
    case SQLITE_CONSTRAINT_ROWID:
      return absl::StatusCode::kAlreadyExists;
    case SQLITE_IOERR_NOMEM:
    case kFullAtRead:
      return absl::StatusCode::kResourceExhausted;
    default:
      break;
  }
  switch (code & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return absl::StatusCode::kDataLoss;
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
      return absl::StatusCode::kPermissionDenied;
    case SQLITE_FULL:
    case SQLITE_NOMEM:
      return absl::StatusCode::kResourceExhausted;
    case SQLITE_NOLFS:
      return absl::StatusCode::kFailedPrecondition;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL:
    case SQLITE_IOERR:
      return absl::StatusCode::kUnavailable;
    case SQLITE_CANTOPEN:
      return CannotOpenCode(error);
    case SQLITE_TOOBIG:
      return absl::StatusCode::kInvalidArgument;
    case SQLITE_ABORT:
    case SQLITE_INTERRUPT:
      return absl::StatusCode::kAborted;
    default:
      return absl::StatusCode::kInternal;
  }
}

// The codes that operators search for by name; others are named by number.
const char* Name(int code) {
  switch (code) {
    case SQLITE_IOERR_READ:
      return "SQLITE_IOERR_READ";
    case SQLITE_IOERR_SHORT_READ:
      return "SQLITE_IOERR_SHORT_READ";
    case SQLITE_IOERR_WRITE:
      return "SQLITE_IOERR_WRITE";
    case SQLITE_IOERR_FSYNC:
      return "SQLITE_IOERR_FSYNC";
    case SQLITE_IOERR_DIR_FSYNC:
      return "SQLITE_IOERR_DIR_FSYNC";
    case SQLITE_IOERR_TRUNCATE:
      return "SQLITE_IOERR_TRUNCATE";
    case SQLITE_IOERR_FSTAT:
      return "SQLITE_IOERR_FSTAT";
    case SQLITE_IOERR_DELETE:
      return "SQLITE_IOERR_DELETE";
    case SQLITE_IOERR_LOCK:
      return "SQLITE_IOERR_LOCK";
    case SQLITE_IOERR_SHMOPEN:
      return "SQLITE_IOERR_SHMOPEN";
    case SQLITE_IOERR_SHMSIZE:
      return "SQLITE_IOERR_SHMSIZE";
    case SQLITE_IOERR_SHMMAP:
      return "SQLITE_IOERR_SHMMAP";
    case SQLITE_IOERR_SHMLOCK:
      return "SQLITE_IOERR_SHMLOCK";
    case SQLITE_READONLY_DBMOVED:
      return "SQLITE_READONLY_DBMOVED";
    default:
      break;
  }
  switch (code & 0xff) {
    case SQLITE_IOERR:
      return "SQLITE_IOERR";
    case SQLITE_CORRUPT:
      return "SQLITE_CORRUPT";
    case SQLITE_NOTADB:
      return "SQLITE_NOTADB";
    case SQLITE_CANTOPEN:
      return "SQLITE_CANTOPEN";
    case SQLITE_READONLY:
      return "SQLITE_READONLY";
    case SQLITE_FULL:
      return "SQLITE_FULL";
    case SQLITE_BUSY:
      return "SQLITE_BUSY";
    case SQLITE_NOLFS:
      return "SQLITE_NOLFS";
    default:
      return "SQLite";
  }
}

int PayloadNumber(const absl::Status& status, const char* url) {
  if (status.ok()) return 0;
  const auto payload = status.GetPayload(url);
  int number = 0;
  if (!payload.has_value() || !absl::SimpleAtoi(std::string(*payload), &number)) return 0;
  return number;
}

}  // namespace

absl::Status ToStatus(int code, sqlite3* db, std::string_view doing) {
  if (code == SQLITE_OK || code == SQLITE_ROW || code == SQLITE_DONE) {
    return absl::OkStatus();
  }
  const int primary = code & 0xff;
  // SQLite keeps the errno of these two only.
  const bool has_errno =
      db != nullptr && (primary == SQLITE_IOERR || primary == SQLITE_CANTOPEN);
  const int error = has_errno ? sqlite3_system_errno(db) : 0;
  // The connection's message, if it is still that of this error.
  const bool same = db != nullptr && (sqlite3_extended_errcode(db) == code ||
                                      sqlite3_errcode(db) == code);
  std::string message = absl::StrCat(
      AbslView(doing), ": ", same ? sqlite3_errmsg(db) : sqlite3_errstr(code),
      " (", Name(code), " ", code, ")");
  if (error != 0) {
    absl::StrAppend(&message, ", errno ", error, ": ",
                    std::generic_category().message(error));
  }
  const bool year_2038 = primary == SQLITE_NOLFS ||
                         (primary == SQLITE_CANTOPEN && error == EOVERFLOW);
  if (year_2038) {
    absl::StrAppend(&message, "; ", kYear2038);
  } else if (primary == SQLITE_CANTOPEN && sizeof(std::time_t) == 4 &&
             CannotOpenCode(error) == absl::StatusCode::kFailedPrecondition) {
    absl::StrAppend(&message, "; perhaps ", kYear2038);
  }
  absl::Status status(Code(code, error), message);
  status.SetPayload(kPayloadUrl, absl::Cord(absl::StrCat(code)));
  if (error != 0) status.SetPayload(kErrnoUrl, absl::Cord(absl::StrCat(error)));
  return status;
}

int SqliteCode(const absl::Status& status) { return PayloadNumber(status, kPayloadUrl); }

int SystemErrno(const absl::Status& status) { return PayloadNumber(status, kErrnoUrl); }

absl::Status WithErrno(const absl::Status& status, int error) {
  if (error == 0 || (SqliteCode(status) & 0xff) != SQLITE_IOERR || SystemErrno(status) != 0) {
    return status;
  }
  absl::Status with = Retold(
      absl::Status(status.code(), absl::StrCat(std::string(status.message()), ", errno ", error,
                                               ": ", std::generic_category().message(error))),
      status);
  with.SetPayload(kErrnoUrl, absl::Cord(absl::StrCat(error)));
  return with;
}

bool IsOutOfMemory(const absl::Status& status) {
  const int code = SqliteCode(status);
  return (code & 0xff) == SQLITE_NOMEM || code == SQLITE_IOERR_NOMEM;
}

bool IsBusy(const absl::Status& status) { return (SqliteCode(status) & 0xff) == SQLITE_BUSY; }

bool IsUnknownName(const absl::Status& status) {
  return (SqliteCode(status) & 0xff) == SQLITE_ERROR;
}

bool IsIndexDamage(const absl::Status& status) {
#if defined(SQLITE_CORRUPT_INDEX)  // since 3.34
  return SqliteCode(status) == SQLITE_CORRUPT_INDEX;
#else
  return absl::IsDataLoss(status);
#endif
}

bool IsSyncFailure(const absl::Status& status) {
  const int code = SqliteCode(status);
  return code == SQLITE_IOERR_FSYNC || code == SQLITE_IOERR_DIR_FSYNC;
}

}  // namespace eddy::sql
