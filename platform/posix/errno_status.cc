#include "platform/posix/errno_status.h"

#include <cerrno>
#include <string>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "src/base/strings.h"

namespace eddy {
namespace {

// What the caller should do next, not what went wrong: that is in the message.
absl::StatusCode Code(int error) {
  switch (error) {
    case ENOENT:
    case ENXIO:
    case ENODEV:
      return absl::StatusCode::kNotFound;
    case EEXIST:
      return absl::StatusCode::kAlreadyExists;
    case ENOTDIR:
    case EISDIR:
    case ENOTEMPTY:
    case EOVERFLOW:
    case EOPNOTSUPP:
    case ENOSYS:
      return absl::StatusCode::kFailedPrecondition;
    case EACCES:
    case EPERM:
    case EROFS:
      return absl::StatusCode::kPermissionDenied;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
    case ENOMEM:
    case EMFILE:
    case ENFILE:
    case ENOLCK:
    case EMLINK:
      return absl::StatusCode::kResourceExhausted;
    case EINVAL:
    case ENAMETOOLONG:
    case ELOOP:
      return absl::StatusCode::kInvalidArgument;
    case EIO:
    case EAGAIN:
    case EINTR:
    case EBUSY:
    case ETXTBSY:
    case ESTALE:
    case ETIMEDOUT:
      return absl::StatusCode::kUnavailable;
    default:
      return absl::StatusCode::kInternal;
  }
}

}  // namespace

absl::Status ErrnoToStatus(int error, std::string_view doing) {
  if (error == 0) return absl::OkStatus();
  return absl::Status(
      Code(error),
      absl::StrCat(AbslView(doing), ": ",
                   std::generic_category().message(error), " (errno ", error,
                   error == EOVERFLOW
                       ? "; dated 2038 or later, which this build with 32-bit "
                         "times cannot represent?)"
                       : ")"));
}

}  // namespace eddy
