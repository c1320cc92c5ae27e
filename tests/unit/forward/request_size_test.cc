#include "src/forward/request_size.h"

#include <catch2/catch_test_macros.hpp>

namespace eddy::forward {
namespace {

TEST_CASE("a timeout halves what was sent, and successes bring it back to the most",
          "[forward][size]") {
  RequestSize size(1 << 20);
  CHECK(size.bytes() == 1 << 20);
  size.TimedOut(1 << 18);
  CHECK(size.bytes() == 1 << 17);
  for (int i = 0; i < 20; ++i) size.Succeeded(size.bytes());
  CHECK(size.bytes() == 1 << 20);
}

TEST_CASE("below half of what timed out size doubles, above it grows by sixteenths",
          "[forward][size]") {
  RequestSize size(1 << 20);
  size.TimedOut(1 << 20);
  size.TimedOut(1 << 19);
  size.TimedOut(1 << 18);
  CHECK(size.bytes() == 1 << 17);
  size.Succeeded(1 << 17);
  CHECK(size.bytes() == (1 << 17) + (1 << 14));

  SECTION("so that few requests reach it again") {
    int successes = 0;
    while (size.bytes() < 1 << 18) {
      size.Succeeded(size.bytes());
      ++successes;
    }
    CHECK(successes == 7);
  }
  SECTION("until one as large has passed") {
    size.Succeeded(1 << 18);
    const size_t before = size.bytes();
    size.Succeeded(before);
    CHECK(size.bytes() == 2 * before);
  }
}

TEST_CASE("on a link of one speed few requests time out", "[forward][size]") {
  constexpr size_t kPasses = 30000;
  RequestSize size(5 << 20);
  int timeouts = 0;
  for (int i = 0; i < 1000; ++i) {
    const size_t sent = size.bytes();
    if (sent > kPasses) {
      ++timeouts;
      size.TimedOut(sent);
    } else {
      size.Succeeded(sent);
    }
  }
  CHECK(timeouts < 130);  // doubling after each success: 500
}

TEST_CASE("a request that was less than half full proves nothing of larger ones",
          "[forward][size]") {
  RequestSize size(1 << 20);
  size.TimedOut(1 << 20);
  for (int i = 0; i < 100; ++i) size.Succeeded((1 << 18) - 1);
  CHECK(size.bytes() == 1 << 19);
}

TEST_CASE("entries of just above half the size do not keep it from growing", "[forward][size]") {
  RequestSize size(1 << 20);
  for (int i = 0; i < 20; ++i) size.TimedOut(1 << 20);
  CHECK(size.bytes() == 4096);
  for (int i = 0; i < 1000; ++i) size.Succeeded(size.bytes() / 2100 * 2100);
  CHECK(size.bytes() == 1 << 20);
}

TEST_CASE("timeouts do not shrink a request below its least, nor grow it", "[forward][size]") {
  RequestSize size(1 << 20);
  for (int i = 0; i < 50; ++i) size.TimedOut(1 << 20);
  CHECK(size.bytes() == RequestSize::kBytesMin);
  size.TimedOut(100);
  CHECK(size.bytes() == RequestSize::kBytesMin);

  RequestSize tiny(100);
  tiny.TimedOut(100);
  CHECK(tiny.bytes() == 100);
}

TEST_CASE("a refusal for the size shrinks a request down to one entry", "[forward][size]") {
  RequestSize size(1 << 20);
  for (size_t sent = 1 << 20; sent > 1; sent /= 2) size.TooLarge(sent);
  CHECK(size.bytes() == 1);
}

TEST_CASE("a limit that becomes known raises what never failed, and keeps what was learnt",
          "[forward][size]") {
  RequestSize size(262144);
  size.SetMax(1 << 20);
  CHECK(size.bytes() == 1 << 20);
  size.TimedOut(10000);
  size.SetMax(1 << 20);
  CHECK(size.bytes() == 5000);
  size.SetMax(1024);
  CHECK(size.bytes() == 1024);
}

}  // namespace
}  // namespace eddy::forward
