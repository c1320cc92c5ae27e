#include "src/log/block_draft.h"

#include <cstring>
#include <string>

#include <catch2/catch_test_macros.hpp>

#include "src/log/frame.h"

namespace eddy::log {
namespace {

constexpr uint64_t kFirst = 4096;
constexpr uint64_t kFrame = 24;  // 16 of header, 8 of body

// Drafts of `counts` frames each, side by side; arrival times 0, 1, 2 and so on.
struct Run {
  explicit Run(const std::vector<size_t>& counts) {
    size_t total = 0;
    for (const size_t count : counts) total += count;
    bytes.resize(total * kFrame);
    size_t index = 0;
    for (const size_t count : counts) {
      BlockDraft draft;
      draft.log = 7;
      draft.first = kFirst + index * kFrame;
      draft.end = draft.first + count * kFrame;
      draft.frames = bytes.data() + index * kFrame;
      draft.frame_count = count;
      draft.payload_bytes = count * 8;
      draft.first_time_ms = static_cast<int64_t>(index);
      draft.last_time_ms = static_cast<int64_t>(index + count - 1);
      for (size_t i = 0; i < count; ++i, ++index) {
        FrameParts parts;
        parts.time_ms = static_cast<int64_t>(index);
        parts.body = "12345678";
        char* const at = bytes.data() + index * kFrame;
        const uint32_t word0 = FillFrame(parts, kFirst + index * kFrame, 1, at);
        std::memcpy(at, &word0, sizeof(word0));
      }
      drafts.push_back(draft);
    }
  }
  std::string bytes;
  std::vector<BlockDraft> drafts;
};

TEST_CASE("below the first frame nothing is dropped", "[log][discard]") {
  Run run({3});
  CHECK(!DropBelow(0, {}, &run.drafts));
  CHECK(!DropBelow(kFirst, {}, &run.drafts));
  REQUIRE(run.drafts.size() == 1);
  CHECK(run.drafts[0].frame_count == 3);
  CHECK(run.drafts[0].payload_bytes == 24);
}

TEST_CASE("a mark within a draft leaves the frames above it as they lie", "[log][discard]") {
  Run run({2, 4});
  REQUIRE(DropBelow(kFirst + 3 * kFrame, {}, &run.drafts));
  REQUIRE(run.drafts.size() == 1);
  const BlockDraft& rest = run.drafts[0];
  CHECK(rest.log == 7);
  CHECK(rest.first == kFirst + 3 * kFrame);
  CHECK(rest.end == kFirst + 6 * kFrame);
  CHECK(rest.frames == run.bytes.data() + 3 * kFrame);
  CHECK(rest.frame_count == 3);
  CHECK(rest.payload_bytes == 24);
  CHECK(rest.first_time_ms == 3);
  CHECK(rest.last_time_ms == 5);
}

TEST_CASE("a mark at or above the end leaves nothing", "[log][discard]") {
  for (const uint64_t above : {uint64_t{0}, uint64_t{4000}}) {
    Run run({2, 4});
    CHECK(DropBelow(kFirst + 6 * kFrame + above, {}, &run.drafts));
    CHECK(run.drafts.empty());
    CHECK(!DropBelow(kFirst, {}, &run.drafts));
  }
}

TEST_CASE("a mark within a frame takes that frame along", "[log][discard]") {
  Run run({2, 2});
  REQUIRE(DropBelow(kFirst + 1, {}, &run.drafts));
  REQUIRE(run.drafts.size() == 2);
  CHECK(run.drafts[0].first == kFirst + kFrame);
  CHECK(PayloadBytes(run.drafts) == 24);
  REQUIRE(DropBelow(kFirst + 2 * kFrame - 4, {}, &run.drafts));
  REQUIRE(run.drafts.size() == 1);
  CHECK(run.drafts[0].first == kFirst + 2 * kFrame);
  REQUIRE(DropBelow(kFirst + 3 * kFrame + 1, {}, &run.drafts));
  CHECK(run.drafts.empty());
}

TEST_CASE("a mark between two drafts drops the first and spares the second", "[log][discard]") {
  Run run({2, 4});
  REQUIRE(DropBelow(kFirst + 2 * kFrame, {}, &run.drafts));
  REQUIRE(run.drafts.size() == 1);
  CHECK(run.drafts[0].first == kFirst + 2 * kFrame);
  CHECK(run.drafts[0].frame_count == 4);
}

}  // namespace
}  // namespace eddy::log
