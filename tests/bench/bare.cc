#include "tests/bench/bare.h"

#include <cstdio>
#include <cstring>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "src/log/frame.h"
#include "tests/bench/bench.h"

namespace eddy::bench {

BareAppend::BareAppend(const std::string& path, size_t bytes)
    : path_(path), bytes_(bytes), memory_(Ok(DefaultPlatform().files->MapShared(path, bytes))) {
  std::memset(memory_->data(), 0, bytes_);  // touches the pages
}

BareAppend::~BareAppend() { std::remove(path_.c_str()); }

void BareAppend::Append(std::string_view key, std::string_view data) {
  const size_t size = log::kFrameHeaderBytes + key.size() + data.size();
  const size_t aligned = log::AlignFrame(size);
  const uint64_t at = tail_.fetch_add(aligned, std::memory_order_acq_rel);
  if (at + aligned > bytes_) Die("the bare protocol has too little memory");
  char* const frame = memory_->data() + at;
  const int64_t now_ms = DefaultPlatform().clock->WallCoarseMs();
  const uint64_t time = log::FrameTimeWord(static_cast<uint64_t>(now_ms), true, key.size());
  std::memcpy(frame + 8, &time, sizeof(time));
  std::memcpy(frame + log::kFrameHeaderBytes, key.data(), key.size());
  std::memcpy(frame + log::kFrameHeaderBytes + key.size(), data.data(), data.size());
  const uint32_t checksum = static_cast<uint32_t>(XXH3_64bits_withSeed(frame + 8, size - 8, at));
  std::memcpy(frame + 4, &checksum, sizeof(checksum));
  reinterpret_cast<std::atomic<uint32_t>*>(frame)->store(log::FrameWord0(size, 1),
                                                         std::memory_order_release);
}

}  // namespace eddy::bench
