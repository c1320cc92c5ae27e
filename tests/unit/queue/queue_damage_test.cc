// Messages whose block is damaged are skipped and counted; the others are not held up.
#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/unit/queue/queue_fixture.h"

namespace eddy::queue {
namespace {

TEST_CASE("a queue passes over a damaged block, and counts what was in it", "[queue][fault]") {
  QueueHost host;
  host.Create("q");
  for (int block = 0; block < 3; ++block) {
    Send(host.Find("q"), absl::StrCat("a", block, std::string(500, 'x')));
    Send(host.Find("q"), absl::StrCat("b", block, std::string(500, 'y')));
    REQUIRE(host.engine().Flush().ok());
  }
  const bool touched = GENERATE(false, true);
  if (touched) {  // the messages have entries, visible again after the reopen
    ReceiveOptions all;
    all.max_messages = 10;
    REQUIRE(host.Find("q").Receive(all)->size() == 6);
  }
  host.Reopen();
  // Behind SQLite's back, between two lives.
  REQUIRE(host.engine()
              .WithDatabase([](sql::Database& db) {
                return db.Exec("UPDATE blocks SET checksum = checksum + 1 WHERE id = "
                               "(SELECT id FROM blocks ORDER BY id LIMIT 1 OFFSET 1)");
              })
              .ok());
  std::vector<std::string> got;
  for (int i = 0; i < 6; ++i) {
    ReceiveOptions all;
    all.max_messages = 10;
    absl::StatusOr<std::vector<Message>> messages = host.Find("q").Receive(all);
    INFO(messages.status().ToString());
    REQUIRE(messages.ok());
    for (const Message& message : *messages) {
      got.push_back(message.body.substr(0, 2));
      REQUIRE(host.Find("q").Delete(message.receipt_handle, Durability::kProcess).ok());
    }
  }
  CHECK(got == std::vector<std::string>{"a0", "a1", "b1", "a2", "b2"});
  CHECK(host.engine().Stats().blocks_damaged == 1);
  CHECK(host.engine().Stats().records_damaged == 1);
  CHECK(host.Find("q").Describe().counts.visible == 0);
}

}  // namespace
}  // namespace eddy::queue
