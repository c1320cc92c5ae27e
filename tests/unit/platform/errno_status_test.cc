#include "platform/posix/errno_status.h"

#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <string>

namespace eddy {
namespace {

TEST_CASE("an errno says what to do next", "[platform][error]") {
  CHECK(ErrnoToStatus(0, "x").ok());
  CHECK(absl::IsNotFound(ErrnoToStatus(ENOENT, "x")));
  CHECK(absl::IsFailedPrecondition(ErrnoToStatus(ENOTDIR, "x")));
  CHECK(absl::IsPermissionDenied(ErrnoToStatus(EACCES, "x")));
  CHECK(absl::IsPermissionDenied(ErrnoToStatus(EROFS, "x")));
  CHECK(absl::IsResourceExhausted(ErrnoToStatus(ENOSPC, "x")));
  CHECK(absl::IsResourceExhausted(ErrnoToStatus(EDQUOT, "x")));
  CHECK(absl::IsUnavailable(ErrnoToStatus(EIO, "x")));
  CHECK(absl::IsInternal(ErrnoToStatus(EBADF, "x")));
}

TEST_CASE("a message names the path and the cause", "[platform][error]") {
  const std::string message(ErrnoToStatus(ENOSPC, "map /run/x").message());
  CHECK(message.find("map /run/x: No space left on device") == 0);
  const std::string late(ErrnoToStatus(EOVERFLOW, "open /x").message());
  CHECK(late.find("2038") != std::string::npos);
}

}  // namespace
}  // namespace eddy
