// eddy status: what a store holds, for people or as JSON.
#include <cinttypes>
#include <cstdio>

#include "absl/strings/str_cat.h"
#include "src/cli/commands.h"
#include "src/cli/read_only_store.h"
#include "src/cli/text.h"

namespace eddy::cli {
namespace {

const char* DurabilityName(bool power) { return power ? "power" : "process"; }

// By GapReason.
constexpr const char* kReasonNames[] = {"age", "bytes", "records", "quota", "damaged"};
static_assert(sizeof(kReasonNames) / sizeof(kReasonNames[0]) == kGapReasonCount);

std::string Owner(const StoreSummary& store) {
  if (store.owner_pid != 0) {
    return absl::StrCat("owned by process ", store.owner_pid,
                        "; what it has not committed yet is not shown");
  }
  if (store.closed_cleanly) return "closed cleanly";
  return "no owner, not closed cleanly: the next open recovers what was accepted "
         "and not committed";
}

std::string RetentionLine(const StreamSummary& stream) {
  const Retention& retention = stream.retention;
  std::string line = "keeps ";
  if (retention.age != absl::ZeroDuration()) {
    absl::StrAppend(&line, absl::FormatDuration(retention.age).c_str(), ", ");
  }
  if (retention.bytes != 0) absl::StrAppend(&line, FormatBytes(retention.bytes), ", ");
  if (retention.records != 0) absl::StrAppend(&line, retention.records, " records, ");
  if (line == "keeps ") line = "keeps all, ";
  return absl::StrCat(line, retention.at_limit == AtLimit::kRejectNew
                                ? "rejects new ones at a limit"
                                : "drops the oldest at a limit",
                      ", priority ", retention.priority,
                      stream.spills ? ", writes only what its readers leave" : "");
}

void Print(const std::string& directory, const StoreSummary& store) {
  std::printf("store %s\n", directory.c_str());
  std::printf("  %s\n", Owner(store).c_str());
  std::printf("  schema %d, database %s, of these %s free\n", store.schema_version,
              FormatBytes(store.file_bytes).c_str(), FormatBytes(store.free_bytes).c_str());
  std::fputs(HealthLines(store.health).c_str(), stdout);
  for (const StreamSummary& stream : store.streams) {
    std::printf("\nstream %s  (%zu shards, durability %s, created %s)\n", stream.name.c_str(),
                stream.shards.size(), DurabilityName(stream.power),
                FormatTime(stream.created_ms).c_str());
    std::printf("  %s\n", RetentionLine(stream).c_str());
    for (size_t shard = 0; shard < stream.shards.size(); ++shard) {
      const LogSummary& log = stream.shards[shard];
      std::printf("  shard %zu: %" PRIu64 " records in %" PRIu64 " blocks, %s, sequence numbers "
                  "%" PRIu64 " to %" PRIu64 "%s%s\n",
                  shard, log.frame_count, log.block_count, FormatBytes(log.bytes).c_str(),
                  log.oldest, log.end, log.last_time_ms == 0 ? "" : ", last at ",
                  log.last_time_ms == 0 ? "" : FormatTime(log.last_time_ms).c_str());
      for (size_t reason = 0; reason < kGapReasonCount; ++reason) {
        const Dropped& dropped = log.dropped[reason];
        if (dropped.records == 0) continue;
        std::printf("    dropped for %s: %" PRIu64 " records, %s\n", kReasonNames[reason],
                    dropped.records, FormatBytes(dropped.bytes).c_str());
      }
    }
    for (const CursorSummary& cursor : stream.cursors) {
      std::printf("  cursor %s, shard %u: at %" PRIu64 ", %" PRIu64 " records behind\n",
                  cursor.name.c_str(), cursor.shard, cursor.position, cursor.records_behind);
    }
  }
  for (const QueueSummary& queue : store.queues) {
    std::printf("\nqueue %s  (durability %s, visibility timeout %" PRId64 " s, created %s)\n",
                queue.name.c_str(), DurabilityName(queue.power), queue.visibility_ms / 1000,
                FormatTime(queue.created_ms).c_str());
    std::printf("  %" PRIu64 " messages, %s kept\n", queue.messages,
                FormatBytes(queue.log.bytes).c_str());
    if (!queue.dead_letter_queue.empty()) {
      std::printf("  to queue %s after %" PRId64 " receives\n", queue.dead_letter_queue.c_str(),
                  queue.max_receive_count);
    }
  }
}

std::string StreamJson(const StreamSummary& stream) {
  std::string json =
      absl::StrCat("{\"name\":", JsonString(stream.name), ",\"created_ms\":", stream.created_ms,
                   ",\"durability\":\"", DurabilityName(stream.power), "\",\"keep_ms\":",
                   absl::ToInt64Milliseconds(stream.retention.age),
                   ",\"keep_bytes\":", stream.retention.bytes,
                   ",\"keep_records\":", stream.retention.records, ",\"at_limit\":\"",
                   stream.retention.at_limit == AtLimit::kRejectNew ? "reject-new" : "drop-oldest",
                   "\",\"priority\":", stream.retention.priority,
                   ",\"spills\":", stream.spills ? "true" : "false", ",\"shards\":[");
  for (size_t shard = 0; shard < stream.shards.size(); ++shard) {
    const LogSummary& log = stream.shards[shard];
    // Sequence numbers are strings, as in the service's own JSON: they do not
    // fit into a double.
    absl::StrAppend(&json, shard == 0 ? "" : ",", "{\"shard\":", shard,
                    ",\"records\":", log.frame_count, ",\"blocks\":", log.block_count,
                    ",\"bytes\":", log.bytes, ",\"oldest\":\"", log.oldest, "\",\"end\":\"",
                    log.end, "\",\"last_arrival_ms\":", log.last_time_ms,
                    ",\"dropped\":{");
    for (size_t reason = 0; reason < kGapReasonCount; ++reason) {
      absl::StrAppend(&json, reason == 0 ? "\"" : ",\"", kReasonNames[reason],
                      "\":{\"records\":", log.dropped[reason].records,
                      ",\"bytes\":", log.dropped[reason].bytes, "}");
    }
    absl::StrAppend(&json, "}}");
  }
  absl::StrAppend(&json, "],\"cursors\":[");
  for (const CursorSummary& cursor : stream.cursors) {
    absl::StrAppend(&json, &cursor == stream.cursors.data() ? "" : ",",
                    "{\"name\":", JsonString(cursor.name), ",\"shard\":", cursor.shard,
                    ",\"position\":\"", cursor.position,
                    "\",\"records_behind\":", cursor.records_behind, "}");
  }
  return json + "]}";
}

std::string QueueJson(const QueueSummary& queue) {
  return absl::StrCat(
      "{\"name\":", JsonString(queue.name), ",\"created_ms\":", queue.created_ms,
      ",\"durability\":\"", DurabilityName(queue.power), "\",\"messages\":", queue.messages,
      ",\"bytes\":", queue.log.bytes, ",\"visibility_timeout_ms\":", queue.visibility_ms,
      ",\"dead_letter_queue\":", JsonString(queue.dead_letter_queue),
      ",\"max_receive_count\":", queue.max_receive_count, "}");
}

void PrintJson(const std::string& directory, const StoreSummary& store) {
  std::string json = absl::StrCat(
      "{\"directory\":", JsonString(directory), ",\"committed_only\":true,\"owner_pid\":",
      store.owner_pid == 0 ? "null" : absl::StrCat(store.owner_pid),
      ",\"closed_cleanly\":", store.closed_cleanly ? "true" : "false",
      ",\"schema_version\":", store.schema_version, ",\"file_bytes\":", store.file_bytes,
      ",\"free_bytes\":", store.free_bytes, HealthJson(store.health), ",\"streams\":[");
  for (const StreamSummary& stream : store.streams) {
    absl::StrAppend(&json, &stream == store.streams.data() ? "" : ",", StreamJson(stream));
  }
  absl::StrAppend(&json, "],\"queues\":[");
  for (const QueueSummary& queue : store.queues) {
    absl::StrAppend(&json, &queue == store.queues.data() ? "" : ",", QueueJson(queue));
  }
  std::printf("%s]}\n", json.c_str());
}

}  // namespace

int RunStatus(const Words& words) {
  ArgumentRules rules;
  rules.flags = {"--json"};
  rules.positional_min = rules.positional_max = 1;
  const absl::StatusOr<Arguments> arguments = Arguments::Parse(words, rules);
  if (!arguments.ok()) return Fail(arguments.status(), kExitUsage);
  const std::string& directory = (*arguments)[0];
  absl::StatusOr<StoreSummary> summary = ReadOnlyStore::Look(directory);
  if (absl::IsUnavailable(summary.status())) {  // an owner came: now read beside it
    absl::StatusOr<ReadOnlyStore> store = ReadOnlyStore::Open(directory);
    if (!store.ok()) return Fail(store.status(), kExitUsage);
    summary = store->Summary();
    if (!summary.ok()) return Fail(summary.status());
  }
  if (!summary.ok()) return Fail(summary.status(), kExitUsage);
  arguments->Has("--json") ? PrintJson(directory, *summary) : Print(directory, *summary);
  return kExitOk;
}

}  // namespace eddy::cli
