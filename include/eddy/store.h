// Store: one directory, one owner process, all streams and queues in it.
//
// Invariants
//   S1  What was accepted (kProcess) is there after the death of the process;
//       what was committed (kPower) is there after a power cut.
//   S2  A sequence number is never given to a second record.
//   S3  With StoreOptions::threads == false eddy creates no thread at all.
// Depends on platform.h, transaction.h, types.h.
#ifndef EDDY_STORE_H_
#define EDDY_STORE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "eddy/platform.h"
#include "eddy/queue.h"
#include "eddy/retention.h"
#include "eddy/stream.h"
#include "eddy/transaction.h"
#include "eddy/types.h"

namespace eddy {

// What an open does with a database that cannot be read back as written.
enum class OnDamage : uint8_t {
  // It is set aside, in a directory damaged-<n> of the store's, and never deleted; a new
  // one is begun, and what is intact of the old goes into it: streams, queues, cursors
  // and the user's tables at the open, records and messages in the background.
  kSetAside,
  kRefuse,  // Open fails with kDataLoss, and nothing is changed
};

struct StoreOptions {
  // Accepted records are committed at the latest after this time: the loss
  // window of kProcess in a power cut. 1 ms to 1 h.
  absl::Duration flush_interval = absl::Seconds(1);

  // The memory budget of the fast path and the size of the mapped intake file.
  // A multiple of 32 KiB, 32 KiB to 1 GiB. May differ between two opens.
  size_t intake_bytes = 8 << 20;

  // Where the intake file lies; empty: in the store's directory. On a tmpfs
  // (/dev/shm, /run) the fast path writes no flash, and still survives the
  // process; on UBIFS, btrfs or a medium that may be pulled out it belongs there
  // (see Files::MapShared). May differ between two opens.
  std::string intake_directory;

  // True: the intake is plain memory and no file, for systems that cannot map one.
  // kProcess then survives nothing: a killed process loses what it had accepted
  // and not committed, as in a power cut.
  bool intake_in_memory = false;

  // A commit becomes due when so many accepted bytes wait for it.
  size_t commit_bytes = 1 << 20;

  // How long an append waits for room in the intake before it fails with
  // kResourceExhausted, unless the call names its own deadline.
  absl::Duration append_timeout = absl::Seconds(5);

  // How many bytes the store may write to its disk a day; 0: as many as it takes.
  // An hour's share may be used at once. Beyond it commits that nobody waits for
  // are put off (the flush interval, and with it the loss window of kProcess,
  // stretches: StoreStats::flush_interval tells), and an append that then finds
  // the intake full fails with kResourceExhausted. A call that asks for kPower, and
  // Flush, are never put off. 1 MiB a day at the least.
  uint64_t write_budget_bytes_per_day = 0;

  // False: no background thread; the host calls Pump().
  bool threads = true;

  // False: opening a directory without a store is kNotFound.
  bool create_if_missing = true;

  // True: deleted data is overwritten with zeros. Doubles the writes. Not what lay in
  // the file of large blocks before this was asked for.
  bool secure_delete = false;

  // The most that the store's files may hold on the file system of its directory:
  // database, WAL, the file of large blocks and, if it lies in the directory, the
  // intake. 0: no limit; else at least 256 KiB. Space of what is dropped or trimmed is
  // used again first; the database file does not shrink, the file of large blocks is cut
  // when its end is free. A quota below what the files already hold is kept once the next
  // commits have made room for it: at an AtLimit that drops, within a few of them; where
  // blocks have to be moved for it, by 1 MiB a commit. So for what a single record above
  // 256 KiB, or a transaction, takes above it. Where large
  // blocks are dropped, up to a thirty-second more goes than has to, so that not each
  // commit drops some.
  uint64_t quota_bytes = 0;
  // What happens at the quota, or where the headroom begins: streams with
  // Retention::kDropOldest are dropped from if it says so. What cannot be dropped
  // is rejected.
  AtLimit at_quota = AtLimit::kRejectNew;
  // Left free on the file system for the rest of the system: while less is free
  // the store's files do not grow. Looked at once a second. 0: not looked at.
  uint64_t headroom_bytes = 0;
  // A store is not made where fewer inodes are free. A store makes no files later.
  uint64_t headroom_inodes = 0;

  // Kept aside in a file of its own in the directory, and given up when the disk
  // is full, also by an open, so that what was accepted before (but for records above
  // a quarter of a segment), trims, deletes and acknowledgements are committed in
  // spite of it. New records are refused from then on, until there is room to take it
  // back. 0: none; else at least twice intake_bytes and 128 KiB, to 1 GiB. An eighth of
  // it bounds the WAL: below 128 MiB there are more WAL checkpoints, and more flash is
  // written.
  uint64_t reserve_bytes = 0;

  OnDamage on_damage = OnDamage::kSetAside;

  Platform platform;  // null members: the operating system's
};

// Whether the disk takes what the store commits, and if not, why. Each state ends
// by itself when a write succeeds again, which is tried a few times a second. Until
// then what is accepted waits in the intake (Put at kProcess goes on until that is
// full), and whoever asks for kPower is told kUnavailable.
enum class DiskState : uint8_t {
  kGood,
  kFull,        // no space, or over a disk quota
  kIoError,     // EIO and the like
  kReadOnly,    // the file system was remounted, or the files' rights are gone
  kSyncFailed,  // the database is being opened anew: see StoreStats::reopens
  kDamaged,     // a page of the database is not as it was written
};

enum class SalvageState : uint8_t {
  kNone,     // no database of this store was ever set aside
  kRunning,  // a reader may be told kUnavailable where its records are not there yet
  kPaused,   // the same, but it does not go on: see SalvageStats::cause
  kDone,     // everything that was intact is there, or was dropped for a limit's sake
};

// What has become of a database that was set aside: of the last one, or of the last
// few together if the next was damaged before all of it was taken over.
struct SalvageStats {
  uint64_t set_asides = 0;       // how many lie in the store's directory
  SalvageState state = SalvageState::kNone;
  absl::Status cause;            // kPaused: why
  uint64_t blocks = 0;           // taken over, with:
  uint64_t records = 0;          // records and messages
  // Told by gaps, as best as can be known. Not what a limit has dropped or would have, which
  // StoreStats::dropped counts.
  uint64_t records_lost = 0;
  // Whose stream or queue nobody knows any more: they stay where they are.
  uint64_t blocks_orphaned = 0;
};

struct StoreStats {
  uint64_t commits = 0;              // transactions since open
  uint64_t commit_failures = 0;      // each is retried
  uint64_t blocks_written = 0;
  uint64_t payload_bytes_committed = 0;  // keys and data
  // Keys and data that were acknowledged or deleted before their commit was due, and
  // so never written: see Persist::kSpill.
  uint64_t payload_bytes_spared = 0;
  uint64_t disk_bytes_written = 0;   // to WAL, database and blocks' file, since open
  // Over the store's life. After a power cut what the last process wrote since
  // its open may be missing.
  uint64_t disk_bytes_total = 0;
  uint64_t payload_bytes_total = 0;
  absl::Duration flush_interval;     // in force: the option's, or stretched
  uint64_t disk_syncs = 0;
  uint64_t intake_segments = 0;
  uint64_t intake_segments_free = 0;
  uint64_t frames_recovered = 0;     // from the intake, at this open
  bool intake_distrusted = false;    // a power cut came before this open
  // By GapReason, since the store was made. Trims and deletes do not count.
  std::array<Dropped, kGapReasonCount> dropped = {};
  bool rejects = false;              // the store is at its quota or headroom
  bool reserve_held = false;         // reserve_bytes are kept aside
  DiskState disk_state = DiskState::kGood;
  absl::Time disk_state_since;       // wall time; the epoch: since the open
  absl::Status disk_state_cause;     // OK, or the failure as it was last seen
  // How often, after a failed sync, the database was closed and opened anew and its
  // WAL proven, before anything was committed again.
  uint64_t reopens = 0;
  // Blocks that did not match their checksum when they were read, and how many
  // records and messages were in them. Each costs itself only: a reader goes on
  // behind it. And messages that a queue knows and that are not in its log, which
  // are passed over.
  uint64_t blocks_damaged = 0;
  uint64_t records_damaged = 0;
  SalvageStats salvage;
  absl::Status last_commit;          // OK, or why the last commit failed
};

// Threads:    safe.
// Durability: as in types.h.
// Streams and queues are owned by the store and live as long as it does.
class Store {
 public:
  // Opens or creates the store in `directory` (whose parent must exist).
  //   kInvalidArgument     an option is out of its range; the message names it.
  //   kFailedPrecondition  another process owns the store, a foreign file stands
  //                        in the place of one of its files (which is left as it
  //                        is), or a newer eddy wrote it.
  //   kPermissionDenied    the directory cannot be written.
  //   kUnimplemented       files cannot be mapped here: see intake_in_memory.
  //   kResourceExhausted   the disk is full, or the system gives no further thread.
  //   kUnavailable         the disk fails to be read, or a process is in the way.
  //   kDataLoss            OnDamage::kRefuse: the database cannot be read back as
  //                        written.
  // After an error the store is as it was; what a first open leaves of itself
  // (the directory, empty or unfinished files) the next one takes over. But a damaged
  // database may have been set aside already: the next open goes on from there.
  static absl::StatusOr<std::unique_ptr<Store>> Open(std::string_view directory,
                                                     StoreOptions options = {});

  // Commits all that was accepted, then closes. Errors end in the intake's
  // favour: what could not be committed is recovered at the next open.
  virtual ~Store() = default;

  // Stream names: 1..128 of [a-zA-Z0-9_.-]; shard_count 1..1000.
  //   kAlreadyExists   a stream of this name exists (as CreateStream's contract).
  virtual absl::StatusOr<Stream*> CreateStream(std::string_view name,
                                               const StreamOptions& options = {}) = 0;
  //   kNotFound        no such stream.
  virtual absl::StatusOr<Stream*> OpenStream(std::string_view name) = 0;
  virtual std::vector<std::string> ListStreams() = 0;  // sorted

  // Queue names: 1..80 of [a-zA-Z0-9_-]. A queue that exists is returned if it has
  // the value of each option that is given; what is not given is not compared, so
  // no options at all always find it (as CreateQueue's contract).
  //   kAlreadyExists   it exists with another value; the message names the option.
  //   kNotFound        options.dead_letter_queue does not exist.
  virtual absl::StatusOr<Queue*> CreateQueue(std::string_view name,
                                             const QueueOptions& options = {}) = 0;
  virtual absl::StatusOr<Queue*> OpenQueue(std::string_view name) = 0;
  virtual std::vector<std::string> ListQueues() = 0;  // sorted

  // Commits everything accepted before the call. OK: it survives a power cut.
  //   kUnavailable   the disk refused; all stays accepted and is tried again.
  virtual absl::Status Flush() = 0;

  // Waits until what the token names is committed.
  //   kDeadlineExceeded   not yet; it stays accepted.
  //   kUnavailable        the disk refused; it stays accepted and is tried again.
  //   kInvalidArgument    no token of this store.
  virtual absl::Status Wait(const CommitToken& token, absl::Duration timeout) = 0;

  // Runs `work` once and commits what it did, all or nothing, with one sync (with two if
  // 32 KiB and more of one log are in it): puts, sends, deletes, cursor moves and rows of
  // the user's own tables. OK: all of it is there and survives a power cut; receivers and
  // readers wake now. Any error:
  // nothing of it is. (If the sync of its commit failed and the process dies before
  // the next commit, it may turn up nevertheless, whole.) What changed nothing costs
  // no I/O.
  //
  // While `work` runs nothing else is committed: other threads put and send at
  // kProcess until the intake is full, those that ask for kPower and those that
  // create something wait. So keep it short, and let it wait for nobody who uses the
  // store. `work` must not throw. Plain calls within it are no part of the
  // transaction: reads, and at kProcess puts, sends, receives and deletes that find
  // room in the intake, take effect at once and stay if it fails; whatever would wait
  // for a commit (kPower, records above a quarter of a segment, Create, Flush, Wait,
  // Transact, Query) is kFailedPrecondition, and Pump does nothing.
  //   what `work` or one of the Transaction's calls has returned, see there.
  //   kFailedPrecondition  called from within a transaction.
  //   kResourceExhausted   the disk is full, or the user's rows and the rest do not
  //                        fit the store's limits.
  //   kUnavailable         the disk failed, or is being opened anew after that.
  virtual absl::StatusOr<TransactResult> Transact(
      const std::function<absl::Status(Transaction&)>& work) = 0;

  // Reads the user's tables (see Sql in transaction.h) as they are committed, with
  // one statement that only reads. A long one holds up commits, as Transact does.
  //   as Sql::Query; kPermissionDenied also of a statement that writes.
  virtual absl::StatusOr<std::vector<SqlRow>> Query(
      std::string_view statement, const std::vector<SqlValue>& parameters = {}) = 0;

  // Does what is due, a bounded piece, and says how long the host may wait
  // before the next call. For hosts without threads; harmless beside them.
  virtual absl::Duration Pump() = 0;

  virtual StoreStats Stats() = 0;
};

}  // namespace eddy

#endif  // EDDY_STORE_H_
