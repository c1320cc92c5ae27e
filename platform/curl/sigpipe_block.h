// Keeps SIGPIPE from ending the process while this thread writes to a socket.
//
// libcurl is told not to touch signals (it would do so for all threads), and a
// TLS library may write without MSG_NOSIGNAL: a peer that has gone then raises
// SIGPIPE, in the writing thread. It is blocked here, in this thread only, and
// taken back out unless one was already waiting before.
#ifndef EDDY_PLATFORM_CURL_SIGPIPE_BLOCK_H_
#define EDDY_PLATFORM_CURL_SIGPIPE_BLOCK_H_

#include <pthread.h>
#include <signal.h>
#include <time.h>

namespace eddy {

class SigpipeBlock {
 public:
  SigpipeBlock() {
    sigemptyset(&sigpipe_);
    sigaddset(&sigpipe_, SIGPIPE);
    sigset_t pending;
    sigpending(&pending);
    was_pending_ = sigismember(&pending, SIGPIPE) == 1;
    pthread_sigmask(SIG_BLOCK, &sigpipe_, &before_);
  }
  ~SigpipeBlock() {
    if (!was_pending_) {
      const timespec at_once = {};
      while (sigtimedwait(&sigpipe_, nullptr, &at_once) == SIGPIPE) {
      }
    }
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  SigpipeBlock(const SigpipeBlock&) = delete;
  SigpipeBlock& operator=(const SigpipeBlock&) = delete;

 private:
  sigset_t sigpipe_;
  sigset_t before_;
  bool was_pending_;
};

}  // namespace eddy

#endif  // EDDY_PLATFORM_CURL_SIGPIPE_BLOCK_H_
