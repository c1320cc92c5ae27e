// The protocol of an append and nothing around it, in a mapped file as the intake is:
// claim by fetch_add, coarse clock, copy, XXH3, publish. What this machine can do at
// all; no log behind it, no routing, no segments, no limits.
#ifndef EDDY_TESTS_BENCH_BARE_H_
#define EDDY_TESTS_BENCH_BARE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "eddy/platform.h"

namespace eddy::bench {

// Threads: Append is safe.
class BareAppend {
 public:
  BareAppend(const std::string& path, size_t bytes);
  ~BareAppend();
  void Append(std::string_view key, std::string_view data);  // dies if it is full

 private:
  const std::string path_;
  const size_t bytes_;
  const std::unique_ptr<Mapping> memory_;
  alignas(64) std::atomic<uint64_t> tail_{0};
};

}  // namespace eddy::bench

#endif  // EDDY_TESTS_BENCH_BARE_H_
