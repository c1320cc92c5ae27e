// What the model of extents_rounds.h demands of the logs, of the rows and of the files.
#include <algorithm>
#include <cstdlib>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "src/log/block_extents.h"
#include "tests/unit/log/block_counts.h"
#include "tests/unit/log/extents_rounds.h"

namespace eddy::log {
namespace {

constexpr char kBlocksPath[] = "/store/eddy.db-blocks";

struct Found {
  std::vector<std::pair<uint64_t, std::string>> records;  // position, body
  uint64_t lost = 0;                                      // as the gaps tell
};

Found ReadAll(Log* log) {
  Found found;
  for (uint64_t from = 0;;) {
    const absl::StatusOr<ReadResult> read = log->Read(from, {});
    INFO(read.status().ToString());
    REQUIRE(read.ok());
    if (read->gap) {
      REQUIRE(read->gap->reason != GapReason::kDamaged);
      found.lost += read->gap->frame_count;
    }
    for (const FrameView& frame : read->frames) {
      found.records.emplace_back(frame.position, std::string(frame.body));
    }
    if (read->next == from || (read->frames.empty() && !read->gap)) return found;
    from = read->next;
  }
}

// "record <number> ...": see RawBody.
int NumberOf(const std::string& body) {
  return std::atoi(body.c_str() + std::string("record ").size());
}

}  // namespace

bool ExtentsRounds::IsDroppable(const LogModel& of) const {
  return ways_.limit == Limit::kDropAtQuota ||
         (ways_.limit == Limit::kRetention && &of == &logs_[0]);
}

void ExtentsRounds::Judge(Death death) {
  for (LogModel& log : logs_) JudgeLog(log, death);
  REQUIRE(engine_->Stats().blocks_damaged == 0);
}

void ExtentsRounds::JudgeLog(LogModel& of, Death death) {
  const Found found = ReadAll(of.log);
  const uint64_t oldest = of.log->oldest();
  INFO("log " << of.id << " trimmed " << of.trimmed << " oldest " << oldest);
  // A death may forget a trim or a drop, so that the log begins earlier again.
  if (death == Death::kNone) REQUIRE(oldest >= of.oldest_seen);
  of.oldest_seen = oldest;
  if (!IsDroppable(of)) {
    REQUIRE(oldest <= of.trimmed);
    REQUIRE(found.lost == 0);
  }

  std::map<uint64_t, const Put*> put_at;
  for (const Put& put : of.puts) put_at[put.position] = &put;
  std::set<uint64_t> there;
  std::vector<Put> turned_up;
  for (const auto& [position, body] : found.records) {
    REQUIRE((there.empty() || position > *there.rbegin()));
    there.insert(position);
    const auto put = put_at.find(position);
    if (put != put_at.end()) {
      REQUIRE((body == put->second->body));
      continue;
    }
    const int number = NumberOf(body);
    INFO("unknown: record " << number << " at " << position);
    REQUIRE(death != Death::kNone);
    REQUIRE(refused_.count(number) == 1);
    REQUIRE((body == refused_[number]));
    REQUIRE(body.size() > engine_->inline_bytes_max() - 64);
    turned_up.push_back({position, position + AlignFrame(kFrameHeaderBytes + 1 + body.size()),
                         body, true});
  }

  for (const Put& put : of.puts) {
    if (there.count(put.position) != 0) continue;
    if (put.end <= oldest || put.position < oldest) continue;
    INFO("missing " << put.position << " committed " << put.committed << " log "
                    << of.log->committed());
    REQUIRE(death == Death::kPower);
    REQUIRE_FALSE(put.committed);
    REQUIRE((there.empty() || put.position > *there.rbegin()));
  }

  // From here on the model is what has been found. What lies below the oldest is kept in it
  // for as long as the next death may bring it back.
  std::vector<Put> known;
  for (Put& put : of.puts) {
    if (death == Death::kPower && there.count(put.position) == 0) continue;
    if (put.end > of.oldest_durable) known.push_back(std::move(put));
  }
  for (Put& put : turned_up) {
    if (put.end > of.oldest_durable) known.push_back(std::move(put));
  }
  std::sort(known.begin(), known.end(),
            [](const Put& a, const Put& b) { return a.position < b.position; });
  of.puts = std::move(known);
}

void ExtentsRounds::JudgeFiles() {
  sql::Database db = OpenReader(device_.disk);
  {
    absl::StatusOr<sql::Statement> places = db.Prepare(
        "SELECT bytes FROM blocks WHERE typeof(bytes) = 'integer' ORDER BY bytes");
    REQUIRE(places.ok());
    const uint64_t file_bytes = device_.disk.Size(kBlocksPath);
    used_end_ = 0;
    for (;;) {
      const absl::StatusOr<bool> row = places->Step();
      REQUIRE(row.ok());
      if (!*row) break;
      const int64_t ref = places->ColumnInt(0);
      INFO("a block at " << ExtentAt(ref) << " of " << ExtentBytes(ref) << " bytes");
      REQUIRE(ExtentAt(ref) >= used_end_);
      REQUIRE(ExtentAt(ref) + ExtentBytes(ref) <= file_bytes);
      used_end_ = AlignExtent(ExtentAt(ref) + ExtentBytes(ref));
    }
  }
  for (LogModel& log : logs_) {
    absl::StatusOr<sql::Statement> oldest =
        db.Prepare(absl::StrCat("SELECT oldest_position FROM logs WHERE id = ", log.id));
    REQUIRE(oldest.ok());
    REQUIRE(*oldest->Step());
    log.oldest_durable = static_cast<uint64_t>(oldest->ColumnInt(0));
  }
  REQUIRE(WrongCounts(db) == "");
}

}  // namespace eddy::log
