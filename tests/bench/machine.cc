#include "tests/bench/machine.h"

#include <sqlite3.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <ctime>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

namespace eddy::bench {
namespace {

// What follows the first "NAME:" in a file of such lines; "unknown" without one.
std::string Field(const std::string& path, const std::string& name) {
  std::ifstream file(path);
  std::string line;
  while (std::getline(file, line)) {
    if (line.rfind(name, 0) != 0) continue;
    const size_t colon = line.find(':');
    const size_t value = line.find_first_not_of(" \t", colon + 1);
    if (colon != std::string::npos && value != std::string::npos) return line.substr(value);
  }
  return "unknown";
}

// Type and device of the mount with the longest path that leads to the directory.
std::string FileSystem(const std::string& directory) {
  const std::string path = std::filesystem::weakly_canonical(directory).string() + "/";
  std::ifstream mounts("/proc/self/mounts");
  std::string line;
  std::string best = "unknown";
  size_t longest = 0;
  while (std::getline(mounts, line)) {
    std::istringstream fields(line);
    std::string device, point, type;
    fields >> device >> point >> type;
    const std::string prefix = point == "/" ? point : point + "/";
    if (path.rfind(prefix, 0) != 0 || prefix.size() < longest) continue;
    longest = prefix.size();
    best = type + " on " + device;
  }
  return best;
}

std::string FirstLine(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

}  // namespace

Facts MachineFacts(const std::string& directory) {
  utsname system = {};
  uname(&system);
  char date[32] = "";
  const std::time_t now = std::time(nullptr);
  std::tm utc = {};
  std::strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
  return {{"date", date},
          {"processor", Field("/proc/cpuinfo", "model name")},
          {"cores", std::to_string(sysconf(_SC_NPROCESSORS_ONLN))},
          {"memory", Field("/proc/meminfo", "MemTotal")},
          {"kernel", std::string(system.sysname) + " " + system.release + " " + system.machine},
          {"file_system", FileSystem(directory)},
          {"load_at_start", FirstLine("/proc/loadavg")},
          {"sqlite", sqlite3_libversion()}};
}

}  // namespace eddy::bench
