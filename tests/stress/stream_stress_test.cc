#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
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
