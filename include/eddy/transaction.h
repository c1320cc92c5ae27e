// Transaction: records, messages, deletes, cursors and rows of your own, all of
// them or none. See Store::Transact.
//
//   // Each order is handled once: its message goes, its event and its row come. What
//   // fails fails the transaction, so that not each status has to be looked at.
//   store->Transact([&](eddy::Transaction& t) {
//     t.Delete(*orders, message.receipt_handle).IgnoreError();
//     t.Put(*events, "order-7", "paid").IgnoreError();
//     return t.sql().Run("INSERT INTO app_paid VALUES (?, ?)", {7, 9.90}).status();
//   });
//
// Invariants
//   X1  Until the transaction is committed nobody sees anything of it, and after
//       that all of it. It survives a power cut then (kPower).
//   X2  A power cut, a kill, a refusing disk or an error of the function leave
//       nothing of it behind, whenever they come before that; but for a commit whose
//       sync failed, if the process dies before the next: see Store::Transact.
//   X3  Transactions run one after the other: each sees the tables as the one
//       before it has left them.
// Depends on queue.h, stream.h, types.h.
#ifndef EDDY_TRANSACTION_H_
#define EDDY_TRANSACTION_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "eddy/queue.h"
#include "eddy/stream.h"
#include "eddy/types.h"

namespace eddy {

// Of one transaction: puts, sends, deletes and cursor moves together, and the
// bytes of the records and messages among them, with 16 to 60 for each. The bytes
// are held in memory, twice while they are committed.
inline constexpr size_t kTransactionChangesMax = 1000;
inline constexpr size_t kTransactionBytesMax = 8 << 20;

// Of one SQL statement: its text, a value or a row of a table, what Query returns.
inline constexpr size_t kSqlStatementBytesMax = 64 << 10;
inline constexpr size_t kSqlRowBytesMax = 1 << 20;
inline constexpr size_t kSqlResultRowsMax = 10000;
inline constexpr size_t kSqlResultBytesMax = 10 << 20;

// SQLite's types: NULL, INTEGER, REAL, TEXT, BLOB.
struct SqlBlob {
  std::string bytes;
};
inline bool operator==(const SqlBlob& a, const SqlBlob& b) { return a.bytes == b.bytes; }
inline bool operator!=(const SqlBlob& a, const SqlBlob& b) { return !(a == b); }
using SqlValue = std::variant<std::monostate, int64_t, double, std::string, SqlBlob>;
using SqlRow = std::vector<SqlValue>;  // a value a column

// The user's own tables in the store's database: those named app_*, whatever their
// case, with indexes named app_* too. Allowed are CREATE and DROP of both, SELECT,
// WITH, VALUES, INSERT, REPLACE, UPDATE and DELETE, and SQLite's own functions but
// for those that load code or reach files. Not allowed are eddy's tables, also as a
// part of a statement, sqlite_master, ALTER TABLE, views, triggers, AUTOINCREMENT,
// temporary and virtual tables, CREATE TABLE ... AS, PRAGMA, ATTACH, BEGIN and its
// like. What a WITH defines is best named app_* too: SELECT count(*) FROM q is refused
// without a look at what q is.
//
// How much a transaction changes in them is bounded by the store's quota, headroom or
// reserve only; all of it goes through the WAL, which grows by it until it is copied: a large
// transaction needs room for its rows twice. At a quota or a headroom a statement that would
// make the WAL longer than what they leave and the database together is refused, and the
// transaction with it; with neither, or with a database larger than what the disk has free, a
// transaction may fill the disk, and then leaves it as it was. Where at a quota large blocks
// of streams hold that room, it is refused, and for two minutes they are moved in the
// background, so that it may pass when it is tried again; where the oldest is dropped, it is
// dropped for rows too, in the commits that follow. Deleting rows is refused never, if they
// are not written anew before that, nor are, as long as there is any room, up to 16 pages
// (64 KiB; of a quota below 1 MiB less) beside a Delete or an Advance: a full store is drained
// by those who note what they have done. What is changed in place is not counted, but for a
// while it is in the WAL. Sorting without an index is in memory.
//
// One statement a call. Parameters are ?, ?1 or :name, and their values stand in the
// order of their numbers; all must be given. Values come from the caller as they are
// and from SQLite as it keeps them: no type is converted here.
//
// A statement that fails has changed nothing, and the function may go on without
// it, unless it failed so that what came before may be gone too (no memory, a full disk, an
// I/O error, OR ROLLBACK): the transaction fails then.
//   kPermissionDenied   not allowed, see above; the message says what.
//   kInvalidArgument    no SQL, or too long; no such table or column; not as many
//                       values as parameters; a value too large or of the wrong
//                       type; a NOT NULL, CHECK or foreign key constraint.
//   kAlreadyExists      a UNIQUE or PRIMARY KEY constraint.
//   kResourceExhausted  no memory, the disk is full, or the WAL at its limit, see above.
//   kUnavailable, kDataLoss   the disk.
//   kAborted            an earlier statement has made SQLite roll back.
class Sql {
 public:
  virtual ~Sql() = default;

  // Returns how many rows an INSERT, UPDATE or DELETE has changed. Rows that come
  // back are dropped.
  virtual absl::StatusOr<int64_t> Run(std::string_view statement,
                                      const std::vector<SqlValue>& parameters = {}) = 0;

  // Returns the rows of a SELECT, or of a RETURNING clause.
  //   kOutOfRange   more than kSqlResultRowsMax rows or kSqlResultBytesMax bytes: use
  //                 LIMIT. Of a RETURNING clause it fails the transaction.
  virtual absl::StatusOr<std::vector<SqlRow>> Query(
      std::string_view statement, const std::vector<SqlValue>& parameters = {}) = 0;
};

// What a transaction is made of. Rules and limits of a put, a send and a move are
// those of the plain calls.
//
// A call that fails, but for sql(), fails the transaction, whatever the function
// makes of it. Streams, queues and cursors must be those of the store whose Transact
// runs: others are kInvalidArgument.
//
// Threads:  for the thread that runs the function only.
// Lifetime: ends with the function. What is passed in is copied.
class Transaction {
 public:
  // The result stands in TransactResult::puts, in the order of the calls.
  //   kInvalidArgument    as Stream::Put, or the transaction grows too large.
  //   kResourceExhausted  the stream or the store is at its limit and rejects.
  virtual absl::Status Put(Stream& stream, std::string_view partition_key,
                           std::string_view data, std::string_view explicit_hash_key = {}) = 0;

  // The result stands in TransactResult::sends. A delay runs from this call on.
  //   kInvalidArgument    as Queue::Send, or the transaction grows too large.
  //   kResourceExhausted  the store is at its quota or headroom.
  virtual absl::Status Send(Queue& queue, std::string_view body,
                            std::optional<absl::Duration> delay = std::nullopt) = 0;

  // Ends the message, if the transaction commits. From here to its end nobody else
  // can receive or delete it, also if its visibility timeout ends meanwhile; if it
  // fails the message is in flight as before, for the rest of its timeout. A
  // message that had become visible before and that nobody has received since is
  // deleted as well.
  //   kInvalidArgument   not a handle of this queue; the transaction grows too large.
  //   kAborted           the message is gone (in this transaction already, too), on
  //                      its way to the dead-letter queue, or was received again:
  //                      somebody else handles it.
  virtual absl::Status Delete(Queue& queue, std::string_view receipt_handle) = 0;

  // Moves the cursor, if the transaction commits. Of several moves in a shard the
  // highest counts; a cursor that somebody else has moved further by then stays there.
  //   kInvalidArgument   no such shard; the transaction grows too large.
  //   kOutOfRange        below the present position, or above what has been written.
  virtual absl::Status Advance(Cursor& cursor, ShardId shard, SequenceNumber next) = 0;

  // Your tables, as this transaction has changed them so far.
  virtual Sql& sql() = 0;

 protected:
  ~Transaction() = default;
};

struct TransactResult {
  std::vector<PutResult> puts;
  std::vector<SendResult> sends;
};

}  // namespace eddy

#endif  // EDDY_TRANSACTION_H_
