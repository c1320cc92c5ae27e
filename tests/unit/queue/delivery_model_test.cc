// A seed decides what happens to a delivery state, to the table that its commits
// are written to, and to its journal; a plain list of messages is the judge.
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include "src/queue/delivery.h"
#include "tests/fakes/fake_random.h"

namespace eddy::queue {
namespace {

constexpr uint64_t kFirst = 64;
constexpr uint64_t kStep = 8;

struct Judge {
  struct Message {
    uint32_t receive_count = 0;
    bool gone = false;
  };
  std::vector<Message> messages;
};

uint64_t PositionOf(size_t i) { return kFirst + i * kStep; }

// What is on disk: the rows, and what the journal holds beyond them.
struct Table {
  uint64_t head = kFirst;
  uint64_t scan = kFirst;
  std::map<uint64_t, DeliveryChange> rows;

  void Write(const DeliverySnapshot& snapshot) {
    if (snapshot.moved) {
      REQUIRE(snapshot.head >= head);
      REQUIRE(snapshot.scan >= scan);
      head = snapshot.head;
      scan = snapshot.scan;
      rows.erase(rows.begin(), rows.lower_bound(head));
    }
    for (const uint64_t position : snapshot.erased) rows.erase(position);
    for (const DeliveryChange& change : snapshot.changes) {
      REQUIRE(change.position >= head);
      rows[change.position] = change;
    }
  }
};

class Run {
 public:
  explicit Run(uint64_t seed) : random_(seed) {}

  void Steps(int count) {
    for (int i = 0; i < count; ++i) {
      Step();
      if (i % 8 == 0) Check();
    }
    while (state_->entry_count() > 0 || state_->scan() < End()) {
      ReceiveUntouched();
      ReceiveVisible();
      RemoveAny();
      now_ += absl::Seconds(60);
      state_->ExpireUntil(now_);
    }
    Check();
    CHECK(state_->head() == End());
    CHECK(state_->entry_count() == 0);
    CHECK(state_->gone_count() == 0);
    while (!Commit()) {
    }
    CHECK(table_.rows.empty());
    CHECK(table_.head == End());
  }

 private:
  uint64_t End() const { return PositionOf(judge_.messages.size()); }

  void Step() {
    switch (random_.Below(16)) {
      case 0: case 1: case 2: judge_.messages.emplace_back(); break;
      case 3: case 4: case 5: ReceiveUntouched(); break;
      case 6: ReceiveVisible(); break;
      case 7: case 8: case 9: RemoveAny(); break;
      case 10: DelayAny(); break;
      case 11:
        now_ += absl::Seconds(static_cast<int64_t>(random_.Below(20)));
        state_->ExpireUntil(now_);
        break;
      case 12: case 13: Commit(); break;
      case 14: ChangeAny(); break;
      default: if (random_.OneIn(4)) Reopen(); break;
    }
  }

  absl::Duration Due() { return now_ + absl::Seconds(static_cast<int64_t>(random_.Below(40))); }

  void Journal(const DeliveryChange& change) { journal_.push_back(change); }

  void Receive(size_t i, uint64_t next) {
    DeliveryChange received;
    received.position = PositionOf(i);
    received.receive_count = ++judge_.messages[i].receive_count;
    received.first_received_ms = 5;
    Journal(received);
    state_->Receive(received, now_, Due(), next);
  }

  // As a queue does: over what is touched, then the next that are not.
  void ReceiveUntouched() {
    bool from_scan = true;
    uint64_t wanted = 1 + random_.Below(5);
    std::vector<size_t> found;
    const size_t first = static_cast<size_t>((state_->scan() - kFirst) / kStep);
    for (size_t i = first; i < judge_.messages.size() && wanted > 0; ++i) {
      if (state_->IsUntouched(PositionOf(i))) {
        REQUIRE_FALSE(judge_.messages[i].gone);
        found.push_back(i);
        from_scan = false;
        --wanted;
      } else if (from_scan) {
        state_->PassTo(PositionOf(i + 1));
      }
    }
    for (const size_t i : found) Receive(i, PositionOf(i + 1));
  }

  void ReceiveVisible() {
    const size_t count = static_cast<size_t>(1 + random_.Below(5));
    for (const uint64_t position : state_->VisibleEntries(count)) {
      Receive(static_cast<size_t>((position - kFirst) / kStep), 0);
    }
  }

  // A message that was received, or SIZE_MAX.
  size_t Any() {
    std::vector<size_t> received;
    for (size_t i = 0; i < judge_.messages.size(); ++i) {
      const Delivery* const entry = state_->Find(PositionOf(i));
      if (entry != nullptr && entry->receive_count > 0) received.push_back(i);
    }
    return received.empty() ? SIZE_MAX : received[random_.Below(received.size())];
  }

  void RemoveAny() {
    const size_t i = Any();
    if (i == SIZE_MAX) return;
    DeliveryChange gone;
    gone.position = PositionOf(i);
    gone.gone = true;
    Journal(gone);
    state_->Remove(gone.position);
    judge_.messages[i].gone = true;
  }

  void ChangeAny() {
    const size_t i = Any();
    if (i != SIZE_MAX) state_->SetDue(PositionOf(i), now_, Due());
  }

  void DelayAny() {
    if (judge_.messages.empty()) return;
    const uint64_t position = PositionOf(random_.Below(judge_.messages.size()));
    if (state_->IsUntouched(position)) REQUIRE(state_->Delay(position, Due()));
  }

  // False: it failed.
  bool Commit() {
    DeliverySnapshot snapshot;
    const size_t journalled = journal_.size();
    const Judge captured = judge_;
    const bool something = state_->TakeChanges(&snapshot);
    // Life goes on while the transaction is written.
    for (uint64_t n = random_.Below(4); n > 0; --n) {
      random_.OneIn(2) ? RemoveAny() : ReceiveUntouched();
    }
    if (random_.OneIn(4)) {
      if (something) state_->PutBack(snapshot);
      return false;
    }
    if (something) {
      table_.Write(snapshot);
      state_->Committed(snapshot);
    }
    committed_ = captured;
    journal_.erase(journal_.begin(),
                   journal_.begin() + static_cast<std::ptrdiff_t>(journalled));
    return true;
  }

  void Reopen() {
    const bool killed = random_.OneIn(2);
    if (!killed) {  // the power failed
      journal_.clear();
      const size_t sent = judge_.messages.size();
      judge_ = committed_;
      judge_.messages.resize(sent);  // which stay here: they are the log's
    }
    state_.emplace(table_.head, table_.scan);
    for (const auto& [position, row] : table_.rows) state_->Restore(row, true, now_);
    for (uint64_t times = 1 + random_.Below(2); times > 0; --times) {
      for (const DeliveryChange& change : journal_) state_->Restore(change, false, now_);
    }
  }

  void Check() {
    size_t live = 0;
    for (size_t i = 0; i < judge_.messages.size(); ++i) {
      const Judge::Message& message = judge_.messages[i];
      const uint64_t position = PositionOf(i);
      const Delivery* const entry = state_->Find(position);
      INFO("position " << position << ", head " << state_->head() << ", scan "
                       << state_->scan());
      REQUIRE(state_->IsGone(position) == message.gone);
      if (message.receive_count > 0 && !message.gone) {
        REQUIRE(entry != nullptr);
        REQUIRE(entry->receive_count == message.receive_count);
      }
      if (message.gone) REQUIRE(entry == nullptr);
      if (message.receive_count == 0) {
        REQUIRE((entry == nullptr ? state_->IsUntouched(position) : entry->receive_count == 0));
      }
      live += entry != nullptr;
    }
    REQUIRE(state_->entry_count() == live);
    REQUIRE(state_->visible_count() + state_->in_flight_count() + state_->delayed_count() ==
            live);
  }

  testing::FakeRandom random_;
  Judge judge_;
  Judge committed_;
  Table table_;
  std::vector<DeliveryChange> journal_;
  absl::Duration now_ = absl::Seconds(100);
  std::optional<DeliveryState> state_{std::in_place, kFirst};
};

TEST_CASE("a delivery state agrees with a plain list, whatever is committed or dies",
          "[queue][delivery][model][sweep]") {
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    INFO("seed " << seed);
    Run(seed).Steps(400);
  }
}

}  // namespace
}  // namespace eddy::queue
