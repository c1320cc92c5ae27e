// What a headroom leaves the files to grow.
#include "src/log/space.h"

#include <cstdint>
#include <string>

#include "catch2/catch_test_macros.hpp"
#include "tests/fakes/device.h"

namespace eddy::log {
namespace {

constexpr uint64_t kMegabyte = 1 << 20;

struct SpaceFixture {
  SpaceFixture() {
    options.headroom_bytes = 100 * kMegabyte;
    device.files.SetContent("/store/eddy.db", std::string(kMegabyte, 'd'));
    device.files.SetFreeBytes(110 * kMegabyte);
  }

  testing::Device device{1};
  StoreOptions options;
};

}  // namespace

TEST_CASE("what is free above the headroom is what the files may grow", "[space]") {
  SpaceFixture f;
  Space space(&f.device.files, &f.device.clock, "/store", f.options);
  CHECK(space.GrowBytesMax(kMegabyte, 5 * kMegabyte) == 10 * kMegabyte);
  // Within the second: what they have grown since is taken off.
  CHECK(space.GrowBytesMax(2 * kMegabyte, 6 * kMegabyte) == 8 * kMegabyte);
  CHECK(space.GrowBytesMax(20 * kMegabyte, 6 * kMegabyte) == 0);
  f.device.clock.Advance(absl::Seconds(2));
  f.device.files.SetFreeBytes(99 * kMegabyte);
  CHECK(space.GrowBytesMax(kMegabyte, 5 * kMegabyte) == 0);
}

TEST_CASE("pages that are in the WAL only have yet to take their part of the disk", "[space]") {
  SpaceFixture f;
  Space space(&f.device.files, &f.device.clock, "/store", f.options);
  CHECK(space.GrowBytesMax(4 * kMegabyte, 0) == 7 * kMegabyte);
  f.device.clock.Advance(absl::Seconds(2));
  CHECK(space.GrowBytesMax(40 * kMegabyte, 0) == 0);
}

TEST_CASE("without a headroom there is no limit", "[space]") {
  SpaceFixture f;
  Space space(&f.device.files, &f.device.clock, "/store", StoreOptions());
  CHECK(space.GrowBytesMax(kMegabyte, kMegabyte) == UINT64_MAX);
}

}  // namespace eddy::log
