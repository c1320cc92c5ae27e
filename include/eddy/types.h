// Words that streams, queues and consumers share.
#ifndef EDDY_TYPES_H_
#define EDDY_TYPES_H_

#include <cstdint>

#include "absl/time/time.h"

namespace eddy {

// What a success means. Each call may ask for another level than its stream's
// or queue's own.
//
//   level     the record or state is               survives            may lose
//   kProcess  published in the mapped intake       SIGKILL, abort,     power cut: at most
//                                                  OOM killer          the flush interval
//   kPower    in an fsynced transaction            a power cut too     nothing
enum class Durability : uint8_t {
  kDefault,  // the stream's or queue's own level
  kProcess,
  kPower,
};

// A place in a log: unique and increasing within its shard, sparse, never given
// to a second record, not even after a power cut. 0 comes before every record.
// Its decimal form is the SequenceNumber of the Kinesis contract.
using SequenceNumber = uint64_t;

// The index of a shard; its contract form is "shardId-000000000000".
using ShardId = uint32_t;

// Names something accepted, to wait for its commit: see Store::Wait.
struct CommitToken {
  uint32_t log = 0;
  uint64_t end = 0;  // committed when the log is durable up to here
};

}  // namespace eddy

#endif  // EDDY_TYPES_H_
