#include "src/log/block_row.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace eddy::log {

uint64_t BlockChecksum(std::string_view bytes, int64_t id, int64_t span) {
  const uint64_t seed =
      static_cast<uint64_t>(id) ^ (static_cast<uint64_t>(span) * 0x9e3779b97f4a7c15u);
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

}  // namespace eddy::log
