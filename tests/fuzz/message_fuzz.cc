// DecodeMessage: a message out of any frame, or a reason why not.
#include "src/queue/message_frame.h"
#include "tests/fuzz/fuzz.h"

namespace eddy::fuzz {
namespace {

queue::MessageHead Head(bool delayed, bool dead) {
  queue::MessageHead head;
  head.id.fill('i');
  if (delayed) head.delay = queue::Delay{1000, 2000, 3000};
  if (dead) head.dead_letter = queue::DeadLetter{3, 1, 64, 1'700'000'000'000, "orders", "why"};
  return head;
}

bool Same(const queue::MessageHead& a, const queue::MessageHead& b) {
  if (a.id != b.id || a.delay.has_value() != b.delay.has_value() ||
      a.dead_letter.has_value() != b.dead_letter.has_value()) {
    return false;
  }
  if (a.delay && (a.delay->delay_ms != b.delay->delay_ms ||
                  a.delay->sent_clock_ms != b.delay->sent_clock_ms ||
                  a.delay->boot_hash != b.delay->boot_hash)) {
    return false;
  }
  if (!a.dead_letter) return true;
  const queue::DeadLetter& x = *a.dead_letter;
  const queue::DeadLetter& y = *b.dead_letter;
  const auto same_text = [](const std::string& whole, const std::string& kept) {
    return whole == kept || (whole.size() > queue::kDeadLetterTextBytesMax &&
                             whole.compare(0, kept.size(), kept) == 0);
  };
  return x.receive_count == y.receive_count && x.source_queue == y.source_queue &&
         x.source_position == y.source_position && x.first_sent_ms == y.first_sent_ms &&
         same_text(x.source, y.source) && same_text(x.reason, y.reason);
}

}  // namespace

std::vector<std::string> Seeds() {
  std::vector<std::string> seeds;
  for (const bool delayed : {false, true}) {
    for (const bool dead : {false, true}) {
      const uint8_t kind = dead ? queue::kDeadLetterKind : queue::kMessageKind;
      seeds.push_back(FrameInput(kind, "", queue::EncodeHead(Head(delayed, dead)) + "body"));
    }
  }
  return seeds;
}

}  // namespace eddy::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace eddy;
  fuzz::OwnedFrame frame;
  fuzz::FrameOf(data, size, &frame);
  const absl::StatusOr<queue::MessageView> message = queue::DecodeMessage(frame.view);
  if (!message.ok()) {
    fuzz::Hold(absl::IsDataLoss(message.status()), "another code than kDataLoss");
    return 0;
  }
  fuzz::Hold(message->body.data() + message->body.size() ==
                 frame.view.body.data() + frame.view.body.size(),
             "a body that does not end where the frame ends");
  if (message->head.delay) {
    const queue::Moment now{message->head.delay->boot_hash + 1, absl::Hours(1),
                            absl::FromUnixMillis(frame.view.time_ms)};
    const absl::Duration end = queue::DelayEnd(*message->head.delay, frame.view.time_ms, now);
    fuzz::Hold(end >= now.since_boot &&
                   end <= now.since_boot + absl::Milliseconds(message->head.delay->delay_ms),
               "after another boot a delay ends outside of its length");
  }
  // Written and decoded again, it is the same message.
  const std::string again = queue::EncodeHead(message->head).append(message->body);
  log::FrameView view = frame.view;
  view.body = again;
  const absl::StatusOr<queue::MessageView> second = queue::DecodeMessage(view);
  fuzz::Hold(second.ok() && second->body == message->body &&
                 second->sent_ms == message->sent_ms &&
                 fuzz::Same(message->head, second->head),
             "a message written again is another one");
  return 0;
}
