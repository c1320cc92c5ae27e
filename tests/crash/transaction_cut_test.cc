// Transactions over a stream, two queues, a cursor and a table of the user's, and a
// power cut at every single step of the disk, or the death of the process there.
// After it each transaction is there whole, or not at all, and those of which Transact
// said OK are there.
//
// Each order in the queue `orders` is handled by one transaction: the order is
// deleted, a record with its number goes to the stream, a mail with its number to the
// queue `mails`, a row with its number to app_done, and the cursor, whose position no
// record has but which only transactions move, behind the next of the `inputs`. Other
// work goes on between them.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "eddy/eddy.h"
#include "src/base/status.h"
#include "tests/fakes/device.h"
#include "tests/fakes/scale.h"

namespace eddy {
namespace {

constexpr char kDirectory[] = "/store";
constexpr uint64_t kNever = UINT64_MAX;
constexpr uint64_t kFar = uint64_t{1} << 60;
constexpr int kOrders = 6;

enum class End { kPowerCut, kDeath };

class TransactionCut {
 public:
  TransactionCut(uint64_t cut_at, End end) : device_(1), cut_at_(cut_at), end_(end) {}

  // How many steps there are before the first order and in all, when nothing fails.
  std::pair<uint64_t, uint64_t> Steps() {
    Work();
    store_.reset();
    return {prepared_, device_.disk.step_count()};
  }

  void LieAboutSyncs() { device_.disk.LieAboutSyncs(true); }

  // The first promise that does not hold afterwards; empty: all hold.
  std::string Run() {
    device_.disk.CutAt(cut_at_);
    Work();
    if (end_ == End::kPowerCut) {
      device_.PowerCut(std::move(store_), /*seed=*/cut_at_);
    } else {
      // What the disk took before the process died is all there, synced or not.
      device_.Kill(std::move(store_), "/store/eddy.intake");
      device_.disk.CutAt(kFar);
    }
    if (!Open()) return absl::StrCat("not opened again: ", status_.ToString());
    Judge();
    Handle();  // what is left, and it goes on as before
    Judge();
    store_.reset();
    return broken_;
  }

 private:
  bool Open() {
    StoreOptions options;
    options.platform = device_.platform();
    options.threads = false;
    options.intake_bytes = 256 << 10;
    options.append_timeout = absl::Milliseconds(100);
    auto store = Store::Open(kDirectory, options);
    status_ = store.status();
    if (!store.ok()) return false;
    store_ = *std::move(store);
    const auto stream = [this](const char* name) {
      auto known = store_->OpenStream(name);
      return known.ok() ? known : store_->CreateStream(name);
    };
    const auto opened = [this](auto thing, auto* to) {
      status_ = thing.status();
      if (thing.ok()) *to = *thing;
      return thing.ok();
    };
    if (!opened(stream("inputs"), &inputs_) || !opened(stream("events"), &events_) ||
        !opened(store_->CreateQueue("orders"), &orders_) ||
        !opened(store_->CreateQueue("mails"), &mails_) ||
        !opened(inputs_->OpenCursor("c"), &cursor_)) {
      return false;
    }
    status_ = store_
                  ->Transact([](Transaction& t) {
                    return t.sql()
                        .Run("CREATE TABLE IF NOT EXISTS app_done (id INTEGER PRIMARY KEY)")
                        .status();
                  })
                  .status();
    return status_.ok();
  }

  void Work() {
    if (!Open()) return;
    PutOptions power;
    power.durability = Durability::kPower;
    for (int i = 0; i < kOrders; ++i) {
      const auto put = inputs_->Put("key", absl::StrCat(i), power);
      if (!put.ok()) return;
      ends_.push_back(put->token.end);
      if (!orders_->Send(absl::StrCat(i)).ok()) return;
    }
    if (!store_->Flush().ok()) return;
    prepared_ = device_.disk.step_count();
    Handle();
  }

  // One transaction an order, the fourth of them large, the fifth given up.
  void Handle() {
    ReceiveOptions options;
    options.visibility_timeout = absl::Hours(1);
    for (;;) {
      const auto received = orders_->Receive(options);
      if (!received.ok() || received->empty()) return;
      const Message& order = received->front();
      int number = 0;
      Hold(absl::SimpleAtoi(order.body, &number), "an order that was never sent");
      // Accepted, and with the transaction in one commit, or lost.
      events_->Put("key", "other").IgnoreError();
      if (number == 4) Handle(order, number, /*give_up=*/true).IgnoreError();
      if (Handle(order, number, /*give_up=*/false).ok()) committed_.insert(number);
      if (device_.disk.PowerIsOff()) return;
      device_.clock.Advance(absl::Seconds(2));
      store_->Pump();
    }
  }

  absl::Status Handle(const Message& order, int number, bool give_up) {
    const std::string data = absl::StrCat(number, ":", std::string(number == 3 ? 300000 : 9, 'x'));
    return store_
        ->Transact([&](Transaction& t) -> absl::Status {
          EDDY_RETURN_IF_ERROR(t.Put(*events_, "key", data));
          EDDY_RETURN_IF_ERROR(t.Send(*mails_, order.body));
          EDDY_RETURN_IF_ERROR(t.Delete(*orders_, order.receipt_handle));
          EDDY_RETURN_IF_ERROR(t.Advance(*cursor_, 0, ends_[static_cast<size_t>(number)]));
          EDDY_RETURN_IF_ERROR(t.sql().Run("INSERT INTO app_done VALUES (?)", {number}).status());
          return give_up ? absl::CancelledError("given up") : absl::OkStatus();
        })
        .status();
  }

  void Judge() {
    std::multiset<int> records;
    auto iterator = events_->GetShardIterator(0, {});
    for (;;) {
      const auto batch = events_->GetRecords(*iterator);
      Hold(batch.ok(), "the stream cannot be read");
      if (!batch.ok() || batch->records.empty()) break;
      for (const Record& record : batch->records) {
        if (record.data == "other") continue;
        int number = -1;
        const std::string data(record.data);
        Hold(absl::SimpleAtoi(data.substr(0, data.find(':')), &number), "a torn record");
        records.insert(number);
      }
      iterator = batch->next_shard_iterator;
    }
    std::multiset<int> mails;
    ReceiveOptions ten;
    ten.max_messages = 10;
    ten.visibility_timeout = absl::ZeroDuration();  // they stay
    const auto received = mails_->Receive(ten);
    Hold(received.ok(), "the mails cannot be received");
    if (!received.ok()) return;
    for (const Message& mail : *received) {
      int number = -1;
      Hold(absl::SimpleAtoi(mail.body, &number), "a mail that was never sent");
      mails.insert(number);
    }
    std::multiset<int> rows;
    const auto found = store_->Query("SELECT id FROM app_done ORDER BY id");
    Hold(found.ok(), "the table cannot be read");
    if (!found.ok()) return;
    for (const SqlRow& row : *found) rows.insert(static_cast<int>(std::get<int64_t>(row[0])));

    Hold(records == rows, "records and rows differ");
    Hold(mails == rows, "mails and rows differ");
    Hold(std::set<int>(rows.begin(), rows.end()).size() == rows.size(), "one is there twice");
    for (const int number : committed_) {
      Hold(rows.count(number) == 1, "a committed transaction is lost");
    }
    const SequenceNumber at = cursor_->Position(0);
    if (rows.empty()) {
      Hold(ends_.empty() || at < ends_.front(), "the cursor moved, and the rest did not");
    } else {
      Hold(at == ends_[static_cast<size_t>(*rows.rbegin())], "the cursor and the rows differ");
    }
    // The other orders are there still. (Not looked at one by one: they may be in
    // flight.)
    const QueueCounts counts = orders_->Describe().counts;
    const uint64_t left = counts.visible + counts.in_flight;
    if (prepared_ != 0) Hold(left + rows.size() == kOrders, "orders are lost, or done and there");
  }

  void Hold(bool promise, std::string_view otherwise) {
    if (!promise && broken_.empty()) broken_ = std::string(otherwise);
  }

  testing::Device device_;
  const uint64_t cut_at_;
  const End end_;
  std::string broken_;
  absl::Status status_;
  std::unique_ptr<Store> store_;
  Stream* inputs_ = nullptr;
  Stream* events_ = nullptr;
  Queue* orders_ = nullptr;
  Queue* mails_ = nullptr;
  Cursor* cursor_ = nullptr;
  uint64_t prepared_ = 0;  // steps until the first order was handled
  std::vector<SequenceNumber> ends_;  // where the cursor goes with each order
  std::set<int> committed_;
};

void AtEveryStep(End end) {
  const auto [prepared, steps] = TransactionCut(kNever, end).Steps();
  INFO(prepared << " of " << steps << " steps before the first transaction");
  REQUIRE(prepared > 0);
  REQUIRE(steps >= prepared + 50);  // else the workload does not reach the disk
  const uint64_t stride = static_cast<uint64_t>(std::max(1, 5 / testing::Scaled(5)));
  for (uint64_t step = prepared + 1; step <= steps; step += stride) {
    INFO("step and seed " << step << " (repeat it alone by TransactionCut(" << step
                          << ", ...).Run())");
    REQUIRE(TransactionCut(step, end).Run() == "");
  }
}

TEST_CASE("a power cut at any step of a transaction leaves all of it or nothing",
          "[crash][power][transact][sweep]") {
  AtEveryStep(End::kPowerCut);
}

TEST_CASE("a death at any step of a transaction leaves all of it or nothing",
          "[crash][transact][sweep]") {
  AtEveryStep(End::kDeath);
}

TEST_CASE("the judge of transactions finds out a disk that lies about its syncs",
          "[crash][power][transact][sweep]") {
  const auto [prepared, steps] = TransactionCut(kNever, End::kPowerCut).Steps();
  int found_out = 0;
  for (uint64_t step = prepared; step <= steps; step += 3) {
    TransactionCut run(step, End::kPowerCut);
    run.LieAboutSyncs();
    if (!run.Run().empty()) ++found_out;
  }
  CHECK(found_out >= 3);
}

}  // namespace
}  // namespace eddy
