#include "src/queue/message_rules.h"

#include <cstdint>
#include <cstring>
#include <optional>
#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "src/base/status.h"
#include "src/base/strings.h"
#include "src/base/utf8.h"

namespace eddy::queue {
namespace {

constexpr size_t kMessageBytesMaxLeast = 1024;

// Steps over printable ASCII, in words of eight bytes: nearly all of most bodies.
// In a word, no byte has its high bit set, nor has after 0x20 was taken away: a
// borrow starts only at a byte below 0x20, which then shows its own high bit.
void SkipPrintable(std::string_view* text) {
  constexpr uint64_t kHighBits = 0x8080808080808080u;
  constexpr uint64_t kSpaces = 0x2020202020202020u;
  uint64_t word;
  uint64_t four[4];
  while (text->size() >= sizeof(four)) {
    std::memcpy(four, text->data(), sizeof(four));
    uint64_t high = 0;
    for (const uint64_t one : four) high |= one | (one - kSpaces);
    if ((high & kHighBits) != 0) break;
    text->remove_prefix(sizeof(four));
  }
  while (text->size() >= sizeof(word)) {
    std::memcpy(&word, text->data(), sizeof(word));
    if (((word | (word - kSpaces)) & kHighBits) != 0) return;
    text->remove_prefix(sizeof(word));
  }
}

std::string_view DurabilityName(Durability durability) {
  return durability == Durability::kProcess ? "kProcess" : "kPower";
}

}  // namespace

absl::Status CheckQueueName(std::string_view name) {
  bool good = !name.empty() && name.size() <= kQueueNameBytesMax;
  for (const char c : name) {
    good = good && ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                    (c >= '0' && c <= '9') || c == '_' || c == '-');
  }
  if (good) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "queue name \"", absl::CHexEscape(AbslView(name.substr(0, 2 * kQueueNameBytesMax))),
      "\": 1 to ", kQueueNameBytesMax, " of a-z, A-Z, 0-9, _ and - are allowed"));
}

absl::Status CheckRange(std::string_view what, absl::Duration value, absl::Duration max) {
  if (value >= absl::ZeroDuration() && value <= max) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(AbslView(what), " ",
                                                 absl::FormatDuration(value),
                                                 ": 0 to ", absl::FormatDuration(max),
                                                 " is allowed"));
}

absl::Status CheckDurability(Durability durability) {
  if (durability <= Durability::kPower) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("durability ", static_cast<int>(durability), " is none that exists"));
}

absl::Status CheckQueueOptions(const QueueOptions& options) {
  const auto time = [](std::string_view what, const std::optional<absl::Duration>& value,
                       absl::Duration max) {
    return CheckRange(what, value.value_or(absl::ZeroDuration()), max);
  };
  EDDY_RETURN_IF_ERROR(
      time("visibility_timeout", options.visibility_timeout, kVisibilityTimeoutMax));
  EDDY_RETURN_IF_ERROR(time("delay", options.delay, kDelayMax));
  EDDY_RETURN_IF_ERROR(time("receive_wait_time", options.receive_wait_time, kWaitTimeMax));
  const size_t bytes_max = options.message_bytes_max.value_or(kMessageBytesMax);
  if (bytes_max < kMessageBytesMaxLeast || bytes_max > kMessageBytesMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("message_bytes_max ", bytes_max, ": ", kMessageBytesMaxLeast, " to ",
                     kMessageBytesMax, " is allowed"));
  }
  const int receives = options.max_receive_count.value_or(kMaxReceiveCountDefault);
  if (receives < 1 || receives > kMaxReceiveCountMax) {
    return absl::InvalidArgumentError(absl::StrCat(
        "max_receive_count ", receives, ": 1 to ", kMaxReceiveCountMax, " is allowed"));
  }
  return CheckDurability(options.durability);
}

absl::Status CheckBody(std::string_view body, size_t bytes_max) {
  if (body.empty() || body.size() > bytes_max) {
    return absl::InvalidArgumentError(absl::StrCat("a message body of ", body.size(),
                                                   " bytes: 1 to ", bytes_max,
                                                   " are allowed"));
  }
  std::string_view left = body;
  for (SkipPrintable(&left); !left.empty(); SkipPrintable(&left)) {
    const size_t at = body.size() - left.size();
    const std::optional<char32_t> character = TakeCharacter(&left);
    if (!character) {
      return absl::InvalidArgumentError(
          absl::StrCat("the message body is not UTF-8 at byte ", at, " of ", body.size(),
                       ": send binary data as base64"));
    }
    if (!IsXmlCharacter(*character)) {
      return absl::InvalidArgumentError(absl::StrFormat(
          "the message body has character U+%04X at byte %d: #x9, #xA, #xD, #x20 to "
          "#xD7FF, #xE000 to #xFFFD and #x10000 to #x10FFFF are allowed; send binary "
          "data as base64",
          uint32_t{*character}, at));
    }
  }
  return absl::OkStatus();
}

QueueOptions WithDefaults(QueueOptions options) {
  const auto whole = [](std::optional<absl::Duration>* time, absl::Duration otherwise) {
    *time = absl::Floor(time->value_or(otherwise), absl::Milliseconds(1));
  };
  whole(&options.visibility_timeout, kVisibilityTimeoutDefault);
  whole(&options.delay, absl::ZeroDuration());
  whole(&options.receive_wait_time, absl::ZeroDuration());
  options.message_bytes_max = options.message_bytes_max.value_or(kMessageBytesMax);
  options.max_receive_count = options.max_receive_count.value_or(kMaxReceiveCountDefault);
  if (options.durability == Durability::kDefault) options.durability = Durability::kPower;
  return options;
}

absl::Status CompareOptions(std::string_view name, const QueueOptions& present,
                            const QueueOptions& wanted) {
  const auto differs = [&](std::string_view what, const std::string& has,
                           const std::string& asked) {
    return absl::AlreadyExistsError(absl::StrCat("queue ", AbslView(name), " exists with ",
                                                 AbslView(what), " ", has, ", not ", asked));
  };
  const auto time_differs = [](const std::optional<absl::Duration>& has,
                               const std::optional<absl::Duration>& asked) {
    return asked.has_value() && absl::Floor(*asked, absl::Milliseconds(1)) != *has;
  };
  const auto time = [](const std::optional<absl::Duration>& d) {
    return absl::FormatDuration(*d);
  };
  if (time_differs(present.visibility_timeout, wanted.visibility_timeout)) {
    return differs("visibility_timeout", time(present.visibility_timeout),
                   time(wanted.visibility_timeout));
  }
  if (time_differs(present.delay, wanted.delay)) {
    return differs("delay", time(present.delay), time(wanted.delay));
  }
  if (time_differs(present.receive_wait_time, wanted.receive_wait_time)) {
    return differs("receive_wait_time", time(present.receive_wait_time),
                   time(wanted.receive_wait_time));
  }
  if (wanted.message_bytes_max && present.message_bytes_max != wanted.message_bytes_max) {
    return differs("message_bytes_max", absl::StrCat(*present.message_bytes_max),
                   absl::StrCat(*wanted.message_bytes_max));
  }
  if (!wanted.dead_letter_queue.empty() &&
      present.dead_letter_queue != wanted.dead_letter_queue) {
    return differs("dead_letter_queue", absl::StrCat("\"", present.dead_letter_queue, "\""),
                   absl::StrCat("\"", wanted.dead_letter_queue, "\""));
  }
  if (wanted.max_receive_count && present.max_receive_count != wanted.max_receive_count) {
    return differs("max_receive_count", absl::StrCat(*present.max_receive_count),
                   absl::StrCat(*wanted.max_receive_count));
  }
  if (wanted.durability != Durability::kDefault && present.durability != wanted.durability) {
    return differs("durability", std::string(DurabilityName(present.durability)),
                   std::string(DurabilityName(wanted.durability)));
  }
  return absl::OkStatus();
}

}  // namespace eddy::queue
