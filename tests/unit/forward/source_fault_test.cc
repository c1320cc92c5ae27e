// The stream's side of a route: shards that cannot be read, and looks that cost nothing.
#include <string>

#include <catch2/catch_test_macros.hpp>

#include "absl/strings/str_cat.h"
#include "tests/unit/forward/faulty_store.h"
#include "tests/unit/forward/forward_fixture.h"

namespace eddy::forward {
namespace {

struct FaultyHost : ForwardHost {
  explicit FaultyHost(uint32_t shard_count) {
    CreateStream("s", shard_count);
    faulty = std::make_unique<FaultyStore>(store.get());
    forwarder = *Forwarder::Create(faulty.get(), options);
  }
  ~FaultyHost() { forwarder.reset(); }
  std::unique_ptr<FaultyStore> faulty;
};

TEST_CASE("a shard that cannot be read stops itself and is told; the others are carried",
          "[forward][kinesis][fault]") {
  FaultyHost host(4);
  int good_count = 0;
  for (int i = 0; i < 100; ++i) {
    const auto put = host.stream("s").Put(absl::StrCat("k", i), "d");
    REQUIRE(put.ok());
    if (put->shard != 1) ++good_count;
  }
  REQUIRE(good_count < 100);
  host.faulty->stream("s").bad_shard = 1;
  host.StartKinesis("s");
  host.Run(absl::Seconds(5));
  CHECK(host.aws.Records("s").size() == static_cast<size_t>(good_count));
  CHECK(absl::IsDataLoss(host.Status().last_error));
  CHECK(host.Status().link == LinkState::kOnline);
  CHECK_FALSE(host.Status().caught_up);

  SECTION("also what is put later") {
    for (int i = 0; i < 20; ++i) host.Put("s", absl::StrCat("k", i), "later");
    host.Run(absl::Seconds(5));
    CHECK(host.aws.Records("s").size() > static_cast<size_t>(good_count));
  }
  SECTION("and it goes on when it can be read again") {
    host.faulty->stream("s").bad_shard.reset();
    host.RunUntilCaughtUp();
    CHECK(host.aws.Records("s").size() == 100);
    CHECK(host.Status().last_error.ok());
  }
}

TEST_CASE("a route that waits for records reads none", "[forward][kinesis]") {
  FaultyHost host(8);
  for (int i = 0; i < 40; ++i) host.Put("s", absl::StrCat("k", i), "d");
  host.StartKinesis("s");
  host.RunUntilCaughtUp();
  host.Run(absl::Seconds(2));  // the intake is committed
  int& read_count = host.faulty->stream("s").read_count;
  const int before = read_count;
  host.Run(absl::Minutes(10));
  CHECK(read_count == before);

  host.Put("s", "k", "d");
  host.RunUntilCaughtUp();
  CHECK(host.aws.Records("s").size() == 41);
  CHECK(read_count <= before + 2);  // of the one shard

  SECTION("nor after a restart with nothing new") {
    host.forwarder.reset();
    host.forwarder = *Forwarder::Create(host.faulty.get(), host.options);
    host.StartKinesis("s");
    const int at_start = read_count;
    host.Run(absl::Minutes(1));
    CHECK(read_count - at_start <= 8);
    CHECK(host.Status().caught_up);
  }
}

}  // namespace
}  // namespace eddy::forward
