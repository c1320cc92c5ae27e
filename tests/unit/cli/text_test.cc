#include "src/cli/text.h"

#include <catch2/catch_test_macros.hpp>
#include <string>

namespace eddy::cli {
namespace {

using namespace std::string_view_literals;

TEST_CASE("a JSON string escapes what JSON forbids and keeps the rest", "[cli]") {
  CHECK(JsonString("pump-7 \xe2\x82\xac") == "\"pump-7 \xe2\x82\xac\"");
  CHECK(JsonString("a\"b\\c\n\0"sv) == "\"a\\\"b\\\\c\\u000a\\u0000\"");
  CHECK(JsonString("\xff!") == "\"\xef\xbf\xbd!\"");
}

TEST_CASE("bytes that are not UTF-8 travel through JSON as base64", "[cli]") {
  CHECK(JsonBytes("data", "text") == "\"data\":\"text\"");
  CHECK(JsonBytes("data", "") == "\"data\":\"\"");
  CHECK(JsonBytes("data", "\xff\0\x01"sv) == "\"data_base64\":\"/wAB\"");
}

TEST_CASE("a record stays on one line without tabs", "[cli]") {
  CHECK(OneLine("a\tb\nc\\d\r\x7f\xff") == "a\\tb\\nc\\\\d\\x0d\\x7f\\xff");
  CHECK(OneLine("\xc3\xa9") == "\xc3\xa9");
}

TEST_CASE("sizes and times are written for people", "[cli]") {
  CHECK(FormatBytes(0) == "0 B");
  CHECK(FormatBytes(1023) == "1023 B");
  CHECK(FormatBytes(1536) == "1.5 KiB");
  CHECK(FormatBytes(uint64_t{5} << 40) == "5.0 TiB");
  CHECK(FormatBytes(uint64_t{5} << 50) == "5120.0 TiB");
  CHECK(FormatTime(1500) == "1970-01-01T00:00:01.500Z");
}

}  // namespace
}  // namespace eddy::cli
