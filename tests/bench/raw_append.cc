// The peer below all others: one file, appended to and synced block by block.
// No format, no checksum: what the hardware allows an append at kPower.
#include <fcntl.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <utility>

#include "tests/bench/bench.h"
#include "tests/bench/peers.h"

namespace eddy::bench {

RawAppend::RawAppend(std::string directory) : directory_(std::move(directory)) {
  std::filesystem::create_directories(directory_);
  const std::string path = directory_ + "/raw";
  file_ = open(path.c_str(), O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0600);
  if (file_ < 0) Die("cannot create " + path);
}

RawAppend::~RawAppend() {
  close(file_);
  std::filesystem::remove_all(directory_);
}

double RawAppend::Append(size_t bytes, size_t block) {
  const std::string data(block, 'd');
  size_t done = 0;
  const double start = Now();
  for (; done < bytes; done += block) {
    if (write(file_, data.data(), block) != static_cast<ssize_t>(block)) {
      Die("write to " + directory_);
    }
    if (fdatasync(file_) != 0) Die("fdatasync in " + directory_);
  }
  return static_cast<double>(done) / (Now() - start);
}

}  // namespace eddy::bench
