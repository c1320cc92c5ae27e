#include "tests/bench/disk.h"

#include <fcntl.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <system_error>

#include "tests/bench/bench.h"

namespace eddy::bench {

DiskCount::DiskCount() : vfs_(Ok(sql::CountingVfs::Register(""))) {}

double KernelWriteBytes() {
  std::ifstream io("/proc/self/io");
  std::string name;
  double value = 0;
  while (io >> name >> value) {
    if (name == "write_bytes:") return value;
  }
  Die("/proc/self/io does not say how much this process writes");
}

void RequireCountedDisk(const std::string& directory) {
  const std::string path = directory + "-probe";
  const double before = KernelWriteBytes();
  constexpr size_t kProbeBytes = 1 << 20;
  std::ofstream(path, std::ios::binary) << std::string(kProbeBytes, 'p');
  const double counted = KernelWriteBytes() - before;
  std::filesystem::remove(path);
  if (counted < kProbeBytes) {
    Die(path + ": " + std::to_string(kProbeBytes) + " bytes were written and the kernel counted " +
        std::to_string(static_cast<long>(counted)) + "; choose a directory on a disk");
  }
}

void WriteBack(const std::string& path) {
  const int file = open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (file < 0 || fsync(file) != 0) Die("cannot write back " + path);
  close(file);
}

double FileBytes(const std::string& path) {
  std::error_code error;
  const auto bytes = std::filesystem::file_size(path, error);
  return error ? 0 : static_cast<double>(bytes);
}

}  // namespace eddy::bench
