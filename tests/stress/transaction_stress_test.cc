#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <map>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "tests/fakes/scale.h"
#include "tests/stress/stress_store.h"

namespace eddy {
namespace {

using testing::Scaled;
using testing::StressStore;

// Handlers take orders and handle each in a transaction; some give up, and their order
// comes back. Plain producers put into the same shard and send to the same queues. A
// follower of the stream looks, for each handled order that it sees, whether it is
// committed, and its row there.
TEST_CASE("each order is handled once among plain producers, and seen when it is committed",
          "[stress][transact]") {
  constexpr int kHandlers = 3;
  const int orders_count = Scaled(400);
  StressStore store;
  Stream* const events = *store->CreateStream("events");
  Queue* const orders = *store->CreateQueue("orders");
  Queue* const mails = *store->CreateQueue("mails");
  REQUIRE(store
              ->Transact([](Transaction& t) {
                return t.sql().Run("CREATE TABLE app_done (id TEXT PRIMARY KEY, n)").status();
              })
              .ok());

  std::atomic<int> wrong{0};
  std::atomic<int> handled{0};
  std::atomic<int> working{kHandlers};
  std::atomic<uint64_t> plain{0};
  std::vector<std::thread> threads;
  threads.emplace_back([&] {
    for (int i = 0; i < orders_count; ++i) {
      if (!orders->Send(absl::StrCat("order ", i)).ok()) ++wrong;
    }
  });
  for (int p = 0; p < 2; ++p) {
    threads.emplace_back([&, p] {
      PutOptions level;
      if (p == 0) level.durability = Durability::kPower;
      SendOptions send;
      send.durability = Durability::kProcess;
      for (int i = 0; working > 0; ++i) {
        // Now and then one too large for the intake, which commits.
        const size_t size = i % 512 == 0 ? 100000 : 100;
        if (!events->Put("key", absl::StrCat("plain ", std::string(size, 'x')), level).ok()) {
          ++wrong;
        }
        ++plain;
        if (p == 1 && i % 100 == 0 && !mails->Send("plain", send).ok()) ++wrong;
        std::this_thread::yield();
      }
    });
  }
  for (int h = 0; h < kHandlers; ++h) {
    threads.emplace_back([&, h] {
      ReceiveOptions receive;
      receive.wait_time = absl::Milliseconds(100);
      for (int round = h; handled < orders_count; ++round) {
        const auto received = orders->Receive(receive);
        if (!received.ok()) ++wrong;
        if (!received.ok() || received->empty()) continue;
        const Message& order = received->front();
        const bool give_up = round % 5 == 0;
        const auto result = store->Transact([&](Transaction& t) -> absl::Status {
          EDDY_RETURN_IF_ERROR(t.Delete(*orders, order.receipt_handle));
          EDDY_RETURN_IF_ERROR(t.Put(*events, "key", order.body));
          EDDY_RETURN_IF_ERROR(t.Send(*mails, order.body));
          EDDY_RETURN_IF_ERROR(
              t.sql().Run("INSERT INTO app_done VALUES (?, ?)", {order.body, h}).status());
          return give_up ? absl::CancelledError("") : absl::OkStatus();
        });
        if (result.ok() == give_up) ++wrong;
        if (result.ok()) ++handled;
        if (!give_up) continue;
        // At once somebody's again.
        if (!orders->ChangeVisibility(order.receipt_handle, absl::ZeroDuration()).ok()) ++wrong;
      }
      --working;
    });
  }
  std::multiset<std::string> seen;
  std::string iterator = *events->GetShardIterator(0, {});
  uint64_t plain_seen = 0;
  GetRecordsOptions wait;
  wait.wait_time = absl::Milliseconds(50);
  for (bool more = true; more;) {
    more = working > 0;
    const auto batch = events->GetRecords(iterator, wait);
    if (!batch.ok()) {
      ++wrong;
      break;
    }
    more = more || !batch->records.empty();
    iterator = batch->next_shard_iterator;
    for (const Record& record : batch->records) {
      const std::string data(record.data);
      if (data.substr(0, 5) == "plain") {
        ++plain_seen;
        continue;
      }
      seen.insert(data);
      if (events->Describe().shards[0].committed <= record.sequence_number) ++wrong;
      const auto rows = store->Query("SELECT n FROM app_done WHERE id = ?", {data});
      if (!rows.ok() || rows->size() != 1) ++wrong;
    }
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
  CHECK(seen.size() == static_cast<size_t>(orders_count));
  CHECK(std::set<std::string>(seen.begin(), seen.end()).size() == seen.size());
  CHECK(plain_seen == plain);
  const QueueCounts left = orders->Describe().counts;
  CHECK(left.visible + left.in_flight + left.delayed == 0);
  std::multiset<std::string> mailed;
  ReceiveOptions ten;
  ten.max_messages = 10;
  ten.durability = Durability::kProcess;
  ten.visibility_timeout = absl::Hours(1);
  for (;;) {
    const auto received = mails->Receive(ten);
    REQUIRE(received.ok());
    if (received->empty()) break;
    for (const Message& mail : *received) {
      if (mail.body != "plain") mailed.insert(mail.body);
    }
  }
  CHECK(mailed == seen);
}

// A transaction keeps creations waiting, and looks for views meanwhile.
TEST_CASE("creations and transactions do not wait for each other in a circle",
          "[stress][transact]") {
  StressStore store;
  Stream* const first = *store->CreateStream("first");
  std::atomic<int> wrong{0};
  const int rounds = Scaled(50);
  std::thread creator([&] {
    for (int i = 0; i < rounds; ++i) {
      if (!store->CreateStream(absl::StrCat("s", i)).ok()) ++wrong;
      if (!first->OpenCursor(absl::StrCat("c", i)).ok()) ++wrong;
    }
  });
  for (int i = 0; i < rounds; ++i) {
    const auto result = store->Transact([&](Transaction& t) -> absl::Status {
      std::this_thread::yield();
      if (!store->OpenStream("first").ok()) ++wrong;
      store->ListStreams();
      first->OpenCursor(absl::StrCat("c", i)).status().IgnoreError();
      return t.Put(*first, "key", "data");
    });
    if (!result.ok()) ++wrong;
  }
  creator.join();
  CHECK(wrong == 0);
  CHECK(store->ListStreams().size() == static_cast<size_t>(rounds) + 1);
}

}  // namespace
}  // namespace eddy
