// A store on a device in memory, a forwarder without threads, and AWS in memory.
//
//   ForwardHost host;
//   host.CreateStream("telemetry");            // here and there
//   host.StartKinesis("telemetry");
//   host.Put("telemetry", "pump-7", "1.5");
//   host.Run(absl::Seconds(1));                 // steps, time moves by itself
//   host.aws.Records("telemetry");
#ifndef EDDY_TESTS_UNIT_FORWARD_FORWARD_FIXTURE_H_
#define EDDY_TESTS_UNIT_FORWARD_FORWARD_FIXTURE_H_

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include "eddy/forwarder.h"
#include "eddy/store.h"
#include "tests/fakes/device.h"
#include "tests/fakes/fake_aws.h"

namespace eddy::forward {

using testing::FakeAws;
using testing::FakeCall;
using testing::FakeFault;
using Kind = testing::FakeFault::Kind;

// A provider whose answers a test sets.
class FakeCredentials : public CredentialsProvider {
 public:
  absl::StatusOr<AwsCredentials> Get() override {
    ++get_count;
    return answer;
  }
  absl::StatusOr<AwsCredentials> answer =
      AwsCredentials{FakeAws::kKeyId, "secret", "token", std::nullopt};
  int get_count = 0;
};

class ForwardHost {
 public:
  explicit ForwardHost(uint64_t seed = 1) : device(seed), aws(&device.clock, seed) {
    OpenStore();
    options.region = FakeAws::kRegion;
    options.kinesis_endpoint = "http://kinesis.test";
    options.sqs_endpoint = "http://sqs.test";
    options.credentials = &credentials;
    options.transport = &aws;
    options.platform = device.platform();
    options.threads = false;
  }

  // In the store and in AWS.
  void CreateStream(const std::string& name, uint32_t shard_count = 1) {
    aws.CreateStream(name);
    StreamOptions stream;
    stream.shard_count = shard_count;
    REQUIRE(store->CreateStream(name, stream).ok());
  }
  void CreateQueue(const std::string& name, QueueOptions queue = {},
                   size_t remote_bytes_max = 262144) {
    aws.CreateQueue(name, remote_bytes_max);
    REQUIRE(store->CreateQueue(name, queue).ok());
  }
  void CreateDeadLetters() { REQUIRE(store->CreateQueue("dead").ok()); }

  Stream& stream(const std::string& name) {
    auto found = store->OpenStream(name);
    REQUIRE(found.ok());
    return **found;
  }
  Queue& queue(const std::string& name) {
    auto found = store->OpenQueue(name);
    REQUIRE(found.ok());
    return **found;
  }
  void Put(const std::string& name, const std::string& key, const std::string& data) {
    const auto put = stream(name).Put(key, data);
    INFO(put.status().ToString());
    REQUIRE(put.ok());
  }
  void Send(const std::string& name, const std::string& body) {
    REQUIRE(queue(name).Send(body).ok());
  }

  void Start() {
    auto created = Forwarder::Create(store.get(), options);
    INFO(created.status().ToString());
    REQUIRE(created.ok());
    forwarder = *std::move(created);
  }
  void StartKinesis(const std::string& name) {
    if (forwarder == nullptr) Start();
    const absl::Status added = forwarder->AddKinesisRoute(name, name, route);
    INFO(added.ToString());
    REQUIRE(added.ok());
  }
  void StartSqs(const std::string& name) {
    if (forwarder == nullptr) Start();
    const absl::Status added = forwarder->AddSqsRoute(name, name, route);
    INFO(added.ToString());
    REQUIRE(added.ok());
  }

  // Lets the forwarder do what is due for `time` of the device's clock.
  void Run(absl::Duration time) {
    const absl::Duration end = device.clock.SinceBoot() + time;
    while (device.clock.SinceBoot() < end) {
      const absl::Duration pause = forwarder->RunOnce();
      store->Pump();
      const absl::Duration left = end - device.clock.SinceBoot();
      // A request takes time, and a step that asks to be called at once must not be
      // able to hold the clock for ever.
      device.clock.Advance(std::min(left, std::max(pause, absl::Milliseconds(1))));
    }
  }
  // Until every route has caught up; fails after `most`.
  void RunUntilCaughtUp(absl::Duration most = absl::Hours(24)) {
    const absl::Duration end = device.clock.SinceBoot() + most;
    const auto is_caught_up = [](const RouteStatus& s) { return s.caught_up; };
    for (;;) {
      Run(absl::Milliseconds(200));
      const std::vector<RouteStatus> all = forwarder->Status();
      if (std::all_of(all.begin(), all.end(), is_caught_up)) return;
      INFO(all.front().name << ": " << all.front().last_error);
      REQUIRE(device.clock.SinceBoot() < end);
    }
  }
  RouteStatus Status() { return forwarder->Status().front(); }

  // An orderly end and a new beginning; routes have to be added anew, here and below.
  void Reopen() {
    TakeProcess().reset();
    OpenStore();
  }
  // The process dies, or the power fails, and it starts again.
  void Kill() {
    device.Kill(TakeProcess(), kIntake);
    OpenStore();
  }
  void PowerCut(uint64_t seed) {
    device.PowerCut(TakeProcess(), seed);
    OpenStore();
  }

  testing::Device device;
  FakeAws aws;
  FakeCredentials credentials;
  ForwarderOptions options;
  RouteOptions route;
  std::unique_ptr<Store> store;
  std::unique_ptr<Forwarder> forwarder;

 private:
  static constexpr char kIntake[] = "/store/eddy.intake";

  struct Process {
    std::unique_ptr<Store> store;
    std::unique_ptr<Forwarder> forwarder;  // ends first
  };
  std::unique_ptr<Process> TakeProcess() {
    auto process = std::make_unique<Process>();
    process->store = std::move(store);
    process->forwarder = std::move(forwarder);
    return process;
  }

  void OpenStore() {
    StoreOptions store_options;
    store_options.intake_bytes = 1 << 20;
    store_options.threads = false;
    store_options.platform = device.platform();
    auto opened = Store::Open("/store", store_options);
    INFO(opened.status().ToString());
    REQUIRE(opened.ok());
    store = *std::move(opened);
  }
};

}  // namespace eddy::forward

#endif  // EDDY_TESTS_UNIT_FORWARD_FORWARD_FIXTURE_H_
