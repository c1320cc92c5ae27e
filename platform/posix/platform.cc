// DefaultPlatform() of a POSIX system.
#include "eddy/platform.h"

#include "platform/posix/posix_clock.h"
#include "platform/posix/posix_files.h"
#include "platform/posix/posix_random.h"

namespace eddy {

const Platform& DefaultPlatform() {
  // Never destroyed: a store in a static object may outlive any order of
  // destruction here.
  static const Platform* const platform = [] {
    auto* p = new Platform;
    p->clock = new PosixClock;
    p->random = new PosixRandom;
    p->files = new PosixFiles;
    return p;
  }();
  return *platform;
}

}  // namespace eddy
