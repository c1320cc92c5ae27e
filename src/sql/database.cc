#include "src/sql/database.h"

#include <sqlite3.h>

#include <cstddef>

#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/sql/page_counts.h"
#include "src/sql/page_file.h"
#include "src/sql/wal_proof.h"
#include "src/sql/write_version.h"

namespace eddy::sql {
namespace {

// Runs `text`, which returns one row, and reads its first column.
absl::StatusOr<int64_t> ReadInt(Database& db, std::string_view text) {
  EDDY_ASSIGN_OR_RETURN(Statement statement, db.Prepare(text));
  EDDY_ASSIGN_OR_RETURN(const bool has_row, statement.Step());
  if (!has_row)
    return absl::InternalError(absl::StrCat("no row: ", std::string(text)));
  return statement.ColumnInt(0);
}

// SQLite takes this wish in no other form. A path may hold what a URI may not.
std::string ImmutableUri(const std::string& path) {
  std::string uri = "file:";
  for (const char c : path) {
    if (c == '%' || c == '?' || c == '#') {
      absl::StrAppend(&uri, "%", absl::Hex(static_cast<unsigned char>(c), absl::kZeroPad2));
    } else {
      uri += c;
    }
  }
  return uri + "?immutable=1";
}

constexpr char kForeignUrl[] = "eddy/foreign-file";

absl::Status Foreign(const std::string& path, const std::string& why) {
  absl::Status status = absl::FailedPreconditionError(
      absl::StrCat(path, " is not an eddy store: ", why));
  status.SetPayload(kForeignUrl, absl::Cord());
  return status;
}

// D3: tells whether the file is new (true), ours (false), or an error. Only
// reads.
absl::StatusOr<bool> IsNew(Database& db, const std::string& path,
                           const OpenOptions& options) {
  const absl::StatusOr<int64_t> id = ReadInt(db, "PRAGMA application_id");
  if (SqliteCode(id.status()) == SQLITE_NOTADB) {
    return Foreign(path, "no SQLite database, or its first page is damaged");
  }
  if (!id.ok()) return id.status();
  EDDY_ASSIGN_OR_RETURN(const int64_t version,
                        ReadInt(db, "PRAGMA user_version"));
  if (*id == 0) {
    // An empty file is what a crash during the very first Open leaves.
    EDDY_ASSIGN_OR_RETURN(const int64_t object_count,
                          ReadInt(db, "SELECT COUNT(*) FROM sqlite_master"));
    if (object_count != 0 || version != 0) {
      return Foreign(path, "a SQLite database of some other program");
    }
    if (options.mode == Mode::kReadOnly) {
      return Foreign(path, "it is empty; its owner has not set it up yet");
    }
    return true;
  }
  if (*id != kApplicationId) {
    return Foreign(path, absl::StrCat("its application_id is ", *id, ", not ",
                                      kApplicationId));
  }
  return false;
}

}  // namespace

bool IsForeign(const absl::Status& status) {
  return status.GetPayload(kForeignUrl).has_value();
}

// On the heap, because SQLite keeps pointers into it while Database moves.
struct Database::Connection {
  ~Connection() {
    begin = Statement();
    commit = Statement();
    rollback = Statement();
    read = Statement();
    pages.reset();
    // The "v2" close waits for statements that are still alive instead of
    // failing, so that nothing leaks whatever the caller does.
    sqlite3_close_v2(db);
  }

  static int OnWalCommit(void* self, sqlite3*, const char*, int frame_count) {
    auto* connection = static_cast<Connection*>(self);
    connection->wal_bytes = connection->wal_end = connection->WalBytesOf(frame_count);
    return SQLITE_OK;
  }

  uint64_t WalBytesOf(int64_t frame_count) const {
    return frame_count <= 0
               ? 0
               : kWalHeaderBytes + static_cast<uint64_t>(frame_count) *
                                       (page_bytes + kWalFrameHeaderBytes);
  }

  // Null: it is not open.
  sqlite3_file* Wal() const {
    sqlite3_file* wal = nullptr;
    const int code =
        sqlite3_file_control(db, "main", SQLITE_FCNTL_JOURNAL_POINTER, static_cast<void*>(&wal));
    return code == SQLITE_OK && wal != nullptr && wal->pMethods != nullptr ? wal : nullptr;
  }

  sqlite3* db = nullptr;  // owned
  std::string path;
  Mode mode = Mode::kOwner;
  uint64_t page_bytes = 0;
  uint64_t wal_bytes = 0;
  uint64_t wal_end = 0;
  absl::Status checkpoint_failure;  // of its sync; see Checkpoint
  AppGuard guard;   // the owner's: others run no statements of the user
  Statement begin;  // prepared once: they run at every commit
  Statement commit;
  Statement rollback;
  Statement read;       // active: BeginAsReader
  std::shared_ptr<PageCounts> pages;
  bool reading = false;
};

Database::Database(std::unique_ptr<Connection> connection)
    : connection_(std::move(connection)) {}
Database::Database(Database&&) noexcept = default;
Database& Database::operator=(Database&&) noexcept = default;
Database::~Database() = default;

absl::StatusOr<Database> Database::Open(const std::string& path,
                                        const OpenOptions& options) {
  absl::StatusOr<Database> db = OpenAndSetUp(path, options);
  if (db.ok() || SqliteCode(db.status()) == 0) return db;
  // SQLite's errors name the statement; here the file says more.
  return Retold(absl::Status(db.status().code(),
                             absl::StrCat("open ", path, ": ", db.status().message())),
                db.status());
}

absl::StatusOr<Database> Database::OpenAndSetUp(const std::string& path,
                                                const OpenOptions& options) {
  constexpr char kOpening[] = "sqlite3_open";
  // Always needed where SQLite is built with SQLITE_OMIT_AUTOINIT, which would
  // crash without it; it costs nothing the second time.
  const int initialized = sqlite3_initialize();
  if (initialized != SQLITE_OK) return ToStatus(initialized, nullptr, kOpening);
  if (sqlite3_threadsafe() == 0) {
    return absl::FailedPreconditionError(
        "SQLite is built without thread support (SQLITE_THREADSAFE=0)");
  }

  auto owned = std::make_unique<Connection>();
  Connection& connection = *owned;
  connection.path = path;
  connection.mode = options.mode;
  const bool owner = options.mode == Mode::kOwner;
  const int flags = (owner ? SQLITE_OPEN_READWRITE |
                                 (options.create ? SQLITE_OPEN_CREATE : 0)
                           : SQLITE_OPEN_READONLY) |
                    (options.immutable ? SQLITE_OPEN_URI : 0) |
                    SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  const int opened =
      sqlite3_open_v2(options.immutable ? ImmutableUri(path).c_str() : path.c_str(),
                      &connection.db, flags,
                      options.vfs.empty() ? nullptr : options.vfs.c_str());
  if (opened != SQLITE_OK) return ToStatus(opened, connection.db, kOpening);
  sqlite3_busy_timeout(
      connection.db,
      static_cast<int>(absl::ToInt64Milliseconds(options.busy_timeout)));

  Database db(std::move(owned));
  // D3: the close of a foreign database must not checkpoint it either.
  sqlite3_db_config(connection.db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  EDDY_ASSIGN_OR_RETURN(const bool is_new, IsNew(db, path, options));
  // D1: of our own database the owner checkpoints, and only the owner.
  if (owner) {
    EDDY_RETURN_IF_ERROR(CheckWriteVersion(connection.db, path));
    sqlite3_db_config(connection.db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, nullptr);
  }

  // Every pragma, each with its reason.
  EDDY_RETURN_IF_ERROR(
      db.Exec(absl::StrCat(
                  // A bound for memory, in KiB when negative.
                  "PRAGMA cache_size=-", options.cache_kib,
                  // Sorting never spills to a temporary file: no flash writes,
                  // no directory for them needed.
                  "; PRAGMA temp_store=MEMORY",
                  // A mapped database would turn an I/O error into a SIGBUS.
                  "; PRAGMA mmap_size=0")
                  .c_str()));
  if (owner) {
    EDDY_RETURN_IF_ERROR(db.Exec(
        absl::StrCat(
            // D2. NORMAL would sync the WAL only at checkpoints.
            "PRAGMA synchronous=FULL",
            // Where the system has it (macOS), a sync that reaches the medium.
            "; PRAGMA fullfsync=ON; PRAGMA checkpoint_fullfsync=ON",
            // Distributions build SQLite with it on, and it doubles the writes
            // of blocks that are deleted after delivery.
            "; PRAGMA secure_delete=", options.secure_delete ? "ON" : "OFF")
            .c_str()));
    if (is_new) {
      // Order: 1. the mark, in one rollback-journal transaction; 2. WAL. A
      // crash before 1 is durable leaves an empty file, which the next Open
      // takes for new; after 1 a store that is not yet in WAL mode, which the
      // next Open turns.
      EDDY_RETURN_IF_ERROR(db.Exec(
          absl::StrCat(
              "PRAGMA page_size=", options.page_bytes,
              // Free pages are used again; moving them would only write flash.
              "; PRAGMA auto_vacuum=NONE",
              "; PRAGMA application_id=", kApplicationId)
              .c_str()));
    }
    // One sync a commit instead of three, and readers that never block it. The
    // answer is the mode that was reached.
    {
      EDDY_ASSIGN_OR_RETURN(Statement wal,
                            db.Prepare("PRAGMA journal_mode=WAL"));
      EDDY_ASSIGN_OR_RETURN(const bool has_row, wal.Step());
      const bool is_wal = has_row && wal.ColumnText(0) == "wal";
      // The change is a transaction that commits where the statement ends: without
      // this step its failure is told to nobody, and the store lives on a rollback
      // journal, whose deletion no power cut need respect.
      EDDY_RETURN_IF_ERROR(wal.Step().status());
      if (!is_wal) {
        return absl::FailedPreconditionError(absl::StrCat(
            path,
            ": no WAL mode here; it needs a file system with shared "
            "memory mappings and locks (not a network one)"));
      }
    }
    EDDY_RETURN_IF_ERROR(
        db.Exec(absl::StrCat(
                    // Checkpoints happen when the committer says so (D1), not
                    // in the middle of some commit.
                    "PRAGMA wal_autocheckpoint=0",
                    // What a burst has made of the WAL is given back to the
                    // file system.
                    "; PRAGMA journal_size_limit=", options.wal_bytes_max)
                    .c_str()));
    connection.guard.Install(connection.db);
    // After wal_autocheckpoint, which uses the same hook inside SQLite.
    sqlite3_wal_hook(connection.db, &Connection::OnWalCommit, &connection);
  } else {
    // D1, should some statement try.
    EDDY_RETURN_IF_ERROR(db.Exec("PRAGMA query_only=ON"));
  }

  EDDY_ASSIGN_OR_RETURN(const int64_t page_bytes,
                        ReadInt(db, "PRAGMA page_size"));
  connection.page_bytes = static_cast<uint64_t>(page_bytes);
  EDDY_ASSIGN_OR_RETURN(connection.read, db.Prepare("SELECT 1 FROM sqlite_schema"));
  EDDY_ASSIGN_OR_RETURN(connection.begin,
                        db.Prepare(owner ? "BEGIN IMMEDIATE" : "BEGIN"));
  EDDY_ASSIGN_OR_RETURN(connection.commit, db.Prepare("COMMIT"));
  EDDY_ASSIGN_OR_RETURN(connection.rollback, db.Prepare("ROLLBACK"));
  EDDY_ASSIGN_OR_RETURN(connection.pages,
                        PageCounts::Prepare(db, connection.page_bytes, /*keeps=*/owner));
  if (owner) {
    // What an earlier life left in the WAL: its size is the bound.
    sqlite3_int64 bytes = 0;
    sqlite3_file* const wal = connection.Wal();
    if (wal != nullptr && wal->pMethods->xFileSize(wal, &bytes) == SQLITE_OK && bytes > 0) {
      connection.wal_bytes = connection.wal_end = static_cast<uint64_t>(bytes);
    }
  }
  return db;
}

absl::StatusOr<Statement> Database::Prepare(std::string_view text) {
  EDDY_CHECK(connection_ != nullptr);
  sqlite3_stmt* stmt = nullptr;
  // PERSISTENT: it will live long, so SQLite keeps it out of the small
  // allocator for short-lived objects.
  const int code = sqlite3_prepare_v3(
      connection_->db, text.data(), static_cast<int>(text.size()),
      SQLITE_PREPARE_PERSISTENT, &stmt, nullptr);
  if (code != SQLITE_OK) return ToStatus(code, connection_->db, text);
  EDDY_CHECK(stmt != nullptr);  // null is what SQLite makes of empty text
  return Statement(stmt);
}

absl::Status Database::Exec(const char* text) {
  EDDY_CHECK(connection_ != nullptr);
  StopReading();
  const int code =
      sqlite3_exec(connection_->db, text, nullptr, nullptr, nullptr);
  return ToStatus(code, connection_->db, text);
}

absl::Status Database::CutWal() {
  EDDY_CHECK(connection_ != nullptr && connection_->mode == Mode::kOwner);
  sqlite3_file* const wal = connection_->Wal();
  sqlite3_int64 bytes = 0;
  if (wal == nullptr || connection_->wal_end == 0 || InTransaction()) return absl::OkStatus();
  // SQLite looks up frames in its index, which knows the committed ones only, and writes
  // the next one behind them.
  const auto committed = static_cast<sqlite3_int64>(connection_->wal_end);
  int code = wal->pMethods->xFileSize(wal, &bytes);
  // What was held back for it could not be written, and is gone: that was to be cut off.
  if (code != SQLITE_OK) code = wal->pMethods->xFileSize(wal, &bytes);
  if (code == SQLITE_OK && bytes > committed) code = wal->pMethods->xTruncate(wal, committed);
  return ToStatus(code, nullptr, "truncate the WAL");
}

absl::StatusOr<CheckpointResult> Database::Checkpoint(CheckpointMode mode) {
  EDDY_CHECK(connection_ != nullptr);
  EDDY_CHECK(connection_->mode == Mode::kOwner);  // D1
  StopReading();
  if (!connection_->checkpoint_failure.ok()) {
    return Retold(absl::UnavailableError(absl::StrCat(
                      "no WAL checkpoint of ", connection_->path,
                      " until it is opened anew: the sync of an earlier one failed, and the "
                      "WAL is the only sure copy of what it had copied")),
                  connection_->checkpoint_failure);
  }
  int sqlite_mode = SQLITE_CHECKPOINT_PASSIVE;
  switch (mode) {
    case CheckpointMode::kPassive:
      break;
    case CheckpointMode::kFull:
      sqlite_mode = SQLITE_CHECKPOINT_FULL;
      break;
    case CheckpointMode::kRestart:
      sqlite_mode = SQLITE_CHECKPOINT_RESTART;
      break;
    case CheckpointMode::kTruncate:
      sqlite_mode = SQLITE_CHECKPOINT_TRUNCATE;
      break;
  }
  int frame_count = 0;
  int copied_count = 0;
  const int code = sqlite3_wal_checkpoint_v2(
      connection_->db, "main", sqlite_mode, &frame_count, &copied_count);
  if (code != SQLITE_OK) {
    absl::Status status = ToStatus(code, connection_->db,
                                   absl::StrCat("WAL checkpoint of ", connection_->path));
    if (IsSyncFailure(status)) {
      // SQLite remembers what an unfinished checkpoint has copied and does not
      // copy it again: the next one would sync, succeed, and start the WAL anew
      // over pages that never reached the disk.
      connection_->checkpoint_failure = status;
      sqlite3_db_config(connection_->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
    }
    return status;
  }
  connection_->wal_end = connection_->WalBytesOf(frame_count);
  connection_->wal_bytes = frame_count == copied_count ? 0 : connection_->wal_end;
  CheckpointResult result;
  result.wal_frame_count = frame_count;
  result.copied_frame_count = copied_count;
  return result;
}

absl::Status Database::RewriteWal() {
  EDDY_ASSIGN_OR_RETURN(const Transaction lock, Transaction::Begin(*this));
  sqlite3_file* const wal = connection_->Wal();
  return wal == nullptr ? absl::OkStatus() : sql::RewriteWal(wal);
}

absl::Status Database::ForgetCopied() { return sql::ForgetCopied(connection_->db); }

void Database::KeepWalOnClose() {
  sqlite3_db_config(connection_->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
}

uint64_t Database::WalBytes() const { return connection_->wal_bytes; }

uint64_t Database::WalEnd() const { return connection_->wal_end; }

absl::StatusOr<FileSizes> Database::Sizes() {
  return connection_->pages->Now();
}

std::shared_ptr<PageCounts> Database::page_counts() { return connection_->pages; }

uint64_t Database::PageBytes() const { return connection_->page_bytes; }

absl::StatusOr<int> Database::SchemaVersion() {
  EDDY_ASSIGN_OR_RETURN(const int64_t version,
                        ReadInt(*this, "PRAGMA user_version"));
  return static_cast<int>(version);
}

absl::Status Database::SetSchemaVersion(int version) {
  return Exec(absl::StrCat("PRAGMA user_version=", version).c_str());
}

int64_t Database::LastInsertRowid() const {
  return sqlite3_last_insert_rowid(connection_->db);
}

int64_t Database::ChangedRowCount() const {
  return sqlite3_changes64(connection_->db);
}

sqlite3* Database::handle() { return connection_->db; }

AppGuard& Database::app_guard() { return connection_->guard; }

bool Database::InTransaction() const {
  return sqlite3_get_autocommit(connection_->db) == 0;
}

void Database::StopReading() {
  if (!std::exchange(connection_->reading, false)) return;
  connection_->read.Reset();
}

absl::Status Database::Close() {
  if (connection_ == nullptr) return absl::OkStatus();
  constexpr int kOwnStatementCount = 4 + PageCounts::kStatementCount;
  StopReading();
  int statement_count = 0;
  for (sqlite3_stmt* stmt = sqlite3_next_stmt(connection_->db, nullptr);
       stmt != nullptr; stmt = sqlite3_next_stmt(connection_->db, stmt)) {
    ++statement_count;
  }
  if (statement_count > kOwnStatementCount) {
    return absl::FailedPreconditionError(absl::StrCat(
        "close ", connection_->path, ": ", statement_count - kOwnStatementCount,
        " statements are still alive"));
  }
  connection_.reset();
  return absl::OkStatus();
}

absl::StatusOr<Transaction> Transaction::Begin(Database& db) {
  EDDY_CHECK(db.connection_ != nullptr);
  if (db.InTransaction()) {
    return absl::FailedPreconditionError("a transaction is open already");
  }
  db.StopReading();
  EDDY_RETURN_IF_ERROR(db.connection_->begin.Run());
  return Transaction(&db);
}

absl::StatusOr<Transaction> Transaction::BeginAsReader(Database& db) {
  EDDY_CHECK(db.connection_ != nullptr);
  if (!db.connection_->reading) return BeginReading(db);
  const absl::Status begun = db.connection_->begin.Run();
  if (begun.ok()) return Transaction(&db);
  return BeginReading(db);  // what it reads may be old: somebody else has written
}

absl::StatusOr<Transaction> Transaction::BeginReading(Database& db) {
  absl::StatusOr<Transaction> transaction = Begin(db);
  if (!transaction.ok()) return transaction;
  // A row of the schema, and not the next one: SQLite goes on reading.
  EDDY_ASSIGN_OR_RETURN(db.connection_->reading, db.connection_->read.Step());
  return transaction;
}

Transaction::~Transaction() { Rollback(); }

absl::Status Transaction::Commit() {
  EDDY_CHECK(db_ != nullptr);
  if (!db_->InTransaction()) {
    db_ = nullptr;
    return absl::AbortedError(
        "commit: an earlier error has rolled the transaction back");
  }
  absl::Status status = db_->connection_->commit.Run();
  if (status.ok()) {
    db_ = nullptr;
  } else {
    Rollback();
  }
  return status;
}

void Transaction::Rollback() {
  if (db_ == nullptr) return;
  db_->StopReading();
  // An error may have made SQLite roll back by itself, and only such an error
  // can make this statement fail: either way the transaction is over.
  if (db_->InTransaction()) (void)db_->connection_->rollback.Run();
  db_ = nullptr;
}

}  // namespace eddy::sql
