// CONTRACT 1.1, 1.3 and trap 4: what a record may be.
#include "tests/contract/stream/kinesis_fixture.h"

namespace eddy {
namespace {

std::string Repeat(std::string_view text, size_t count) {
  std::string all;
  while (count-- > 0) all += text;
  return all;
}

TEST_CASE("a partition key has up to 256 characters, whatever their bytes",
          "[contract][stream]") {
  KinesisFixture f;
  const std::string_view character = GENERATE(
      std::string_view("k"), std::string_view("\xc3\xbc"),
      std::string_view("\xe6\xb3\xa2"), std::string_view("\xf0\x9f\x8c\x8a"));
  const std::string longest = Repeat(character, 256);
  f.Put(longest, "d");
  CHECK(f.Get(f.Iterator(ShardIteratorType::kTrimHorizon))
            .records[0]
            .partition_key == longest);
  const auto longer = f.stream->Put(longest + "k", "d");
  CHECK(absl::IsInvalidArgument(longer.status()));
}

TEST_CASE("a partition key is needed, data is not", "[contract][stream]") {
  KinesisFixture f;
  CHECK(absl::IsInvalidArgument(f.stream->Put("", "d").status()));
  f.Put("k", "");
  CHECK(f.Data(f.Iterator(ShardIteratorType::kTrimHorizon)) ==
        std::vector<std::string>{""});
}

TEST_CASE("a record's limit counts data and partition key",
          "[contract][stream]") {
  KinesisFixture f;
  const std::string data((1 << 20) - 4, 'd');
  f.Put("four", data);
  CHECK(absl::IsInvalidArgument(f.stream->Put("five5", data).status()));
  CHECK(absl::IsInvalidArgument(f.stream->Put("four", data + "d").status()));
}

TEST_CASE(
    "an explicit hash key is a decimal of 0 to 2^128-1 without leading zeros",
    "[contract][stream]") {
  KinesisFixture f;
  f.Put("k", "d", "0");
  f.Put("k", "d", "340282366920938463463374607431768211455");
  for (const char* const bad : {"340282366920938463463374607431768211456", "00",
                                "01", "-1", "0x1", "1.0", "a"}) {
    PutOptions put;
    put.explicit_hash_key = bad;
    CHECK(absl::IsInvalidArgument(f.stream->Put("k", "d", put).status()));
  }
}

TEST_CASE(
    "a stream has a name of 1 to 128 of the allowed characters, and is created "
    "once",
    "[contract][stream]") {
  KinesisFixture f;
  Must(f.store->CreateStream(std::string(128, 'n')));
  Must(f.store->CreateStream("a.B_9-"));
  for (const std::string& bad :
       {std::string(), std::string(129, 'n'), std::string("a b"),
        std::string("a/b"), std::string("\xc3\xbc")}) {
    CHECK(absl::IsInvalidArgument(f.store->CreateStream(bad).status()));
  }
  CHECK(absl::IsAlreadyExists(f.store->CreateStream("telemetry").status()));
}

}  // namespace
}  // namespace eddy
