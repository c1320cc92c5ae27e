// A gateway whose stream goes to Kinesis and whose queue goes to SQS: what a network does
// it does to both, and what must hold must hold for both.
#ifndef EDDY_TESTS_INTEGRATION_TWO_ROUTES_H_
#define EDDY_TESTS_INTEGRATION_TWO_ROUTES_H_

#include <cstdint>
#include <string>

#include <catch2/catch_test_macros.hpp>

#include "absl/strings/str_cat.h"
#include "tests/integration/peers.h"

namespace eddy::integration {

struct TwoRoutes : Gateway {
  TwoRoutes() : name(CreateStream(2)) { CreateQueue(); }

  void AddRoutes() {
    AddKinesisRoute(name);
    AddSqsRoute(name);
  }
  // Routes that have delivered once: their targets are looked up, and what is ordered
  // now meets the requests that carry something.
  void Begin() {
    PutAndSend(1, 1, 1);
    AddRoutes();
    WaitUntilDelivered();
  }
  void PutAndSend(int record_count, int key_count, int message_count) {
    PutMany(name, record_count, key_count);
    for (int i = 0; i < message_count; ++i) Send(name, absl::StrCat("job ", sent.size()));
  }

  // `fields`: of a rule, after "op".
  void OrderFronts(const std::string& fields) {
    peers.OrderFront("kinesis", absl::StrCat(R"({"op":"PutRecords",)", fields, "}"));
    peers.OrderFront("sqs", absl::StrCat(R"({"op":"SendMessageBatch",)", fields, "}"));
  }
  void OrderProxies(const std::string& json) {
    peers.OrderChaos("kinesis", json);
    peers.OrderChaos("sqs", json);
  }

  // How many requests that carry something were met by a rule.
  int64_t KinesisFaults() { return peers.Count("kinesis", "PutRecords", "faults"); }
  int64_t SqsFaults() { return peers.Count("sqs", "SendMessageBatch", "faults"); }

  struct Twice {
    uint64_t records = 0;
    uint64_t messages = 0;
  };
  // Everything is there, in order per key; returns how many came twice.
  Twice Check() { return {CheckStream(name), CheckQueue(name)}; }

  const std::string name;  // of stream and queue, here and there
};

}  // namespace eddy::integration

#endif  // EDDY_TESTS_INTEGRATION_TWO_ROUTES_H_
