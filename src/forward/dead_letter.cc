#include "src/forward/dead_letter.h"

#include <algorithm>
#include <cstddef>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "src/base/status.h"
#include "src/base/strings.h"

namespace eddy::forward {
namespace {

// Of a record's bytes: leaves room for the other members, of which a partition key
// of 256 escaped characters is by far the largest. A multiple of 3, so that parts of
// base64 text can be joined as they are.
constexpr size_t kPartBytesMax = 768 << 10;
static_assert(kPartBytesMax % 3 == 0);
static_assert(kPartBytesMax / 3 * 4 + 16 * 1024 > kMessageBytesMax - 16 * 1024);

// JSON text in the character set of SQS: two code points that UTF-8 and a partition
// key may hold, U+FFFE and U+FFFF, have to be escaped too.
std::string Quoted(std::string_view text) {
  std::string out = "\"";
  for (size_t i = 0; i < text.size(); ++i) {
    const unsigned char c = static_cast<unsigned char>(text[i]);
    const std::string_view rest = text.substr(i);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += text[i];
    } else if (c < 0x20) {
      absl::StrAppendFormat(&out, "\\u%04x", c);
    } else if (rest.substr(0, 3) == "\xEF\xBF\xBE" || rest.substr(0, 3) == "\xEF\xBF\xBF") {
      out += rest[2] == '\xBE' ? "\\ufffe" : "\\uffff";
      i += 2;
    } else {
      out += text[i];
    }
  }
  out += '"';
  return out;
}

}  // namespace

absl::Status DeadLetterBox::PutRecord(ShardId shard, const WindowRecord& record,
                                      std::string_view reason) {
  std::string head =
      absl::StrCat("{\"stream\":", Quoted(source_), ",\"shardId\":\"shardId-",
                   absl::Dec(shard, absl::kZeroPad12), "\",\"sequenceNumber\":\"",
                   record.sequence_number, "\",\"partitionKey\":",
                   Quoted(record.partition_key));
  if (!record.explicit_hash_key.empty()) {
    absl::StrAppend(&head, ",\"explicitHashKey\":", Quoted(record.explicit_hash_key));
  }
  const size_t part_count =
      std::max<size_t>(1, (record.data.size() + kPartBytesMax - 1) / kPartBytesMax);
  for (size_t part = 0; part < part_count; ++part) {
    const std::string_view data =
        std::string_view(record.data).substr(part * kPartBytesMax, kPartBytesMax);
    EDDY_RETURN_IF_ERROR(
        Put(absl::StrCat(head, ",\"part\":", part + 1, ",\"parts\":", part_count,
                         ",\"data\":\"", absl::Base64Escape(AbslView(data)), "\"}"),
            reason));
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
