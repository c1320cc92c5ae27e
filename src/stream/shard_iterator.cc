#include "src/stream/shard_iterator.h"

#include <array>
#include <optional>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "platform/crypto/digest.h"
#include "src/base/strings.h"

namespace eddy::stream {
namespace {

constexpr char kTokenFormat = 'A';
constexpr size_t kCheckDigits = 16;
constexpr size_t kFieldBytes = kShardIteratorBytes - kCheckDigits;

// Lower-case digits only: one place has one token.
std::optional<uint64_t> ParseHex(std::string_view digits) {
  uint64_t value = 0;
  for (const char c : digits) {
    uint64_t digit;
    if (c >= '0' && c <= '9') {
      digit = static_cast<uint64_t>(c - '0');
    } else if (c >= 'a' && c <= 'f') {
      digit = static_cast<uint64_t>(c - 'a') + 10;
    } else {
      return std::nullopt;
    }
    value = value << 4 | digit;
  }
  return value;
}

}  // namespace

ShardIteratorCodec::ShardIteratorCodec(uint32_t stream_id,
                                       std::string_view stream_name,
                                       int64_t created_ms)
    : stream_id_(stream_id),
      stream_name_(stream_name),
      identity_(absl::StrCat(stream_name_, "/", created_ms, "/")) {}

std::string ShardIteratorCodec::Check(std::string_view fields) const {
  const std::array<uint8_t, 16> digest =
      crypto::Md5(absl::StrCat(identity_, AbslView(fields)));
  return absl::BytesToHexString(absl::string_view(
      reinterpret_cast<const char*>(digest.data()), kCheckDigits / 2));
}

std::string ShardIteratorCodec::Encode(const ShardPlace& place) const {
  std::string token(1, kTokenFormat);
  absl::StrAppend(&token, absl::Hex(stream_id_, absl::kZeroPad8),
                  absl::Hex(place.shard, absl::kZeroPad8),
                  absl::Hex(place.position, absl::kZeroPad16));
  return token + Check(token);
}

absl::StatusOr<ShardPlace> ShardIteratorCodec::Decode(
    std::string_view token) const {
  if (token.size() == kShardIteratorBytes && token[0] == kTokenFormat) {
    const std::string_view fields = token.substr(0, kFieldBytes);
    const auto stream = ParseHex(fields.substr(1, 8));
    const auto shard = ParseHex(fields.substr(9, 8));
    const auto position = ParseHex(fields.substr(17, 16));
    if (stream == stream_id_ && shard.has_value() && position.has_value() &&
        token.substr(kFieldBytes) == Check(fields)) {
      return ShardPlace{static_cast<ShardId>(*shard), *position};
    }
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "shard iterator of ", token.size(), " bytes: not one of the stream ",
      stream_name_, "; take one from GetShardIterator"));
}

}  // namespace eddy::stream
