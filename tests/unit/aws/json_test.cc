#include "src/aws/json.h"

#include <catch2/catch_test_macros.hpp>
#include <limits>
#include <string>
#include <vector>

namespace eddy::aws {
namespace {

TEST_CASE("the writer nests, escapes and encodes", "[aws][json]") {
  std::string out = "before ";
  JsonWriter json(&out);
  json.BeginObject();
  json.Member("a\"", "b\\\n\x01\xc3\xa9");
  json.Key("list");
  json.BeginArray();
  json.Int(std::numeric_limits<int64_t>::min());
  json.Base64("");
  json.Base64("f");
  json.Base64("foobar");
  json.String({});
  json.EndArray();
  json.EndObject();
  CHECK(out == "before {\"a\\\"\":\"b\\\\\\n\\u0001\xc3\xa9\",\"list\":[-9223372036854775808,"
               "\"\",\"Zg==\",\"Zm9vYmFy\",\"\"]}");
}

TEST_CASE("a document answers questions and says absent to the rest", "[aws][json]") {
  const auto document = JsonDocument::Parse(
      R"({"s":"text","i":9007199254740993,"b":true,"n":null,"l":[1,null,"x"],"o":{"k":"v","m":1}})");
  REQUIRE(document.ok());
  const JsonValue root = document->root();
  CHECK(root["s"].String() == "text");
  CHECK(root["i"].Int() == 9007199254740993);  // not a double: that would end in ...992
  CHECK(root["b"].Bool() == true);
  CHECK(root["l"].size() == 3);
  CHECK(root["l"][0].Int() == 1);
  CHECK(root["l"][2].String() == "x");

  CHECK(root["n"].String() == std::nullopt);
  CHECK_FALSE(root["n"].IsObject());
  CHECK(root["absent"]["deeper"][7]["still"].Int() == std::nullopt);
  CHECK(root["s"].Int() == std::nullopt);
  CHECK(root["i"].String() == std::nullopt);
  CHECK(root["i"].Bool() == std::nullopt);
  CHECK(root["l"][1].String() == std::nullopt);
  CHECK(root["l"][3].String() == std::nullopt);
  CHECK(root["l"]["s"].String() == std::nullopt);
  CHECK(root["o"][0].String() == std::nullopt);
  CHECK(root["o"].size() == 0);

  std::vector<std::string> seen;
  root["o"].ForEachString([&seen](std::string_view name, std::string_view value) {
    seen.push_back(std::string(name) + "=" + std::string(value));
  });
  CHECK(seen == std::vector<std::string>{"k=v"});
}

TEST_CASE("integers of 64 bits pass whole, others do not pass", "[aws][json]") {
  struct Row {
    const char* text;
    std::optional<int64_t> value;
  };
  const Row rows[] = {{"9223372036854775807", std::numeric_limits<int64_t>::max()},
                      {"-9223372036854775808", std::numeric_limits<int64_t>::min()},
                      {"9223372036854775808", std::nullopt},
                      {"18446744073709551616", std::nullopt},
                      {"1.0", std::nullopt},
                      {"1e3", std::nullopt},
                      {"\"1\"", std::nullopt}};
  for (const Row& row : rows) {
    INFO(row.text);
    const auto document = JsonDocument::Parse(row.text);
    REQUIRE(document.ok());
    CHECK(document->root().Int() == row.value);
  }
}

TEST_CASE("a number that no double holds is refused", "[aws][json]") {
  CHECK(absl::IsInvalidArgument(JsonDocument::Parse("1e999999999").status()));
  CHECK(absl::IsInvalidArgument(JsonDocument::Parse("NaN").status()));
}

TEST_CASE("nesting ends at its bound", "[aws][json]") {
  const auto nested = [](size_t depth, char open, char close) {
    return std::string(depth, open) + std::string(depth, close);
  };
  CHECK(JsonDocument::Parse(nested(kJsonDepthMax, '[', ']')).ok());
  const absl::Status status = JsonDocument::Parse(nested(kJsonDepthMax + 1, '[', ']')).status();
  CHECK(status.message() == "JSON nested deeper than 32");
  CHECK(absl::IsInvalidArgument(JsonDocument::Parse(std::string(1000000, '[')).status()));
  std::string objects;
  for (int i = 0; i < 100000; ++i) objects += "{\"a\":";
  CHECK(absl::IsInvalidArgument(JsonDocument::Parse(objects).status()));
}

TEST_CASE("size ends at its bound", "[aws][json]") {
  CHECK(JsonDocument::Parse("{}" + std::string(kJsonBytesMax - 2, ' ')).ok());
  CHECK(absl::IsInvalidArgument(
      JsonDocument::Parse("{}" + std::string(kJsonBytesMax - 1, ' ')).status()));
}

TEST_CASE("what is not one JSON value is refused", "[aws][json]") {
  using namespace std::string_literals;
  for (const std::string& text : {""s, " "s, "{"s, "{}{}"s, "{} x"s, "{}\0"s, "{}\0{}"s, "\0"s,
                                  "'a'"s, "{a:1}"s, "[1,]"s, "\"\\ud800\""s, "\"\n\""s, "01"s,
                                  "tru"s, "\xef\xbb\xbf"s}) {
    INFO(text);
    CHECK(absl::IsInvalidArgument(JsonDocument::Parse(text).status()));
  }
}

TEST_CASE("a document may be moved under its values", "[aws][json]") {
  auto first = JsonDocument::Parse(R"({"a":"a value that is not short"})");
  REQUIRE(first.ok());
  const JsonValue value = first->root()["a"];
  const JsonDocument second = *std::move(first);
  CHECK(value.String() == "a value that is not short");
}

}  // namespace
}  // namespace eddy::aws
