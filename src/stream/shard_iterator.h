// Shard iterators: a place in a shard as text that a caller may keep.
//
//     "A" | stream, 8 hex digits | shard, 8 | position, 16 | check, 16
//
// The check is the start of the MD5 over what is before it and over which
// stream of which store this is (name and time of creation), so that a token of
// another stream, or a mangled one, is refused rather than read from some other
// place. It is no secret: whoever may call GetRecords may also make one up.
//
// A token is a position, not a cursor: it holds all there is to know, so it may
// be used twice, and it outlives the process. Depends on platform/crypto. Pure.
#ifndef EDDY_SRC_STREAM_SHARD_ITERATOR_H_
#define EDDY_SRC_STREAM_SHARD_ITERATOR_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "eddy/types.h"

namespace eddy::stream {

inline constexpr size_t kShardIteratorBytes = 1 + 8 + 8 + 16 + 16;
static_assert(kShardIteratorBytes <= 512, "the contract's limit");

struct ShardPlace {
  ShardId shard = 0;
  uint64_t position = 0;
};

// Threads: safe; constant after construction.
class ShardIteratorCodec {
 public:
  ShardIteratorCodec(uint32_t stream_id, std::string_view stream_name,
                     int64_t created_ms);

  std::string Encode(const ShardPlace& place) const;

  //   kInvalidArgument   not a token that Encode has made for this stream.
  absl::StatusOr<ShardPlace> Decode(std::string_view token) const;

 private:
  std::string Check(std::string_view fields) const;

  const uint32_t stream_id_;
  const std::string stream_name_;
  const std::string identity_;
};

}  // namespace eddy::stream

#endif  // EDDY_SRC_STREAM_SHARD_ITERATOR_H_
