#include "src/cli/text.h"

#include <catch2/catch_test_macros.hpp>
#include <string>

namespace eddy::cli {
namespace {

using namespace std::string_view_literals;

TEST_CASE("a UTF-8 sequence is told from what only looks like one", "[cli]") {
  CHECK(Utf8Length("a") == 1);
  CHECK(Utf8Length("\xc3\xa9") == 2);          // e with acute
  CHECK(Utf8Length("\xe2\x82\xac") == 3);      // euro sign
  CHECK(Utf8Length("\xf0\x9f\x9a\xa3") == 4);  // a rowing boat
  CHECK(Utf8Length("\xf4\x8f\xbf\xbf") == 4);  // U+10FFFF, the last

  CHECK(Utf8Length("") == 0);
  CHECK(Utf8Length("\x80") == 0);              // a continuation alone
  CHECK(Utf8Length("\xc0\xaf") == 0);          // over-long '/'
  CHECK(Utf8Length("\xe0\x80\xaf") == 0);      // over-long '/'
  CHECK(Utf8Length("\xed\xa0\x80") == 0);      // a surrogate
  CHECK(Utf8Length("\xf4\x90\x80\x80") == 0);  // beyond U+10FFFF
  CHECK(Utf8Length("\xe2\x82") == 0);          // cut
  CHECK(Utf8Length("\xff") == 0);
}

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
