// The peer below all others: one file, appended to and synced block by block.
// No format, no checksum: what the hardware allows an append at kPower.
#include <fcntl.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "tests/bench/peers.h"
#include "tests/bench/bench.h"

namespace eddy::bench {

double RawAppendBytesPerSecond(const std::string& directory, size_t bytes, size_t block) {
  std::filesystem::create_directories(directory);
  const std::string path = directory + "/raw";
  const int file = open(path.c_str(), O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0600);
  if (file < 0) Die("cannot create " + path);
  const std::string data(block, 'd');
  size_t done = 0;
  const double start = Now();
  for (; done < bytes; done += block) {
    if (write(file, data.data(), block) != static_cast<ssize_t>(block)) Die("write " + path);
    if (fdatasync(file) != 0) Die("fdatasync " + path);
  }
  const double rate = static_cast<double>(done) / (Now() - start);
  close(file);
  std::filesystem::remove_all(directory);
  return rate;
}

}  // namespace eddy::bench
