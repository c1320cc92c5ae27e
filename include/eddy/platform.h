// The ports: everything that eddy needs from the world, as interfaces.
//
// Invariants
//   P1  No other part of eddy reads a clock, draws a random number, touches a
//       file (those that a SQLite VFS opens apart) or opens a socket.
//   P2  Tests replace each port; the product takes them from DefaultPlatform().
// Depends on Abseil's Status and Time only.
#ifndef EDDY_PLATFORM_H_
#define EDDY_PLATFORM_H_

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace eddy {

// Time. Threads: safe.
class Clock {
 public:
  virtual ~Clock() = default;

  // Wall time: a guess until the network has set it. For people and the cloud;
  // never for timers, order or identity.
  virtual absl::Time WallNow() = 0;

  // The same in milliseconds since 1970, as cheaply as the platform can, for the
  // time that a record carries. May lag by a tick of the kernel's timer (4 ms).
  virtual int64_t WallCoarseMs() { return absl::ToUnixMillis(WallNow()); }

  // Time since this boot, suspend included. Never goes back within one boot.
  virtual absl::Duration SinceBoot() = 0;

  // Whether the wall clock can be believed (set by NTP, GPS or an operator).
  virtual bool WallIsTrusted() = 0;

  // Changes with every boot, never within one.
  virtual std::string BootId() = 0;

  // Releases `lock`, sleeps until notified or until `timeout` has passed on a
  // steady clock, and takes the lock again. May wake early, as condition
  // variables do: the caller checks its condition and its deadline itself.
  virtual void Wait(std::unique_lock<std::mutex>& lock,
                    std::condition_variable& condition,
                    absl::Duration timeout) = 0;

  // Sleeps as long as `word` is `seen`, until it is woken or `timeout` has passed; may
  // wake early. Who changes the word wakes the sleepers after that: then none of them
  // misses it. Without a lock that all who wake must pass through one by one, so for a
  // crowd. These ones here are built on Wait, and any system has that; a system that
  // can sleep on a word (Linux: futex) does better.
  virtual void WaitOn(const std::atomic<uint32_t>& word, uint32_t seen,
                      absl::Duration timeout) {
    WaitOnAny(word, seen, timeout);
  }
  virtual void WakeOne(const std::atomic<uint32_t>& word) { WakeAny(word); }
  virtual void WakeAll(const std::atomic<uint32_t>& word) { WakeAny(word); }

 private:
  // No virtual function of this class is defined elsewhere: eddy is built without type
  // information, and a platform of yours may be built with it.
  void WaitOnAny(const std::atomic<uint32_t>& word, uint32_t seen, absl::Duration timeout);
  void WakeAny(const std::atomic<uint32_t>& word);
};

// Random numbers for jitter and identifiers. Threads: safe.
class Random {
 public:
  virtual ~Random() = default;
  virtual uint64_t Next() = 0;
};

// A file mapped into memory, shared with the kernel's page cache: what is
// stored survives the process, not a power cut. Unmapped by the destructor.
class Mapping {
 public:
  virtual ~Mapping() = default;
  virtual char* data() = 0;
  virtual size_t size() const = 0;
};

// Held by the destructor's absence: destroying it gives the lock back.
class FileLock {
 public:
  virtual ~FileLock() = default;
};

struct FreeSpace {
  uint64_t bytes = 0;
  uint64_t inodes = 0;
};

// Directories, locks and mappings. Threads: safe.
class Files {
 public:
  virtual ~Files() = default;

  // Creates the last component when missing and proves that it is a writable
  // directory.
  //   kNotFound            its parent does not exist.
  //   kFailedPrecondition  it is a file, not a directory.
  //   kPermissionDenied    it cannot be written.
  //   kResourceExhausted   the disk is full.
  virtual absl::Status PrepareDirectory(const std::string& path) = 0;

  // Takes an exclusive lock that dies with the process.
  //   kFailedPrecondition  another owner holds it; the message names its pid.
  virtual absl::StatusOr<std::unique_ptr<FileLock>> Lock(
      const std::string& path) = 0;

  virtual bool Exists(const std::string& path) = 0;
  virtual absl::Status Remove(const std::string& path) = 0;

  // Gives a file another name on the same file system, and syncs both directories:
  // once this returns OK a power cut does not undo it.
  //   kAlreadyExists   there is something at `to`, which stays.
  //   kNotFound        there is nothing at `from`.
  virtual absl::Status Rename(const std::string& from, const std::string& to) = 0;

  // Maps `bytes` of the file, creating it and allocating its space, so that a
  // full disk is an error here and not a SIGBUS later. That holds for tmpfs and
  // for file systems that write in place (ext4, xfs); those that write elsewhere
  // (UBIFS, btrfs, F2FS after an error) may still run out when a page is written
  // again, and no file system answers for a medium that is pulled out. New bytes
  // are zero. One mapping of a file at a time, among all processes.
  //   kResourceExhausted   no space for it.
  //   kFailedPrecondition  it is mapped already.
  //   kUnimplemented       this system cannot map files.
  virtual absl::StatusOr<std::unique_ptr<Mapping>> MapShared(
      const std::string& path, size_t bytes) = 0;

  // Has the system begin to write that part of the file to the disk, and does not wait for
  // it: the sync that follows has less to do. A hint, which may do nothing; it promises
  // nothing and tells no error: a sync does both. Not for a file that SQLite locks.
  virtual void StartWriteBack(const std::string& /*path*/, uint64_t /*at*/, uint64_t /*bytes*/) {}

  // The size of an existing file, kNotFound if there is none.
  virtual absl::StatusOr<uint64_t> Size(const std::string& path) = 0;

  // What an unprivileged process may still use on the file system of `path`,
  // which exists. Where inodes are not limited: UINT64_MAX of them.
  virtual absl::StatusOr<FreeSpace> Free(const std::string& path) = 0;
};

// A set of ports. The pointees outlive every store that uses them. A null
// member means the one of DefaultPlatform().
struct Platform {
  Clock* clock = nullptr;
  Random* random = nullptr;
  Files* files = nullptr;
  // Name of the registered SQLite VFS below the database; empty is the default. eddy keeps
  // files of its own through it too, as journals; a sync of one handle covers what another
  // handle of the process has written to the same file.
  std::string sqlite_vfs;
};

// The operating system's. Lives for the whole process.
const Platform& DefaultPlatform();

}  // namespace eddy

#endif  // EDDY_PLATFORM_H_
