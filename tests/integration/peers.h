// The peers of one test: what they are told, what they have seen, what arrived.
//
//   Gateway gateway;                               // a store and a forwarder, threads
//   gateway.CreateStream("telemetry", 2);          // here and there
//   gateway.peers.OrderFront("kinesis", R"({"op":"PutRecords","action":"drop-response"})");
//   ...
// A Gateway's end checks that the fronts verified every request, unless the test said
// that it expects refusals.
#ifndef EDDY_TESTS_INTEGRATION_PEERS_H_
#define EDDY_TESTS_INTEGRATION_PEERS_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "eddy/forwarder.h"
#include "eddy/store.h"
#include "src/aws/json.h"

namespace eddy::integration {

// `service`: "kinesis" or "sqs".
class Peers {
 public:
  // Reads EDDY_PEERS, and puts fronts and proxies in order.
  Peers();

  std::string Endpoint(const std::string& service);
  std::string region();
  std::string ca_file();             // empty without TLS
  AwsCredentials Credentials(size_t index);  // 0: long-term; 1, 2: with a token

  void OrderFront(const std::string& service, const std::string& json);
  void OrderChaos(const std::string& service, const std::string& json);
  void Restore(const std::string& service);

  // A counter of the proxy: "fired", "cut", "slowed", "slowedMs", ...
  int64_t ChaosCount(const std::string& service, const std::string& counter);
  // A counter of the front: "verified", "refused", "invalid", "calls", "faults", ...
  int64_t Count(const std::string& service, const std::string& operation,
                const std::string& counter);
  // Refused and invalid requests of all operations.
  int64_t Rejected(const std::string& service);

  void CreateStream(const std::string& name, uint32_t shard_count);
  void CreateQueue(const std::string& name, const std::string& attributes = "");
  // Key and data in the order of each shard, read past the front.
  std::vector<std::pair<std::string, std::string>> ReadStream(const std::string& name);
  std::vector<std::string> ReadQueue(const std::string& name);

 private:
  std::string Text(const std::string& service, const char* member);
  aws::JsonDocument Call(const std::string& url, const std::string& body);
  std::string RunNode(const std::string& arguments);

  std::string file_;
  std::string program_directory_;
  aws::JsonDocument document_;
  std::unique_ptr<HttpTransport> http_;
};

// A store in a directory of its own, and a forwarder with threads.
class Gateway {
 public:
  Gateway();
  ~Gateway();
  Gateway(const Gateway&) = delete;
  Gateway& operator=(const Gateway&) = delete;

  // A name that no other test has, made here and there.
  std::string CreateStream(uint32_t shard_count = 1);
  std::string CreateQueue(const std::string& remote_attributes = "");

  // Ends the forwarder and the store, in the middle of whatever they do, and opens the
  // store again. Routes have to be added anew.
  void Restart();

  void Start();
  void AddKinesisRoute(const std::string& name);
  void AddSqsRoute(const std::string& name);

  // Record n of its key, counted in `put`.
  void Put(const std::string& stream, const std::string& key, const std::string& more = "");
  void PutMany(const std::string& stream, int count, int key_count);
  void Send(const std::string& queue, const std::string& body);

  // Waits until it holds; fails the test after `most`.
  void WaitUntil(const std::string& what, const std::function<bool()>& holds,
                 absl::Duration most = absl::Seconds(30));
  // Until everything that was put or sent is delivered or dead.
  void WaitUntilDelivered(absl::Duration most = absl::Seconds(60));
  void Pause(absl::Duration time);

  RouteStatus Status(size_t route = 0);
  // Of the first route to "kinesis" or "sqs".
  RouteStatus StatusTo(const std::string& service);
  // Every record there, once or more, in order per key, and none else; returns how
  // many came twice. At most records_maybe_twice of the route, and twice_by_restarts.
  uint64_t CheckStream(const std::string& name);
  // The same without order.
  uint64_t CheckQueue(const std::string& name);

  Peers peers;
  std::string directory;
  ForwarderOptions options;
  RouteOptions route;
  std::unique_ptr<CredentialsProvider> credentials;
  std::unique_ptr<Store> store;
  std::unique_ptr<Forwarder> forwarder;
  std::map<std::string, int> put;
  std::vector<std::string> sent;
  bool expects_rejections = false;
  // What a restart may have made double: added to what the routes count themselves.
  uint64_t twice_by_restarts = 0;

 private:
  void OpenStore();
};

}  // namespace eddy::integration

#endif  // EDDY_TESTS_INTEGRATION_PEERS_H_
