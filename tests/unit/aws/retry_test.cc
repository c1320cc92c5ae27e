#include "src/aws/retry.h"

#include <catch2/catch_test_macros.hpp>
#include <cstdint>
#include <limits>

namespace eddy::aws {
namespace {

constexpr uint64_t kHighest = std::numeric_limits<uint64_t>::max();
constexpr uint64_t kHalf = uint64_t{1} << 63;

TEST_CASE("the bound doubles from 50 ms to 20 s", "[aws][retry]") {
  const RetryPolicy policy;
  CHECK(RetryDelay(policy, 0, false, kHalf) == absl::Milliseconds(25));
  CHECK(RetryDelay(policy, 1, false, kHalf) == absl::Milliseconds(50));
  CHECK(RetryDelay(policy, 5, false, kHalf) == absl::Milliseconds(800));
  CHECK(RetryDelay(policy, 9, false, kHalf) == absl::Seconds(10));
  CHECK(RetryDelay(policy, 1000000, false, kHalf) == absl::Seconds(10));
}

TEST_CASE("throttling begins at a second", "[aws][retry]") {
  const RetryPolicy policy;
  CHECK(RetryDelay(policy, 0, true, kHalf) == absl::Milliseconds(500));
  CHECK(RetryDelay(policy, 4, true, kHalf) == absl::Seconds(8));
  CHECK(RetryDelay(policy, 5, true, kHalf) == absl::Seconds(10));
}

TEST_CASE("jitter is full: from nothing to the bound", "[aws][retry]") {
  const RetryPolicy policy;
  CHECK(RetryDelay(policy, 0, false, 0) == absl::ZeroDuration());
  CHECK(RetryDelay(policy, 0, false, kHighest) <= absl::Milliseconds(50));
  CHECK(RetryDelay(policy, 0, false, kHighest) > absl::Milliseconds(49));
}

TEST_CASE("an outer loop sets its own cap", "[aws][retry]") {
  RetryPolicy policy;
  policy.cap = absl::Minutes(10);
  CHECK(RetryDelay(policy, 60, false, kHalf) == absl::Minutes(5));
  policy.base = absl::Hours(1);
  CHECK(RetryDelay(policy, 0, false, kHalf) == absl::Minutes(5));
}

TEST_CASE("a server's hint adds at most five seconds", "[aws][retry]") {
  const RetryPolicy policy;
  const absl::Duration delay = absl::Milliseconds(25);
  CHECK(RetryDelay(policy, 0, false, kHalf, absl::ZeroDuration()) == delay);
  CHECK(RetryDelay(policy, 0, false, kHalf, absl::Seconds(2)) == absl::Seconds(2));
  CHECK(RetryDelay(policy, 0, false, kHalf, absl::Hours(1)) == delay + absl::Seconds(5));
  CHECK(RetryDelay(policy, 0, false, kHalf, absl::InfiniteDuration()) == delay + absl::Seconds(5));
  CHECK(RetryDelay(policy, 0, false, kHalf, -absl::Seconds(1)) == delay);
}

TEST_CASE("no attempt number and no policy gives a negative delay", "[aws][retry]") {
  CHECK(RetryDelay({}, -5, false, kHalf) == absl::Milliseconds(25));
  CHECK(RetryDelay({-absl::Seconds(1), {}, absl::Seconds(1)}, 3, false, kHalf) ==
        absl::ZeroDuration());
}

}  // namespace
}  // namespace eddy::aws
