#include "src/stream/shard_iterator.h"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <string>

namespace eddy::stream {
namespace {

const ShardIteratorCodec& Codec() {
  static const ShardIteratorCodec codec(3, "telemetry", 1700000000000);
  return codec;
}

TEST_CASE("an iterator holds its place", "[stream][iterator]") {
  const uint64_t position =
      GENERATE(uint64_t{0}, uint64_t{64}, uint64_t{1} << 45, UINT64_MAX);
  const ShardId shard = GENERATE(0u, 999u, UINT32_MAX);
  const std::string token = Codec().Encode({shard, position});
  CHECK(token.size() == kShardIteratorBytes);
  const absl::StatusOr<ShardPlace> place = Codec().Decode(token);
  REQUIRE(place.ok());
  CHECK(place->shard == shard);
  CHECK(place->position == position);
}

TEST_CASE("an iterator with any character changed is refused",
          "[stream][iterator]") {
  const std::string token = Codec().Encode({1, 123456});
  for (size_t i = 0; i < token.size(); ++i) {
    for (const char c : {'0', '1', 'a', 'f', 'A', 'g', ' ', '\0', '\xff'}) {
      std::string mangled = token;
      if (mangled[i] == c) continue;
      mangled[i] = c;
      CHECK(absl::IsInvalidArgument(Codec().Decode(mangled).status()));
    }
  }
}

TEST_CASE("what is no iterator at all is refused", "[stream][iterator]") {
  const std::string token = Codec().Encode({1, 123456});
  const std::string bad = GENERATE_COPY(
      as<std::string>{}, "", "A", "LATEST", token.substr(1), token + "0",
      token.substr(0, token.size() - 1), token + token, std::string(512, 'A'),
      std::string(1 << 20, 'x'));
  CHECK(absl::IsInvalidArgument(Codec().Decode(bad).status()));
}

TEST_CASE("an iterator of another stream is refused", "[stream][iterator]") {
  const ShardIteratorCodec other =
      GENERATE(ShardIteratorCodec(4, "telemetry", 1700000000000),
               ShardIteratorCodec(3, "telemetrx", 1700000000000),
               ShardIteratorCodec(3, "telemetry", 1700000000001));
  CHECK(absl::IsInvalidArgument(
      Codec().Decode(other.Encode({1, 123456})).status()));
}

}  // namespace
}  // namespace eddy::stream
