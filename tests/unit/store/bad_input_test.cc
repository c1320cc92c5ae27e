// Each way to open or use a store wrongly has its own clear answer, and leaves
// nothing behind.
#include <functional>
#include <string>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "eddy/eddy.h"
#include "src/sql/database.h"
#include "tests/fakes/device.h"

namespace eddy {
namespace {

constexpr char kDirectory[] = "/store";

struct BadInput {
  BadInput() {
    options.platform = device.platform();
    options.threads = false;
    options.intake_bytes = 256 << 10;
  }
  absl::Status OpenStatus(std::string_view directory = kDirectory) {
    return Store::Open(directory, options).status();
  }
  testing::Device device;
  StoreOptions options;
};

bool Says(const absl::Status& status, std::string_view text) {
  return std::string_view(status.message().data(), status.message().size()).find(text) !=
         std::string_view::npos;
}

TEST_CASE("an option out of its range is named, with what is allowed", "[store][bad-input]") {
  BadInput f;
  struct Case {
    const char* names;
    std::function<void(StoreOptions&)> spoil;
  };
  const Case cases[] = {
      {"flush_interval", [](StoreOptions& o) { o.flush_interval = absl::ZeroDuration(); }},
      {"flush_interval", [](StoreOptions& o) { o.flush_interval = absl::Hours(2); }},
      {"flush_interval", [](StoreOptions& o) { o.flush_interval = -absl::Seconds(1); }},
      {"intake_bytes", [](StoreOptions& o) { o.intake_bytes = 0; }},
      {"intake_bytes", [](StoreOptions& o) { o.intake_bytes = 16 << 10; }},
      {"quota_bytes", [](StoreOptions& o) { o.quota_bytes = (256 << 10) - 1; }},
      {"quota_bytes", [](StoreOptions& o) { o.quota_bytes = 512 << 10; }},  // the intake is half of it
      {"reserve_bytes", [](StoreOptions& o) { o.reserve_bytes = (640 << 10) - 1; }},
      {"reserve_bytes", [](StoreOptions& o) { o.reserve_bytes = (uint64_t{1} << 30) + 1; }},
      {"at_quota", [](StoreOptions& o) { o.at_quota = static_cast<AtLimit>(3); }},
      {"intake_bytes", [](StoreOptions& o) { o.intake_bytes = (256 << 10) + 1; }},
      {"intake_bytes", [](StoreOptions& o) { o.intake_bytes = (size_t{1} << 30) + (64 << 10); }},
      {"commit_bytes", [](StoreOptions& o) { o.commit_bytes = 0; }},
      {"append_timeout", [](StoreOptions& o) { o.append_timeout = -absl::Seconds(1); }},
  };
  for (const Case& c : cases) {
    BadInput each;
    c.spoil(each.options);
    const absl::Status status = each.OpenStatus();
    INFO(status.ToString());
    CHECK(absl::IsInvalidArgument(status));
    CHECK(Says(status, c.names));
    CHECK(each.device.disk.List().empty());
  }
  CHECK(absl::IsInvalidArgument(f.OpenStatus("")));
}

TEST_CASE("a directory whose parent is missing is kNotFound", "[store][bad-input]") {
  BadInput f;
  CHECK(absl::IsNotFound(f.OpenStatus("/no/such/parent")));
  CHECK(f.device.disk.List().empty());
}

TEST_CASE("a directory that cannot be written is kPermissionDenied", "[store][bad-input]") {
  BadInput f;
  f.device.files.FailNext(testing::FakeFiles::Op::kPrepareDirectory,
                          absl::PermissionDeniedError("/store: read-only"));
  CHECK(absl::IsPermissionDenied(f.OpenStatus()));
}

TEST_CASE("a store that another process owns is refused, naming the owner", "[store][bad-input]") {
  BadInput f;
  REQUIRE(f.device.files.PrepareDirectory(kDirectory).ok());
  f.device.files.HoldForeignLock("/store/eddy.lock", 4711);
  const absl::Status status = f.OpenStatus();
  INFO(status.ToString());
  CHECK(absl::IsFailedPrecondition(status));
  CHECK(Says(status, "4711"));
  f.device.files.ReleaseForeignLock("/store/eddy.lock");
  CHECK(f.OpenStatus().ok());
}

TEST_CASE("a store is opened once, in one process too", "[store][bad-input]") {
  BadInput f;
  const auto first = Store::Open(kDirectory, f.options);
  REQUIRE(first.ok());
  CHECK(absl::IsFailedPrecondition(f.OpenStatus()));
}

TEST_CASE("a foreign file in the intake's place is refused and left alone", "[store][bad-input]") {
  BadInput f;
  REQUIRE(f.device.files.PrepareDirectory(kDirectory).ok());
  const std::string foreign = GENERATE(std::string("x"), std::string("somebody's notes"),
                                       std::string(100000, 'f'));
  f.device.files.SetContent("/store/eddy.intake", foreign);
  const absl::Status status = f.OpenStatus();
  INFO(status.ToString());
  CHECK(absl::IsFailedPrecondition(status));
  CHECK(Says(status, "/store/eddy.intake"));
  CHECK(f.device.files.Content("/store/eddy.intake").substr(0, foreign.size()) == foreign);
  REQUIRE(f.device.files.Remove("/store/eddy.intake").ok());
  CHECK(f.OpenStatus().ok());
}

TEST_CASE("an intake that a newer eddy made is refused, with both versions", "[store][bad-input]") {
  BadInput f;
  REQUIRE(f.OpenStatus().ok());
  std::string intake = f.device.files.Content("/store/eddy.intake");
  intake[8] = 7;  // the version, behind the magic; the check is made anew
  const uint64_t check = XXH3_64bits(intake.data(), 48);
  intake.replace(48, 8, std::string(reinterpret_cast<const char*>(&check), 8));
  f.device.files.SetContent("/store/eddy.intake", intake);
  const absl::Status status = f.OpenStatus();
  INFO(status.ToString());
  CHECK(absl::IsFailedPrecondition(status));
  CHECK(Says(status, "version 7"));
  CHECK(f.device.files.Content("/store/eddy.intake") == intake);
}

TEST_CASE("a foreign file in the database's place is refused and left alone", "[store][bad-input]") {
  BadInput f;
  SECTION("no database at all") {
    const std::string foreign(8192, 'f');
    f.device.disk.SetContent("/store/eddy.db", foreign);
    CHECK_FALSE(f.OpenStatus().ok());
    CHECK(f.device.disk.Content("/store/eddy.db") == foreign);
  }
  SECTION("a database of another program") {
    {
      sql::OpenOptions open;
      open.vfs = f.device.disk.name();
      absl::StatusOr<sql::Database> db = sql::Database::Open("/store/eddy.db", open);
      REQUIRE(db.ok());
      REQUIRE(db->Exec("PRAGMA application_id = 1; CREATE TABLE theirs (x)").ok());
      REQUIRE(db->Close().ok());
    }
    const absl::Status status = f.OpenStatus();
    INFO(status.ToString());
    CHECK(absl::IsFailedPrecondition(status));
  }
}

TEST_CASE("a store of a newer eddy, or one older than any release, is refused, saying so",
          "[store][bad-input]") {
  const auto [version, said] = GENERATE(std::pair(1000, "1000"), std::pair(1, "before any release"));
  BadInput f;
  REQUIRE(f.OpenStatus().ok());
  {
    sql::OpenOptions open;
    open.vfs = f.device.disk.name();
    absl::StatusOr<sql::Database> db = sql::Database::Open("/store/eddy.db", open);
    REQUIRE(db.ok());
    REQUIRE(db->SetSchemaVersion(version).ok());
    REQUIRE(db->Close().ok());
  }
  const absl::Status status = f.OpenStatus();
  INFO(status.ToString());
  CHECK(absl::IsFailedPrecondition(status));
  CHECK(Says(status, said));
}

TEST_CASE("a full disk is kResourceExhausted at any moment of the first open, and a retry succeeds",
          "[store][bad-input][fault]") {
  for (uint64_t capacity = 0; capacity < 120000; capacity += 4096) {
    BadInput f;
    f.device.disk.SetCapacity(capacity);
    const absl::Status status = f.OpenStatus();
    if (status.ok()) continue;
    INFO(capacity << ": " << status.ToString());
    CHECK(absl::IsResourceExhausted(status));
    f.device.disk.SetCapacity(UINT64_MAX);
    const absl::Status again = f.OpenStatus();
    INFO(again.ToString());
    CHECK(again.ok());
  }
}

TEST_CASE("no space for the intake is kResourceExhausted", "[store][bad-input][fault]") {
  BadInput f;
  f.device.files.SetFreeBytes(1000);
  CHECK(absl::IsResourceExhausted(f.OpenStatus()));
  f.device.files.SetFreeBytes(UINT64_MAX);
  CHECK(f.OpenStatus().ok());
}

TEST_CASE("without create_if_missing an empty directory is kNotFound and stays empty",
          "[store][bad-input]") {
  BadInput f;
  f.options.create_if_missing = false;
  CHECK(absl::IsNotFound(f.OpenStatus()));
  CHECK(f.device.disk.List().empty());
}

TEST_CASE("names that do not exist, exist already or break the rules have their own codes",
          "[store][bad-input]") {
  BadInput f;
  const auto store = Store::Open(kDirectory, f.options);
  REQUIRE(store.ok());
  CHECK(absl::IsNotFound((*store)->OpenStream("s").status()));
  CHECK(absl::IsNotFound((*store)->OpenQueue("q").status()));
  REQUIRE((*store)->CreateStream("s").ok());
  CHECK(absl::IsAlreadyExists((*store)->CreateStream("s").status()));
  REQUIRE((*store)->CreateQueue("q").ok());
  CHECK((*store)->CreateQueue("q").ok());
  QueueOptions other;
  other.delay = absl::Seconds(1);
  CHECK(absl::IsAlreadyExists((*store)->CreateQueue("q", other).status()));
  for (const std::string& name :
       {std::string(), std::string("sp ace"), std::string("a/b"), std::string(129, 'a')}) {
    CHECK(absl::IsInvalidArgument((*store)->CreateStream(name).status()));
    CHECK(absl::IsInvalidArgument((*store)->CreateQueue(name).status()));
  }
  for (const uint32_t count : {0u, 1001u, 4000000000u}) {
    StreamOptions shards;
    shards.shard_count = count;
    CHECK(absl::IsInvalidArgument((*store)->CreateStream("t", shards).status()));
  }
  CHECK((*store)->ListStreams() == std::vector<std::string>{"s"});
  CHECK((*store)->ListQueues() == std::vector<std::string>{"q"});
}

TEST_CASE("a stream that could not be created on a full disk is not there afterwards",
          "[store][bad-input][fault]") {
  BadInput f;
  {
    const auto store = Store::Open(kDirectory, f.options);
    REQUIRE(store.ok());
    f.device.disk.SetCapacity(0);
    CHECK_FALSE((*store)->CreateStream("s").ok());
    CHECK((*store)->ListStreams().empty());
    f.device.disk.SetCapacity(UINT64_MAX);
    CHECK((*store)->CreateStream("s").ok());
  }
  const auto store = Store::Open(kDirectory, f.options);
  REQUIRE(store.ok());
  CHECK((*store)->ListStreams() == std::vector<std::string>{"s"});
}

}  // namespace
}  // namespace eddy
