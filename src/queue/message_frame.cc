#include "src/queue/message_frame.h"

#include <algorithm>
#include <cstring>

#include "absl/base/optimization.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "eddy/queue.h"
#include "platform/crypto/digest.h"
#include "src/base/status.h"
#include "src/queue/byte_io.h"

namespace eddy::queue {
namespace {

constexpr uint8_t kFormat = 1;
constexpr uint8_t kFormatMask = 0x0f;
constexpr uint8_t kDelayed = 1 << 4;
constexpr uint8_t kIsDeadLetter = 1 << 5;

// Both digits of each byte, side by side.
struct HexPairs {
  constexpr HexPairs() : of() {
    constexpr char kDigits[] = "0123456789abcdef";
    for (size_t i = 0; i < 256; ++i) {
      of[2 * i] = kDigits[i >> 4];
      of[2 * i + 1] = kDigits[i & 15];
    }
  }
  char of[512];
};
constexpr HexPairs kHexPairs;

inline void PutHex(unsigned char byte, char* to) {
  std::memcpy(to, kHexPairs.of + 2 * byte, 2);
}

template <typename T>
char* PutRaw(T value, char* to) {
  std::memcpy(to, &value, sizeof(value));
  return to + sizeof(value);
}

// At most the bound, never through the middle of a UTF-8 character.
std::string_view Shorten(std::string_view text) {
  if (text.size() <= kDeadLetterTextBytesMax) return text;
  size_t size = kDeadLetterTextBytesMax;
  while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xc0) == 0x80) --size;
  return text.substr(0, size);
}

}  // namespace

size_t EncodePlainHead(const MessageId& id, const std::optional<Delay>& delay, char* to) {
  char* at = to;
  at = PutRaw(static_cast<uint8_t>(delay ? kFormat | kDelayed : kFormat), at);
  std::memcpy(at, id.data(), id.size());
  at += id.size();
  if (delay) {
    at = PutRaw(delay->delay_ms, at);
    at = PutRaw(delay->sent_clock_ms, at);
    at = PutRaw(delay->boot_hash, at);
  }
  return static_cast<size_t>(at - to);
}

std::string EncodeHead(const MessageHead& head) {
  char plain[kPlainHeadBytesMax];
  std::string bytes(plain, EncodePlainHead(head.id, head.delay, plain));
  if (head.dead_letter) {
    bytes[0] = static_cast<char>(bytes[0] | kIsDeadLetter);
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
  MessageView message;
  EDDY_RETURN_IF_ERROR(DecodeMessageTo(frame, &message));
  return message;
}

absl::Status DecodeMessageTo(const log::FrameView& frame, MessageView* message) {
  ByteReader reader(frame.body);
  message->sent_ms = frame.time_ms;
  const uint8_t flags = reader.Number<uint8_t>();
  const std::string_view id = reader.Bytes(message->head.id.size());
  if (reader.ok()) std::memcpy(message->head.id.data(), id.data(), id.size());
  if (ABSL_PREDICT_FALSE((flags & kDelayed) != 0)) {
    Delay& delay = message->head.delay.emplace();
    delay.delay_ms = reader.Number<uint32_t>();
    delay.sent_clock_ms = reader.Number<uint64_t>();
    delay.boot_hash = reader.Number<uint64_t>();
  }
  if (ABSL_PREDICT_FALSE((flags & kIsDeadLetter) != 0)) {
    DeadLetter& letter = message->head.dead_letter.emplace();
    letter.receive_count = reader.Number<uint32_t>();
    letter.source_queue = reader.Number<uint32_t>();
    letter.source_position = reader.Number<uint64_t>();
    letter.first_sent_ms = reader.Number<int64_t>();
    const size_t source_bytes = reader.Number<uint16_t>();
    const size_t reason_bytes = reader.Number<uint16_t>();
    letter.source = std::string(reader.Bytes(source_bytes));
    letter.reason = std::string(reader.Bytes(reason_bytes));
    message->sent_ms = letter.first_sent_ms;
  }
  const bool kind_fits =
      frame.kind == ((flags & kIsDeadLetter) != 0 ? kDeadLetterKind : kMessageKind);
  if (ABSL_PREDICT_FALSE(!reader.ok() || (flags & kFormatMask) != kFormat || !kind_fits)) {
    return absl::DataLossError(absl::StrCat("position ", frame.position, ": a frame of kind ",
                                            frame.kind, " and ", frame.body.size(),
                                            " bytes is no message"));
  }
  message->body = reader.left();
  return absl::OkStatus();
}

absl::Duration DelayEnd(const Delay& delay, int64_t sent_wall_ms, const Moment& now) {
  const absl::Duration whole = absl::Milliseconds(delay.delay_ms);
  if (delay.boot_hash == now.boot_hash) {
    return absl::Milliseconds(static_cast<int64_t>(delay.sent_clock_ms)) + whole;
  }
  const absl::Duration left = absl::FromUnixMillis(sent_wall_ms) + whole - now.wall;
  return now.since_boot + std::clamp(left, absl::ZeroDuration(), whole);
}

MessageId MessageIds::Next() {
  MessageId id;
  for (size_t i = 0; i < 2; ++i) {
    uint64_t word = (words_[i] += 0x9e3779b97f4a7c15u);
    word = (word ^ (word >> 30)) * 0xbf58476d1ce4e5b9u;
    word = (word ^ (word >> 27)) * 0x94d049bb133111ebu;
    word ^= word >> 31;
    std::memcpy(id.data() + i * sizeof(word), &word, sizeof(word));
  }
  static_assert(sizeof(words_) == sizeof(id));
  id[6] = static_cast<char>((id[6] & 0x0f) | 0x40);
  id[8] = static_cast<char>((id[8] & 0x3f) | 0x80);
  return id;
}

std::string MessageIdText(const MessageId& id) {
  char text[36];
  const auto put = [&](size_t from, size_t bytes, char* to) {
    for (size_t i = from; i < from + bytes; ++i, to += 2) {
      PutHex(static_cast<unsigned char>(id[i]), to);
    }
  };
  put(0, 4, text);
  put(4, 2, text + 9);
  put(6, 2, text + 14);
  put(8, 2, text + 19);
  put(10, 6, text + 24);
  text[8] = text[13] = text[18] = text[23] = '-';
  return std::string(text, sizeof(text));
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
  std::string text(32, '0');
  char* to = &text[0];
  for (const uint8_t byte : crypto::Md5(body)) {
    queue::PutHex(byte, to);
    to += 2;
  }
  return text;
}

}  // namespace eddy
