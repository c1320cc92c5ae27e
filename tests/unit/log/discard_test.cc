// Frames that a view's mark has made useless before they were written: neither
// they nor the mark reach the disk, and no position is given twice because of it.
#include <algorithm>
#include <cstring>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "src/log/meta.h"
#include "src/log/segment_log.h"
#include "tests/fakes/scale.h"
#include "tests/unit/log/log_fixture.h"

namespace eddy::log {
namespace {

constexpr uint32_t kView = 7;
constexpr char kMark[] = "test_mark";

// All below its mark is of no more use. The mark is in the journal, then in `meta`.
class MarkView final : public Participant {
 public:
  explicit MarkView(bool may_wait) : may_wait_(may_wait) {}

  void Load(Engine& engine) {
    engine_ = &engine;
    REQUIRE(engine.WithDatabase([this](sql::Database& db) {
      absl::StatusOr<int64_t> mark = MetaInt(db, kMark, 0);
      if (mark.ok()) mark_ = written_ = static_cast<uint64_t>(*mark);
      return mark.status();
    }).ok());
    engine.AddParticipant(kView, this);
  }
  void Watch(Log* log) {
    log->SetDiscard([this] { return mark_; });
  }
  // Returns the end of the journal's frame.
  uint64_t Move(uint64_t mark) {
    absl::ReaderMutexLock cut(&engine_->cut());
    const absl::StatusOr<Appended> journaled = engine_->TryJournal(
        kView, {reinterpret_cast<const char*>(&mark), sizeof(mark)});
    INFO(journaled.status().ToString());
    REQUIRE(journaled.ok());
    mark_ = mark;
    return journaled->end;
  }
  uint64_t mark() const { return mark_; }
  uint64_t written() const { return written_; }

  bool Capture() override {
    captured_ = mark_;
    return mark_ != written_;
  }
  bool MayWait() override { return may_wait_; }
  absl::Status Write(sql::Database& db) override {
    return SetMeta(db, kMark, static_cast<int64_t>(captured_));
  }
  void Finish(bool committed) override {
    if (committed) written_ = captured_;
  }
  absl::Status Replay(std::string_view op) override {
    std::memcpy(&mark_, op.data(), sizeof(mark_));
    return absl::OkStatus();
  }

 private:
  const bool may_wait_;
  Engine* engine_ = nullptr;
  uint64_t mark_ = 0;
  uint64_t captured_ = 0;
  uint64_t written_ = 0;
};

// A log with such a view, on a device in memory.
struct MarkedLog : LogFixture {
  explicit MarkedLog(bool may_wait = true, size_t intake_bytes = 1 << 20, uint64_t seed = 1)
      : LogFixture(intake_bytes, seed), view(std::make_unique<MarkView>(may_wait)) {
    view->Load(*engine);
    view->Watch(log);
  }
  // After the death of the engine, by what is left of it.
  void OpenWithView() {
    view = std::make_unique<MarkView>(true);
    absl::StatusOr<std::unique_ptr<Engine>> opened = Engine::Open(options);
    INFO(opened.status().ToString());
    REQUIRE(opened.ok());
    engine = *std::move(opened);
    view->Load(*engine);
    log = *engine->OpenLog(id);
    view->Watch(log);
    REQUIRE(engine->FinishOpen().ok());
  }
  void Kill() {
    device.Kill(std::move(engine), kIntake);
    OpenWithView();
  }
  void Cut(uint64_t seed) {
    device.PowerCut(std::move(engine), seed);
    OpenWithView();
  }
  void Round() {
    device.clock.Advance(absl::Seconds(1));
    engine->RunOnce();
  }
  // Appends and marks; returns where the last frame ended.
  uint64_t Cycle(int count, size_t size = 100) {
    uint64_t end = 0;
    for (int i = 0; i < count; ++i) end = Append(std::string(size, 'x')).end;
    view->Move(end);
    return end;
  }

  std::unique_ptr<MarkView> view;
};

TEST_CASE("what is useless before its commit is due costs the disk nothing", "[log][discard]") {
  MarkedLog f;
  f.Cycle(10);
  REQUIRE(f.engine->Flush().ok());
  const uint64_t written = f.device.disk.BytesWritten();
  const uint64_t commits = f.engine->Stats().commits;
  for (int round = 0; round < 200; ++round) {  // more than the intake holds, twice
    f.Cycle(100);
    f.Round();
  }
  CHECK(f.device.disk.BytesWritten() == written);
  CHECK(f.engine->Stats().commits == commits);
  CHECK(f.log->committed() == f.log->tail());

  SECTION("and the next frame that stays takes all of it along") {
    f.Append("stays");
    f.Round();
    CHECK(f.view->written() == f.view->mark());
    f.Cut(5);
    CHECK(f.Bodies(f.view->mark()) == std::vector<std::string>{"stays"});
  }
  SECTION("and does not come back in a process that died") {
    const uint64_t mark = f.view->mark();
    f.Kill();
    CHECK(f.view->mark() == mark);
    CHECK(f.Bodies(mark).empty());
    CHECK(f.Append("next").position >= mark);
  }
  SECTION("and a clean close knows where it ended") {
    const uint64_t tail = f.log->tail();
    REQUIRE(f.engine->Close().ok());
    f.engine.reset();
    f.OpenWithView();
    CHECK(f.view->mark() == tail);
    CHECK(f.Append("next").position == tail);
  }
}

TEST_CASE("a view that may not wait is written when its flush is due", "[log][discard]") {
  MarkedLog f(/*may_wait=*/false);
  f.Cycle(10);
  f.Round();
  CHECK(f.view->written() == f.view->mark());
}

TEST_CASE("whoever waits for a mark's commit gets it", "[log][discard]") {
  MarkedLog f;
  f.Cycle(10);
  f.Round();  // reserves positions, and so writes
  f.Cycle(10);
  f.Round();
  REQUIRE(f.view->written() < f.view->mark());
  const uint64_t end = f.view->Move(f.Append("x").end);
  REQUIRE(f.engine->WaitCommitted(0, end, absl::Seconds(1)).ok());
  CHECK(f.view->written() == f.view->mark());
}

TEST_CASE("a journal that nobody writes takes an eighth of the intake at most",
          "[log][discard]") {
  MarkedLog f;
  const uint64_t segments = f.engine->Stats().intake_segments;
  uint64_t least = segments;
  for (int i = 0; i < 20'000; ++i) {
    f.view->Move(f.Append("x").end);
    if (i % 100 == 0) f.Round();
    least = std::min(least, f.engine->Stats().intake_segments_free);
  }
  CHECK(f.view->written() > 0);
  CHECK(least + segments / 8 + 4 >= segments);  // and the two that are being filled
}

TEST_CASE("a log that is never written goes on above all it gave out, whatever dies",
          "[log][discard][crash][sweep]") {
  // Far enough for several reservations, and every death in turn.
  const uint64_t seed = GENERATE(1, 2, 3, 4);
  INFO("seed " << seed);
  MarkedLog f(/*may_wait=*/true, 8 << 20, seed);
  uint64_t end = 0;
  for (int death = 0; death < 4; ++death) {
    const uint64_t commits = f.engine->Stats().commits;
    const uint64_t before = f.log->tail();
    for (int round = 0; round < 40; ++round) {
      end = f.Cycle(100, 50'000);
      f.Round();
    }
    CHECK(f.engine->Stats().commits - commits <= (end - before) / kReserveBytes + 2);
    if ((seed + death) % 2 == 0) f.Kill();
    if ((seed + death) % 2 == 1) f.Cut(seed);
    INFO("death " << death);
    CHECK(f.log->tail() >= end);
    CHECK(f.view->mark() <= f.log->tail());
    const Appended next = f.Append("next");
    CHECK(next.position >= end);
    CHECK(f.Bodies(f.view->mark()) == std::vector<std::string>{"next"});
    f.view->Move(next.end);
  }
}

TEST_CASE("a power cut at any step of a log that is seldom written repeats no position",
          "[log][discard][crash][sweep]") {
  bool cut = true;
  uint64_t steps = 0;
  const uint64_t stride = testing::Scaled(100) < 100 ? 5 : 1;
  for (uint64_t step = 0; cut; step += stride) {
    INFO("step " << step);
    MarkedLog f(/*may_wait=*/true, 8 << 20, step + 1);
    f.device.disk.CutAt(step);
    uint64_t end = 0;
    std::vector<std::string> durable;  // of what stays
    const auto append = [&](std::string_view body) {
      FrameParts parts;
      parts.body = body;
      const absl::StatusOr<Appended> appended = f.log->TryAppend(parts);
      if (appended.ok()) end = appended->end;
    };
    const std::string large(60'000, 'y');
    for (int round = 0; round < 25 && !f.device.disk.PowerIsOff(); ++round) {
      // Reservations; in the middle frames that stay for some rounds.
      if (round < 12 || round > 14) {
        for (int i = 0; i < 100; ++i) append(large);
        f.view->Move(end);
        durable.clear();
      } else {
        append("stays");
        if (f.engine->Flush().ok()) durable.push_back("stays");
      }
      f.Round();
    }
    steps = step;
    cut = f.device.disk.PowerIsOff();
    f.Cut(step);
    if (!durable.empty()) CHECK(f.Bodies(f.view->mark()).size() >= durable.size());
    CHECK(f.Append("next").position >= end);
  }
  CHECK(steps > 10);
}

}  // namespace
}  // namespace eddy::log
