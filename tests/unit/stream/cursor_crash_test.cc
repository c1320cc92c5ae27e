#include "src/stream/cursor_journal.h"
#include "tests/unit/stream/stream_fixture.h"

namespace eddy::stream {
namespace {

TEST_CASE("an accepted advance survives the process, a committed one the power",
          "[stream][cursor][crash][sweep]") {
  StreamFixture f;
  Cursor* cursor = Ok(f.stream().OpenCursor("reader"));
  const SequenceNumber committed = f.Put("k", "a").sequence_number + 1;
  Ok(cursor->Advance(0, committed, Durability::kPower));
  const SequenceNumber accepted = f.Put("k", "b").sequence_number + 1;
  Ok(cursor->Advance(0, accepted));
  SequenceNumber want = accepted;
  SECTION("a clean close") { f.CloseAndReopen(); }
  SECTION("the process dies") { f.KillAndReopen(); }
  SECTION("the process dies twice") {
    f.KillAndReopen();
    f.KillAndReopen();
  }
  SECTION("the power fails") {
    f.CutAndReopen();
    want = committed;
  }
  CHECK(f.stream().ListCursors() == std::vector<std::string>{"reader"});
  cursor = Ok(f.stream().OpenCursor("reader"));
  CHECK(cursor->Position(0) == want);
  f.Put("k", "c");
  const RecordBatch batch = Ok(cursor->Read(0));
  REQUIRE(batch.records.size() == 1);
  CHECK(batch.records[0].data == "c");
}

TEST_CASE(
    "a power cut at any step of reading moves no cursor over unread records",
    "[stream][cursor][crash][sweep]") {
  // Every record is committed before it is read, so none may be missing: what
  // lies at or above the cursor's place is what was not consumed, or again.
  for (uint64_t cut_at = 1; cut_at <= 60; ++cut_at) {
    StreamFixture f({}, 256 << 10, cut_at);
    std::vector<SequenceNumber> numbers;
    PutOptions power;
    power.durability = Durability::kPower;
    for (int i = 0; i < 10; ++i) {
      numbers.push_back(f.Put("k", absl::StrCat(i), power).sequence_number);
    }
    f.device.disk.CutAt(cut_at);
    size_t promised = 0;
    size_t tried = 0;
    const auto opened = f.stream().OpenCursor("reader");
    if (opened.ok()) {
      for (const SequenceNumber number : numbers) {
        const bool power_asked = tried % 2 == 1;
        ++tried;
        const absl::Status moved = (*opened)->Advance(
            0, number + 1,
            power_asked ? Durability::kPower : Durability::kProcess);
        if (moved.ok() && power_asked) promised = tried;
        if (!moved.ok()) break;
      }
    }
    f.CutAndReopen(cut_at);
    INFO("cut at step " << cut_at);
    Cursor* const cursor = Ok(f.stream().OpenCursor("reader"));
    const RecordBatch batch = Ok(cursor->Read(0));
    const size_t consumed = numbers.size() - batch.records.size();
    CHECK(consumed >= promised);
    CHECK(consumed <= tried);
  }
}

TEST_CASE(
    "a death between a commit and its end in the journal replays harmlessly",
    "[stream][cursor][crash][sweep]") {
  StreamFixture f;
  Cursor* cursor = Ok(f.stream().OpenCursor("reader"));
  f.Put("k", "a");
  Ok(cursor->Advance(0, f.stream().Describe().shards[0].next));
  // The intake as it was before the commit, as if no segment had been given
  // back when the process died.
  const std::string intake = f.device.files.Content(kIntake);
  Ok(f.engine->Flush());
  const SequenceNumber want = cursor->Position(0);
  auto dead = std::move(f.streams);
  f.streams.clear();
  f.device.disk.KillProcess();
  f.engine.reset();
  dead.clear();
  f.device.files.SetContent(kIntake, intake);
  f.Open();
  CHECK(Ok(f.stream().OpenCursor("reader"))->Position(0) == want);
}

TEST_CASE("a position above the recovered tail comes down to it",
          "[stream][cursor][crash][sweep]") {
  // As left by a process that died with a frame claimed and not published: its
  // tail was higher, and what comes there now is new and must be read.
  StreamFixture f;
  Ok(f.stream().OpenCursor("reader"));
  f.Put("k", "a");
  const uint64_t tail = f.stream().Describe().shards[0].next;
  SECTION("in the journal") {
    Ok(f.engine->TryJournal(1, EncodeMove({"reader", 0, tail + 4000}))
           .status());
  }
  SECTION("in the table") {
    Ok(f.engine->WithDatabase([&](sql::Database& db) {
      return WriteCursors(db, 1, {{"reader", 0, tail + 4000}});
    }));
  }
  f.KillAndReopen();
  Cursor* const cursor = Ok(f.stream().OpenCursor("reader"));
  CHECK(cursor->Position(0) == tail);
  f.Put("k", "b");
  REQUIRE(Ok(cursor->Read(0)).records.size() == 1);
}

TEST_CASE("a journal frame that names what does not exist is data loss",
          "[stream][cursor][fault]") {
  StreamFixture f;
  Ok(f.stream().OpenCursor("reader"));
  const std::string op =
      GENERATE(EncodeMove({"nobody", 0, 64}), EncodeMove({"reader", 1, 64}),
               std::string("?"), std::string());
  Ok(f.engine->TryJournal(1, op).status());
  auto dead = std::move(f.streams);
  f.streams.clear();
  f.device.Kill(std::move(f.engine), kIntake);
  dead.clear();
  CHECK(absl::IsDataLoss(f.TryOpen()));
}

}  // namespace
}  // namespace eddy::stream
