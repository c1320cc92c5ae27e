#include "src/forward/link.h"

#include <catch2/catch_test_macros.hpp>

namespace eddy::forward {
namespace {

constexpr uint64_t kMost = UINT64_MAX;  // the random number that gives the longest delay
constexpr absl::Duration kNow = absl::Seconds(1000);

aws::RetryPolicy Policy() {
  aws::RetryPolicy policy;
  policy.base = absl::Milliseconds(50);
  policy.throttling_base = absl::Seconds(1);
  policy.cap = absl::Minutes(2);
  return policy;
}

absl::Duration DelayAfter(Link& link, Trouble trouble, uint64_t random) {
  link.Failed(trouble, kNow, random);
  return link.next_attempt() - kNow;
}

// The jitter's fraction is below one by the smallest step of 53 bits.
bool IsAbout(absl::Duration d, absl::Duration expected) {
  return d <= expected && d > expected - absl::Microseconds(1);
}

TEST_CASE("a link begins online and may try at once", "[forward][link]") {
  Link link(Policy());
  CHECK(link.state() == LinkState::kOnline);
  CHECK(link.next_attempt() <= absl::ZeroDuration());
}

TEST_CASE("the bound of the delay doubles with each failure, up to the cap", "[forward][link]") {
  Link link(Policy());
  CHECK(IsAbout(DelayAfter(link, Trouble::kUnreachable, kMost), absl::Milliseconds(50)));
  CHECK(IsAbout(DelayAfter(link, Trouble::kUnreachable, kMost), absl::Milliseconds(100)));
  CHECK(IsAbout(DelayAfter(link, Trouble::kUnreachable, kMost), absl::Milliseconds(200)));
  for (int i = 0; i < 100; ++i) link.Failed(Trouble::kUnreachable, kNow, kMost);
  CHECK(IsAbout(DelayAfter(link, Trouble::kUnreachable, kMost), absl::Minutes(2)));

  SECTION("and a success begins it anew") {
    link.Succeeded();
    CHECK(IsAbout(DelayAfter(link, Trouble::kServiceFault, kMost), absl::Milliseconds(50)));
  }
}

TEST_CASE("the delay is drawn from zero up to its bound", "[forward][link]") {
  Link link(Policy());
  CHECK(DelayAfter(link, Trouble::kUnreachable, 0) == absl::ZeroDuration());
  CHECK(DelayAfter(link, Trouble::kUnreachable, uint64_t{1} << 63) == absl::Milliseconds(50));
}

TEST_CASE("throttling, and what needs an operator, begin at a second", "[forward][link]") {
  Link throttled(Policy()), denied(Policy());
  CHECK(IsAbout(DelayAfter(throttled, Trouble::kThrottled, kMost), absl::Seconds(1)));
  CHECK(IsAbout(DelayAfter(denied, Trouble::kNeedsOperator, kMost), absl::Seconds(1)));
}

TEST_CASE("what the service asks for is waited", "[forward][link]") {
  Link link(Policy());
  link.Failed(Trouble::kThrottled, kNow, 0, absl::Seconds(3));
  CHECK(link.next_attempt() == kNow + absl::Seconds(3));
}

TEST_CASE("offline is only what does not answer", "[forward][link]") {
  Link link(Policy());
  link.Failed(Trouble::kUnreachable, kNow, 0);
  CHECK(link.state() == LinkState::kOffline);
  link.Failed(Trouble::kServiceFault, kNow, 0);
  CHECK(link.state() == LinkState::kBackingOff);
  link.Failed(Trouble::kThrottled, kNow, 0);
  CHECK(link.state() == LinkState::kBackingOff);
  link.Failed(Trouble::kUnreachable, kNow, 0);
  CHECK(link.state() == LinkState::kOffline);
  link.Succeeded();
  CHECK(link.state() == LinkState::kOnline);
}

TEST_CASE("a request to be signed anew leaves state and count and is due at once",
          "[forward][link]") {
  Link link(Policy());
  link.Failed(Trouble::kUnreachable, kNow, kMost);
  link.Failed(Trouble::kSignedAnew, kNow, kMost);
  CHECK(link.state() == LinkState::kOffline);
  CHECK(link.next_attempt() == kNow);
  CHECK(IsAbout(DelayAfter(link, Trouble::kUnreachable, kMost), absl::Milliseconds(100)));
}

TEST_CASE("trying now forgets the delay and not the failures", "[forward][link]") {
  Link link(Policy());
  link.Failed(Trouble::kUnreachable, kNow, kMost);
  link.TryNow();
  CHECK(link.next_attempt() <= kNow);
  CHECK(IsAbout(DelayAfter(link, Trouble::kUnreachable, kMost), absl::Milliseconds(100)));
}

}  // namespace
}  // namespace eddy::forward
