// EarlyWriter: blocks of the next round, packed and written while this one waits for the
// disk.
//
// A round packs, writes, and then waits for its syncs with nothing to do; appenders that
// have filled the intake wait for the round. One of them does meanwhile what the next round
// would, for whole sealed segments, into the blocks' file (block_extents.h); that round
// takes such a block as it is. No thread is made for it, and where nobody waits for room
// there is nothing to gain by it.
//
//   committer   | pack, write      | sync, commit                | release | the next
//               |                  Lend                   TakeBack
//   appender    fills the intake   | pack, write | pack, write   | appends
//
// Nothing refers to an early block before its round inserts the row and syncs the file: a
// power cut or a death before that leaves bytes to which nobody refers. A round that fails
// forgets all of them, since its sync may have been that of their bytes.
//
// Never early: the frames of a log that may yet turn out not to be needed (one that holds
// or discards, and the journal), and a block that is to lie in the database. Nothing is lent
// where only the round knows what room there is (a quota, a headroom) or what may be written
// at all (a write budget), for a user's transaction, which may be tried and fail often, and
// while the disk refuses.
//
// Measured, one producer, 100 B, two cores, alternating: 6.3 million records a second with
// it and the early start of the write-back, 5.0 without the latter, 4.1 without both. Lent
// from the beginning of a round's own writing on it gained nothing more: the kernel lets one
// thread at a time write to a file.
// Depends on block_draft.h, block_writer.h, segment_log.h.
#ifndef EDDY_SRC_LOG_EARLY_WRITER_H_
#define EDDY_SRC_LOG_EARLY_WRITER_H_

#include <atomic>
#include <cstdint>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "src/base/mutex.h"
#include "src/log/block_draft.h"
#include "src/log/block_writer.h"
#include "src/log/segment_log.h"

namespace eddy::log {

// Threads: safe. Lock order: mu_ before a log's; under it is written, not synced.
class EarlyWriter {
 public:
  // A log, and from where on it is to be looked at: where the round under way ends in it.
  struct Source {
    SegmentLog* log = nullptr;
    uint64_t from = 0;
  };

  // From its making to its end the committer, who waits for the disk, leaves `blocks` (or
  // none), but for its Sync, to those who call WriteOne, and gives no segment back. The end
  // waits for a WriteOne under way.
  class Loan {
   public:
    Loan(EarlyWriter* writer, BlockWriter* blocks, std::vector<Source> sources);
    ~Loan() { writer_->TakeBack(); }
    Loan(const Loan&) = delete;
    Loan& operator=(const Loan&) = delete;

   private:
    EarlyWriter* const writer_;
  };

  // Writes the block of one segment. False: there is nothing to write now, or another
  // thread does. Takes as long as packing and writing it to the page cache, at most 1 MiB.
  bool WriteOne();

  // For the committer, outside a loan. True: what the run holds was written in the last
  // loan, and `*draft` has the ticket; once for each. Whether it still counts Adopt says.
  bool Find(const SegmentLog& log, const CutRun& run, BlockDraft* draft)
      ABSL_LOCKS_EXCLUDED(mu_);

 private:
  void TakeBack() ABSL_LOCKS_EXCLUDED(mu_);
  bool WriteOneLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  enum class Wrote { kYes, kNo, kNotThisLog, kFailed };
  Wrote WriteRun(SegmentLog* log, const CutRun& run) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // Relaxed: a hint, so that the committer gets mu_ before the next WriteOne does.
  std::atomic<bool> lent_{false};
  Mutex mu_;
  BlockWriter* blocks_ ABSL_GUARDED_BY(mu_) = nullptr;  // none: no loan
  std::vector<Source> sources_ ABSL_GUARDED_BY(mu_);
  std::vector<BlockDraft> written_ ABSL_GUARDED_BY(mu_);
};

}  // namespace eddy::log

#endif  // EDDY_SRC_LOG_EARLY_WRITER_H_
