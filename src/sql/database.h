// The room that knows SQLite: a connection to the store's database file, with
// Statement and Transaction the whole vocabulary of the rooms above.
//
// Invariants
//   D1  One owner connection does every write and every WAL checkpoint; all
//       other connections are read-only (SQLite before 3.51.3 can corrupt a WAL
//       that two connections write or checkpoint at once).
//   D2  A commit that returned OK survives a power cut (WAL, synchronous FULL).
//   D3  A file that eddy did not make is refused before anything is written.
// Depends on app_guard.h, error.h, statement.h and base/.
//
// Threads: SQLite is opened without its own mutexes (SQLITE_OPEN_NOMUTEX): each
// connection, with its statements and transactions, is used under one lock of
// its user or by one thread. Different connections are independent.
//
// Nothing else in the process may open the database's files: closing such a
// descriptor would drop SQLite's POSIX locks.
#ifndef EDDY_SRC_SQL_DATABASE_H_
#define EDDY_SRC_SQL_DATABASE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "src/sql/app_guard.h"
#include "src/sql/error.h"
#include "src/sql/statement.h"

struct sqlite3;

namespace eddy::sql {

// 'eddy' in the file header's application_id, so that file(1) and we can tell.
inline constexpr int32_t kApplicationId = 0x65646479;

enum class Mode {
  kOwner,     // creates the file if needed; the one that writes (D1)
  kReadOnly,  // beside a live owner, in any process, or after its death
};

inline constexpr char kWalSuffix[] = "-wal";  // its file's name is the database's and this
inline constexpr int kCacheKib = 512;  // of a connection, if it asks for nothing else

// In bytes.
struct FileSizes {
  uint64_t all = 0;
  uint64_t free = 0;  // of these
};

class PageCounts;

struct OpenOptions {
  Mode mode = Mode::kOwner;
  std::string vfs;  // the name of a registered SQLite VFS; empty is the default

  // The size to which a checkpoint shrinks a WAL that has grown beyond it. The
  // owner calls Checkpoint when WalBytes() passes it; nothing here does.
  uint64_t wal_bytes_max = uint64_t{16} << 20;

  // Overwrite deleted content with zeros: doubles the bytes written.
  bool secure_delete = false;

  int page_bytes = 4096;  // of a new file: a power of two, 512 to 65536
  int cache_kib = kCacheKib;  // SQLite's page cache, a bound for memory

  // kReadOnly, of a file that has no WAL and that nobody will write while it is
  // open: SQLite takes no lock and makes no file beside it, and so needs no right
  // to write in its directory. A write in spite of it may be read as damage.
  bool immutable = false;

  // kOwner: false makes a file that is not there kNotFound.
  bool create = true;

  // How long a call waits for another process before kUnavailable.
  absl::Duration busy_timeout = absl::Milliseconds(100);
};

enum class CheckpointMode {
  kPassive,   // copies what readers allow, never waits
  kFull,      // waits for readers (busy_timeout), then copies all
  kRestart,   // and makes the next write start the WAL anew
  kTruncate,  // and cuts the WAL file to nothing
};

struct CheckpointResult {
  int64_t wal_frame_count = 0;     // pages in the WAL
  int64_t copied_frame_count = 0;  // of these, now in the database file
};

// One connection.
//
// Threads:    not safe, see above.
// Durability: D2. After an error of a commit the transaction is in the file or
//             not, whole in either case, and only the next Open can tell.
// Lifetime:   its statements and transactions die first.
class Database {
 public:
  // Opens, checks whose file it is, and sets every pragma.
  //   kFailedPrecondition  not an eddy store; no WAL on this file system; file
  //                        times that this build cannot read (year 2038).
  //   kNotFound            no such file (kReadOnly) or directory.
  //   kPermissionDenied, kResourceExhausted, kUnavailable, kDataLoss: ToStatus.
  static absl::StatusOr<Database> Open(const std::string& path,
                                       const OpenOptions& options);

  Database(Database&&) noexcept;
  Database& operator=(Database&&) noexcept;
  ~Database();  // closes; an error of the closing is lost

  // Compiles `text`, which is best a constexpr near its use.
  //   kInternal  wrong SQL, or a table that is not there.
  absl::StatusOr<Statement> Prepare(std::string_view text);

  // Runs every statement of `text`, for schemas. Rows are dropped.
  absl::Status Exec(const char* text);

  // Copies WAL pages into the database file and syncs it. Owner only.
  //   kUnavailable  a reader or writer is in the way; with kPassive never, it
  //                 then copies less. Or the sync failed, now or in an earlier
  //                 call: the WAL then stays as it is until the next Open, whose
  //                 first checkpoint copies all of it.
  absl::StatusOr<CheckpointResult> Checkpoint(CheckpointMode mode);

  // The next Checkpoint copies all of the WAL, also what an earlier one has copied: the
  // WAL's shared memory, which says so, outlives its owner while another process reads.
  //   kUnavailable   a checkpoint of another connection is under way.
  absl::Status ForgetCopied();

  // Writes the WAL's bytes anew, as they are, and syncs them: for one whose sync may have
  // failed in another process. Unlike a checkpoint it is in no reader's way and takes no
  // space. Owner only, outside a transaction.
  absl::Status RewriteWal();

  // The close of this connection will not copy the WAL: see engine_reopen.cc.
  void KeepWalOnClose();

  // WAL bytes not yet known to be in the database file: 0 after a checkpoint
  // that copied all. After Open an upper bound. Owner only; does no I/O.
  uint64_t WalBytes() const;
  // Where in its file the next commit begins, at most: also where all is copied, as long as
  // a reader keeps the WAL from being begun anew. Owner only; does no I/O.
  uint64_t WalEnd() const;

  // Gives the file system back what a transaction that was rolled back has left in the WAL
  // behind the last commit: needs no space, as a checkpoint may. Owner only; within a
  // transaction it does nothing.
  absl::Status CutWal();

  // Of the database file, and of the free pages in it, that the next commits will use
  // first; as the current transaction sees them. Between two transactions the owner knows
  // them: see page_counts.h.
  absl::StatusOr<FileSizes> Sizes();
  // The same, for one who does not keep the Database.
  std::shared_ptr<PageCounts> page_counts();
  uint64_t PageBytes() const;

  // The number the schema's owner keeps in the header; 0 in a new file. Setting
  // it takes part in the current transaction.
  absl::StatusOr<int> SchemaVersion();
  absl::Status SetSchemaVersion(int version);

  // Of the last insert, and of the last INSERT, UPDATE or DELETE.
  int64_t LastInsertRowid() const;
  int64_t ChangedRowCount() const;

  // Ends what BeginAsReader has begun, if it has.
  void StopReading();

  // Whether a Transaction is open. False again after an error that made SQLite
  // roll back by itself.
  bool InTransaction() const;

  // Closes. The owner's last close copies the WAL into the file and removes it.
  //   kFailedPrecondition  a Statement is still alive; the connection stays
  //                        open and the call may be repeated.
  absl::Status Close();

 private:
  friend class AppTables;  // the user's statements: see there
  friend class PageCounts;
  friend class Transaction;
  struct Connection;
  sqlite3* handle();
  AppGuard& app_guard();
  static absl::StatusOr<Database> OpenAndSetUp(const std::string& path,
                                               const OpenOptions& options);
  explicit Database(std::unique_ptr<Connection> connection);

  std::unique_ptr<Connection> connection_;  // null once closed or moved from
};

// Whether an Open has failed because the file is, by its first page, not one of eddy's.
bool IsForeign(const absl::Status& status);

// BEGIN IMMEDIATE on the owner, a stable view of the data on a reader. Rolls
// back when it is destroyed before Commit has returned OK.
//
// `db` must outlive it and stay where it is.
class Transaction {
 public:
  //   kUnavailable         another process writes.
  //   kFailedPrecondition  a transaction is open already: they do not nest.
  static absl::StatusOr<Transaction> Begin(Database& db);
  // Owner only. The connection goes on as a reader behind the commit, at what it has
  // committed, so that the next Begin of this kind takes the writer's lock and no other:
  // of SQLite's six locks a commit two are left. Ended by all that must not meet a reader:
  // the other Begin, Checkpoint, Exec, Close, an error.
  static absl::StatusOr<Transaction> BeginAsReader(Database& db);

  Transaction(Transaction&& other) noexcept
      : db_(std::exchange(other.db_, nullptr)) {}
  Transaction& operator=(Transaction&&) = delete;
  ~Transaction();

  // Ends it. OK: durable (D2). An error: rolled back here, and see Database
  // for what the next Open may find.
  //   kAborted  an earlier error has made SQLite roll back by itself.
  absl::Status Commit();

 private:
  explicit Transaction(Database* db) : db_(db) {}
  static absl::StatusOr<Transaction> BeginReading(Database& db);
  void Rollback();

  Database* db_;  // not owned; null once ended
};

}  // namespace eddy::sql

#endif  // EDDY_SRC_SQL_DATABASE_H_
