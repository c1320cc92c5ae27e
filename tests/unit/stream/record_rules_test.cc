#include "src/stream/record_rules.h"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <string>

namespace eddy::stream {
namespace {

std::string Repeat(const std::string& text, size_t count) {
  std::string all;
  while (count-- > 0) all += text;
  return all;
}

TEST_CASE("a name has 1 to 128 of a-z, A-Z, 0-9, '_', '.' and '-'",
          "[stream][rules]") {
  const std::string good = GENERATE(as<std::string>{}, "a", "Z", "0", "_", ".",
                                    "-", "a.b_c-D9", std::string(128, 'x'));
  CHECK(CheckName("stream name", good).ok());
  const std::string bad =
      GENERATE(as<std::string>{}, "", " ", "a b", "a/b", "a:b", "\xc3\xa4",
               std::string("a\0", 2), std::string(129, 'x'));
  CHECK(absl::IsInvalidArgument(CheckName("stream name", bad)));
}

TEST_CASE("a partition key may be any UTF-8 of 1 to 256 characters",
          "[stream][rules]") {
  const std::string good = GENERATE(
      std::string("k"), std::string("\0", 1), std::string(256, 'k'),
      // U+0080, U+07FF, U+0800, U+D7FF, U+E000, U+FFFF, U+10000, U+10FFFF
      std::string("\xc2\x80"), std::string("\xdf\xbf"),
      std::string("\xe0\xa0\x80"), std::string("\xed\x9f\xbf"),
      std::string("\xee\x80\x80"), std::string("\xef\xbf\xbf"),
      std::string("\xf0\x90\x80\x80"), std::string("\xf4\x8f\xbf\xbf"),
      Repeat("\xc3\xa4", 256), Repeat("\xf0\x9f\x8c\x8a", 256));
  INFO(good);
  CHECK(CheckPartitionKey(good).ok());
}

TEST_CASE("a partition key that is empty, longer or no UTF-8 is refused",
          "[stream][rules]") {
  const std::string bad = GENERATE(
      std::string(), std::string(257, 'k'), Repeat("\xc3\xa4", 257),
      Repeat("\xf0\x9f\x8c\x8a", 256) + "k", std::string(1 << 20, 'k'),
      std::string("\x80"),  // a continuation alone
      std::string("\xc3"),  // cut
      std::string("\xc3k"), std::string("\xe2\x82"),
      std::string("\xf0\x9f\x8c"),
      std::string("\xc0\x80"),  // over-long forms
      std::string("\xc1\xbf"), std::string("\xe0\x9f\xbf"),
      std::string("\xf0\x8f\xbf\xbf"),
      std::string("\xed\xa0\x80"),      // a surrogate
      std::string("\xf4\x90\x80\x80"),  // above U+10FFFF
      std::string("\xf5\x80\x80\x80"), std::string("\xff"),
      std::string("12345678\xff"), std::string("\xff") + std::string(15, 'k'));
  INFO(bad.size());
  CHECK(absl::IsInvalidArgument(CheckPartitionKey(bad)));
}

TEST_CASE("data and partition key are at most 1 MiB together",
          "[stream][rules]") {
  const std::string key(6, 'k');
  const std::string data(kStreamRecordBytesMax - key.size(), 'd');
  CHECK(CheckRecord(key, data).ok());
  CHECK(absl::IsInvalidArgument(CheckRecord(key, data + "d")));
  CHECK(absl::IsInvalidArgument(CheckRecord(key + "k", data)));
  CHECK(CheckRecord(key, "").ok());
}

TEST_CASE("shard_count is 1 to 1000, and a durability is one that exists",
          "[stream][rules]") {
  CHECK(CheckStreamOptions({1, Durability::kDefault}).ok());
  CHECK(CheckStreamOptions({1000, Durability::kPower}).ok());
  for (const StreamOptions& bad :
       {StreamOptions{0, Durability::kProcess},
        StreamOptions{1001, Durability::kProcess},
        StreamOptions{UINT32_MAX, Durability::kProcess},
        StreamOptions{1, static_cast<Durability>(3)}}) {
    CHECK(absl::IsInvalidArgument(CheckStreamOptions(bad)));
  }
}

}  // namespace
}  // namespace eddy::stream
