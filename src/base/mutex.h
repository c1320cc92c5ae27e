// A mutex that nobody shares, with the annotations that clang's analysis reads.
//
// Threads: that is its purpose. Not recursive, and not fair: who just let go may have it
// again, before one who has waited long (see EngineImpl::CommitLock for where that
// matters). Locks that readers share, or under which a condition is awaited, are
// absl::Mutex: the cut's and those of a log.
//
// It is std::mutex and not absl::Mutex for one measured reason: distributions build
// Abseil without NDEBUG, and then each lock of an absl::Mutex looks for cycles in a graph
// of all locks that are held, in release builds of ours too. That was a quarter of the
// instructions of a kPower Put, and a tenth of its time where a sync costs nothing.
// ThreadSanitizer looks for such cycles in our tests all the same.
#ifndef EDDY_SRC_BASE_MUTEX_H_
#define EDDY_SRC_BASE_MUTEX_H_

#include <mutex>

#include "absl/base/thread_annotations.h"

namespace eddy {

class ABSL_LOCKABLE Mutex {
 public:
  Mutex() = default;
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;

  void Lock() ABSL_EXCLUSIVE_LOCK_FUNCTION() { mutex_.lock(); }
  void Unlock() ABSL_UNLOCK_FUNCTION() { mutex_.unlock(); }
  // False only if somebody holds it: the standard would let std::mutex fail without that,
  // but glibc, musl and libc++ do not, and CommitLine (C1) needs it.
  bool TryLock() ABSL_EXCLUSIVE_TRYLOCK_FUNCTION(true) { return mutex_.try_lock(); }
  // For the analysis, where it cannot see who locked; checks nothing.
  void AssertHeld() const ABSL_ASSERT_EXCLUSIVE_LOCK() {}

 private:
  std::mutex mutex_;
};

class ABSL_SCOPED_LOCKABLE MutexLock {
 public:
  explicit MutexLock(Mutex* mutex) ABSL_EXCLUSIVE_LOCK_FUNCTION(mutex) : mutex_(mutex) {
    mutex_->Lock();
  }
  ~MutexLock() ABSL_UNLOCK_FUNCTION() { mutex_->Unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex* const mutex_;
};

}  // namespace eddy

#endif  // EDDY_SRC_BASE_MUTEX_H_
