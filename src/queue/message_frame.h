// The frames of a queue's log: what is kept of a message besides its body.
//
//   kind 0   a message as it was sent
//   kind 1   a dead letter: moved here by a receive, or sent by SendDeadLetter
//
// The frame has no key; its time is the wall time of the append. Its body is a
// head and the message's body:
//
//      0       1         17                       then, each only if flagged
//      +-------+---------+-----------------------+---------------------+------+
//      | flags | id      | delay:  u32 delay ms  | dead letter:        | body |
//      |       | 16 bytes|  u64 clock of the     |  u32 receive count  |      |
//      |       |         |      send, ms         |  u32 source queue   |      |
//      |       |         |  u64 hash of the boot |  u64 its position   |      |
//      |       |         |      it was read in   |  i64 first sent ms  |      |
//      |       |         |                       |  u16, u16 lengths   |      |
//      |       |         |                       |  source, reason     |      |
//      +-------+---------+-----------------------+---------------------+------+
//
//   flags  bits 0..3 the format, 1; bit 4 delayed; bit 5 dead letter.
//
// A delay is kept as clock and boot, so that within one boot it ends exactly
// where it should, however often the process restarts; after another boot only
// the wall clock can tell, and it is believed between zero and the whole delay.
// Numbers are in the machine's byte order, as all of a frame. Pure; no I/O.
#ifndef EDDY_SRC_QUEUE_MESSAGE_FRAME_H_
#define EDDY_SRC_QUEUE_MESSAGE_FRAME_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "eddy/platform.h"
#include "src/log/frame.h"

namespace eddy::queue {

inline constexpr uint8_t kMessageKind = 0;
inline constexpr uint8_t kDeadLetterKind = 1;

// Longer source and reason texts are cut: they are for people.
inline constexpr size_t kDeadLetterTextBytesMax = 1024;

using MessageId = std::array<char, 16>;

struct Delay {
  uint32_t delay_ms = 0;
  uint64_t sent_clock_ms = 0;  // Clock::SinceBoot at the send
  uint64_t boot_hash = 0;      // HashBootId of that boot
};

struct DeadLetter {
  uint32_t receive_count = 0;    // goes on from here
  uint32_t source_queue = 0;     // with source_position: which message it was;
  uint64_t source_position = 0;  //   0, 0 for SendDeadLetter
  int64_t first_sent_ms = 0;
  std::string source;
  std::string reason;
};

struct MessageHead {
  MessageId id{};
  std::optional<Delay> delay;
  std::optional<DeadLetter> dead_letter;
};

// A decoded frame. `body` points into the frame's bytes.
struct MessageView {
  MessageHead head;
  std::string_view body;
  int64_t sent_ms = 0;  // of the first send, for a dead letter

  uint32_t carried_receive_count() const {
    return head.dead_letter ? head.dead_letter->receive_count : 0;
  }
};

std::string EncodeHead(const MessageHead& head);

// The same for a message that is no dead letter, without a string: writes to `to`
// and returns the size.
inline constexpr size_t kPlainHeadBytesMax = 1 + 16 + 20;
size_t EncodePlainHead(const MessageId& id, const std::optional<Delay>& delay, char* to);

//   kDataLoss   the bytes are not a message of a format we know.
absl::StatusOr<MessageView> DecodeMessage(const log::FrameView& frame);
// The same in place, into a fresh view.
absl::Status DecodeMessageTo(const log::FrameView& frame, MessageView* message);

// Where we are in time: this boot, its clock, and the wall clock.
struct Moment {
  uint64_t boot_hash = 0;
  absl::Duration since_boot;
  absl::Time wall;
};

// When the delay ends, on the clock of this boot; the past if it has ended.
absl::Duration DelayEnd(const Delay& delay, int64_t sent_wall_ms, const Moment& now);

// Random UUIDs (RFC 9562, version 4) for one call: all from two words of `random`, each
// of which goes on as a sequence of its own (SplitMix64). So two ids are the same only
// if both words met, which is as unlikely as with fresh ones.
class MessageIds {
 public:
  explicit MessageIds(Random& random) : words_{random.Next(), random.Next()} {}
  MessageId Next();

 private:
  uint64_t words_[2];
};
std::string MessageIdText(const MessageId& id);
uint64_t HashBootId(std::string_view boot_id);

}  // namespace eddy::queue

#endif  // EDDY_SRC_QUEUE_MESSAGE_FRAME_H_
