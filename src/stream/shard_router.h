// ShardRouter: from a partition key to its shard.
//
// MD5 takes longer than all the rest of a Put, and a device has few keys: each
// thread remembers the shards of the last keys it has seen, in a small table
// that all routers of the process share. Nothing in it ever has to be taken
// back: an entry names its router by a number that is never used again.
// Depends on hash_key.h.
#ifndef EDDY_SRC_STREAM_SHARD_ROUTER_H_
#define EDDY_SRC_STREAM_SHARD_ROUTER_H_

#include <cstdint>
#include <string_view>
#include <vector>

#include "eddy/types.h"
#include "src/stream/hash_key.h"

namespace eddy::stream {

// Threads: safe; constant after construction. No lock, no allocation.
class ShardRouter {
 public:
  // `ranges[i]` is that of shard i; they tile the space.
  explicit ShardRouter(const std::vector<HashRange>& ranges);

  ShardId ByHash(HashKey hash) const;
  ShardId ByKey(std::string_view partition_key) const;

 private:
  ShardId ByRememberedKey(std::string_view partition_key) const;

  const uint64_t number_;         // of this router in this process, never 0
  std::vector<HashKey> endings_;  // inclusive, rising
};

}  // namespace eddy::stream

#endif  // EDDY_SRC_STREAM_SHARD_ROUTER_H_
