// Random numbers from a seed: the same seed, the same numbers, on every machine
// and with every standard library (SplitMix64, written out here for that).
#ifndef EDDY_TESTS_FAKES_FAKE_RANDOM_H_
#define EDDY_TESTS_FAKES_FAKE_RANDOM_H_

#include <atomic>
#include <cstdint>

#include "eddy/platform.h"

namespace eddy::testing {

// Threads: safe; with several threads the order of the numbers is theirs.
class FakeRandom : public Random {
 public:
  explicit FakeRandom(uint64_t seed = 1) : state_(seed) {}

  uint64_t Next() override {
    uint64_t z = state_.fetch_add(kGamma, std::memory_order_relaxed) + kGamma;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }

  // Uniform enough for tests in [0, n); n > 0.
  template <typename Integer>
  Integer Below(Integer n) {
    return static_cast<Integer>(Next() % static_cast<uint64_t>(n));
  }

  // True about once in n calls; n > 0.
  bool OneIn(uint64_t n) { return Below(n) == 0; }

 private:
  static constexpr uint64_t kGamma = 0x9e3779b97f4a7c15u;
  std::atomic<uint64_t> state_;
};

}  // namespace eddy::testing

#endif  // EDDY_TESTS_FAKES_FAKE_RANDOM_H_
