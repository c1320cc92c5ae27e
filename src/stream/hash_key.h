// Hash keys: the 128-bit space that the shards of a stream divide among them.
//
// A partition key's place is its MD5, read as a big-endian number. Shards own
// ranges, inclusive at both ends, which tile 0..2^128-1 without gap or overlap.
// Depends on platform/crypto for MD5. Pure.
#ifndef EDDY_SRC_STREAM_HASH_KEY_H_
#define EDDY_SRC_STREAM_HASH_KEY_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/numeric/int128.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace eddy::stream {

using HashKey = absl::uint128;

inline constexpr size_t kHashKeyBytes = 16;  // big-endian, as stored
inline constexpr size_t kHashKeyDigitsMax = 39;
inline constexpr HashKey kHashKeyMax =
    absl::MakeUint128(UINT64_MAX, UINT64_MAX);

struct HashRange {
  HashKey starting = 0;
  HashKey ending = kHashKeyMax;  // inclusive
};

HashKey HashOf(std::string_view partition_key);

// Decimal, "0" or without a leading zero, at most 2^128-1.
//   kInvalidArgument   anything else; the message says which rule.
absl::StatusOr<HashKey> ParseHashKey(std::string_view decimal);
std::string FormatHashKey(HashKey key);

void StoreHashKey(HashKey key, char* to);  // kHashKeyBytes
HashKey LoadHashKey(const char* from);     // kHashKeyBytes

// `count` ranges as CreateStream makes them: range i starts at
// i * floor(2^128 / count), the last ends at 2^128-1. `count` > 0.
std::vector<HashRange> SplitEvenly(uint32_t count);

// Whether the ranges, in order, cover every hash key exactly once.
bool TilesTheSpace(const std::vector<HashRange>& ranges);

}  // namespace eddy::stream

#endif  // EDDY_SRC_STREAM_HASH_KEY_H_
