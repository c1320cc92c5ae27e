// Damaged blocks: each costs itself only.
#include <utility>

#include "absl/strings/str_cat.h"
#include "src/log/block_store.h"
#include "tests/unit/log/log_fixture.h"

namespace eddy::log {
namespace {

// Changes the database behind a closed store's back, and opens that again.
void Damage(LogFixture* f, const std::string& sql) {
  REQUIRE(f->engine->Close().ok());
  f->engine.reset();
  sql::OpenOptions options;
  options.vfs = f->device.disk.name();
  {
    absl::StatusOr<sql::Database> db = sql::Database::Open("/store/eddy.db", options);
    REQUIRE(db.ok());
    const absl::Status done = db->Exec(sql.c_str());
    INFO(done.ToString());
    REQUIRE(done.ok());
  }
  f->Open();
}

// A block of two records each.
std::vector<Appended> FillBlocks(LogFixture* f, int count) {
  std::vector<Appended> firsts;
  for (int i = 0; i < count; ++i) {
    firsts.push_back(f->Append(absl::StrCat(i, "a"), "k", 1000 + i));
    f->Append(absl::StrCat(i, "b"), "k", 1000 + i);
    REQUIRE(f->engine->Flush().ok());
  }
  return firsts;
}

std::string Spoil(const LogFixture& f, uint64_t position) {
  return absl::StrCat("UPDATE blocks SET bytes = zeroblob(length(bytes)) WHERE id = ",
                      BlockId(f.id, position), ";");
}

TEST_CASE("a damaged block is a gap with its limits and count, and the read goes on behind it",
          "[log][read][fault]") {
  LogFixture f;
  const std::vector<Appended> at = FillBlocks(&f, 4);
  Damage(&f, Spoil(f, at[1].position));
  absl::StatusOr<ReadResult> read = f.log->Read(0, {});
  REQUIRE(read.ok());
  CHECK_FALSE(read->gap);  // what lies before it comes first
  REQUIRE(read->frames.size() == 2);
  CHECK(read->more);
  read = f.log->Read(read->next, {});
  REQUIRE(read.ok());
  REQUIRE(read->gap);
  CHECK(read->gap->first == at[1].position);
  CHECK(read->gap->end == at[2].position);
  CHECK(read->gap->frame_count == 2);
  CHECK(read->gap->reason == GapReason::kDamaged);
  REQUIRE(read->frames.size() == 4);
  CHECK(read->frames[0].body == "2a");
  CHECK(f.Bodies(at[1].position) == std::vector<std::string>{"2a", "2b", "3a", "3b"});
  SECTION("counted once, however often it is read") {
    CHECK(f.engine->Stats().blocks_damaged == 1);
    CHECK(f.engine->Stats().records_damaged == 2);
  }
  SECTION("from within it, the gap begins there") {
    read = f.log->Read(at[1].end, {});
    REQUIRE(read.ok());
    REQUIRE(read->gap);
    CHECK(read->gap->first == at[1].end);
  }
  SECTION("and time is found behind it") {
    const absl::StatusOr<uint64_t> found = f.log->FindTime(1001);
    REQUIRE(found.ok());
    CHECK(*found == at[2].position);
  }
}

TEST_CASE("damaged blocks side by side are one gap, also at the end of the log",
          "[log][read][fault]") {
  LogFixture f;
  const std::vector<Appended> at = FillBlocks(&f, 3);
  Damage(&f, Spoil(f, at[1].position) + Spoil(f, at[2].position));
  absl::StatusOr<ReadResult> read = f.log->Read(at[1].position, {});
  REQUIRE(read.ok());
  REQUIRE(read->gap);
  CHECK(read->frames.empty());
  CHECK(read->gap->frame_count == 4);
  CHECK(read->gap->end == f.log->tail());
  CHECK(read->next == read->gap->end);
  f.Append("new");
  CHECK(f.Bodies(read->next) == std::vector<std::string>{"new"});
}

TEST_CASE("the numbers of a damaged row are bounded by what can be", "[log][read][fault]") {
  LogFixture f;
  const std::vector<Appended> at = FillBlocks(&f, 3);
  Damage(&f, absl::StrCat("UPDATE blocks SET frame_count = ",
                          GENERATE("-1", "9223372036854775807"), ", checksum = checksum + 1, ",
                          "bytes = ", GENERATE("zeroblob(100000)", "x''", "zeroblob(3)"),
                          " WHERE id = ", BlockId(f.id, at[1].position)));
  const absl::StatusOr<ReadResult> read = f.log->Read(at[1].position, {});
  REQUIRE(read.ok());
  REQUIRE(read->gap);
  CHECK(read->gap->first == at[1].position);
  CHECK(read->gap->end <= at[2].position);
  CHECK(read->gap->frame_count >= 1);
  CHECK(read->gap->frame_count <= (at[2].position - at[1].position) / kFrameHeaderBytes);
  REQUIRE_FALSE(read->frames.empty());
  CHECK(read->frames[0].body == "2a");
}

uint64_t CountBlocks(LogFixture* f) {
  uint64_t count = 0;
  REQUIRE(f->engine
              ->WithDatabase([&](sql::Database& db) -> absl::Status {
                absl::StatusOr<sql::Statement> blocks = db.Prepare("SELECT count(*) FROM blocks");
                if (!blocks.ok() || !blocks->Step().ok()) return absl::InternalError("no count");
                count = static_cast<uint64_t>(blocks->ColumnInt(0));
                return absl::OkStatus();
              })
              .ok());
  return count;
}

TEST_CASE("a changed span is met from every position of its block, and takes no other along",
          "[log][read][fault][sweep]") {
  LogFixture f;
  const std::vector<Appended> at = FillBlocks(&f, 3);
  const int damaged = GENERATE(0, 1, 2);
  const std::string span = GENERATE("0", "-1", "9223372036854775807", "span + 1", "span - 4",
                                    "span + (1 << 40)", "span + (255 << 8)", "x'00'");
  CAPTURE(damaged, span);
  const uint64_t first = at[static_cast<size_t>(damaged)].position;
  const uint64_t second = at[static_cast<size_t>(damaged)].end;
  const uint64_t last_end = f.log->tail();
  Damage(&f, absl::StrCat("UPDATE blocks SET span = ", span, " WHERE id = ",
                          BlockId(f.id, first)));
  // What was given out is not given out again.
  CHECK(f.log->tail() >= last_end);
  const Appended added = f.Append("new");
  CHECK(added.position >= last_end);
  REQUIRE(f.engine->Flush().ok());
  SECTION("read") {
    for (const uint64_t from : {first, second}) {
      const absl::StatusOr<ReadResult> read = f.log->Read(from, {});
      REQUIRE(read.ok());
      REQUIRE(read->gap);
      CHECK(read->gap->first == from);
      CHECK(read->gap->end == (damaged < 2 ? at[static_cast<size_t>(damaged) + 1].position
                                           : added.position));
      REQUIRE(read->frames.size() == static_cast<size_t>(2 * (2 - damaged) + 1));
      CHECK(read->frames.back().body == "new");
    }
  }
  SECTION("trimmed into") {
    REQUIRE(f.log->Trim(second).ok());
    REQUIRE(f.engine->Flush().ok());
    CHECK(CountBlocks(&f) == static_cast<uint64_t>(4 - damaged));
  }
  SECTION("dropped") {
    KeepLimits limits;
    limits.frames = 6;
    limits.droppable = true;
    f.engine->SetRetention({f.id}, limits);
    f.Append("one more");
    REQUIRE(f.engine->Flush().ok());
    // Of 2 + 2 + 2 + 1 + 1 the first two are enough.
    CHECK(f.log->oldest() == at[1].position);
    CHECK(CountBlocks(&f) == 4);
  }
}

TEST_CASE("a span changed under an open log takes nothing of what comes behind its block",
          "[log][read][fault]") {
  LogFixture f;
  const std::vector<Appended> at = FillBlocks(&f, 2);
  f.CloseAndReopen();  // what is still in the intake is read from there
  const uint64_t tail = f.log->tail();
  REQUIRE(f.engine
              ->WithDatabase([&](sql::Database& db) {
                return db.Exec(absl::StrCat("UPDATE blocks SET span = 0 WHERE id = ",
                                            BlockId(f.id, at[1].position)).c_str());
              })
              .ok());
  absl::StatusOr<ReadResult> read = f.log->Read(tail, {});
  REQUIRE(read.ok());
  CHECK_FALSE(read->gap);
  CHECK(read->frames.empty());
  const Appended added = f.Append("new");
  CHECK(added.position == tail);
  if (GENERATE(true, false)) REQUIRE(f.engine->Flush().ok());
  for (const uint64_t from : {tail, at[1].end}) {
    read = f.log->Read(from, {});
    REQUIRE(read.ok());
    CHECK(read->gap.has_value() == (from < tail));
    if (read->gap) CHECK(read->gap->end == tail);
    REQUIRE(read->frames.size() == 1);
    CHECK(read->frames[0].body == "new");
  }
}

TEST_CASE("a block whose span does not fit its bytes is damaged, not misread",
          "[log][read][fault]") {
  LogFixture f;
  const std::vector<Appended> at = FillBlocks(&f, 2);
  // Both halves alike, and a checksum that is right: as a bug would leave it.
  const int64_t id = BlockId(f.id, at[0].position);
  std::string stored;
  REQUIRE(f.engine
              ->WithDatabase([&](sql::Database& db) -> absl::Status {
                absl::StatusOr<sql::Statement> row =
                    db.Prepare("SELECT bytes FROM blocks ORDER BY id LIMIT 1");
                if (!row.ok() || !row->Step().ok()) return absl::InternalError("no row");
                stored = std::string(row->ColumnBlob(0));
                return absl::OkStatus();
              })
              .ok());
  const int64_t span = GENERATE(4, 36, 44, 80, 1 << 20, (1 << 20) + 4, 1 << 26);
  CAPTURE(span, stored.size());
  REQUIRE(span != static_cast<int64_t>(at[1].position - at[0].position));
  Damage(&f, absl::StrCat("UPDATE blocks SET span = ", SpanColumn(span), ", checksum = ",
                          static_cast<int64_t>(BlockChecksum(stored, id, span)),
                          " WHERE id = ", id));
  const absl::StatusOr<ReadResult> read = f.log->Read(at[0].position, {});
  REQUIRE(read.ok());
  REQUIRE(read->gap);
  CHECK(read->gap->reason == GapReason::kDamaged);
  REQUIRE(read->frames.size() == 2);
  CHECK(read->frames[0].body == "1a");
}

TEST_CASE("a flip of any byte of a block's pages is met, and gives out nothing wrong",
          "[log][read][fault]") {
  LogFixture f;
  std::vector<std::string> want;
  for (int i = 0; i < 3; ++i) {
    want.push_back(absl::StrCat(i, std::string(9000, static_cast<char>('a' + i))));
    f.Append(want.back());
    REQUIRE(f.engine->Flush().ok());
  }
  REQUIRE(f.engine->Close().ok());
  f.engine.reset();
  const std::string whole = f.device.disk.Content("/store/eddy.db");
  // A page of the block's own: the number of the next such page, then bytes.
  size_t begin = 0;
  while (begin < whole.size() && whole.compare(begin + 4, 100, std::string(100, 'b')) != 0) {
    begin += 4096;
  }
  REQUIRE(begin < whole.size());
  size_t gaps = 0;
  size_t refused = 0;  // the number of the next page, first of all
  for (size_t at = begin; at < begin + 4096; at += at < begin + 4 ? 1 : 61) {
    std::string bytes = whole;
    bytes[at] = static_cast<char>(bytes[at] ^ 0x40);
    f.device.disk.SetContent("/store/eddy.db", bytes);
    INFO("byte " << at);
    // Of so small a database an open looks at all; what it tells then, SetAside mends.
    const absl::Status opened = Engine::Open(f.options).status();
    if (absl::IsDataLoss(opened)) {
      f.device.disk.SetContent("/store/eddy.db-wal", "");
      ++refused;
      continue;
    }
    f.Open();
    for (uint64_t from = 0;;) {
      const absl::StatusOr<ReadResult> read = f.log->Read(from, {});
      if (!read.ok()) {
        REQUIRE(absl::IsDataLoss(read.status()));
        break;
      }
      gaps += read->gap.has_value();
      for (const FrameView& frame : read->frames) {
        bool known = false;
        for (const std::string& body : want) known = known || frame.body == body;
        REQUIRE(known);
      }
      if (read->frames.empty()) break;
      from = read->next;
    }
    f.device.disk.KillProcess();
    f.engine.reset();
    f.device.disk.SetContent("/store/eddy.db-wal", "");
  }
  CHECK(gaps > 30);
  CHECK(refused > 0);
}

}  // namespace
}  // namespace eddy::log
