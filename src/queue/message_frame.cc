#include "src/queue/message_frame.h"

#include <algorithm>
#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "eddy/queue.h"
#include "platform/crypto/digest.h"
#include "src/queue/byte_io.h"

namespace eddy::queue {
namespace {

constexpr uint8_t kFormat = 1;
constexpr uint8_t kFormatMask = 0x0f;
constexpr uint8_t kDelayed = 1 << 4;
constexpr uint8_t kIsDeadLetter = 1 << 5;

constexpr char kHexDigits[] = "0123456789abcdef";

void AppendHex(unsigned char byte, std::string* text) {
  text->push_back(kHexDigits[byte >> 4]);
  text->push_back(kHexDigits[byte & 15]);
}

// At most the bound, never through the middle of a UTF-8 character.
std::string_view Shorten(std::string_view text) {
  if (text.size() <= kDeadLetterTextBytesMax) return text;
  size_t size = kDeadLetterTextBytesMax;
  while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xc0) == 0x80) --size;
  return text.substr(0, size);
}

}  // namespace

std::string EncodeHead(const MessageHead& head) {
  std::string bytes;
  bytes.reserve(sizeof(uint8_t) + head.id.size());  // all there is of most messages
  uint8_t flags = kFormat;
  if (head.delay) flags |= kDelayed;
  if (head.dead_letter) flags |= kIsDeadLetter;
  PutNumber(&bytes, flags);
  bytes.append(head.id.data(), head.id.size());
  if (head.delay) {
    PutNumber(&bytes, head.delay->delay_ms);
    PutNumber(&bytes, head.delay->sent_clock_ms);
    PutNumber(&bytes, head.delay->boot_hash);
  }
  if (head.dead_letter) {
    const DeadLetter& letter = *head.dead_letter;
    const std::string_view source = Shorten(letter.source);
    const std::string_view reason = Shorten(letter.reason);
    PutNumber(&bytes, letter.receive_count);
    PutNumber(&bytes, letter.source_queue);
    PutNumber(&bytes, letter.source_position);
    PutNumber(&bytes, letter.first_sent_ms);
    PutNumber(&bytes, static_cast<uint16_t>(source.size()));
    PutNumber(&bytes, static_cast<uint16_t>(reason.size()));
    bytes.append(source);
    bytes.append(reason);
  }
  return bytes;
}

absl::StatusOr<MessageView> DecodeMessage(const log::FrameView& frame) {
  ByteReader reader(frame.body);
  MessageView message;
  message.sent_ms = frame.time_ms;
  const uint8_t flags = reader.Number<uint8_t>();
  const std::string_view id = reader.Bytes(message.head.id.size());
  if (reader.ok()) std::memcpy(message.head.id.data(), id.data(), id.size());
  if ((flags & kDelayed) != 0) {
    Delay& delay = message.head.delay.emplace();
    delay.delay_ms = reader.Number<uint32_t>();
    delay.sent_clock_ms = reader.Number<uint64_t>();
    delay.boot_hash = reader.Number<uint64_t>();
  }
  if ((flags & kIsDeadLetter) != 0) {
    DeadLetter& letter = message.head.dead_letter.emplace();
    letter.receive_count = reader.Number<uint32_t>();
    letter.source_queue = reader.Number<uint32_t>();
    letter.source_position = reader.Number<uint64_t>();
    letter.first_sent_ms = reader.Number<int64_t>();
    const size_t source_bytes = reader.Number<uint16_t>();
    const size_t reason_bytes = reader.Number<uint16_t>();
    letter.source = std::string(reader.Bytes(source_bytes));
    letter.reason = std::string(reader.Bytes(reason_bytes));
    message.sent_ms = letter.first_sent_ms;
  }
  const bool kind_fits =
      frame.kind == ((flags & kIsDeadLetter) != 0 ? kDeadLetterKind : kMessageKind);
  if (!reader.ok() || (flags & kFormatMask) != kFormat || !kind_fits) {
    return absl::DataLossError(absl::StrCat("position ", frame.position, ": a frame of kind ",
                                            frame.kind, " and ", frame.body.size(),
                                            " bytes is no message"));
  }
  message.body = reader.left();
  return message;
}

absl::Duration DelayEnd(const Delay& delay, int64_t sent_wall_ms, const Moment& now) {
  const absl::Duration whole = absl::Milliseconds(delay.delay_ms);
  if (delay.boot_hash == now.boot_hash) {
    return absl::Milliseconds(static_cast<int64_t>(delay.sent_clock_ms)) + whole;
  }
  const absl::Duration left = absl::FromUnixMillis(sent_wall_ms) + whole - now.wall;
  return now.since_boot + std::clamp(left, absl::ZeroDuration(), whole);
}

MessageId NewMessageId(Random& random) {
  MessageId id;
  const uint64_t words[2] = {random.Next(), random.Next()};
  static_assert(sizeof(words) == sizeof(id));
  std::memcpy(id.data(), words, sizeof(words));
  id[6] = static_cast<char>((id[6] & 0x0f) | 0x40);
  id[8] = static_cast<char>((id[8] & 0x3f) | 0x80);
  return id;
}

std::string MessageIdText(const MessageId& id) {
  std::string text(36, '-');
  size_t at = 0;
  for (size_t i = 0; i < id.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) ++at;
    const unsigned char byte = static_cast<unsigned char>(id[i]);
    text[at++] = kHexDigits[byte >> 4];
    text[at++] = kHexDigits[byte & 15];
  }
  return text;
}

uint64_t HashBootId(std::string_view boot_id) {
  uint64_t hash = 0xcbf29ce484222325u;  // FNV-1a: boots need telling apart, no more
  for (const char c : boot_id) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  }
  return hash;
}

}  // namespace eddy::queue

namespace eddy {

std::string Md5OfBody(std::string_view body) {
  std::string text;
  text.reserve(32);
  for (const uint8_t byte : crypto::Md5(body)) queue::AppendHex(byte, &text);
  return text;
}

}  // namespace eddy
