// Amazon Kinesis Data Streams, JSON 1.1: the calls that carry records there.
//
// Requests come back unsigned. An answer is decoded only when its status is 2xx;
// any other goes to ClassifyResponse.
//
// Invariants
//   K1  Results stand in the order of the records, one each.
//   K2  A record counts as stored only with a shard and a sequence number.
// Pure. Depends on eddy/http.h.
#ifndef EDDY_SRC_AWS_KINESIS_H_
#define EDDY_SRC_AWS_KINESIS_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "eddy/http.h"
#include "src/aws/endpoint.h"
#include "src/aws/error.h"

namespace eddy::aws::kinesis {

// Limits of PutRecords in its API reference. Bytes are those of the partition
// keys and the data, before base64.
inline constexpr size_t kRecordsPerRequestMax = 500;
inline constexpr size_t kRequestBytesMax = 5 << 20;  // 10 MiB since late 2025; KPL still 5
inline constexpr size_t kRecordBytesMax = 1 << 20;   // unless the stream says otherwise
inline constexpr size_t kPartitionKeyCharactersMax = 256;

// Views: the bytes outlive the encoding, no longer.
struct Record {
  std::string_view partition_key;
  std::string_view explicit_hash_key;  // decimal; empty: the hash of the partition key
  std::string_view data;
};

// What the record counts for in every limit: its key and its data.
inline size_t RecordBytes(const Record& record) {
  return record.partition_key.size() + record.data.size();
}

// Whether Kinesis can ever accept it. One that it cannot fails its whole request.
//   kInvalidArgument   says which member and how.
absl::Status CheckRecord(const Record& record, size_t record_bytes_max = kRecordBytesMax);

enum class Outcome : uint8_t {
  kStored,
  kFailed,   // not stored: send again
  kUnknown,  // the answer does not say: send again, perhaps twice
};

struct RecordResult {
  Outcome outcome = Outcome::kUnknown;
  std::string shard_id;         // kStored
  std::string sequence_number;  // kStored; decimal of up to 129 digits
  ServiceError error;           // kFailed
};

// `stream` is a name or an ARN, here and below. The records have been checked
// and keep the limits of one request.
HttpRequest EncodePutRecords(const Endpoint& endpoint, std::string_view stream,
                             absl::Span<const Record> records);

//   kUnknown   the answer is not JSON or has not `record_count` results: the
//              outcome of every record is unknown.
absl::StatusOr<std::vector<RecordResult>> DecodePutRecords(std::string_view body,
                                                           size_t record_count);

struct StreamSummary {
  std::string name;
  std::string arn;
  std::string status;         // "CREATING", "ACTIVE", "UPDATING", "DELETING"
  int64_t open_shard_count = 0;
  size_t record_bytes_max = kRecordBytesMax;

  // Writes are promised.
  bool IsWritable() const { return status == "ACTIVE" || status == "UPDATING"; }
};

HttpRequest EncodeDescribeStreamSummary(const Endpoint& endpoint, std::string_view stream);
//   kUnknown   not such an answer.
absl::StatusOr<StreamSummary> DecodeDescribeStreamSummary(std::string_view body);

// Provisioned with `shard_count`, or on demand with 0. Never idempotent: a stream
// that is there answers ResourceInUseException. The answer has no body to decode.
HttpRequest EncodeCreateStream(const Endpoint& endpoint, std::string_view name,
                               int64_t shard_count);

}  // namespace eddy::aws::kinesis

#endif  // EDDY_SRC_AWS_KINESIS_H_
