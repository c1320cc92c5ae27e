// Pump mode: the whole store on one thread that the host's loop drives, and the
// intake in plain memory where files cannot be mapped.
#include <filesystem>
#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include "absl/strings/str_cat.h"
#include "eddy/eddy.h"
#include "tests/fakes/device.h"

namespace eddy {
namespace {

constexpr char kDirectory[] = "/store";

// Threads of this process; 0 where the system does not tell.
size_t ThreadCount() {
  std::error_code error;
  size_t count = 0;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task", error)) {
    (void)task;
    ++count;
  }
  return count;
}

struct Pumped {
  explicit Pumped(bool in_memory) {
    options.platform = device.platform();
    options.threads = false;
    options.intake_bytes = 256 << 10;
    options.intake_in_memory = in_memory;
    Open();
  }
  void Open() {
    absl::StatusOr<std::unique_ptr<Store>> opened = Store::Open(kDirectory, options);
    INFO(opened.status().ToString());
    REQUIRE(opened.ok());
    store = *std::move(opened);
  }
  std::vector<std::string> Data() {
    Stream* const stream = *store->OpenStream("s");
    std::vector<std::string> data;
    std::string iterator = *stream->GetShardIterator(0, {});
    for (;;) {
      const absl::StatusOr<RecordBatch> batch = stream->GetRecords(iterator);
      REQUIRE(batch.ok());
      if (batch->records.empty()) return data;
      for (const Record& record : batch->records) data.emplace_back(record.data);
      iterator = batch->next_shard_iterator;
    }
  }
  testing::Device device;
  StoreOptions options;
  std::unique_ptr<Store> store;
};

TEST_CASE("a host's loop drives streams, queues and cursors without a thread", "[store][pump]") {
  const size_t threads = ThreadCount();
  const bool in_memory = GENERATE(false, true);
  Pumped f(in_memory);
  Stream* const stream = *f.store->CreateStream("s");
  QueueOptions queue_options;
  queue_options.visibility_timeout = absl::Seconds(5);
  queue_options.durability = Durability::kProcess;
  Queue* const queue = *f.store->CreateQueue("q", queue_options);
  Cursor* const cursor = *stream->OpenCursor("c");
  std::vector<std::string> want;
  int handled = 0;
  // Far more than the intake holds: the pump makes the room.
  for (int turn = 0; turn < 400; ++turn) {
    for (int i = 0; i < 5; ++i) {
      want.push_back(absl::StrCat(turn, "/", i, std::string(500, '.')));
      REQUIRE(stream->Put("k", want.back()).ok());
    }
    REQUIRE(queue->Send(absl::StrCat("job ", turn)).ok());
    const auto messages = queue->Receive();
    REQUIRE(messages.ok());
    for (const Message& message : *messages) {
      ++handled;
      REQUIRE(queue->Delete(message.receipt_handle).ok());
    }
    const auto batch = cursor->Read(0);
    REQUIRE(batch.ok());
    REQUIRE(cursor->Advance(0, batch->next_sequence_number).ok());
    const absl::Duration pause = f.store->Pump();
    REQUIRE(pause > absl::ZeroDuration());
    f.device.clock.Advance(std::min(pause, absl::Milliseconds(300)));
  }
  CHECK(handled == 400);
  CHECK(f.Data() == want);
  CHECK(f.store->Stats().commits > 0);
  CHECK(ThreadCount() == threads);
  f.store.reset();
  f.Open();
  CHECK(f.Data() == want);
}

TEST_CASE("an intake in memory makes no file, and takes over and removes an older one",
          "[store][pump]") {
  Pumped f(/*in_memory=*/false);
  REQUIRE((*f.store->CreateStream("s"))->Put("k", "mapped").ok());
  f.device.Kill(std::move(f.store), "/store/eddy.intake");
  f.options.intake_in_memory = true;
  f.Open();
  CHECK(f.Data() == std::vector<std::string>{"mapped"});
  CHECK_FALSE(f.device.files.Exists("/store/eddy.intake"));
  Stream* const stream = *f.store->OpenStream("s");
  REQUIRE(stream->Put("k", "committed").ok());
  REQUIRE(f.store->Flush().ok());
  const PutResult lost = *stream->Put("k", "accepted only");
  SECTION("a killed process loses what it had only accepted, and reuses no number") {
    f.device.disk.KillProcess();
    f.store.reset();
    f.device.files.KillProcess();
    f.Open();
    CHECK(f.Data() == std::vector<std::string>{"mapped", "committed"});
    CHECK(f.store->Stats().intake_distrusted);
    CHECK((*f.store->OpenStream("s"))->Put("k", "next")->sequence_number > lost.sequence_number);
  }
  SECTION("a clean close loses nothing") {
    f.store.reset();
    f.options.intake_in_memory = false;
    f.Open();
    CHECK(f.Data() == std::vector<std::string>{"mapped", "committed", "accepted only"});
  }
}

TEST_CASE("a system that cannot map files is told what to do", "[store][pump][bad-input]") {
  testing::Device device;
  StoreOptions options;
  options.platform = device.platform();
  options.threads = false;
  device.files.FailNext(testing::FakeFiles::Op::kMapShared,
                        absl::UnimplementedError("no mmap here"), 0, /*sticky=*/true);
  const absl::Status status = Store::Open(kDirectory, options).status();
  CHECK(absl::IsUnimplemented(status));
  CHECK(std::string(status.message()).find("intake_in_memory") != std::string::npos);
  options.intake_in_memory = true;
  CHECK(Store::Open(kDirectory, options).ok());
}

}  // namespace
}  // namespace eddy
