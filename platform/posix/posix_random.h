// Random numbers, seeded by the kernel.
#ifndef EDDY_PLATFORM_POSIX_POSIX_RANDOM_H_
#define EDDY_PLATFORM_POSIX_POSIX_RANDOM_H_

#include <cstdint>
#include <mutex>

#include "eddy/platform.h"

namespace eddy {

// xoshiro256** (Blackman and Vigna) with 256 bits of seed, enough for
// identifiers that never meet across a fleet. Not for keys: its outputs tell
// its state. A forked child seeds itself anew.
//
// Threads: safe.
class PosixRandom : public Random {
 public:
  PosixRandom();
  uint64_t Next() override;

 private:
  void Seed();

  std::mutex mu_;  // guards what follows
  uint64_t state_[4] = {};
  uint32_t fork_count_ = 0;  // of the process when state_ was seeded
};

}  // namespace eddy

#endif  // EDDY_PLATFORM_POSIX_POSIX_RANDOM_H_
