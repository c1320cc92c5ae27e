#include "src/forward/request_size.h"

#include <catch2/catch_test_macros.hpp>

namespace eddy::forward {
namespace {

TEST_CASE("a timeout halves what was sent, a success doubles it up to the most",
          "[forward][size]") {
  RequestSize size(1 << 20);
  CHECK(size.bytes() == 1 << 20);
  size.TimedOut(1 << 18);
  CHECK(size.bytes() == 1 << 17);
  size.Succeeded();
  CHECK(size.bytes() == 1 << 18);
  for (int i = 0; i < 10; ++i) size.Succeeded();
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

}  // namespace
}  // namespace eddy::forward
