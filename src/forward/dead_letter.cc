#include "src/forward/dead_letter.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "src/aws/json.h"
#include "src/base/status.h"

namespace eddy::forward {
namespace {

// Of a record's bytes: leaves room for the other members, of which a partition key
// of 256 escaped characters is by far the largest. A multiple of 3, so that parts of
// base64 text can be joined as they are.
constexpr size_t kPartBytesMax = 756 << 10;
constexpr size_t kOtherBytesMax = 16 << 10;
static_assert(kPartBytesMax % 3 == 0);
static_assert(kPartBytesMax / 3 * 4 + kOtherBytesMax <= kMessageBytesMax);

// Two code points that a partition key may hold, U+FFFE and U+FFFF, are not in the
// character set of SQS. As JSON escapes they are; their bytes occur in no other
// character, and only inside the JSON's strings.
std::string InMessageCharacters(std::string json) {
  return absl::StrReplaceAll(json, {{"\xEF\xBF\xBE", "\\ufffe"}, {"\xEF\xBF\xBF", "\\uffff"}});
}

}  // namespace

absl::Status DeadLetterBox::PutRecord(ShardId shard, const WindowRecord& record,
                                      std::string_view reason) {
  const size_t part_count =
      std::max<size_t>(1, (record.data.size() + kPartBytesMax - 1) / kPartBytesMax);
  for (size_t part = 0; part < part_count; ++part) {
    std::string body;
    {
      aws::JsonWriter json(&body);
      json.BeginObject();
      json.Member("stream", source_);
      json.Member("shardId", absl::StrCat("shardId-", absl::Dec(shard, absl::kZeroPad12)));
      json.Member("sequenceNumber", absl::StrCat(record.sequence_number));
      json.Member("partitionKey", record.partition_key);
      if (!record.explicit_hash_key.empty()) {
        json.Member("explicitHashKey", record.explicit_hash_key);
      }
      json.Key("part");
      json.Int(static_cast<int64_t>(part + 1));
      json.Key("parts");
      json.Int(static_cast<int64_t>(part_count));
      json.Key("data");
      json.Base64(std::string_view(record.data).substr(part * kPartBytesMax, kPartBytesMax));
      json.EndObject();
    }
    EDDY_RETURN_IF_ERROR(Put(InMessageCharacters(std::move(body)), reason));
  }
  return absl::OkStatus();
}

absl::Status DeadLetterBox::PutMessage(std::string_view body, std::string_view reason) {
  return Put(body, reason);
}

absl::Status DeadLetterBox::Put(std::string_view body, std::string_view reason) {
  if (queue_ == nullptr) {
    return absl::FailedPreconditionError(
        "the route has no dead-letter queue: set RouteOptions::dead_letter_queue");
  }
  SendOptions options;
  options.durability = Durability::kPower;
  options.delay = absl::ZeroDuration();
  return queue_->SendDeadLetter(body, source_, reason, options).status();
}

}  // namespace eddy::forward
