// What Kinesis accepts: names, partition keys, records, options. Pure.
//
// All return kInvalidArgument; the message says what was given and what is
// allowed. Depends on eddy/stream.h and base/.
#ifndef EDDY_SRC_STREAM_RECORD_RULES_H_
#define EDDY_SRC_STREAM_RECORD_RULES_H_

#include <cstddef>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "eddy/stream.h"
#include "src/base/utf8.h"

namespace eddy::stream {

inline constexpr size_t kNameBytesMax = 128;
inline constexpr absl::Duration kRetentionAgeMax = absl::Hours(24 * 36500);
inline constexpr absl::Duration kSpillAfterMax = absl::Hours(1);

// 1..128 of [a-zA-Z0-9_.-]. `what` is "stream name" or "cursor name".
absl::Status CheckName(std::string_view what, std::string_view name);
absl::Status CheckStreamOptions(const StreamOptions& options);
// persist, spill_after and readers, of these.
absl::Status CheckPersist(const StreamOptions& options);
absl::Status CheckDurability(Durability durability);

// 1..256 Unicode characters in UTF-8. Characters, not bytes: up to 1024 bytes.
absl::Status CheckPartitionKey(std::string_view key);
// The key, and that it and the data are at most 1 MiB together.
absl::Status CheckRecord(std::string_view key, std::string_view data);
// Whether it is in order for certain: the usual record, whose key is of ASCII.
inline bool IsPlainRecord(std::string_view key, std::string_view data) {
  return !key.empty() && key.size() <= kPartitionKeyCharactersMax &&
         data.size() <= kStreamRecordBytesMax - kPartitionKeyCharactersMax &&
         IsAscii(key);
}
// 1..500 entries of at most 5 MiB together; not the entries themselves.
absl::Status CheckRequest(const std::vector<PutRecordsEntry>& entries);

absl::Status CheckGetRecordsOptions(const GetRecordsOptions& options);

}  // namespace eddy::stream

#endif  // EDDY_SRC_STREAM_RECORD_RULES_H_
