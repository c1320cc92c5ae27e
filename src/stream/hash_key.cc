#include "src/stream/hash_key.h"

#include <algorithm>
#include <array>

#include "absl/strings/str_cat.h"
#include "platform/crypto/digest.h"
#include "src/base/strings.h"

namespace eddy::stream {
namespace {

constexpr char kAllowed[] =
    "allowed is a decimal number from 0 to "
    "340282366920938463463374607431768211455 without leading zeros";

absl::Status Malformed(std::string_view decimal, const char* why) {
  // No more of it than a right one has, so that the message stays short.
  const std::string_view shown = decimal.substr(0, kHashKeyDigitsMax + 1);
  return absl::InvalidArgumentError(absl::StrCat(
      "hash key '", AbslView(shown), shown.size() < decimal.size() ? "..." : "",
      "': ", why, "; ", kAllowed));
}

}  // namespace

HashKey HashOf(std::string_view partition_key) {
  const std::array<uint8_t, kHashKeyBytes> digest = crypto::Md5(partition_key);
  return LoadHashKey(reinterpret_cast<const char*>(digest.data()));
}

absl::StatusOr<HashKey> ParseHashKey(std::string_view decimal) {
  if (decimal.empty()) return Malformed(decimal, "it is empty");
  HashKey value = 0;
  for (const char c : decimal) {
    if (c < '0' || c > '9') return Malformed(decimal, "not a decimal number");
  }
  if (decimal.size() > 1 && decimal[0] == '0') {
    return Malformed(decimal, "it has a leading zero");
  }
  if (decimal.size() > kHashKeyDigitsMax) {
    return Malformed(decimal, "it has more than 39 digits");
  }
  for (const char c : decimal) {
    const uint32_t digit = static_cast<uint32_t>(c - '0');
    if (value > (kHashKeyMax - digit) / 10) {
      return Malformed(decimal, "it is above 2^128-1");
    }
    value = value * 10 + digit;
  }
  return value;
}

std::string FormatHashKey(HashKey key) {
  std::string digits;
  do {
    digits.push_back(static_cast<char>('0' + static_cast<int>(key % 10)));
    key /= 10;
  } while (key != 0);
  std::reverse(digits.begin(), digits.end());
  return digits;
}

void StoreHashKey(HashKey key, char* to) {
  for (size_t i = kHashKeyBytes; i-- > 0;) {
    to[i] = static_cast<char>(absl::Uint128Low64(key) & 0xff);
    key >>= 8;
  }
}

HashKey LoadHashKey(const char* from) {
  HashKey key = 0;
  for (size_t i = 0; i < kHashKeyBytes; ++i) {
    key = (key << 8) | static_cast<unsigned char>(from[i]);
  }
  return key;
}

std::vector<HashRange> SplitEvenly(uint32_t count) {
  // floor(2^128 / count), though 2^128 itself has no place in 128 bits. For a
  // single range it wraps to 0, which is then multiplied by 0 only.
  const HashKey step =
      kHashKeyMax / count + (kHashKeyMax % count == count - 1 ? 1 : 0);
  std::vector<HashRange> ranges(count);
  for (uint32_t i = 0; i < count; ++i) {
    ranges[i].starting = step * i;
    if (i > 0) ranges[i - 1].ending = ranges[i].starting - 1;
  }
  return ranges;
}

bool TilesTheSpace(const std::vector<HashRange>& ranges) {
  HashKey expected = 0;
  for (size_t i = 0; i < ranges.size(); ++i) {
    const HashRange& range = ranges[i];
    if (range.starting != expected || range.ending < range.starting) {
      return false;
    }
    if (range.ending == kHashKeyMax) return i + 1 == ranges.size();
    expected = range.ending + 1;
  }
  return false;
}

}  // namespace eddy::stream
