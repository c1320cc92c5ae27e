// Threads that put, read, advance and commit at once. They show nothing that a
// fake clock could order; a sanitizer and the totals judge.
#include <atomic>
#include <map>
#include <thread>

#include "tests/unit/stream/stream_fixture.h"

namespace eddy::stream {
namespace {

constexpr int kRecordsPerWriter = 1500;
constexpr int kWriters = 3;

TEST_CASE(
    "each key's records are read once and in order while all put, read and "
    "commit",
    "[stream][threads]") {
  StreamFixture f({2, Durability::kProcess}, 1 << 20);
  std::atomic<bool> written{false};
  std::atomic<int> failures{0};
  std::vector<std::thread> writers;
  for (int w = 0; w < kWriters; ++w) {
    writers.emplace_back([&, w] {
      const std::string key = absl::StrCat("writer-", w);
      for (int i = 0; i < kRecordsPerWriter; ++i) {
        PutOptions put;
        put.timeout = absl::Hours(10);  // of a clock that runs on its own
        if (!f.stream().Put(key, absl::StrCat(i), put).ok()) ++failures;
      }
    });
  }
  std::thread committer([&] {
    while (!written) {
      if (!f.engine->Flush().ok()) ++failures;
    }
  });
  // Catch's macros are for one thread: readers count what is wrong.
  std::vector<std::thread> readers;
  std::atomic<int> records_read{0};
  for (int r = 0; r < 2; ++r) {
    readers.emplace_back([&, r] {
      const auto opened = f.stream().OpenCursor(absl::StrCat("reader-", r));
      if (!opened.ok()) {
        ++failures;
        return;
      }
      Cursor& cursor = **opened;
      std::map<std::string, int> next_of_key;
      for (bool last = false; !last;) {
        last = written;  // before the read: then nothing may be left
        bool found = false;
        for (ShardId shard = 0; shard < 2; ++shard) {
          GetRecordsOptions get;
          get.limit = 97;
          const auto batch = cursor.Read(shard, get);
          if (!batch.ok()) {
            ++failures;
            return;
          }
          SequenceNumber before = 0;
          for (const Record& record : batch->records) {
            int& next = next_of_key[std::string(record.partition_key)];
            if (record.data != absl::StrCat(next)) ++failures;
            if (record.sequence_number <= before) ++failures;
            before = record.sequence_number;
            ++next;
            ++records_read;
          }
          found = found || !batch->records.empty();
          if (!cursor.Advance(shard, batch->next_sequence_number).ok()) {
            ++failures;
          }
        }
        if (found) last = false;
      }
    });
  }
  for (std::thread& writer : writers) writer.join();
  written = true;
  for (std::thread& reader : readers) reader.join();
  committer.join();
  CHECK(failures == 0);
  CHECK(records_read == 2 * kWriters * kRecordsPerWriter);
}

TEST_CASE("a reader that sleeps is woken by a put", "[stream][threads]") {
  StreamFixture f;
  f.device.clock.SetAutoAdvance(false);
  const std::string iterator = f.Iterator(0, ShardIteratorType::kLatest);
  absl::StatusOr<RecordBatch> batch = absl::UnknownError("not yet");
  std::thread reader([&] {
    GetRecordsOptions get;
    get.wait_time = absl::Hours(1);
    batch = f.stream().GetRecords(iterator, get);
  });
  while (f.device.clock.WaiterCount() == 0) std::this_thread::yield();
  f.Put("k", "d");
  reader.join();
  f.device.clock.SetAutoAdvance(true);
  REQUIRE(batch.ok());
  REQUIRE(batch->records.size() == 1);
  CHECK(batch->records[0].data == "d");
}

TEST_CASE("threads that advance one cursor leave it at the highest place",
          "[stream][threads][cursor]") {
  StreamFixture f;
  std::vector<SequenceNumber> numbers;
  for (int i = 0; i < 400; ++i) {
    numbers.push_back(f.Put("k", "d").sequence_number);
  }
  // A wait for another thread's commit must not move the clock to its deadline.
  f.device.clock.SetAutoAdvance(false);
  std::atomic<int> failures{0};
  std::vector<std::thread> threads;
  for (size_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      const auto cursor = f.stream().OpenCursor("shared");
      if (!cursor.ok()) {
        ++failures;
        return;
      }
      for (size_t i = t; i < numbers.size(); i += 4) {
        const absl::Status moved = (*cursor)->Advance(
            0, numbers[i] + 1,
            i % 50 == 0 ? Durability::kPower : Durability::kProcess);
        if (!moved.ok() && !absl::IsOutOfRange(moved)) ++failures;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  f.device.clock.SetAutoAdvance(true);
  CHECK(failures == 0);
  const SequenceNumber want = numbers.back() + 1;
  CHECK(Ok(f.stream().OpenCursor("shared"))->Position(0) == want);
  f.KillAndReopen();
  CHECK(Ok(f.stream().OpenCursor("shared"))->Position(0) == want);
}

}  // namespace
}  // namespace eddy::stream
