// The route of a stream to Kinesis.
//
//   shard 0  [a1* b1 a2 c1 ...]---+   one request at a time, drawn in turn from all
//   shard 1  [d1 d2 e1 ...]-------+-> shards: [b1 d1 c1 ...]  --PutRecords--> Kinesis
//   shard 2  [f1* g1 ...]---------+                                |
//      ^  windows (stream_source.h)                                |
//      |                                                           |
//      +---- each record by itself: stored, settle it; else it stays ready
//
// A step:
//   1  cursors that could not be moved before are moved, and records that are on their
//      way to the dead letters get there; while that fails nothing is sent, since what a
//      crash sends twice would grow
//   2  windows are filled from the stream; a shard that cannot be read is told, and
//      stops only itself
//   3  ready records are chosen; with few of them it waits for the linger to end
//   4  one PutRecords, its outcome settled record by record
//   5  cursors move over what is settled without a gap. A crash before this sends the
//      settled part of the windows again, at most kWindowRecordsMax records
//
// A refused request is bisected (bisection.h). Its one bad record goes to the
// dead-letter queue first, committed, and only then is settled.
//
// A record that fails in an answer waits by itself, longer after each failure: the
// records of a throttled shard rest, with those behind them of their keys, and the
// others go on. When nothing at all of a request was stored the route rests too.
// Depends on aws/kinesis.h, stream_source.h.
#ifndef EDDY_SRC_FORWARD_KINESIS_ROUTE_H_
#define EDDY_SRC_FORWARD_KINESIS_ROUTE_H_

#include <memory>
#include <string>

#include "eddy/stream.h"
#include "src/forward/route.h"
#include "src/forward/route_cursor.h"

namespace eddy::forward {

// `stream` and its cursor outlive the route.
std::unique_ptr<Route> NewKinesisRoute(RouteParts parts, Stream* stream, CursorLease cursor,
                                       std::string target_stream);

}  // namespace eddy::forward

#endif  // EDDY_SRC_FORWARD_KINESIS_ROUTE_H_
