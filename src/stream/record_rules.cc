#include "src/stream/record_rules.h"

#include <cstdint>

#include "absl/base/optimization.h"
#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/base/strings.h"

namespace eddy::stream {
namespace {

bool IsNameCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-';
}

absl::Status KeyTooLong(std::string_view key) {
  return absl::InvalidArgumentError(
      absl::StrCat("partition key of ", key.size(), " bytes: more than the ",
                   kPartitionKeyCharactersMax, " characters that are allowed"));
}

// Apart, so that the usual key of ASCII never comes here.
absl::Status CheckUnicodeKey(std::string_view key) {
  if (key.size() > kPartitionKeyCharactersMax * kUtf8BytesMax) {
    return KeyTooLong(key);
  }
  size_t characters = 0;
  for (std::string_view left = key; !left.empty(); ++characters) {
    const size_t at = key.size() - left.size();
    if (!TakeCharacter(&left)) {
      return absl::InvalidArgumentError(
          absl::StrCat("partition key of ", key.size(),
                       " bytes: no UTF-8 at byte ", at));
    }
  }
  return characters > kPartitionKeyCharactersMax ? KeyTooLong(key)
                                                 : absl::OkStatus();
}

}  // namespace

absl::Status CheckName(std::string_view what, std::string_view name) {
  bool allowed = !name.empty() && name.size() <= kNameBytesMax;
  for (const char c : name) allowed = allowed && IsNameCharacter(c);
  if (allowed) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      AbslView(what), " '", AbslView(name.substr(0, kNameBytesMax)), "' of ",
      name.size(), " bytes: 1 to ", kNameBytesMax,
      " of a-z, A-Z, 0-9, '_', '.' and '-' are allowed"));
}

absl::Status CheckPersist(const StreamOptions& options) {
  for (size_t i = 0; i < options.readers.size(); ++i) {
    EDDY_RETURN_IF_ERROR(CheckName("cursor name", options.readers[i]));
    for (size_t j = 0; j < i; ++j) {
      if (options.readers[i] != options.readers[j]) continue;
      return absl::InvalidArgumentError(
          absl::StrCat("readers: ", options.readers[i], " is named twice"));
    }
  }
  const absl::Duration after = options.spill_after;
  const bool zero = after == absl::ZeroDuration();
  switch (options.persist) {
    case Persist::kAll:
      if (zero) return absl::OkStatus();
      return absl::InvalidArgumentError(absl::StrCat(
          "spill_after ", absl::FormatDuration(after).c_str(),
          " is for a stream with Persist::kSpill"));
    case Persist::kSpill:
      if (options.durability == Durability::kPower) {
        return absl::InvalidArgumentError(
            "Persist::kSpill keeps back what durability kPower commits at once: "
            "leave the stream at kProcess, and ask single Puts for kPower");
      }
      if (zero || (after >= absl::Milliseconds(1) && after <= kSpillAfterMax)) {
        return absl::OkStatus();
      }
      return absl::InvalidArgumentError(absl::StrCat(
          "spill_after ", absl::FormatDuration(after).c_str(),
          ": zero or 1 ms to ", absl::FormatDuration(kSpillAfterMax).c_str(),
          " are allowed"));
  }
  return absl::InvalidArgumentError(
      absl::StrCat("persist ", static_cast<int>(options.persist),
                   " is none that exists"));
}

absl::Status CheckStreamOptions(const StreamOptions& options) {
  if (options.shard_count < 1 || options.shard_count > kShardCountMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("shard_count ", options.shard_count, ": 1 to ",
                     kShardCountMax, " are allowed"));
  }
  const Retention& retention = options.retention;
  if (retention.age < absl::ZeroDuration() || retention.age > kRetentionAgeMax ||
      (retention.age > absl::ZeroDuration() &&
       retention.age < absl::Milliseconds(1))) {
    return absl::InvalidArgumentError(absl::StrCat(
        "retention.age ", absl::FormatDuration(retention.age).c_str(),
        ": zero or 1 ms to ", absl::FormatDuration(kRetentionAgeMax).c_str(),
        " are allowed"));
  }
  constexpr uint64_t kMost = INT64_MAX;  // what a column holds
  if (retention.bytes > kMost || retention.records > kMost) {
    return absl::InvalidArgumentError(
        absl::StrCat("retention of ", retention.bytes, " bytes and ",
                     retention.records, " records: at most ", kMost, " of each"));
  }
  if (retention.at_limit > AtLimit::kDropOldest) {
    return absl::InvalidArgumentError(absl::StrCat(
        "retention.at_limit ", static_cast<int>(retention.at_limit),
        ": a stream has kRejectNew and kDropOldest"));
  }
  EDDY_RETURN_IF_ERROR(CheckPersist(options));
  return CheckDurability(options.durability);
}

absl::Status CheckDurability(Durability durability) {
  if (durability <= Durability::kPower) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "durability ", static_cast<int>(durability), " is none that exists"));
}

absl::Status CheckPartitionKey(std::string_view key) {
  if (ABSL_PREDICT_FALSE(key.empty())) {
    return absl::InvalidArgumentError(
        absl::StrCat("partition key: it is empty; 1 to ",
                     kPartitionKeyCharactersMax, " characters are allowed"));
  }
  if (ABSL_PREDICT_TRUE(key.size() <= kPartitionKeyCharactersMax &&
                        IsAscii(key))) {
    return absl::OkStatus();
  }
  return CheckUnicodeKey(key);
}

absl::Status CheckRecord(std::string_view key, std::string_view data) {
  EDDY_RETURN_IF_ERROR(CheckPartitionKey(key));
  if (ABSL_PREDICT_FALSE(data.size() > kStreamRecordBytesMax ||
                         key.size() + data.size() > kStreamRecordBytesMax)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "record of ", data.size(), " bytes of data and ", key.size(),
        " of partition key: ", kStreamRecordBytesMax, " together are allowed"));
  }
  return absl::OkStatus();
}

absl::Status CheckRequest(const std::vector<PutRecordsEntry>& entries) {
  if (entries.empty() || entries.size() > kPutRecordsMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("PutRecords of ", entries.size(), " entries: 1 to ",
                     kPutRecordsMax, " are allowed"));
  }
  uint64_t bytes = 0;
  for (const PutRecordsEntry& entry : entries) {
    bytes += uint64_t{entry.partition_key.size()} + entry.data.size();
  }
  if (bytes > kPutRecordsBytesMax) {
    return absl::InvalidArgumentError(absl::StrCat(
        "PutRecords of ", bytes, " bytes of data and partition keys: ",
        kPutRecordsBytesMax, " are allowed"));
  }
  return absl::OkStatus();
}

absl::Status CheckGetRecordsOptions(const GetRecordsOptions& options) {
  if (options.limit < 1 || options.limit > kGetRecordsMax) {
    return absl::InvalidArgumentError(absl::StrCat(
        "limit ", options.limit, ": 1 to ", kGetRecordsMax, " are allowed"));
  }
  if (options.bytes_max < 1 || options.bytes_max > kGetRecordsBytesMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("bytes_max ", options.bytes_max, ": 1 to ",
                     kGetRecordsBytesMax, " are allowed"));
  }
  if (options.wait_time < absl::ZeroDuration()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "wait_time ", absl::FormatDuration(options.wait_time).c_str(),
        ": it is below zero"));
  }
  return absl::OkStatus();
}

}  // namespace eddy::stream
