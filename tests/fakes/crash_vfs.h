// A disk in memory under SQLite, on which the power can fail at any step.
//
// Fault model (promises to the code above)
//   V1  What a sync that returned OK covered survives every cut: the file's
//       bytes and size. A name (creation, deletion) is durable after a sync of
//       the directory: with the first sync of a journal or WAL that was opened to
//       be created if need be (also if it was there), and with a deletion that
//       asks for it, as in SQLite's unix VFS.
//   V2  Of what was not synced a cut keeps, drops or tears each write for
//       itself (of a long one each page of 4 KiB), so that later writes may
//       survive earlier ones. Tearing decides for each 512-byte sector: old, new,
//       or garbage where the write lay.
//       Bytes outside a write are never harmed (SQLite's "powersafe overwrite",
//       which its unix VFS also assumes). A file that grew may keep its new
//       size with zeros inside; a truncation happens or does not. Each name
//       keeps a prefix of its changes.
//   V3  A sync that fails leaves what it covered unsynced for good: a later
//       sync that succeeds does not cover it, unless it was written anew (Linux
//       marks the pages clean: "fsyncgate").
//   V4  A write that fails may have written the first half of its bytes.
//   V5  Several connections of the process share files, locks and the WAL's
//       shared memory as they would with the unix VFS. Other processes do not
//       exist.
//   V6  With LieAboutSyncs no sync has any effect, and all return OK. No
//       software survives that; it shows that a crash test can fail.
// One seed, one outcome. All files lie in one directory. Depends on SQLite and
// fake_random.h only.
#ifndef EDDY_TESTS_FAKES_CRASH_VFS_H_
#define EDDY_TESTS_FAKES_CRASH_VFS_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace eddy::testing {

// A disk and the VFS registered over it. A *step* is whatever changes the disk:
// a write (of a long one each page), truncation, sync, creation or deletion; steps
// count from 1.
//
//   CrashDisk disk;
//   disk.CutAt(17);                 // the 17th step is the last that works
//   RunUntilItFails(disk.name());   // open with this VFS; then close all
//   disk.Cut(seed);                 // choose what the cut has left; power on
//   CheckPromises(disk.name());
//
// Threads:  safe.
// Lifetime: outlives every connection opened through it, but a connection whose
//           power was cut may be closed at any time later; it sees I/O errors.
class CrashDisk {
 public:
  enum class Op { kWrite, kSync, kTruncate, kCreate, kDelete, kRead, kAny };
  enum class Fault {
    kFull,     // SQLITE_FULL, as for ENOSPC
    kIoError,  // SQLITE_IOERR_WRITE, _FSYNC, ... as the operation has it
    kReadOnly,  // the same with EROFS, as after a remount
    // Of a read: kFull brings zeros and says that the file ends there; kReadOnly is EIO
    // as the unix VFS tells it, which SQLite passes on as SQLITE_CORRUPT.
  };

  CrashDisk();
  CrashDisk(const CrashDisk&) = delete;
  CrashDisk& operator=(const CrashDisk&) = delete;
  ~CrashDisk();

  // The registered VFS, for sqlite3_open_v2 and eddy's options. Unique.
  const std::string& name() const;

  // Fixes SQLite's own random numbers (the salts of a WAL), which belong to the
  // process, so that a seed gives the same bytes each time. `seed` not 0.
  static void SeedSqlite(uint32_t seed);

  // --- Power ---------------------------------------------------------------

  // After `step` more steps all I/O fails, until Cut. 0: now.
  void CutAt(uint64_t step);
  bool PowerIsOff() const;

  // Decides by `seed` what the cut leaves (V2) and turns the power on again.
  // Connections opened before see I/O errors for ever.
  void Cut(uint64_t seed);

  // Another disk, as this one (`disk`) would be after Cut(seed) now; this one goes
  // on. So one run can be judged at many cuts: see OnStep.
  std::unique_ptr<CrashDisk> AfterCut(uint64_t seed) const;
  CrashDisk(const CrashDisk& disk, uint64_t seed);

  // Called after each step, by the thread that made it, while SQLite is still at
  // work: it may look at the disk and copy it, and touches no connection. Set while
  // no other thread uses the disk.
  void OnStep(std::function<void()> seen);

  // The process dies and the machine lives: nothing written is lost, locks and
  // shared memory are gone, connections opened before see I/O errors for ever.
  void KillProcess();

  // --- Faults --------------------------------------------------------------

  // The `nth` `op` from now (1 is the next one) fails; with `sticky` all later
  // ones too. `file_suffix` limits it to files so named ("-wal").
  void FailNth(Op op, uint64_t nth, Fault fault, bool sticky = false,
               const std::string& file_suffix = "");
  void ClearFaults();
  uint64_t fault_count() const;  // how many operations failed by FailNth

  // Bytes that all files together may hold; growing beyond is SQLITE_FULL.
  void SetCapacity(uint64_t bytes);

  void LieAboutSyncs(bool lie);  // V6

  // --- The system's own calls ------------------------------------------------

  // As Files::Rename. Two steps: the renaming, of which a cut keeps both names' change
  // or neither's, and the sync of the directories.
  absl::Status Rename(const std::string& from, const std::string& to);

  // --- Counters and contents ---------------------------------------------

  uint64_t step_count() const;
  uint64_t sync_count() const;
  // Written to files whose name ends in `file_suffix`; "" is all.
  uint64_t BytesWritten(const std::string& file_suffix = "") const;

  std::vector<std::string> List() const;
  bool Exists(const std::string& file) const;
  // As the process sees it now; "" if there is none. SetContent is durable at
  // once, to make or to damage a file while no connection is open.
  std::string Content(const std::string& file) const;
  size_t Size(const std::string& file) const;  // of Content, which is a copy
  void SetContent(const std::string& file, const std::string& bytes);

 private:
  friend struct CrashVfsMethods;  // the functions that SQLite calls
  struct Disk;
  void Register();

  std::unique_ptr<Disk> disk_;
};

}  // namespace eddy::testing

#endif  // EDDY_TESTS_FAKES_CRASH_VFS_H_
