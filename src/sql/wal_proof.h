// What a WAL needs before it is believed whose syncs, or whose copying, may have failed in
// another process: see log/engine_recover.cc. Depends on error.h.
#ifndef EDDY_SRC_SQL_WAL_PROOF_H_
#define EDDY_SRC_SQL_WAL_PROOF_H_

#include "absl/status/status.h"

struct sqlite3;
struct sqlite3_file;

namespace eddy::sql {

// See Database. Both with no transaction open, but for the first its write lock held.
absl::Status RewriteWal(sqlite3_file* wal);
absl::Status ForgetCopied(sqlite3* db);

}  // namespace eddy::sql

#endif  // EDDY_SRC_SQL_WAL_PROOF_H_
