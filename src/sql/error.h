// SQLite's result codes as absl::Status: the one place that translates them.
//
// A translated status keeps SQLite's extended code as a payload, because two
// questions above this room need it: was it a sync that failed, and what should
// a log line name.
#ifndef EDDY_SRC_SQL_ERROR_H_
#define EDDY_SRC_SQL_ERROR_H_

#include <string_view>

#include "absl/status/status.h"

struct sqlite3;

namespace eddy::sql {

// Of a read before which something had to be written that found no room: an extended code
// of SQLITE_IOERR, which is none of SQLite's own. See counting_vfs.cc.
inline constexpr int kFullAtRead = 10 | (200 << 8);

// What to do next, by SQLite's primary code:
//   kDataLoss            CORRUPT, NOTADB: the file is not as it was written.
//   kPermissionDenied    READONLY, PERM, AUTH; CANTOPEN for lack of rights.
//   kResourceExhausted   FULL, kFullAtRead, NOMEM, NOLFS; CANTOPEN for lack of descriptors.
//   kUnavailable         BUSY, LOCKED, PROTOCOL, IOERR: retry later.
//   kNotFound            CANTOPEN where there is no file.
//   kFailedPrecondition  CANTOPEN for other reasons, the year 2038 among them;
//                        the file was moved while it was open.
//   kAlreadyExists       a UNIQUE or PRIMARY KEY constraint.
//   kInvalidArgument     TOOBIG.
//   kAborted             ABORT, INTERRUPT.
//   kInternal            all else: a bug in eddy's SQL.
// `code` is a result code, extended or not. `db` may be null; it lends SQLite's
// own message and the errno behind it, so call this before anything else is
// called on `db`. `doing` names the work: "commit", "open /var/lib/x/eddy.db".
absl::Status ToStatus(int code, sqlite3* db, std::string_view doing);

// The extended result code that made `status`; 0 if SQLite did not make it.
int SqliteCode(const absl::Status& status);

// The errno behind `status`, where SQLite kept one (IOERR, CANTOPEN); else 0.
int SystemErrno(const absl::Status& status);

// `status`, if it is an I/O error without an errno, with this one (not 0).
absl::Status WithErrno(const absl::Status& status, int error);

// Whether there was no memory; the disk is as it was.
bool IsOutOfMemory(const absl::Status& status);

// Whether another connection was in the way.
bool IsBusy(const absl::Status& status);

// Whether SQLite does not know a table or column. Of eddy's own statements, which are right,
// this says that the schema is not as it was written.
bool IsUnknownName(const absl::Status& status);

// Whether `status` comes from a sync that failed. What that sync should have
// covered may be on disk or not, now or later: it must never be called durable.
bool IsSyncFailure(const absl::Status& status);
// Whether an index does not fit its table.
bool IsIndexDamage(const absl::Status& status);

}  // namespace eddy::sql

#endif  // EDDY_SRC_SQL_ERROR_H_
