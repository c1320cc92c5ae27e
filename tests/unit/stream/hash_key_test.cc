#include "src/stream/hash_key.h"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <string>

namespace eddy::stream {
namespace {

TEST_CASE("a hash key is read back from its decimal form", "[stream][hash]") {
  const char* const decimal = GENERATE(
      "0", "1", "9", "10", "18446744073709551615", "18446744073709551616",
      "170141183460469231731687303715884105728",
      "340282366920938463463374607431768211455");
  const absl::StatusOr<HashKey> key = ParseHashKey(decimal);
  REQUIRE(key.ok());
  CHECK(FormatHashKey(*key) == decimal);
  char bytes[kHashKeyBytes];
  StoreHashKey(*key, bytes);
  CHECK(LoadHashKey(bytes) == *key);
}

TEST_CASE("a hash key that is no decimal number of the range is refused",
          "[stream][hash]") {
  const std::string bad =
      GENERATE(as<std::string>{}, "", "-1", "+1", " 1", "1 ", "00", "01", "0x1",
               "1e3", "a", "340282366920938463463374607431768211456",
               "999999999999999999999999999999999999999",
               "3402823669209384634633746074317682114550",
               std::string("1\0", 2), "\xd9\xa1", std::string(1 << 20, '1'));
  const absl::StatusOr<HashKey> key = ParseHashKey(bad);
  CHECK(absl::IsInvalidArgument(key.status()));
  CHECK(key.status().message().size() < 300);
}

TEST_CASE("a stored hash key is big-endian", "[stream][hash]") {
  char bytes[kHashKeyBytes];
  StoreHashKey(absl::MakeUint128(0x0102030405060708, 0x090a0b0c0d0e0f10),
               bytes);
  for (size_t i = 0; i < kHashKeyBytes; ++i) {
    CHECK(bytes[i] == static_cast<char>(i + 1));
  }
}

TEST_CASE("ranges with a gap, an overlap or an end too many do not tile",
          "[stream][hash]") {
  CHECK(TilesTheSpace({{0, kHashKeyMax}}));
  CHECK(TilesTheSpace({{0, 9}, {10, kHashKeyMax}}));
  CHECK_FALSE(TilesTheSpace({}));
  CHECK_FALSE(TilesTheSpace({{1, kHashKeyMax}}));
  CHECK_FALSE(TilesTheSpace({{0, kHashKeyMax - 1}}));
  CHECK_FALSE(TilesTheSpace({{0, 9}, {11, kHashKeyMax}}));
  CHECK_FALSE(TilesTheSpace({{0, 9}, {9, kHashKeyMax}}));
  CHECK_FALSE(TilesTheSpace({{0, kHashKeyMax}, {0, kHashKeyMax}}));
  CHECK_FALSE(TilesTheSpace({{0, 9}, {10, 8}, {9, kHashKeyMax}}));
}

}  // namespace
}  // namespace eddy::stream
