// No memory: SQLite tells it in the same words as a disk that is full, which it is not.
#include <sqlite3.h>

#include <string>

#include "eddy/transaction.h"
#include "tests/unit/stream/quota_fixture.h"

namespace eddy::stream {
namespace {

// SQLite finds hardly any memory more. Of both limits: the hard one lowers the soft one, which
// would stay, and slow down all that comes later.
class LittleMemory {
 public:
  LittleMemory()
      : soft_(sqlite3_soft_heap_limit64(-1)),
        hard_(sqlite3_hard_heap_limit64(sqlite3_memory_used() + 20'000)) {}
  ~LittleMemory() {
    sqlite3_hard_heap_limit64(hard_);
    sqlite3_soft_heap_limit64(soft_);
  }
  LittleMemory(const LittleMemory&) = delete;
  LittleMemory& operator=(const LittleMemory&) = delete;

 private:
  const int64_t soft_;
  const int64_t hard_;
};

absl::Status MakeTable(Transaction& t) {
  return t.sql().Run("CREATE TABLE app_done (what BLOB)", {}).status();
}

}  // namespace

TEST_CASE("a round that finds no memory is no full disk", "[stream][quota][fault]") {
  StoreFixture f;
  f.options.intake_bytes = 256 << 10;
  f.options.reserve_bytes = 1 << 20;
  f.options.secure_delete = true;  // so that blocks are rows
  f.Open();
  Stream& stream = f.Stream1("telemetry");
  for (int i = 0; i < 100; ++i) Ok(stream.Put("key", std::string(2000, 'x')));
  absl::Status flushed;
  {
    const LittleMemory little;
    flushed = f.store->Flush();
  }
  INFO(flushed.ToString());
  CHECK_FALSE(flushed.ok());
  CHECK(f.store->Stats().reserve_held);
  CHECK(f.store->Flush().ok());
  CHECK(CountAll(stream) == 100);
}

TEST_CASE("a transaction that finds no memory is no full disk", "[stream][quota][fault]") {
  StoreFixture f;
  f.options.intake_bytes = 256 << 10;
  f.options.reserve_bytes = 1 << 20;
  f.Open();
  REQUIRE(f.store->Transact(MakeTable).ok());
  const absl::Status failed =
      f.store
          ->Transact([&](Transaction& t) -> absl::Status {
            absl::Status run;
            {
              const LittleMemory little;
              run = t.sql().Run("INSERT INTO app_done VALUES (randomblob(99999))", {}).status();
            }
            INFO(run.ToString());
            CHECK(absl::IsResourceExhausted(run));
            return run;
          })
          .status();
  CHECK(absl::IsResourceExhausted(failed));
  CHECK(f.store->Stats().reserve_held);
  CHECK(f.store->Stats().disk_state == DiskState::kGood);
}

}  // namespace eddy::stream
