// Persist::kSpill with more active logs than segments: nothing is written, so only what is
// useless leaves the intake. The journal, which then is not written either, must leave too.
#include <string>
#include <vector>

#include "tests/fakes/scale.h"
#include "tests/unit/stream/stream_fixture.h"

namespace eddy::stream {
namespace {

struct ManyShards : StreamFixture {
  ManyShards(uint32_t shards, size_t intake_bytes) : StreamFixture(Options(shards), intake_bytes) {}
  static StreamOptions Options(uint32_t shards) {
    StreamOptions options;
    options.shard_count = shards;
    options.persist = Persist::kSpill;
    options.readers = {"uplink"};
    return options;
  }
  // The first key of each shard.
  std::string KeyOf(ShardId shard) {
    return stream().Describe().shards[shard].starting_hash_key;
  }
};

struct Size {
  uint32_t shards;
  size_t intake_bytes;
};

// A reader that passes a record as it is done with it, and then what lies behind the last:
// both are places that Cursor::Advance names.
void PutAndPass(const Size& size, uint64_t seed) {
  ManyShards f(size.shards, size.intake_bytes);
  testing::FakeRandom random(seed);
  Cursor& cursor = *Ok(f.stream().OpenCursor("uplink"));
  std::vector<std::string> keys;
  for (ShardId shard = 0; shard < size.shards; ++shard) keys.push_back(f.KeyOf(shard));
  // As firmware that never waits: what finds no room is put again a little later.
  PutOptions put;
  put.timeout = absl::ZeroDuration();
  int refused = 0;
  std::vector<SequenceNumber> behind(size.shards, 0);  // of the last record of each shard
  for (int i = 0; i < 20'000; ++i) {
    const auto shard = static_cast<ShardId>(random.Below(size.shards));
    put.explicit_hash_key = keys[shard];
    const absl::StatusOr<PutResult> result = f.stream().Put("k", std::string(100, 'x'), put);
    refused = result.ok() ? 0 : refused + 1;
    if (result.ok()) {
      Ok(cursor.Advance(shard, result->sequence_number + 1));
      behind[shard] = result->token.end;
    } else {
      for (ShardId s = 0; s < size.shards; ++s) {
        if (behind[s] == 0) continue;
        const absl::Status moved = cursor.Advance(s, behind[s]);
        INFO("move " << i << ": " << moved.ToString());
        if (refused < 20) REQUIRE(moved.ok());
        behind[s] = 0;
      }
      f.CommitDue();
    }
    INFO(size.shards << " shards, intake of " << size.intake_bytes << ", seed " << seed
                     << ", put " << i << ": " << result.status().ToString() << "; "
                     << f.engine->Stats().intake_segments_free << " of "
                     << f.engine->Stats().intake_segments << " segments are free");
    REQUIRE(refused < 100);  // each after a second and a commit
    if (random.OneIn(5)) f.CommitDue();
  }
}

TEST_CASE("more spilling shards than segments, with the link up, neither fail nor hang",
          "[stream][spill][room]") {
  const Size size = GENERATE(Size{4, 32 << 10}, Size{5, 256 << 10}, Size{8, 512 << 10});
  const auto seeds = static_cast<uint64_t>(testing::Scaled(3));
  for (uint64_t seed = 1; seed <= seeds; ++seed) PutAndPass(size, seed);
}

}  // namespace
}  // namespace eddy::stream
