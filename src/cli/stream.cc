// eddy stream put, tail.
#include <algorithm>
#include <cinttypes>
#include <cstdio>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "src/cli/commands.h"
#include "src/cli/read_only_store.h"
#include "src/cli/text.h"
#include "src/log/boot_clock.h"
#include "src/log/frame.h"
#include "src/stream/record_frame.h"

namespace eddy::cli {
namespace {

// How often --follow looks for a new commit. Another process's commits can only
// be found by looking; one look at a quiet store reads a few pages, of no block
// more than its length.
constexpr absl::Duration kFollowPeriod = absl::Milliseconds(100);

absl::StatusOr<Stream*> OpenStream(Store& store, const std::string& name, bool create,
                                   uint64_t shard_count) {
  absl::StatusOr<Stream*> stream = store.OpenStream(name);
  if (!create || !absl::IsNotFound(stream.status())) return stream;
  StreamOptions options;
  options.shard_count = static_cast<uint32_t>(shard_count);
  return store.CreateStream(name, options);
}

absl::Status PutAll(Stream& stream, const std::string& key,
                    const std::vector<std::string_view>& records) {
  PutOptions options;
  options.durability = Durability::kPower;
  for (size_t first = 0; first < records.size();) {
    // As many as one call takes, so that they share a commit.
    std::vector<PutRecordsEntry> entries;
    size_t bytes = 0;
    for (size_t i = first; i < records.size() && entries.size() < kPutRecordsMax; ++i) {
      bytes += key.size() + records[i].size();
      if (bytes > kPutRecordsBytesMax && !entries.empty()) break;
      entries.push_back({key, records[i], {}});
    }
    const auto results = stream.PutRecords(entries, options);
    if (!results.ok()) return results.status();
    for (const absl::StatusOr<PutResult>& result : *results) {
      if (!result.ok()) return result.status();
      std::printf("%u\t%" PRIu64 "\n", result->shard, result->sequence_number);
    }
    first += entries.size();
  }
  return absl::OkStatus();
}

std::vector<std::string_view> SplitLines(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    lines.push_back(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return lines;
}

// A shard as the tail follows it.
struct Place {
  size_t shard = 0;
  log::LogId log = 0;
  uint64_t position = 0;
  log::BootStarts starts;  // to repair times with
};

class Tail {
 public:
  Tail(ReadOnlyStore& store, std::vector<Place> places, uint64_t limit, bool json)
      : store_(store), places_(std::move(places)), left_(limit), json_(json) {}

  // Prints what is committed and not yet printed.
  absl::Status PrintNew() {
    for (Place& place : places_) {
      while (left_ > 0) {
        const auto block = store_.Find(place.log, place.position);
        if (!block.ok()) return block.status();
        if (*block == nullptr) break;
        const absl::Status printed = PrintBlock(**block, &place);
        if (!printed.ok()) return printed;
        // The place may lie within the block's last frame: nothing is printed of
        // it then, and what comes next lies behind the block.
        if (left_ > 0) place.position = std::max(place.position, (*block)->end);
      }
    }
    return absl::OkStatus();
  }

  bool done() const { return left_ == 0; }

 private:
  absl::Status PrintBlock(const log::Block& block, Place* place) {
    if (!block.damage.ok()) {
      std::fprintf(stderr, "eddy: passed over, %" PRIu64 " records: %s\n", block.frame_count,
                   std::string(block.damage.message()).c_str());
      return absl::OkStatus();
    }
    for (uint64_t at = block.first; at < block.end && left_ > 0;) {
      const size_t offset = static_cast<size_t>(at - block.first);
      log::FrameView frame;
      if (!log::ParseFrame(block.frames.data() + offset, block.frames.size() - offset, at,
                           &frame)) {
        return absl::DataLossError(
            absl::StrCat("log ", block.log, ": no whole frame at position ", at));
      }
      at = frame.end;
      if (frame.position < place->position) continue;
      log::RepairTime(place->starts, &frame);
      const absl::StatusOr<Record> record = stream::DecodeRecord(frame);
      if (!record.ok()) return record.status();
      Print(place->shard, *record);
      place->position = frame.end;
      --left_;
    }
    return absl::OkStatus();
  }

  void Print(size_t shard, const Record& record) {
    const std::string arrival = FormatTime(absl::ToUnixMillis(record.arrival));
    if (json_) {
      std::printf("{\"shard\":%zu,\"sequence_number\":\"%" PRIu64 "\",\"arrival\":\"%s\",%s,%s}\n",
                  shard, record.sequence_number, arrival.c_str(),
                  JsonBytes("partition_key", record.partition_key).c_str(),
                  JsonBytes("data", record.data).c_str());
    } else {
      std::printf("%zu\t%" PRIu64 "\t%s\t%s\t%s\n", shard, record.sequence_number,
                  arrival.c_str(), OneLine(record.partition_key).c_str(),
                  OneLine(record.data).c_str());
    }
  }

  ReadOnlyStore& store_;
  std::vector<Place> places_;
  uint64_t left_;
  const bool json_;
};

// Where the tail begins: --from and --shard.
absl::StatusOr<std::vector<Place>> Start(const Arguments& arguments,
                                         const std::vector<LogSummary>& shards) {
  const std::string from = arguments.Value("--from").value_or("oldest");
  uint64_t sequence_number = 0;
  if (from != "oldest" && from != "latest" &&
      (!absl::SimpleAtoi(from, &sequence_number) || sequence_number > log::kPositionMax)) {
    return absl::InvalidArgumentError(
        absl::StrCat("--from ", from, ": oldest, latest or a sequence number of at most ",
                     log::kPositionMax, " is wanted"));
  }
  std::vector<Place> places;
  const absl::StatusOr<uint64_t> only =
      arguments.Number("--shard", shards.size(), 0, shards.empty() ? 0 : shards.size() - 1);
  if (!only.ok()) return only.status();
  for (size_t shard = 0; shard < shards.size(); ++shard) {
    if (*only != shards.size() && *only != shard) continue;
    places.push_back(
        {shard, shards[shard].id, from == "latest" ? shards[shard].end : sequence_number, {}});
  }
  return places;
}

}  // namespace

int RunStreamPut(const Words& words) {
  ArgumentRules rules;
  rules.flags = {"--create", "--lines"};
  rules.options = {"--shards"};
  rules.positional_min = 3;
  rules.positional_max = 4;
  const absl::StatusOr<Arguments> arguments = Arguments::Parse(words, rules);
  if (!arguments.ok()) return Fail(arguments.status(), kExitUsage);
  const absl::StatusOr<uint64_t> shards = arguments->Number("--shards", 1, 1, kShardCountMax);
  if (!shards.ok()) return Fail(shards.status(), kExitUsage);

  // Before the store is taken: a pipe may be slow.
  std::string data = arguments->size() > 3 ? (*arguments)[3] : "-";
  if (data == "-") {
    absl::StatusOr<std::string> input = ReadStandardInput();
    if (!input.ok()) return Fail(input.status());
    data = *std::move(input);
  }
  const bool create = arguments->Has("--create");
  const auto store = OpenAsOwner((*arguments)[0], create);
  if (!store.ok()) return Fail(store.status(), kExitUsage);
  const absl::StatusOr<Stream*> stream = OpenStream(**store, (*arguments)[1], create, *shards);
  if (!stream.ok()) return Fail(stream.status(), kExitUsage);
  const absl::Status put = PutAll(**stream, (*arguments)[2],
                                  arguments->Has("--lines") ? SplitLines(data)
                                                            : std::vector<std::string_view>{data});
  return put.ok() ? kExitOk : Fail(put);
}

int RunStreamTail(const Words& words) {
  ArgumentRules rules;
  rules.flags = {"--follow", "--json"};
  rules.options = {"--from", "--shard", "--limit"};
  rules.positional_min = rules.positional_max = 2;
  const absl::StatusOr<Arguments> arguments = Arguments::Parse(words, rules);
  if (!arguments.ok()) return Fail(arguments.status(), kExitUsage);
  const absl::StatusOr<uint64_t> limit =
      arguments->Number("--limit", UINT64_MAX, 1, UINT64_MAX);
  if (!limit.ok()) return Fail(limit.status(), kExitUsage);

  absl::StatusOr<ReadOnlyStore> store = ReadOnlyStore::Open((*arguments)[0]);
  if (!store.ok()) return Fail(store.status(), kExitUsage);
  const absl::StatusOr<std::vector<LogSummary>> shards = store->Shards((*arguments)[1]);
  if (!shards.ok()) return Fail(shards.status(), kExitUsage);
  absl::StatusOr<std::vector<Place>> places = Start(*arguments, *shards);
  if (!places.ok()) return Fail(places.status(), kExitUsage);
  // As they are known now: an owner that learns the time later repairs what comes later.
  log::BootClock clock(DefaultPlatform().clock);
  const absl::Status times = clock.Load(store->database(), /*boot=*/0);
  if (!times.ok()) return Fail(times);
  for (Place& place : *places) place.starts = clock.StartsOf(place.log);

  Tail tail(*store, *std::move(places), *limit, arguments->Has("--json"));
  for (;;) {
    const absl::Status printed = tail.PrintNew();
    // The owner writes on, or closes for a moment: look again.
    const bool retry = arguments->Has("--follow") && absl::IsUnavailable(printed);
    if (!printed.ok() && !retry) return Fail(printed);
    if (!arguments->Has("--follow") || tail.done()) return kExitOk;
    if (std::fflush(stdout) != 0) return kExitFailed;  // main says why
    Sleep(kFollowPeriod);
  }
}

}  // namespace eddy::cli
