// CONTRACT 2.2 and trap 21: CreateQueue on a name that exists.
#include <catch2/catch_test_macros.hpp>
#include <memory>
#include <string>

#include "eddy/store.h"
#include "tests/fakes/device.h"

namespace eddy {
namespace {

struct Fixture {
  Fixture() {
    StoreOptions options;
    options.threads = false;
    options.platform = device.platform();
    auto opened = Store::Open("/store", options);
    REQUIRE(opened.ok());
    store = *std::move(opened);
    REQUIRE(store->CreateQueue("dead").ok());
    QueueOptions all;
    all.visibility_timeout = absl::Seconds(60);
    all.delay = absl::Seconds(5);
    all.receive_wait_time = absl::Seconds(10);
    all.message_bytes_max = 4096;
    all.dead_letter_queue = "dead";
    all.max_receive_count = 3;
    all.durability = Durability::kProcess;
    const auto created = store->CreateQueue("jobs", all);
    REQUIRE(created.ok());
    queue = *created;
  }

  testing::Device device;
  std::unique_ptr<Store> store;
  Queue* queue = nullptr;
};

TEST_CASE("CreateQueue compares only the attributes given", "[queue][contract]") {
  Fixture f;
  QueueOptions given;
  SECTION("none given always succeeds") {}
  SECTION("visibility_timeout") { given.visibility_timeout = absl::Seconds(60); }
  SECTION("delay") { given.delay = absl::Seconds(5); }
  SECTION("receive_wait_time") { given.receive_wait_time = absl::Seconds(10); }
  SECTION("message_bytes_max") { given.message_bytes_max = 4096; }
  SECTION("dead_letter_queue") { given.dead_letter_queue = "dead"; }
  SECTION("max_receive_count") { given.max_receive_count = 3; }
  SECTION("durability") { given.durability = Durability::kProcess; }
  const auto found = f.store->CreateQueue("jobs", given);
  INFO(found.status().ToString());
  REQUIRE(found.ok());
  CHECK(*found == f.queue);
  CHECK(f.queue->Describe().options.visibility_timeout == absl::Seconds(60));
}

TEST_CASE("CreateQueue with another value fails and names the attribute", "[queue][contract]") {
  Fixture f;
  QueueOptions given;
  std::string name;
  // Its default too, once it is given.
  SECTION("visibility_timeout") {
    name = "visibility_timeout";
    given.visibility_timeout = kVisibilityTimeoutDefault;
  }
  SECTION("delay") {
    name = "delay";
    given.delay = absl::ZeroDuration();
  }
  SECTION("receive_wait_time") {
    name = "receive_wait_time";
    given.receive_wait_time = absl::Seconds(20);
  }
  SECTION("message_bytes_max") {
    name = "message_bytes_max";
    given.message_bytes_max = kMessageBytesMax;
  }
  SECTION("dead_letter_queue") {
    name = "dead_letter_queue";
    given.dead_letter_queue = "jobs";
  }
  SECTION("max_receive_count") {
    name = "max_receive_count";
    given.max_receive_count = kMaxReceiveCountDefault;
  }
  SECTION("durability") {
    name = "durability";
    given.durability = Durability::kPower;
  }
  const absl::Status status = f.store->CreateQueue("jobs", given).status();
  INFO(status.ToString());
  CHECK(absl::IsAlreadyExists(status));
  CHECK(std::string(status.message()).find(name) != std::string::npos);
}

}  // namespace
}  // namespace eddy
