#include "platform/curl/sigpipe_block.h"

#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <cerrno>

namespace eddy {
namespace {

bool IsPending() {
  sigset_t pending;
  sigpending(&pending);
  return sigismember(&pending, SIGPIPE) == 1;
}

bool IsBlocked() {
  sigset_t mask;
  pthread_sigmask(SIG_BLOCK, nullptr, &mask);
  return sigismember(&mask, SIGPIPE) == 1;
}

void WriteToNobody() {
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  close(ends[0]);
  CHECK(write(ends[1], "x", 1) == -1);
  CHECK(errno == EPIPE);
  close(ends[1]);
}

TEST_CASE("a write to a peer that has gone does not end the process", "[curl]") {
  REQUIRE_FALSE(IsBlocked());
  {
    const SigpipeBlock block;
    WriteToNobody();
    CHECK(IsPending());
  }
  CHECK_FALSE(IsBlocked());  // and we are still here
}

TEST_CASE("a SIGPIPE that was waiting already is left to its owner", "[curl]") {
  const SigpipeBlock owner;
  WriteToNobody();
  {
    const SigpipeBlock block;
    WriteToNobody();
  }
  CHECK(IsPending());
  CHECK(IsBlocked());
}

}  // namespace
}  // namespace eddy
