// Telemetry: this machine's own readings, from /proc and /sys of Linux.
//
// A sensor is one number with a name: "cpu0.user", "mem.MemAvailable",
// "disk.sda.sectors_written", "net.lo.rx_bytes", "pressure.io.some.avg10".
// What a machine does not have (disks, thermal zones) simply gives no readings.
#ifndef EDDY_EXAMPLES_TELEMETRY_H_
#define EDDY_EXAMPLES_TELEMETRY_H_

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"

// The views live until the callback returns. The value is the number as the
// kernel wrote it, decimal.
using TakeReading = std::function<void(std::string_view sensor, std::string_view value)>;

// Threads: not safe; used by one.
class Telemetry {
 public:
  Telemetry();   // opens what is there
  ~Telemetry();

  // Reads every source that is due at `now` and hands each reading to `take`.
  void Sample(absl::Time now, const TakeReading& take);

 private:
  struct Source;
  std::vector<std::unique_ptr<Source>> sources_;
  std::string text_;    // of the file under the knife
  std::string sensor_;  // reused, so that a reading allocates nothing
};

#endif  // EDDY_EXAMPLES_TELEMETRY_H_
