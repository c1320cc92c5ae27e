#include "tests/bench/memory.h"

#include <chrono>
#include <fstream>
#include <string>
#include <thread>

#include "tests/bench/bench.h"

namespace eddy::bench {

double ResidentMbBeyondIntake() {
  std::ifstream maps("/proc/self/smaps");
  std::string line;
  bool counts = true;
  double kib = 0;
  bool any = false;
  while (std::getline(maps, line)) {
    const size_t space = line.find(' ');
    if (space == std::string::npos) continue;
    const std::string first = line.substr(0, space);
    if (first.back() != ':') {  // "5581-5582 rw-s 00000000 fe:00 1234  /path"
      const std::string suffix = ".intake";
      counts = line.size() < suffix.size() ||
               line.compare(line.size() - suffix.size(), suffix.size(), suffix) != 0;
    } else if (first == "Rss:" && counts) {
      kib += std::stod(line.substr(space));
      any = true;
    }
  }
  if (!any) Die("/proc/self/smaps does not say what is resident");
  return kib / 1024;
}

void SleepSeconds(double seconds) {
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
}

}  // namespace eddy::bench
