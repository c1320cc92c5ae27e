// The route of a queue to SQS.
//
//   local queue --Receive--> held (at most 10) --SendMessageBatch--> SQS
//                             ^   |                   |
//                             |   +- per entry: stored: Delete; failed: wait and
//                             +----- again; never acceptable: dead letter, Delete
//
// An outage must not use up receive counts: a local queue that has a dead-letter
// queue would move messages there because a cable was cut. So a message is received
// once and then held in memory until it is settled, however long that takes:
//   - the lease is the longest there is (12 h) and never renewed; leases end with the
//     process, so a crash gives the messages back at once. After 12 h another receiver
//     may take the message too (and deliver it elsewhere); the held one goes on.
//   - nothing is received before the target has answered GetQueueUrl, so a device
//     that restarts again and again while offline receives nothing.
//   - nothing more is received while the link is down.
//   - the destructor makes what is held visible again.
//
// A message above the target's limit is a dead letter, once the limit has been read
// again and is no larger. Where it cannot be read the service is asked by sending.
//
// A crash between the service's acknowledgement and the commit of Delete sends at
// most the messages of one request again.
// Depends on aws/sqs.h and the public headers.
#ifndef EDDY_SRC_FORWARD_SQS_ROUTE_H_
#define EDDY_SRC_FORWARD_SQS_ROUTE_H_

#include <memory>
#include <string>

#include "eddy/queue.h"
#include "src/forward/route.h"

namespace eddy::forward {

// `queue` outlives the route.
std::unique_ptr<Route> NewSqsRoute(RouteParts parts, Queue* queue, std::string target_queue);

}  // namespace eddy::forward

#endif  // EDDY_SRC_FORWARD_SQS_ROUTE_H_
