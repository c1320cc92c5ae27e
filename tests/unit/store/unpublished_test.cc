// What a round may leave apart while a frame of another log is claimed and not yet
// published: its thread was preempted in the midst of a copy.
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "eddy/eddy.h"
#include "src/log/frame.h"
#include "tests/fakes/device.h"

namespace eddy {
namespace {

// Shows where the intake is mapped.
class TappedFiles final : public Files {
 public:
  explicit TappedFiles(Files* files) : files_(files) {}
  absl::Status PrepareDirectory(const std::string& path) override {
    return files_->PrepareDirectory(path);
  }
  absl::StatusOr<std::unique_ptr<FileLock>> Lock(const std::string& path) override {
    return files_->Lock(path);
  }
  bool Exists(const std::string& path) override { return files_->Exists(path); }
  absl::Status Remove(const std::string& path) override { return files_->Remove(path); }
  absl::Status Rename(const std::string& from, const std::string& to) override {
    return files_->Rename(from, to);
  }
  absl::StatusOr<std::unique_ptr<Mapping>> MapShared(const std::string& path,
                                                     size_t bytes) override {
    auto mapping = files_->MapShared(path, bytes);
    if (mapping.ok() && path == "/store/eddy.intake") {
      intake = (*mapping)->data();
      intake_bytes = bytes;
    }
    return mapping;
  }
  absl::StatusOr<uint64_t> Size(const std::string& path) override { return files_->Size(path); }
  absl::StatusOr<FreeSpace> Free(const std::string& path) override { return files_->Free(path); }

  // The frame whose body ends with `text` is as its producer leaves it before it publishes.
  // Returns word 0, to be put back.
  uint32_t* Unpublish(const std::string& text, uint32_t* word0) {
    for (size_t at = 4096; at + text.size() <= intake_bytes; ++at) {
      if (std::memcmp(intake + at, text.data(), text.size()) != 0) continue;
      for (size_t back = at & ~size_t{3}; back > at - 100; back -= 4) {
        log::FrameView frame;
        if (!log::ParseFrame(intake + back, intake_bytes - back, 64, &frame)) continue;
        if (frame.body.data() + frame.body.size() != intake + at + text.size()) continue;
        auto* const word = reinterpret_cast<uint32_t*>(intake + back);
        *word0 = *word;
        *word = 0;
        return word;
      }
    }
    return nullptr;
  }

  char* intake = nullptr;
  size_t intake_bytes = 0;

 private:
  Files* const files_;
};

// Messages that were received as often as they may be, and a stream's record whose producer
// is at work, or not.
struct PoisonFixture {
  explicit PoisonFixture(int messages) {
    options.platform = device.platform();
    options.platform.files = &files;
    options.threads = false;
    options.intake_bytes = 256 << 10;
    Open();
    Stream* const stream = *store->CreateStream("s");
    dead = *store->CreateQueue("dead");
    QueueOptions with_dead;
    with_dead.dead_letter_queue = "dead";
    with_dead.max_receive_count = 1;
    jobs = *store->CreateQueue("jobs", with_dead);
    for (int i = 0; i < messages; ++i) REQUIRE(jobs->Send("poison").ok());
    at_once.visibility_timeout = absl::ZeroDuration();
    at_once.max_messages = 10;
    REQUIRE(jobs->Receive(at_once)->size() == static_cast<size_t>(messages));
    REQUIRE(store->Flush().ok());
    at_once.durability = Durability::kProcess;
    REQUIRE(stream->Put("k", "a record that is being copied").ok());
    uint32_t word0 = 0;
    if (preempted) REQUIRE(files.Unpublish("a record that is being copied", &word0) != nullptr);
  }
  void Open() {
    auto opened = Store::Open("/store", options);
    INFO(opened.status().ToString());
    REQUIRE(opened.ok());
    store = *std::move(opened);
  }

  testing::Device device;
  TappedFiles files{&device.files};
  StoreOptions options;
  ReceiveOptions at_once;
  std::unique_ptr<Store> store;
  Queue* dead = nullptr;
  Queue* jobs = nullptr;
  const bool preempted = GENERATE(false, true);
};

TEST_CASE("a dead letter is in one queue, also if a producer of another log was preempted when "
          "the power fails",
          "[store][queue][dlq][crash]") {
  PoisonFixture f(1);
  CAPTURE(f.preempted);
  REQUIRE(f.jobs->Receive(f.at_once)->empty());  // moves it
  f.device.clock.Advance(absl::Seconds(2));
  f.store->Pump();  // a round
  f.device.PowerCut(std::move(f.store), 1);
  f.Open();
  const auto in_jobs = (*f.store->OpenQueue("jobs"))->Describe().counts.visible;
  const auto in_dead = (*f.store->OpenQueue("dead"))->Describe().counts.visible;
  CHECK(in_jobs + in_dead == 1);
}

TEST_CASE("a dead letter that a transaction has ended costs no database, if the power fails",
          "[store][queue][dlq][crash]") {
  PoisonFixture f(2);
  CAPTURE(f.preempted);
  REQUIRE(f.jobs->Receive(f.at_once)->empty());  // moves both
  ReceiveOptions process;
  process.durability = Durability::kProcess;
  process.max_messages = 10;
  const auto letters = f.dead->Receive(process);
  REQUIRE(letters->size() == 2);
  const auto done = f.store->Transact([&](Transaction& transaction) {
    return transaction.Delete(*f.dead, letters->at(1).receipt_handle);
  });
  INFO(done.status().ToString());
  REQUIRE(done.ok());
  f.device.PowerCut(std::move(f.store), 1);
  f.options.on_damage = OnDamage::kRefuse;
  f.Open();
}

}  // namespace
}  // namespace eddy
