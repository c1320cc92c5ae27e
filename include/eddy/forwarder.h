// Forwarder: carries streams to Kinesis and queues to SQS when the link is there.
//
// Invariants
//   F1  A cursor moves, and a message is deleted, only after the service has
//       acknowledged: at least once. What may come twice is bounded by what was
//       in flight.
//   F2  Records of one partition key arrive in order, through partial failures
//       and outages too (KeyOrder::kStrict, the default).
//   F3  No call of the application waits for the network; nothing expires here;
//       only the records that failed are sent again.
//   F4  A record the service can never accept goes to the route's dead-letter
//       queue with the reason, and the route goes on. Without such a queue the
//       route stops there and says so.
// Depends on store.h, http.h, credentials.h. Link eddy::forward.
#ifndef EDDY_FORWARDER_H_
#define EDDY_FORWARDER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "eddy/credentials.h"
#include "eddy/http.h"
#include "eddy/platform.h"
#include "eddy/store.h"

namespace eddy {

enum class LinkState : uint8_t {
  kOnline,      // the last request was answered
  kBackingOff,  // the service asked for patience (throttled, 5xx, credentials)
  kOffline,     // the service could not be reached
};

// How a stream's records of one partition key stand in a request.
enum class KeyOrder : uint8_t {
  // F2 in full. A service promises no order within a request, and may fail any part
  // of it: so a request holds at most one record of each key. With k keys waiting a
  // route carries at most k records a round trip (50 keys, 100 ms: 500 a second).
  kStrict,
  // Requests are filled. A record that fails may arrive behind later ones of its key.
  kBestEffort,
};

struct RouteOptions {
  // Name of a local queue for what the service will never accept; empty: none,
  // and the route stops at such a record.
  std::string dead_letter_queue;
  size_t records_max = 0;         // a request; 0: the service's limit
  size_t bytes_max = 0;           // a request; 0: the service's limit
  absl::Duration linger = absl::Milliseconds(100);  // wait so long for a fuller batch
  KeyOrder key_order = KeyOrder::kStrict;  // of a stream's route
};

struct RouteStatus {
  std::string name;               // "telemetry -> kinesis:telemetry"
  std::string cursor;             // of the stream, where the route keeps its place;
                                  //   empty for a queue's route
  LinkState link = LinkState::kOnline;
  uint64_t records_delivered = 0;
  uint64_t bytes_delivered = 0;   // keys and data
  uint64_t requests = 0;          // that may have reached the service
  uint64_t records_retried = 0;   // sent again after a failure
  uint64_t records_maybe_twice = 0;  // sent again after an unknown outcome
  uint64_t records_dead = 0;      // moved to the dead-letter queue
  uint64_t records_lost = 0;      // of a stream, gone before they could be sent: a
                                  //   limit, or damage (see Gap); counted again after a
                                  //   restart if nothing behind them was delivered
  absl::Status last_error;        // OK after a success
  absl::Duration next_attempt;    // from now; zero: at once
  bool caught_up = false;         // nothing was waiting at the last look
};

struct ForwarderOptions {
  std::string region;             // empty: AWS_REGION, AWS_DEFAULT_REGION
  std::string kinesis_endpoint;   // empty: AWS_ENDPOINT_URL_KINESIS,
  std::string sqs_endpoint;       //   AWS_ENDPOINT_URL_SQS, AWS_ENDPOINT_URL,
                                  //   else the region's
  std::string ca_file;            // for the default transport
  absl::Duration retry_delay_base = absl::Milliseconds(50);
  absl::Duration retry_delay_max = absl::Minutes(2);
  // How long a service may take to answer: 10 ms to 4 min. A request gets a second more
  // for each KiB of its body, so that a large record passes a thin link, and 4 min at
  // most in all: the signature it bears is good for five. (A 1 MiB record needs a link
  // of 6 KiB/s.) A transport may give up earlier where nothing moves; libcurl's does
  // after 20 s.
  absl::Duration request_timeout = absl::Seconds(30);

  CredentialsProvider* credentials = nullptr;  // null: the environment's
  HttpTransport* transport = nullptr;          // null: libcurl, which also takes
                                               //   proxies from the environment
  Platform platform;                           // null members: the system's

  // Called on the forwarder's thread (or the pumping one) at each change.
  std::function<void(const std::string& route, LinkState from, LinkState to)>
      on_link_change;
  bool threads = true;            // false: the host calls RunOnce()
};

// Threads:    safe. With threads == true one thread a route.
// Durability: a route's place is a Cursor (stream) or the message itself
//             (queue), committed with the store's own data.
// The store, credentials and transport outlive the forwarder.
class Forwarder {
 public:
  //   kInvalidArgument   no region and no endpoint; an option out of range.
  static absl::StatusOr<std::unique_ptr<Forwarder>> Create(Store* store,
                                                           ForwarderOptions options);
  // Stops: waits for the requests under way, as long as they may take
  // (ForwarderOptions::request_timeout), and for a credentials provider in its Get.
  virtual ~Forwarder() = default;

  // Carries `stream` from its oldest record on; the place is kept in the cursor
  // "forward.kinesis.<target_stream>.<hash of endpoint and region>"
  // (RouteStatus::cursor), so that each endpoint gets everything. After a crash, records
  // that were acknowledged behind one that was not are sent again: at most 4096 a route.
  // A stream that spills (Persist::kSpill) keeps its records for the route from this
  // call on, and writes only those that the route leaves lying.
  //   kNotFound          no such stream, or no such dead-letter queue.
  //   kAlreadyExists     the route, here or in another forwarder of this process.
  //   kInvalidArgument   a name or an option out of range; no endpoint for the service.
  //   kResourceExhausted the system gives no further thread.
  virtual absl::Status AddKinesisRoute(std::string_view stream,
                                       std::string_view target_stream,
                                       const RouteOptions& options = {}) = 0;
  // Carries what is visible in `queue`, ten messages at a time. They stay in flight
  // until the service has them: an outage costs no receive count. The end of the
  // forwarder makes them visible again.
  //   as above; kInvalidArgument also for a FIFO target.
  virtual absl::Status AddSqsRoute(std::string_view queue, std::string_view target_queue,
                                   const RouteOptions& options = {}) = 0;

  // One bounded step of the most urgent route (at most one request); returns
  // how long until the next is due. Only with threads == false.
  virtual absl::Duration RunOnce() = 0;

  // Tries again at once, or right after the request under way: the application knows
  // that the link is back. Single entries that were throttled keep their own delay.
  virtual void Wake() = 0;

  virtual std::vector<RouteStatus> Status() = 0;
};

}  // namespace eddy

#endif  // EDDY_FORWARDER_H_
