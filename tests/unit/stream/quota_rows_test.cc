// A user's rows in a store whose files are bounded: what they need is not in any draft, and
// the database never gives pages back.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "eddy/queue.h"
#include "eddy/transaction.h"
#include "src/sql/database.h"
#include "tests/unit/stream/quota_fixture.h"

namespace eddy::stream {
namespace {

constexpr uint64_t kRowBytes = 100'000;

struct RowsFixture : StoreFixture {
  absl::Status Run(const std::string& sql, const std::vector<SqlValue>& values = {}) {
    return store->Transact([&](Transaction& t) { return t.sql().Run(sql, values).status(); })
        .status();
  }
  void MakeTable() { REQUIRE(Run("CREATE TABLE app_done (what BLOB)").ok()); }
  absl::Status Fill(int rows) {
    return Run(
        "WITH RECURSIVE app_n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM app_n WHERE i < ?) "
        "INSERT INTO app_done (what) SELECT zeroblob(100000) FROM app_n",
        {int64_t{rows}});
  }
  // Until it rejects, or for so many records.
  void FillStream(Stream& stream, size_t record_bytes, int most = 100'000) {
    for (int i = 0; i < most && stream.Put("key", std::string(record_bytes, 'x')).ok(); ++i) {
      if (i % 5 == 0) Due();
    }
    Ok(store->Flush());
  }
  uint64_t WalFileBytes() const { return device.disk.Size("/store/eddy.db-wal"); }
};

}  // namespace

TEST_CASE("a user's rows are admitted by what the files may grow, and what is free becomes that",
          "[stream][quota][extents]") {
  RowsFixture f;
  f.OpenBounded(16 << 20, 2 << 20, AtLimit::kRejectNew);
  f.MakeTable();
  // What goes is one large place before what stays.
  Stream& goes = f.Stream1("goes");
  Stream& stays = f.Stream1("stays");
  SequenceNumber last = 0;
  for (int i = 0;; ++i) {
    const auto put = (i < 500 ? goes : stays).Put("key", std::string(12000, 'x'));
    if (!put.ok()) break;
    if (i < 500) last = put->sequence_number;
    if (i % 5 == 0) f.Due();
  }
  Ok(goes.Trim(0, last));
  f.Due();
  const absl::Status much = f.Fill(38);
  INFO(much.ToString());
  CHECK(absl::IsResourceExhausted(much));
  CHECK(f.FileBytes() <= f.options.quota_bytes);
  // What is free outside is cut off in time.
  int rows = 0;
  for (int i = 0; i < 300; ++i) {
    rows += f.Fill(1).ok();
    f.Due();
    CHECK(f.FileBytes() <= f.options.quota_bytes);
  }
  CHECK(rows * 100'000 > 4 << 20);
  CHECK(f.BlocksFileBytes() < 6 << 20);
  // They can go, however little room there is.
  for (int i = 0; stays.Put("key", std::string(12000, 'x')).ok(); ++i) {
    if (i % 5 == 0) f.Due();
  }
  CHECK(f.Run("DELETE FROM app_done").ok());
  Ok(f.store->Flush());
  CHECK(f.FileBytes() <= f.options.quota_bytes);
  // Nobody wants room any more: nothing is moved.
  f.device.clock.Advance(absl::Minutes(2));
  f.Due();
  const uint64_t then = f.store->Stats().disk_bytes_written;
  for (int i = 0; i < 50; ++i) f.Due();
  CHECK(f.store->Stats().disk_bytes_written - then < 100'000);
}

TEST_CASE("where the oldest is dropped for rows, the files stay within the quota and a transaction",
          "[stream][quota][extents]") {
  RowsFixture f;
  f.OpenBounded(16 << 20, 2 << 20, AtLimit::kDropOldest);
  f.MakeTable();
  Stream& stream = f.Stream1("telemetry");
  f.FillStream(stream, 12000, 2000);
  const uint64_t dropped_before = f.Dropped();
  const bool puts_between = GENERATE(false, true);
  uint64_t most = 0;
  int rows = 0;
  for (int i = 0; i < 100; ++i) {
    const absl::Status filled = f.Fill(20);
    UNSCOPED_INFO(i << " " << filled.ToString());
    rows += filled.ok() ? 20 : 0;
    if (puts_between) (void)stream.Put("key", std::string(200, 'x'));
    most = std::max(most, f.FileBytes());
    f.Due();
  }
  INFO(rows);
  CHECK(rows * kRowBytes >= 4 << 20);
  CHECK(f.Dropped() > dropped_before);
  CHECK(most <= f.options.quota_bytes + 2 * 20 * kRowBytes);
  for (int i = 0; i < 150; ++i) f.Due();
  CHECK(f.FileBytes() <= f.options.quota_bytes);
  CHECK(f.store->Stats().blocks_damaged == 0);
}

TEST_CASE("what was dropped for a transaction is not dropped again once it is there",
          "[stream][quota][extents]") {
  RowsFixture f;
  f.OpenBounded(16 << 20, 2 << 20, AtLimit::kDropOldest);
  f.MakeTable();
  f.FillStream(f.Stream1("telemetry"), 12000, 2000);
  int fitted = 0;
  while (fitted < 100 && f.Fill(20).ok()) ++fitted;
  REQUIRE(fitted < 100);
  int tries = 1;
  for (; tries < 100 && !f.Fill(20).ok(); ++tries) f.Due();
  REQUIRE(tries < 100);
  const uint64_t dropped = f.Dropped();
  for (int i = 0; i < 30; ++i) f.Due();
  CHECK(f.Dropped() == dropped);
}

TEST_CASE("nothing is dropped for rows that would not fit into the WAL either",
          "[stream][quota]") {
  RowsFixture f;
  f.OpenBounded(16 << 20, 1 << 20, AtLimit::kDropOldest);
  f.MakeTable();
  f.FillStream(f.Stream1("telemetry"), 1000, 20'000);
  for (int i = 0; i < 20; ++i) f.Due();
  const uint64_t dropped = f.Dropped();
  REQUIRE(dropped > 0);
  for (int i = 0; i < 20; ++i) {
    CHECK(absl::IsResourceExhausted(f.Fill(60)));
    f.Due();
  }
  CHECK(f.Dropped() == dropped);
}

TEST_CASE("rows that are copied and then dropped need their room all the same",
          "[stream][quota]") {
  RowsFixture f;
  f.OpenBounded(16 << 20, 1 << 20, AtLimit::kRejectNew);
  f.MakeTable();
  REQUIRE(f.Fill(20).ok());
  f.FillStream(f.Stream1("telemetry"), 1000);
  const absl::Status copied = f.store
                                  ->Transact([](Transaction& t) -> absl::Status {
                                    for (const char* const sql :
                                         {"CREATE TABLE app_copy (what BLOB)",
                                          "INSERT INTO app_copy SELECT what FROM app_done",
                                          "DROP TABLE app_done"}) {
                                      if (auto run = t.sql().Run(sql); !run.ok()) {
                                        return run.status();
                                      }
                                    }
                                    return absl::OkStatus();
                                  })
                                  .status();
  INFO(copied.ToString());
  CHECK(absl::IsResourceExhausted(copied));
  CHECK(f.WalFileBytes() < 1 << 20);
  CHECK(f.FileBytes() <= f.options.quota_bytes);
  CHECK(f.Run("DELETE FROM app_done").ok());
  CHECK(f.FileBytes() <= f.options.quota_bytes);
}

TEST_CASE("what a refused transaction has spilled does not stay in the WAL", "[stream][quota]") {
  RowsFixture f;
  f.OpenBounded(16 << 20, 1 << 20, AtLimit::kRejectNew);
  f.MakeTable();
  if (GENERATE(false, true)) f.FillStream(f.Stream1("telemetry"), 1000);  // no room at all
  CHECK(absl::IsResourceExhausted(f.Fill(200)));
  CHECK(f.WalFileBytes() < 1 << 20);
  CHECK(f.FileBytes() <= f.options.quota_bytes);
}

TEST_CASE("a transaction that goes on and on is ended before it takes the disk",
          "[stream][quota]") {
  RowsFixture f;
  const uint64_t bound = 16 << 20;
  if (GENERATE(false, true)) {
    f.OpenBounded(bound, 1 << 20, AtLimit::kRejectNew);
  } else {
    f.options.headroom_bytes = 100 << 20;
    f.options.intake_bytes = 1 << 20;
    f.options.at_quota = AtLimit::kRejectNew;
    f.files.SetFreeBytes((100 << 20) + bound);
    f.Open();
    (void)f.store->Pump();
  }
  f.MakeTable();
  Ok(f.Fill(10));
  const std::string sql = "INSERT INTO app_done VALUES (zeroblob(100000))";
  const bool takes_errors = GENERATE(false, true);
  CAPTURE(takes_errors);
  uint64_t longest = 0;
  int statements = 0;
  const absl::Status refused =
      f.store
          ->Transact([&](Transaction& t) -> absl::Status {
            for (; statements < 2000; ++statements) {
              const absl::Status run = t.sql().Run(sql, {}).status();
              longest = std::max(longest, f.WalFileBytes());
              if (!run.ok()) return takes_errors ? absl::OkStatus() : run;
            }
            return absl::OkStatus();
          })
          .status();
  INFO(refused.ToString());
  CHECK(absl::IsResourceExhausted(refused));
  CHECK(statements < 2000);
  CHECK(longest > 1 << 20);
  CHECK(longest <= 2 * bound);
  CHECK(f.WalFileBytes() < 1 << 20);
  // No fault of the disk's: the store goes on, and so may smaller transactions.
  CHECK(f.store->Stats().disk_state == DiskState::kGood);
  CHECK(f.Stream1("telemetry").Put("key", "x").ok());
  CHECK(f.Fill(1).ok());
}

TEST_CASE("a transaction that is refused again and again leaves the WAL as long as it was",
          "[stream][quota]") {
  RowsFixture f;
  f.files.ShareWith(&f.device.disk);
  f.OpenBounded(16 << 20, 1 << 20, AtLimit::kRejectNew);
  f.MakeTable();
  REQUIRE(f.Fill(30).ok());
  for (int i = 0; i < 5; ++i) f.Due();
  REQUIRE(f.Fill(12).ok());
  // A reader of another process, at the end of a WAL that is copied then: it stays.
  sql::OpenOptions options;
  options.vfs = f.device.disk.name();
  options.mode = sql::Mode::kReadOnly;
  auto db = Ok(sql::Database::Open("/store/eddy.db", options));
  const auto view = sql::Transaction::Begin(db);
  REQUIRE(view.ok());
  auto count = Ok(db.Prepare("SELECT count(*) FROM app_done"));
  REQUIRE(Ok(count.Step()));
  for (int i = 0; i < 3; ++i) f.Due();
  const uint64_t before = f.WalFileBytes();
  REQUIRE(before > 1 << 20);
  for (int i = 0; i < 4; ++i) {
    CHECK(absl::IsResourceExhausted(f.Fill(4000)));
    CHECK(f.WalFileBytes() <= before + (512 << 10));
  }
  CHECK(f.Fill(1).ok());
}

TEST_CASE("a full store lets all rows be deleted that it holds", "[stream][quota]") {
  RowsFixture f;
  f.OpenBounded(16 << 20, 1 << 20, AtLimit::kRejectNew);
  f.MakeTable();
  Ok(f.Run("CREATE TABLE app_small (id INTEGER PRIMARY KEY, what BLOB)"));
  for (int i = 0; i < 100; ++i) {
    if (!f.Run("WITH RECURSIVE app_n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM app_n "
               "WHERE i < 1000) INSERT INTO app_small (what) SELECT zeroblob(50) FROM app_n")
             .ok()) {
      break;
    }
  }
  f.FillStream(f.Stream1("telemetry"), 1000);
  REQUIRE_FALSE(f.Fill(5).ok());
  // By rows, each page by itself.
  const absl::Status deleted = f.Run("DELETE FROM app_small WHERE length(what) = 50");
  INFO(deleted.ToString());
  CHECK(deleted.ok());
  CHECK(f.FileBytes() <= 2 * f.options.quota_bytes);
}

TEST_CASE("what a transaction has spilled whose work fails does not stay in the WAL",
          "[stream][quota]") {
  RowsFixture f;
  if (GENERATE(false, true)) f.options.quota_bytes = 16 << 20;
  f.options.intake_bytes = 1 << 20;
  f.Open();
  f.MakeTable();
  const absl::Status failed =
      f.store
          ->Transact([&](Transaction& t) -> absl::Status {
            for (int i = 0; i < 50; ++i) {
              const auto put = t.sql().Run("INSERT INTO app_done VALUES (zeroblob(100000))", {});
              if (!put.ok()) return put.status();
            }
            return absl::CancelledError("the user's own");
          })
          .status();
  CHECK(absl::IsCancelled(failed));
  CHECK(f.WalFileBytes() < 1 << 20);
  CHECK(f.Fill(1).ok());
}

TEST_CASE("a transaction that fills the disk by itself leaves it, and the reserve, as they were",
          "[stream][quota]") {
  RowsFixture f;
  f.options.intake_bytes = 256 << 10;
  f.options.reserve_bytes = 1 << 20;
  f.Open();
  f.MakeTable();
  f.device.disk.SetCapacity(8 << 20);
  CHECK_FALSE(f.Fill(200).ok());
  CHECK(f.store->Stats().reserve_held);
  CHECK(f.WalFileBytes() < 1 << 20);
  CHECK(f.Fill(1).ok());
}

// What is spilled waits in memory for more of it, and a read asks for it first.
TEST_CASE("a transaction whose spilled rows a full disk has swallowed is not committed",
          "[stream][fault]") {
  RowsFixture f;
  f.options.intake_bytes = 256 << 10;
  f.Open();
  f.MakeTable();
  REQUIRE(f.Run("CREATE TABLE app_sizes (n INTEGER NOT NULL)").ok());
  const std::string reads = GENERATE(
      std::string("INSERT INTO app_sizes (n) SELECT length(what || 'x') FROM app_done"),
      std::string("SELECT sum(length(what || 'x')) FROM app_done"));
  CAPTURE(reads);
  const absl::Status lost =
      f.store
          ->Transact([&](Transaction& t) -> absl::Status {
            for (int i = 0; i < 15; ++i) {
              REQUIRE(t.sql().Run("INSERT INTO app_done VALUES (randomblob(100000))", {}).ok());
            }
            f.device.disk.SetCapacity(1);
            CHECK_FALSE(t.sql().Query(reads, {}).ok());
            f.device.disk.SetCapacity(1 << 30);  // somebody else has made room
            return absl::OkStatus();             // and the function looks at nothing
          })
          .status();
  INFO(lost.ToString());
  CHECK_FALSE(lost.ok());
  CHECK(Ok(f.store->Query("SELECT count(*) FROM app_done")) == std::vector<SqlRow>{{int64_t{0}}});
  CHECK(f.Fill(10).ok());
  f.store.reset();
  sql::OpenOptions options;
  options.vfs = f.device.disk.name();
  auto db = Ok(sql::Database::Open("/store/eddy.db", options));
  auto check = Ok(db.Prepare("PRAGMA integrity_check"));
  REQUIRE(Ok(check.Step()));
  CHECK(check.ColumnText(0) == "ok");
}

TEST_CASE("a headroom is kept against many transactions within a second", "[stream][quota]") {
  RowsFixture f;
  f.options.headroom_bytes = 100 << 20;
  f.options.intake_bytes = 1 << 20;
  f.options.at_quota = AtLimit::kRejectNew;
  f.files.SetFreeBytes(112 << 20);
  f.Open();
  f.MakeTable();
  (void)f.store->Pump();
  const uint64_t before = f.FileBytes();
  int rows = 0;
  for (int i = 0; i < 100; ++i) rows += f.Fill(10).ok() ? 10 : 0;
  CHECK(rows > 0);
  CHECK(f.FileBytes() - before <= 12 << 20);
}

TEST_CASE("rows leave the disk what the reserve needs to be of use", "[stream][quota]") {
  RowsFixture f;
  f.options.intake_bytes = 256 << 10;
  f.options.reserve_bytes = 1 << 20;
  f.files.ShareWith(&f.device.disk);
  f.files.SetFreeBytes(4 << 20);
  f.Open();
  f.MakeTable();
  CHECK(absl::IsResourceExhausted(f.Fill(60)));  // 6 MB, which the database is to grow by
  CHECK(f.Fill(10).ok());
  f.files.SetFreeBytes(64 << 20);
  CHECK(f.Fill(60).ok());
}

TEST_CASE("a store that is full is drained by transactions that note what they delete",
          "[stream][quota][queue]") {
  RowsFixture f;
  const bool headroom = GENERATE(false, true);
  CAPTURE(headroom);
  if (headroom) {  // what others leave of the disk, which nothing given back becomes
    f.options.headroom_bytes = 100 << 20;
    f.options.intake_bytes = 256 << 10;
    f.options.at_quota = AtLimit::kRejectNew;
    f.files.SetFreeBytes(104 << 20);
    f.Open();
  } else {
    f.OpenBounded(4 << 20, 256 << 10, AtLimit::kRejectNew);
  }
  REQUIRE(f.Run("CREATE TABLE app_paid (id TEXT, note TEXT)").ok());
  Queue& queue = *Ok(f.store->CreateQueue("q"));
  int sent = 0;
  const int most = headroom ? 1000 : 100'000;
  for (int i = 0; i < most && queue.Send(std::string(12000, 'm')).ok(); ++i, ++sent) {
    if (i % 20 == 0) f.Due();
  }
  Ok(f.store->Flush());
  REQUIRE(sent > 100);
  for (; !headroom && queue.Send("small").ok(); ++sent) f.Due();
  int paid = 0;
  if (headroom) {  // no room at all, then that of the first messages
    f.files.SetFreeBytes(99 << 20);
    for (; paid < 100; paid += 10) {
      ReceiveOptions ten;
      ten.max_messages = 10;
      for (const Message& message : Ok(queue.Receive(ten))) {
        Ok(queue.Delete(message.receipt_handle));
      }
    }
    for (int i = 0; i < 20; ++i) f.Due();
  }
  for (; paid < sent; ++paid) {
    ReceiveOptions one;
    one.max_messages = 1;
    const std::vector<Message> got = Ok(queue.Receive(one));
    if (got.empty()) break;
    const absl::Status done =
        f.store
            ->Transact([&](Transaction& t) -> absl::Status {
              if (auto gone = t.Delete(queue, got[0].receipt_handle); !gone.ok()) return gone;
              return t.sql()
                  .Run("INSERT INTO app_paid VALUES (?, ?)",
                       {std::string("some id"), std::string(5000, 'n')})
                  .status();
            })
            .status();
    INFO(paid << " of " << sent << " " << done.ToString());
    REQUIRE(done.ok());
    REQUIRE((headroom || f.FileBytes() <= f.options.quota_bytes));
  }
  CHECK(paid == sent);
  f.Due();
  CHECK(queue.Send(std::string(12000, 'm')).ok());
}

}  // namespace eddy::stream
