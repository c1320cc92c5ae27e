#include <algorithm>
#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/fakes/device.h"
#include "tests/fakes/scale.h"
#include "tests/stress/stress_store.h"

namespace eddy {
namespace {

using testing::Scaled;
using testing::StressStore;

// Reads every shard to `total` records, holding each key to its order. Returns
// how many things were wrong. Runs on a thread of its own: no Catch macro here.
int ReadAll(Stream* stream, int total) {
  int wrong = 0;
  std::map<std::string, int> next_of_key;
  std::vector<std::string> iterators;
  for (ShardId shard = 0; shard < stream->shard_count(); ++shard) {
    iterators.push_back(stream->GetShardIterator(shard, {}).value_or(""));
  }
  GetRecordsOptions options;
  options.limit = 61;
  options.wait_time = absl::Milliseconds(20);
  for (int count = 0; count < total;) {
    for (std::string& iterator : iterators) {
      const absl::StatusOr<RecordBatch> batch = stream->GetRecords(iterator, options);
      if (!batch.ok()) return wrong + 1;
      for (const Record& record : batch->records) {
        int& next = next_of_key[std::string(record.partition_key)];
        const std::string number = absl::StrCat(next++, ":");
        if (record.data.substr(0, number.size()) != number) ++wrong;
        ++count;
      }
      iterator = batch->next_shard_iterator;
    }
  }
  return wrong;
}

TEST_CASE("producers, readers and the committer share four segments", "[stress][stream]") {
  constexpr int kProducers = 4;
  const int records = Scaled(20000);  // of each producer
  StressStore store;
  StreamOptions options;
  options.shard_count = 2;
  Stream* const stream = *store->CreateStream("s", options);
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int p = 0; p < kProducers; ++p) {
    threads.emplace_back([&, p] {
      const std::string key = absl::StrCat("producer-", p);
      PutOptions put;
      for (int i = 0; i < records; ++i) {
        put.durability = i % 1000 == 999 ? Durability::kPower : Durability::kProcess;
        const std::string data = absl::StrCat(i, ":", std::string(static_cast<size_t>(i % 300), 'x'));
        if (!stream->Put(key, data, put).ok()) ++wrong;
      }
    });
  }
  for (int r = 0; r < 2; ++r) {
    threads.emplace_back([&] { wrong += ReadAll(stream, kProducers * records); });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
  CHECK(ReadAll(stream, kProducers * records) == 0);  // and once more, from the disk
}

TEST_CASE("ten times more busy logs than segments go on", "[stress][stream]") {
  constexpr int kStreams = 40;
  const int rounds = Scaled(300);
  StressStore store;
  std::vector<Stream*> streams;
  for (int s = 0; s < kStreams; ++s) {
    streams.push_back(*store->CreateStream(absl::StrCat("s", s)));
  }
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int p = 0; p < 3; ++p) {
    threads.emplace_back([&, p] {
      const std::string key = absl::StrCat("producer-", p);
      for (int i = 0; i < rounds; ++i) {
        for (Stream* stream : streams) {
          if (!stream->Put(key, absl::StrCat(i, ":")).ok()) ++wrong;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
  for (Stream* stream : streams) CHECK(ReadAll(stream, 3 * rounds) == 0);
}

// One thread and a clock that only a wait could move: whoever finds no segment must be
// able to help himself, however busy the others are.
TEST_CASE("of ten times more logs than segments none waits for another", "[stress][stream]") {
  constexpr size_t kStreams = 40;
  testing::Device device;
  StoreOptions options;
  options.platform = device.platform();
  options.threads = false;
  options.intake_bytes = 256 << 10;  // four segments
  auto opened = Store::Open("/store", options);
  REQUIRE(opened.ok());
  const std::unique_ptr<Store> store = *std::move(opened);
  REQUIRE(store->Stats().intake_segments * 10 <= kStreams);
  std::vector<Stream*> streams;
  for (size_t s = 0; s < kStreams; ++s) {
    streams.push_back(*store->CreateStream(absl::StrCat("s", s)));
  }
  testing::FakeRandom random(1);
  const absl::Duration began = device.clock.SinceBoot();
  std::vector<int> count(kStreams, 0);
  uint64_t commits_most = 0;
  for (int i = 0; i < Scaled(8000); ++i) {
    // The first is busy, the others take turns by chance.
    const size_t s = random.OneIn(2) ? 0 : random.Below(kStreams);
    const std::string data =
        absl::StrCat(count[s]++, ":", std::string(random.Below(size_t{2000}), 'x'));
    const uint64_t before = store->Stats().commits;
    const absl::StatusOr<PutResult> put = streams[s]->Put("k", data);
    INFO("put " << i << " to stream " << s << ": " << put.status().ToString());
    REQUIRE(put.ok());
    commits_most = std::max(commits_most, store->Stats().commits - before);
  }
  CHECK(device.clock.SinceBoot() == began);
  CHECK(commits_most <= 2);  // that a put has to make before it finds its place
  for (size_t s = 0; s < kStreams; ++s) CHECK(ReadAll(streams[s], count[s]) == 0);
}

TEST_CASE("trimming, cursors and puts beside each other leave the newest", "[stress][stream]") {
  const int records = Scaled(20000);
  StressStore store;
  Stream* const stream = *store->CreateStream("s");
  Cursor* const cursor = *stream->OpenCursor("c");
  std::atomic<int> wrong{0};
  std::thread producer([&] {
    for (int i = 0; i < records; ++i) {
      if (!stream->Put("k", absl::StrCat(i)).ok()) ++wrong;
    }
  });
  std::thread consumer([&] {
    GetRecordsOptions options;
    options.wait_time = absl::Milliseconds(20);
    for (int next = 0; next < records;) {
      const absl::StatusOr<RecordBatch> batch = cursor->Read(0, options);
      if (!batch.ok()) {
        ++wrong;
        return;
      }
      for (const Record& record : batch->records) {
        if (record.data != absl::StrCat(next++)) ++wrong;
      }
      if (!cursor->Advance(0, batch->next_sequence_number).ok()) ++wrong;
      if (!stream->Trim(0, batch->next_sequence_number).ok()) ++wrong;
    }
  });
  producer.join();
  consumer.join();
  CHECK(wrong == 0);
  REQUIRE(store->Flush().ok());
  CHECK(stream->Describe().shards[0].oldest > 0);
}

}  // namespace
}  // namespace eddy
