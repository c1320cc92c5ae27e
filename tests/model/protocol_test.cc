// The protocol of SegmentLog, every interleaving of it in small; and the proof
// that the checker finds it broken when it is, a test case a mistake. The
// numbers of states are those of one run, for orientation.
#include <string>

#include <catch2/catch_test_macros.hpp>

#include "tests/model/segment_log_model.h"

namespace eddy::model {
namespace {

constexpr uint32_t kStatesMax = 8'000'000;  // some 500 MB

constexpr char kShared[] = "two frames share a position";
constexpr char kNotWhole[] = "a frame is drained that is not whole";
constexpr char kGivenEarly[] = "a segment is given back before its frames are committed";
constexpr char kStillWritten[] = "a segment is given back that a claimer can still write to";
constexpr char kStuck[] = "no end can be reached any more";

void HoldsFor(const ModelOptions& options) {
  const Verdict verdict = Check(options, kStatesMax);
  INFO(verdict.states << " states, " << verdict.steps << " steps\n" << verdict.way);
  CHECK(verdict.broken == "");
  CHECK(verdict.states > 100'000);  // a model in which nothing happens keeps every promise
}

void IsFound(ModelOptions options, Mutation mutation, const std::string& broken) {
  options.mutation = mutation;
  const Verdict verdict = Check(options, kStatesMax);
  INFO(verdict.states << " states, " << verdict.steps << " steps\n" << verdict.way);
  CHECK(verdict.broken == broken);
}

ModelOptions Small() {
  ModelOptions options;
  options.frames = 1;
  options.units = 2;
  options.mixed_sizes = false;
  return options;
}

ModelOptions WithoutReader() {
  ModelOptions options;
  options.units = 2;
  options.mixed_sizes = false;
  options.reader = false;
  return options;
}

ModelOptions MixedSizes() {
  ModelOptions options = Small();
  options.mixed_sizes = true;
  return options;
}

TEST_CASE("two producers and a reader, two frames each: every promise holds", "[model]") {
  ModelOptions options;
  options.seals = 0;
  HoldsFor(options);  // 3 M states
}

TEST_CASE("two producers and a reader, segments sealed early: every promise holds", "[model]") {
  HoldsFor(Small());       // 0.2 M
  HoldsFor(MixedSizes());  // 0.4 M
}

TEST_CASE("three producers and a reader: every promise holds", "[model]") {
  ModelOptions options = Small();
  options.producers = 3;
  options.seals = 0;
  HoldsFor(options);  // 3 M
}

TEST_CASE("one producer that runs through three segments: every promise holds", "[model]") {
  ModelOptions options = Small();
  options.producers = 1;
  options.frames = 4;
  options.segments = 3;
  HoldsFor(options);
}

TEST_CASE("two producers, three frames each, a full intake: every promise holds", "[model]") {
  ModelOptions options;
  options.frames = 3;
  options.reader = false;
  HoldsFor(options);  // 2 M
}

TEST_CASE("three producers, two frames each: every promise holds", "[model]") {
  ModelOptions options;
  options.producers = 3;
  options.reader = false;
  options.seals = 0;
  HoldsFor(options);  // 6 M
}

// --- What the checker finds. -------------------------------------------------

TEST_CASE("found: published before it is filled", "[model][mutation]") {
  IsFound(Small(), Mutation::kPublishBeforeFill, kNotWhole);
}

TEST_CASE("found: published without release", "[model][mutation]") {
  IsFound(Small(), Mutation::kPublishRelaxed, kNotWhole);
}

TEST_CASE("found: published by a release store, so that a waiter is not seen",
          "[model][mutation]") {
  IsFound(Small(), Mutation::kPublishNotSequential, kStuck);
}

TEST_CASE("found: waiters notified before the frame is published", "[model][mutation]") {
  IsFound(Small(), Mutation::kWaitersBeforePublish, kStuck);
}

TEST_CASE("found: claimed by a load and a store", "[model][mutation]") {
  IsFound(Small(), Mutation::kClaimByLoadAndStore, kShared);
}

TEST_CASE("found: every claimer that comes too late seals", "[model][mutation]") {
  ModelOptions options = WithoutReader();
  options.producers = 3;
  options.frames = 1;
  options.units = 1;
  IsFound(options, Mutation::kEveryLateClaimerSeals, "a segment is sealed twice");
}

TEST_CASE("found: sealed without waiting for the crosser", "[model][mutation]") {
  IsFound(WithoutReader(), Mutation::kSealWithoutSettling, "a segment is sealed twice");
}

TEST_CASE("found: sealed by a store, over a claim that came in between", "[model][mutation]") {
  IsFound(WithoutReader(), Mutation::kSealByStore, kStillWritten);
}

TEST_CASE("found: a segment installed before its header is seen", "[model][mutation]") {
  IsFound(WithoutReader(), Mutation::kInstallRelaxed, kShared);
}

TEST_CASE("found: drained past a frame that is not published", "[model][mutation]") {
  IsFound(WithoutReader(), Mutation::kDrainSkipsUnpublished, kGivenEarly);
}

TEST_CASE("found: given back before the sync", "[model][mutation]") {
  IsFound(WithoutReader(), Mutation::kReleaseBeforeSync, kGivenEarly);
}

TEST_CASE("found: given back when drained, though not sealed", "[model][mutation]") {
  IsFound(WithoutReader(), Mutation::kGiveUnsealed,
          "a segment is given back that can still be claimed");
}

TEST_CASE("found: given back when sealed, though not drained", "[model][mutation]") {
  IsFound(WithoutReader(), Mutation::kGiveUndrained, kGivenEarly);
}

TEST_CASE("found: given back before it is zeroed", "[model][mutation]") {
  IsFound(WithoutReader(), Mutation::kGiveBeforeZeroing, "a free segment is not all zeros");
}

TEST_CASE("found: given back under a reader's eyes", "[model][mutation]") {
  IsFound(Small(), Mutation::kReleaseWithoutLock, "a frame is read that is not whole");
}

TEST_CASE("found: the reader passes over an unpublished frame", "[model][mutation]") {
  IsFound(Small(), Mutation::kReadSkipsUnpublished, "the reader passes over a frame");
}

TEST_CASE("found: where the runs begin is looked up after the blocks", "[model][mutation]") {
  IsFound(Small(), Mutation::kRunsAfterBlocks, "the reader passes over a frame");
}

TEST_CASE("found: the waiter looks before it counts itself", "[model][mutation]") {
  IsFound(Small(), Mutation::kWaiterCountsLate, kStuck);
}

TEST_CASE("found: the waiter's count is not seen before its look", "[model][mutation]") {
  IsFound(Small(), Mutation::kWaiterCountBuffered, kStuck);
}

TEST_CASE("found: the waiter notes the epoch after its look", "[model][mutation]") {
  IsFound(Small(), Mutation::kEpochAfterLook, kStuck);
}

// So it was until this model was made: the committer moves a frame, which was
// published before the waiter counted itself, from the runs into a block between
// the waiter's two looks.
TEST_CASE("found: the waiter looks at the blocks only before the runs", "[model][mutation]") {
  IsFound(Small(), Mutation::kLookAtBlocksOnlyFirst, kStuck);
}

}  // namespace
}  // namespace eddy::model
