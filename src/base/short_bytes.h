// Copying and comparing short pieces of bytes inline: keys are short, and a call
// costs more than the work. Depends on nothing.
#ifndef EDDY_SRC_BASE_SHORT_BYTES_H_
#define EDDY_SRC_BASE_SHORT_BYTES_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace eddy {

// A number at an address of any alignment, in the machine's order.
template <typename T>
T LoadAt(const char* from) {
  T value;
  std::memcpy(&value, from, sizeof(value));
  return value;
}

template <typename T>
void StoreAt(char* to, T value) {
  std::memcpy(to, &value, sizeof(value));
}

// Returns where the copy ends.
inline char* CopyShort(char* to, std::string_view bytes) {
  const size_t size = bytes.size();
  if (size > 16) {
    std::memcpy(to, bytes.data(), size);
  } else if (size >= 8) {  // two words that overlap
    const uint64_t first = LoadAt<uint64_t>(bytes.data());
    const uint64_t last = LoadAt<uint64_t>(bytes.data() + size - 8);
    StoreAt(to, first);
    StoreAt(to + size - 8, last);
  } else {
    for (size_t i = 0; i < size; ++i) to[i] = bytes[i];
  }
  return to + size;
}

inline bool SameShort(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  const size_t size = a.size();
  if (size > 16) return std::memcmp(a.data(), b.data(), size) == 0;
  if (size >= 8) {
    return LoadAt<uint64_t>(a.data()) == LoadAt<uint64_t>(b.data()) &&
           LoadAt<uint64_t>(a.data() + size - 8) == LoadAt<uint64_t>(b.data() + size - 8);
  }
  for (size_t i = 0; i < size; ++i) {
    if (a[i] != b[i]) return false;
  }
  return true;
}

}  // namespace eddy

#endif  // EDDY_SRC_BASE_SHORT_BYTES_H_
