#include "src/queue/delivery.h"

#include <catch2/catch_test_macros.hpp>

namespace eddy::queue {
namespace {

constexpr absl::Duration kNow = absl::Seconds(100);
constexpr absl::Duration kLater = absl::Seconds(130);

DeliveryChange Received(uint64_t position, uint32_t count = 1) {
  DeliveryChange change;
  change.position = position;
  change.receive_count = count;
  change.first_received_ms = 7;
  return change;
}

DeliveryChange Gone(uint64_t position) {
  DeliveryChange change;
  change.position = position;
  change.gone = true;
  return change;
}

// As a queue does with the next untouched message.
void ReceiveNext(DeliveryState& state, uint64_t position) {
  state.Receive(Received(position), kNow, kLater);
  state.PassTo(position + 1);
}

TEST_CASE("deletes in order move the head and leave nothing behind", "[queue][delivery]") {
  DeliveryState state(64);
  for (uint64_t position = 64; position < 64 + 100 * 4; position += 4) {
    ReceiveNext(state, position);
    state.Remove(position);
    CHECK(state.head() == position + 1);
    CHECK(state.entry_count() + state.gone_count() + state.changed_count() == 0);
  }
}

TEST_CASE("a delete out of order is remembered, and costs nothing", "[queue][delivery]") {
  DeliveryState state(64);
  for (uint64_t position : {64, 68, 72}) ReceiveNext(state, position);
  state.Remove(68);
  CHECK(state.head() == 64);
  CHECK(state.entry_count() == 2);
  CHECK(state.gone_count() == 0);
  CHECK(state.IsGone(68));
  CHECK_FALSE(state.IsGone(72));
  state.Remove(64);
  CHECK(state.head() == 72);
  CHECK(state.IsGone(68));
}

TEST_CASE("a million deletes behind one message in flight leave one entry and one row",
          "[queue][delivery][memory][sweep]") {
  DeliveryState state(64);
  ReceiveNext(state, 64);
  DeliverySnapshot snapshot;
  for (uint64_t position = 68; position < 68 + 4000000; position += 4) {
    ReceiveNext(state, position);
    state.Remove(position);
  }
  CHECK(state.head() == 64);
  CHECK(state.entry_count() == 1);
  CHECK(state.gone_count() == 0);
  REQUIRE(state.TakeChanges(&snapshot));
  CHECK(snapshot.head == 64);
  CHECK(snapshot.scan == 68 + 4000000 - 3);
  CHECK(snapshot.changes.size() == 1);
  CHECK(snapshot.erased.empty());
}

TEST_CASE("a message deleted ahead of the scan keeps a mark until the scan is there",
          "[queue][delivery]") {
  DeliveryState state(64);
  REQUIRE(state.Delay(72, kNow));
  state.ExpireUntil(kNow);
  state.Receive(Received(72), kNow, kLater);
  state.Remove(72);
  CHECK(state.gone_count() == 1);
  CHECK(state.IsGone(72));
  DeliverySnapshot snapshot;
  REQUIRE(state.TakeChanges(&snapshot));
  CHECK_FALSE(snapshot.moved);
  REQUIRE(snapshot.changes.size() == 1);
  CHECK(snapshot.changes[0].gone);
  state.Committed(snapshot);
  ReceiveNext(state, 64);
  state.PassTo(76);
  CHECK(state.gone_count() == 0);
  CHECK(state.IsGone(72));
  REQUIRE(state.TakeChanges(&snapshot));
  CHECK(snapshot.moved);
  CHECK(snapshot.scan == 76);
  CHECK(snapshot.erased == std::vector<uint64_t>{72});
}

TEST_CASE("the committed scan passes no delayed message without its row", "[queue][delivery]") {
  DeliveryState state(64);
  REQUIRE(state.Delay(68, kLater));
  ReceiveNext(state, 64);
  state.PassTo(72);
  DeliverySnapshot snapshot;
  REQUIRE(state.TakeChanges(&snapshot));
  CHECK_FALSE(snapshot.moved);  // nothing is gone: the scan need not be known
  REQUIRE(snapshot.changes.size() == 1);
  CHECK(snapshot.changes[0].position == 64);
  state.Committed(snapshot);
  state.Remove(64);
  REQUIRE(state.TakeChanges(&snapshot));
  CHECK(snapshot.moved);
  CHECK(snapshot.head == 68);
  CHECK(snapshot.scan == 72);
  REQUIRE(snapshot.changes.size() == 1);
  CHECK(snapshot.changes[0].position == 68);
  CHECK(snapshot.changes[0].receive_count == 0);
  state.Committed(snapshot);

  SECTION("an open finds it, and asks its frame for how long") {
    DeliveryState again(68, 72);
    again.Restore(snapshot.changes[0], /*committed=*/true, kNow);
    CHECK(again.VisibleEntries(9) == std::vector<uint64_t>{68});
    CHECK(again.Delay(68, kLater));
    CHECK_FALSE(again.Delay(68, kLater));  // once
    CHECK(again.VisibleEntries(9).empty());
    CHECK(again.delayed_count() == 1);
  }
}

TEST_CASE("a message that moves is in flight, and no time ends that", "[queue][delivery][time]") {
  DeliveryState state(64);
  ReceiveNext(state, 64);
  CHECK(state.ExpireUntil(kLater) == 1);
  state.StartMove(64);
  CHECK(state.in_flight_count() == 1);
  CHECK(state.delayed_count() == 0);
  CHECK(state.NextDue() == std::nullopt);
  CHECK(state.ExpireUntil(absl::InfiniteDuration()) == 0);
  CHECK(state.VisibleEntries(10).empty());
  SECTION("it is gone when it has moved") {
    state.Remove(64);
    CHECK(state.entry_count() == 0);
  }
  SECTION("it is visible when it could not") {
    state.StopMove(64);
    CHECK(state.VisibleEntries(10) == std::vector<uint64_t>{64});
  }
  CHECK(state.in_flight_count() == 0);
}

TEST_CASE("a lease ends exactly when it is due", "[queue][delivery][time]") {
  DeliveryState state(64);
  ReceiveNext(state, 64);
  CHECK(state.in_flight_count() == 1);
  CHECK(state.NextDue() == kLater);
  CHECK(state.ExpireUntil(kLater - absl::Nanoseconds(1)) == 0);
  CHECK(state.VisibleEntries(10).empty());
  CHECK(state.ExpireUntil(kLater) == 1);
  CHECK(state.VisibleEntries(10) == std::vector<uint64_t>{64});
  CHECK(state.in_flight_count() == 0);
  CHECK(state.NextDue() == std::nullopt);
}

TEST_CASE("a receive with a timeout of zero leaves the message visible", "[queue][delivery]") {
  DeliveryState state(64);
  state.Receive(Received(64), kNow, kNow);
  CHECK(state.visible_count() == 1);
  CHECK(state.in_flight_count() == 0);
  CHECK(state.Find(64)->receive_count == 1);
}

TEST_CASE("a delayed message ahead of the scan is stepped over until it is due",
          "[queue][delivery][time]") {
  DeliveryState state(64);
  CHECK(state.Delay(68, kLater));
  CHECK_FALSE(state.Delay(68, kLater));  // noted once
  CHECK(state.delayed_count() == 1);
  CHECK_FALSE(state.IsUntouched(68));
  CHECK(state.IsUntouched(64));
  ReceiveNext(state, 64);
  state.Remove(64);
  CHECK(state.head() == 65);
  state.PassTo(80);
  CHECK(state.head() == 68);
  state.ExpireUntil(kLater);
  CHECK(state.VisibleEntries(1) == std::vector<uint64_t>{68});
  CHECK(state.delayed_count() == 0);
}

TEST_CASE("visible entries come oldest first", "[queue][delivery]") {
  DeliveryState state(64);
  for (uint64_t position : {64, 68, 72, 76}) ReceiveNext(state, position);
  state.SetDue(76, kNow, kNow);
  state.SetDue(64, kNow, kNow);
  state.SetDue(72, kNow, kNow);
  CHECK(state.VisibleEntries(2) == std::vector<uint64_t>{64, 72});
  CHECK(state.VisibleEntries(9) == std::vector<uint64_t>{64, 72, 76});
}

TEST_CASE("a commit gets the net change only", "[queue][delivery]") {
  DeliveryState state(64);
  DeliverySnapshot snapshot;
  CHECK_FALSE(state.TakeChanges(&snapshot));

  SECTION("received and deleted in between: the head alone") {
    ReceiveNext(state, 64);
    state.Remove(64);
    REQUIRE(state.TakeChanges(&snapshot));
    CHECK(snapshot.head == 65);
    CHECK(snapshot.moved);
    CHECK(snapshot.changes.empty());
    state.Committed(snapshot);
    CHECK_FALSE(state.TakeChanges(&snapshot));
  }
  SECTION("received: its count; deleted before an older one: the scan alone") {
    ReceiveNext(state, 64);
    ReceiveNext(state, 68);
    state.Remove(68);
    REQUIRE(state.TakeChanges(&snapshot));
    CHECK(snapshot.head == 64);
    CHECK(snapshot.scan == 69);
    CHECK(snapshot.moved);
    REQUIRE(snapshot.changes.size() == 1);
    CHECK(snapshot.changes[0].position == 64);
    CHECK(snapshot.changes[0].receive_count == 1);
    CHECK_FALSE(snapshot.changes[0].gone);
  }
  SECTION("deleted with a row, behind an older one: the row goes") {
    ReceiveNext(state, 64);
    ReceiveNext(state, 68);
    REQUIRE(state.TakeChanges(&snapshot));
    CHECK_FALSE(snapshot.moved);
    CHECK(snapshot.changes.size() == 2);
    state.Committed(snapshot);
    state.Remove(68);
    REQUIRE(state.TakeChanges(&snapshot));
    CHECK(snapshot.erased == std::vector<uint64_t>{68});
    CHECK(snapshot.changes.empty());
    CHECK(snapshot.scan == 69);
  }
  SECTION("a failed commit: all again, with what came since") {
    ReceiveNext(state, 64);
    REQUIRE(state.TakeChanges(&snapshot));
    ReceiveNext(state, 68);
    state.PutBack(snapshot);
    REQUIRE(state.TakeChanges(&snapshot));
    CHECK(snapshot.changes.size() == 2);
  }
  SECTION("a failed commit of what is gone by now: the head alone") {
    ReceiveNext(state, 64);
    REQUIRE(state.TakeChanges(&snapshot));
    state.Remove(64);
    state.PutBack(snapshot);
    REQUIRE(state.TakeChanges(&snapshot));
    CHECK(snapshot.changes.empty());
    CHECK(snapshot.moved);
  }
}

TEST_CASE("restoring is the same however often the journal is replayed", "[queue][delivery]") {
  DeliveryState state(64);
  state.Restore(Received(64, 2), /*committed=*/true, kNow);
  state.Restore(Gone(68), true, kNow);
  const std::vector<DeliveryChange> journal = {Received(64, 1), Received(72, 1), Received(64, 3),
                                               Received(68, 1), Gone(72)};
  for (int replay = 0; replay < 2; ++replay) {
    for (const DeliveryChange& change : journal) state.Restore(change, false, kNow);
    CHECK(state.Find(64)->receive_count == 3);
    CHECK(state.Find(68) == nullptr);
    CHECK(state.Find(72) == nullptr);
    CHECK(state.IsGone(68));
    CHECK(state.IsGone(72));
    CHECK(state.VisibleEntries(9) == std::vector<uint64_t>{64});
  }
  SECTION("what lies below the head stays gone") {
    state.Restore(Received(60), false, kNow);
    CHECK(state.Find(60) == nullptr);
  }
  SECTION("and the head passes the gone ones when the scan does") {
    state.PassTo(80);
    CHECK(state.head() == 64);
    state.Remove(64);
    CHECK(state.head() == 80);
    CHECK(state.gone_count() == 0);
  }
}

TEST_CASE("a loaded head stands at the lowest message that is not gone", "[queue][delivery]") {
  DeliveryState state(64, 96);
  SECTION("at its row") {
    state.Restore(Received(80), /*committed=*/true, kNow);
    state.Loaded(0);
    CHECK(state.head() == 80);
  }
  SECTION("at the scan, without any") {
    state.Restore(Gone(68), true, kNow);
    state.Loaded(0);
    CHECK(state.head() == 96);
  }
  DeliverySnapshot snapshot;
  REQUIRE(state.TakeChanges(&snapshot));
  CHECK(snapshot.moved);
  CHECK(snapshot.head == state.head());
}

TEST_CASE("the row of a message that a transaction took goes after the next open",
          "[queue][delivery]") {
  DeliveryState state(64, 96);
  state.Restore(Received(64), /*committed=*/true, kNow);
  state.Restore(Gone(68), true, kNow);
  state.Loaded(0);
  DeliverySnapshot snapshot;
  REQUIRE(state.TakeChanges(&snapshot));
  CHECK(snapshot.erased == std::vector<uint64_t>{68});
  CHECK(snapshot.frees_rows);
}

TEST_CASE("what the journal says of messages that were never written leaves no trace",
          "[queue][delivery]") {
  DeliveryState state(64);
  state.Loaded(96);  // the first that there is
  for (const DeliveryChange& change : {Received(64), Gone(64), Received(92), Received(96)}) {
    state.Restore(change, /*committed=*/false, kNow);
  }
  CHECK(state.entry_count() == 1);
  CHECK(state.gone_count() == 0);
  CHECK(state.VisibleEntries(9) == std::vector<uint64_t>{96});
  CHECK(state.head() == 96);
  CHECK(state.IsGone(92));
}

TEST_CASE("rows are out of date until a commit has told it", "[queue][delivery]") {
  DeliveryState state(64);
  DeliverySnapshot snapshot;
  ReceiveNext(state, 64);
  REQUIRE(state.TakeChanges(&snapshot));
  CHECK_FALSE(snapshot.frees_rows);
  state.Committed(snapshot);
  state.Remove(64);  // its row goes with all below the head
  REQUIRE(state.TakeChanges(&snapshot));
  CHECK(snapshot.erased.empty());
  CHECK(snapshot.frees_rows);
  state.PutBack(snapshot);
  REQUIRE(state.TakeChanges(&snapshot));
  CHECK(snapshot.frees_rows);
  state.Committed(snapshot);
  ReceiveNext(state, 68);
  state.Remove(68);  // it never had one
  REQUIRE(state.TakeChanges(&snapshot));
  CHECK_FALSE(snapshot.frees_rows);
}

}  // namespace
}  // namespace eddy::queue
