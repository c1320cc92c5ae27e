// UTF-8, read strictly (RFC 3629: nothing overlong, no surrogates, nothing above
// U+10FFFF). The one decoder of the house. Pure.
#ifndef EDDY_SRC_BASE_UTF8_H_
#define EDDY_SRC_BASE_UTF8_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "src/base/short_bytes.h"

namespace eddy {

inline constexpr size_t kUtf8BytesMax = 4;  // of a character

// Takes the first character off `text`; absent, and `text` as it was, when what
// stands there is not UTF-8 or there is nothing.
std::optional<char32_t> TakeCharacter(std::string_view* text);

// Characters in `text`, absent when it is not UTF-8.
std::optional<size_t> CharacterCount(std::string_view text);

// The characters of XML 1.0: what the body of an SQS message may hold.
constexpr bool IsXmlCharacter(char32_t c) {
  return c == 0x9 || c == 0xa || c == 0xd || (c >= 0x20 && c <= 0xd7ff) ||
         (c >= 0xe000 && c <= 0xfffd) || (c >= 0x10000 && c <= 0x10ffff);
}

// Eight bytes a step: nearly all text that comes here is ASCII, and fast. The last
// step goes back over some of the one before.
inline bool IsAscii(std::string_view text) {
  constexpr size_t kStep = sizeof(uint64_t);
  uint64_t bits = 0;
  if (text.size() >= kStep) {
    for (size_t at = 0; at + kStep < text.size(); at += kStep) {
      bits |= LoadAt<uint64_t>(text.data() + at);
    }
    bits |= LoadAt<uint64_t>(text.data() + text.size() - kStep);
  } else {
    for (const char c : text) bits |= static_cast<unsigned char>(c);
  }
  return (bits & 0x8080808080808080u) == 0;
}

}  // namespace eddy

#endif  // EDDY_SRC_BASE_UTF8_H_
