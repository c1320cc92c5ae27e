#include "src/queue/message_frame.h"

#include <optional>
#include <set>

#include <catch2/catch_test_macros.hpp>

#include "eddy/queue.h"
#include "src/queue/delivery_journal.h"
#include "tests/fakes/fake_random.h"

namespace eddy::queue {
namespace {

log::FrameView Frame(uint8_t kind, const std::string& bytes) {
  log::FrameView frame;
  frame.kind = kind;
  frame.time_ms = 1234;
  frame.body = bytes;
  return frame;
}

MessageHead WholeHead() {
  MessageHead head;
  testing::FakeRandom random(5);
  head.id = MessageIds(random).Next();
  head.delay = Delay{60000, 123456, 99};
  head.dead_letter = DeadLetter{4, 3, 640, 1111, "jobs", "receive count 5 above 4"};
  return head;
}

TEST_CASE("a plain message costs 17 bytes of head", "[queue][frame]") {
  CHECK(EncodeHead(MessageHead()).size() == 17);
}

TEST_CASE("what is written into a head is read back", "[queue][frame]") {
  const MessageHead head = WholeHead();
  const std::string bytes = EncodeHead(head) + "the body";
  const auto message = DecodeMessage(Frame(kDeadLetterKind, bytes));
  REQUIRE(message.ok());
  CHECK(message->body == "the body");
  CHECK(message->sent_ms == 1111);  // of the first send
  CHECK(message->head.id == head.id);
  CHECK(message->head.delay->delay_ms == 60000);
  CHECK(message->head.delay->sent_clock_ms == 123456);
  CHECK(message->head.delay->boot_hash == 99);
  CHECK(message->carried_receive_count() == 4);
  CHECK(message->head.dead_letter->source_queue == 3);
  CHECK(message->head.dead_letter->source_position == 640);
  CHECK(message->head.dead_letter->source == "jobs");
  CHECK(message->head.dead_letter->reason == "receive count 5 above 4");
}

TEST_CASE("a cut or foreign head is data loss, never a wild read", "[queue][frame]") {
  const std::string bytes = EncodeHead(WholeHead());
  for (size_t size = 0; size < bytes.size(); ++size) {
    const std::string cut = bytes.substr(0, size);
    CHECK(absl::IsDataLoss(DecodeMessage(Frame(kDeadLetterKind, cut)).status()));
  }
  CHECK(DecodeMessage(Frame(kDeadLetterKind, bytes)).ok());
  CHECK(absl::IsDataLoss(DecodeMessage(Frame(kMessageKind, bytes)).status()));
  std::string newer = bytes;
  newer[0] = static_cast<char>(newer[0] + 1);
  CHECK(absl::IsDataLoss(DecodeMessage(Frame(kDeadLetterKind, newer)).status()));
}

TEST_CASE("over-long dead-letter texts are cut between characters", "[queue][frame]") {
  MessageHead head;
  head.dead_letter = DeadLetter{};
  for (size_t i = 0; i < kDeadLetterTextBytesMax; ++i) head.dead_letter->reason += "\u00e9";
  head.dead_letter->source = "x" + head.dead_letter->reason;
  const std::string bytes = EncodeHead(head);
  const auto message = DecodeMessage(Frame(kDeadLetterKind, bytes));
  REQUIRE(message.ok());
  CHECK(message->head.dead_letter->reason.size() == kDeadLetterTextBytesMax);
  CHECK(message->head.dead_letter->source.size() == kDeadLetterTextBytesMax - 1);
}

TEST_CASE("a delay ends by the clock within its boot, by the wall clock after it",
          "[queue][frame][time]") {
  const Delay delay{60000, 100000, 7};  // sent at 100 s of boot 7
  const absl::Time wall = absl::FromUnixSeconds(5000);
  const int64_t sent_ms = 5000 * 1000;
  struct Row {
    const char* what;
    Moment now;
    absl::Duration end;
  };
  const Row rows[] = {
      {"same boot", {7, absl::Seconds(110), wall}, absl::Seconds(160)},
      {"same boot, the wall clock jumped",
       {7, absl::Seconds(110), wall + absl::Hours(9)},
       absl::Seconds(160)},
      {"next boot, 20 s later", {8, absl::Seconds(3), wall + absl::Seconds(20)},
       absl::Seconds(43)},
      {"next boot, long after", {8, absl::Seconds(3), wall + absl::Hours(1)}, absl::Seconds(3)},
      {"next boot, a clock without battery",
       {8, absl::Seconds(3), absl::UnixEpoch()},
       absl::Seconds(63)},
  };
  for (const Row& row : rows) {
    INFO(row.what);
    CHECK(DelayEnd(delay, sent_ms, row.now) == row.end);
  }
}

TEST_CASE("message ids are random UUIDs of version 4", "[queue][frame]") {
  testing::FakeRandom random(3);
  std::set<std::string> seen;
  std::optional<MessageIds> ids;
  for (int i = 0; i < 1000; ++i) {
    if (i % 10 == 0) ids.emplace(random);  // calls of ten
    const std::string text = MessageIdText(ids->Next());
    REQUIRE(text.size() == 36);
    CHECK(text[8] == '-');
    CHECK(text[14] == '4');
    CHECK(std::string("89ab").find(text[19]) != std::string::npos);
    CHECK(seen.insert(text).second);
  }
}

TEST_CASE("the md5 of a body is that of RFC 1321", "[queue][frame]") {
  CHECK(Md5OfBody("message digest") == "f96b697d7cb7938d525a2f31aaf161d0");
}

TEST_CASE("journal records are read back, and damaged ones are data loss", "[queue][journal]") {
  std::string op;
  DeliveryChange received;
  received.position = 640;
  received.receive_count = 3;
  received.first_received_ms = 99;
  AppendChange(received, &op);
  DeliveryChange gone;
  gone.position = 644;
  gone.gone = true;
  AppendChange(gone, &op);
  const auto changes = DecodeChanges(op);
  REQUIRE(changes.ok());
  REQUIRE(changes->size() == 2);
  CHECK((*changes)[0].position == 640);
  CHECK((*changes)[0].receive_count == 3);
  CHECK((*changes)[0].first_received_ms == 99);
  CHECK((*changes)[1].position == 644);
  CHECK((*changes)[1].gone);
  for (size_t size : {size_t{1}, size_t{20}, op.size() - 1}) {
    CHECK(absl::IsDataLoss(DecodeChanges(op.substr(0, size)).status()));
  }
  CHECK(absl::IsDataLoss(DecodeChanges("\x09").status()));
  CHECK(DecodeChanges("")->empty());
}

}  // namespace
}  // namespace eddy::queue
