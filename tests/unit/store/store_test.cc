#include <string>

#include <catch2/catch_test_macros.hpp>

#include "eddy/eddy.h"
#include "tests/fakes/device.h"

namespace eddy {
namespace {

constexpr char kDirectory[] = "/store";

struct StoreFixture {
  StoreFixture() {
    options.platform = device.platform();
    options.threads = false;
    options.intake_bytes = 256 << 10;
    Open();
  }
  void Open() {
    auto opened = Store::Open(kDirectory, options);
    INFO(opened.status().ToString());
    REQUIRE(opened.ok());
    store = *std::move(opened);
  }
  testing::Device device;
  StoreOptions options;
  std::unique_ptr<Store> store;
};

TEST_CASE("streams and queues are found again after a close", "[store]") {
  StoreFixture f;
  REQUIRE(f.store->CreateStream("b").ok());
  REQUIRE(f.store->CreateStream("a").ok());
  REQUIRE(f.store->CreateQueue("q").ok());
  f.store.reset();
  f.Open();
  CHECK(f.store->ListStreams() == std::vector<std::string>{"a", "b"});
  CHECK(f.store->ListQueues() == std::vector<std::string>{"q"});
}

TEST_CASE("a commit token can be waited on", "[store][commit]") {
  StoreFixture f;
  Stream* const stream = *f.store->CreateStream("s");
  const PutResult put = *stream->Put("k", "accepted");
  CHECK(f.store->Wait(put.token, absl::Seconds(1)).ok());
  f.device.PowerCut(std::move(f.store), 3);
  f.Open();
  Stream* const again = *f.store->OpenStream("s");
  CHECK(again->GetRecords(*again->GetShardIterator(0, {}))->records.size() == 1);
}

TEST_CASE("a token waited for on a disk that refuses is kUnavailable, and the record stays",
          "[store][commit][fault]") {
  StoreFixture f;
  Stream* const stream = *f.store->CreateStream("s");
  const PutResult put = *stream->Put("k", "accepted");
  f.device.disk.SetCapacity(0);
  CHECK(absl::IsUnavailable(f.store->Wait(put.token, absl::Seconds(1))));
  CHECK_FALSE(f.store->Flush().ok());
  CHECK_FALSE(f.store->Stats().last_commit.ok());
  CHECK(f.store->Stats().commit_failures > 0);
  f.device.disk.SetCapacity(UINT64_MAX);
  CHECK(f.store->Flush().ok());
}

TEST_CASE("without threads, Pump keeps the flush interval", "[store][pump][time]") {
  StoreFixture f;
  Stream* const stream = *f.store->CreateStream("s");
  f.store->Pump();
  REQUIRE(stream->Put("k", "d").ok());
  const absl::Duration pause = f.store->Pump();
  CHECK(pause > absl::ZeroDuration());
  CHECK(pause <= absl::Seconds(1));
  GetRecordsOptions committed;
  committed.read_committed = true;
  const std::string iterator = *stream->GetShardIterator(0, {});
  CHECK(stream->GetRecords(iterator, committed)->records.empty());
  f.device.clock.Advance(pause);
  f.store->Pump();
  CHECK(stream->GetRecords(iterator, committed)->records.size() == 1);
}

// It crashed: the closing commit woke the committer, which was gone.
TEST_CASE("a store with threads closes though its last commit makes a long WAL",
          "[store][commit][regression]") {
  testing::Device device;
  device.clock.SetAutoAdvance(false);  // no flush is due but the last one
  StoreOptions options;
  options.platform = device.platform();
  options.intake_bytes = 1 << 20;
  options.quota_bytes = 4 << 20;  // a sixteenth of it bounds the WAL
  std::unique_ptr<Store> store = *Store::Open(kDirectory, options);
  Stream* const stream = *store->CreateStream("s");
  const std::string data(4000, 'd');
  for (int i = 0; i < 200; ++i) REQUIRE(stream->Put("k", data).ok());
  store.reset();
  store = *Store::Open(kDirectory, options);
  Stream* const again = *store->OpenStream("s");
  CHECK(again->GetRecords(*again->GetShardIterator(0, {}))->records.size() == 200);
}

TEST_CASE("the intake may lie in another directory, under the store's own name", "[store]") {
  StoreFixture f;
  f.store.reset();
  REQUIRE(f.device.files.PrepareDirectory("/ram").ok());
  f.options.intake_directory = "/ram";
  f.Open();
  Stream* const stream = *f.store->CreateStream("s");
  REQUIRE(stream->Put("k", "d").ok());
  CHECK(f.store->Stats().intake_segments == 4);
}

}  // namespace
}  // namespace eddy
