#include "src/base/utf8.h"

namespace eddy {

std::optional<char32_t> TakeCharacter(std::string_view* text) {
  if (text->empty()) return std::nullopt;
  const auto byte = [text](size_t i) { return static_cast<unsigned char>((*text)[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) {
    text->remove_prefix(1);
    return first;
  }
  // Length, the bits of the first byte, and the smallest character that needs
  // so many bytes: below it the form is overlong.
  size_t size;
  char32_t character;
  char32_t least;
  if ((first & 0xe0) == 0xc0) {
    size = 2, character = first & 0x1f, least = 0x80;
  } else if ((first & 0xf0) == 0xe0) {
    size = 3, character = first & 0x0f, least = 0x800;
  } else if ((first & 0xf8) == 0xf0) {
    size = 4, character = first & 0x07, least = 0x10000;
  } else {
    return std::nullopt;
  }
  if (text->size() < size) return std::nullopt;
  for (size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return std::nullopt;
    character = character << 6 | (byte(i) & 0x3f);
  }
  const bool surrogate = character >= 0xd800 && character <= 0xdfff;
  if (character < least || character > 0x10ffff || surrogate) return std::nullopt;
  text->remove_prefix(size);
  return character;
}

std::optional<size_t> CharacterCount(std::string_view text) {
  size_t count = 0;
  for (; !text.empty(); ++count) {
    if (!TakeCharacter(&text)) return std::nullopt;
  }
  return count;
}

}  // namespace eddy
