#include "src/log/intake.h"

#include <cstring>

#include <catch2/catch_test_macros.hpp>

#include "src/log/frame.h"
#include "tests/fakes/fake_files.h"

namespace eddy::log {
namespace {

constexpr char kPath[] = "/intake";
constexpr IntakeIdentity kMine{11, 22};

struct IntakeFixture {
  IntakeFixture() { Remap(); intake->Reset(kMine, 5); }
  void Remap() {
    intake = nullptr;
    intake = *Intake::Map(&files, kPath, PlanIntake(256 << 10));
  }
  // A frame as a log would publish it; `publish` false leaves the claim open.
  size_t Put(uint32_t segment, size_t at, uint64_t first, std::string_view body, bool publish = true) {
    FrameParts parts;
    parts.body = body;
    char* to = intake->data(segment) + kSegmentHeaderBytes + at;
    const uint32_t word0 = FillFrame(parts, first + at, intake->salt(), to);
    if (publish) std::memcpy(to, &word0, sizeof(word0));
    return at + AlignFrame(parts.Bytes());
  }
  testing::FakeFiles files;
  std::unique_ptr<Intake> intake;
};

TEST_CASE("a segment is a thirty-second of the budget, within 64 and 256 KiB", "[log][intake]") {
  CHECK(PlanIntake(256 << 10).segment_bytes == 64 << 10);
  CHECK(PlanIntake(256 << 10).segment_count == 4);
  CHECK(PlanIntake(8 << 20).segment_bytes == 256 << 10);
  CHECK(PlanIntake(8 << 20).segment_count == 32);
  CHECK(PlanIntake(1 << 30).segment_bytes == 256 << 10);
}

TEST_CASE("the pool gives each segment once and takes it back zeroed", "[log][intake]") {
  IntakeFixture f;
  std::vector<uint32_t> taken;
  for (int i = 0; i < 4; ++i) taken.push_back(f.intake->Take(1, 64));
  CHECK(f.intake->Take(1, 64) == kNoSegment);
  std::memset(f.intake->data(taken[0]) + kSegmentHeaderBytes, 0x77, 1000);
  f.intake->Give(taken[0]);
  CHECK(f.intake->free_count() == 1);
  REQUIRE(f.intake->Take(2, 640) == taken[0]);
  CHECK(f.intake->first_position(taken[0]) == 640);
  for (int i = 0; i < 1000; ++i) REQUIRE(f.intake->data(taken[0])[kSegmentHeaderBytes + i] == 0);
}

TEST_CASE("published frames outlive the process; a hole before them does not hide them",
          "[log][intake][recovery]") {
  IntakeFixture f;
  const uint32_t segment = f.intake->Take(3, 1000);
  size_t at = f.Put(segment, 0, 1000, "one");
  at = f.Put(segment, at, 1000, "never published", false);
  const uint64_t third = 1000 + at;
  at = f.Put(segment, at, 1000, "three");
  f.Put(segment, at, 1000, "four");
  f.Remap();
  REQUIRE(f.intake->BelongsTo(kMine));
  const std::vector<LeftRun> runs = f.intake->Leftovers({{3, 1000}});
  REQUIRE(runs.size() == 2);
  CHECK(runs[0].first == 1000);
  CHECK(runs[0].frame_count == 1);
  CHECK(runs[1].first == third);
  CHECK(runs[1].frame_count == 2);
}

TEST_CASE("frames below their log's end were committed and are passed over", "[log][intake][recovery]") {
  IntakeFixture f;
  const uint32_t segment = f.intake->Take(3, 1000);
  const size_t second = f.Put(segment, 0, 1000, "one");
  f.Put(segment, second, 1000, "two");
  const std::vector<LeftRun> runs = f.intake->Leftovers({{3, 1000 + second}});
  REQUIRE(runs.size() == 1);
  CHECK(runs[0].first == 1000 + second);
  CHECK(f.intake->Leftovers({{4, 0}}).empty());
}

TEST_CASE("an intake of another boot or another store is not ours", "[log][intake][recovery]") {
  IntakeFixture f;
  CHECK_FALSE(f.intake->BelongsTo({12, 22}));
  CHECK_FALSE(f.intake->BelongsTo({11, 23}));
}

TEST_CASE("frames of an earlier life of the intake do not match after a reset", "[log][intake]") {
  IntakeFixture f;
  const uint32_t segment = f.intake->Take(3, 1000);
  f.Put(segment, 0, 1000, "old");
  const std::string old(f.intake->data(segment), 4096);
  f.intake->Reset(kMine, 6);
  std::memcpy(f.intake->data(segment), old.data(), old.size());
  CHECK(f.intake->Leftovers({{3, 0}}).empty());
}

TEST_CASE("a file that is no intake is not taken for one", "[log][intake]") {
  testing::FakeFiles files;
  CHECK(absl::IsNotFound(Intake::ReadGeometry(&files, kPath).status()));
  files.SetContent(kPath, std::string(8192, 'x'));
  CHECK(absl::IsNotFound(Intake::ReadGeometry(&files, kPath).status()));
  files.SetContent(kPath, "short");
  CHECK(absl::IsNotFound(Intake::ReadGeometry(&files, kPath).status()));
}

}  // namespace
}  // namespace eddy::log
