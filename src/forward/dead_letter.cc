#include "src/forward/dead_letter.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/time.h"
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

// One look at a commit that does not come; the route looks again.
constexpr absl::Duration kCommitWaitMax = absl::Seconds(10);

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
  const auto body = [&](size_t part) {
    std::string text;
    {
      aws::JsonWriter json(&text);
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
    return InMessageCharacters(std::move(text));
  };
  return Put(absl::StrCat(shard, "/", record.sequence_number), part_count, body, reason);
}

absl::Status DeadLetterBox::PutMessage(std::string_view message_id, std::string_view body,
                                       std::string_view reason) {
  return Put(std::string(message_id), 1, [body](size_t) { return body; }, reason);
}

template <typename Body>
absl::Status DeadLetterBox::Put(std::string id, size_t part_count, const Body& body,
                                std::string_view reason) {
  if (queue_ == nullptr) {
    return absl::FailedPreconditionError(
        "the route has no dead-letter queue: set RouteOptions::dead_letter_queue");
  }
  if (letter_.id != id) letter_ = Letter{std::move(id), 0, {}};
  // Accepted first and waited for by its token: at kPower one status would have to say
  // both, and what was accepted must not be appended again.
  SendOptions options;
  options.durability = Durability::kProcess;
  options.delay = absl::ZeroDuration();
  while (letter_.parts_accepted < part_count) {
    EDDY_ASSIGN_OR_RETURN(
        const SendResult sent,
        queue_->SendDeadLetter(body(letter_.parts_accepted), source_, reason, options));
    ++letter_.parts_accepted;
    letter_.token = sent.token;
  }
  const absl::Status committed = store_->Wait(letter_.token, kCommitWaitMax);
  if (!committed.ok()) {
    return absl::UnavailableError(
        absl::StrCat("its dead letter is accepted in queue ", queue_->name(),
                     " and waits for its commit: ", committed.message()));
  }
  letter_ = Letter();
  return absl::OkStatus();
}

}  // namespace eddy::forward
