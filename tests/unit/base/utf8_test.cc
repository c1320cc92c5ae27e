#include "src/base/utf8.h"

#include <catch2/catch_test_macros.hpp>
#include <string>
#include <string_view>

namespace eddy {
namespace {

using namespace std::string_view_literals;

TEST_CASE("characters are counted, not bytes", "[base][utf8]") {
  CHECK(CharacterCount("") == 0);
  CHECK(CharacterCount("abc") == 3);
  CHECK(CharacterCount("\xc3\xa9\xe2\x82\xac\xf0\x9f\x9a\xb0") == 3);
}

TEST_CASE("what only looks like UTF-8 has no characters", "[base][utf8]") {
  for (const char* bad : {"\x80", "\xc3", "\xc3(", "\xc0\x80", "\xc0\xaf", "\xe0\x80\x80",
                          "\xf0\x80\x80\x80", "\xed\xa0\x80", "\xed\xbf\xbf", "\xf4\x90\x80\x80",
                          "\xf8\x88\x80\x80", "\xff", "a\xe2\x82"}) {
    CHECK(CharacterCount(bad) == std::nullopt);
  }
}

TEST_CASE("a character is taken off the front, and what is none stays", "[base][utf8]") {
  std::string_view text = "\xe2\x82\xac!\xf4\x8f\xbf\xbf\xff";
  CHECK(TakeCharacter(&text) == U'\u20ac');
  CHECK(TakeCharacter(&text) == U'!');
  CHECK(TakeCharacter(&text) == char32_t{0x10ffff});
  CHECK(TakeCharacter(&text) == std::nullopt);
  CHECK(text == "\xff");
  text = "";
  CHECK(TakeCharacter(&text) == std::nullopt);
}

TEST_CASE("XML leaves out most control characters and two that are none", "[base][utf8]") {
  for (const char32_t c : {0x9, 0xa, 0xd, 0x20, 0x7f, 0xd7ff, 0xe000, 0xfffd, 0x10000, 0x10ffff}) {
    CHECK(IsXmlCharacter(c));
  }
  for (const char32_t c : {0x0, 0x8, 0xb, 0x1f, 0xd800, 0xdfff, 0xfffe, 0xffff, 0x110000}) {
    CHECK_FALSE(IsXmlCharacter(c));
  }
}

TEST_CASE("a byte above 0x7f is found wherever it stands", "[base][utf8]") {
  CHECK(IsAscii(""));
  for (size_t size = 1; size < 20; ++size) {
    const std::string ascii(size, '\x7f');
    CHECK(IsAscii(ascii));
    for (size_t i = 0; i < size; ++i) {
      std::string other = ascii;
      other[i] = '\x80';
      CHECK_FALSE(IsAscii(other));
    }
  }
}

}  // namespace
}  // namespace eddy
