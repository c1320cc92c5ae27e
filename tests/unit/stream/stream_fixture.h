// A stream over a real engine on a device in memory.
#ifndef EDDY_TESTS_UNIT_STREAM_STREAM_FIXTURE_H_
#define EDDY_TESTS_UNIT_STREAM_STREAM_FIXTURE_H_

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "eddy/stream.h"
#include "src/base/status.h"
#include "src/log/engine.h"
#include "src/stream/stream.h"
#include "tests/fakes/device.h"

namespace eddy::stream {

inline constexpr char kStore[] = "/store";
inline constexpr char kIntake[] = "/store/eddy.intake";

// REQUIREs OK, saying why not.
inline void Ok(const absl::Status& status) {
  INFO(status.ToString());
  REQUIRE(status.ok());
}
template <typename T>
T Ok(absl::StatusOr<T> value) {
  INFO(value.status().ToString());
  REQUIRE(value.ok());
  return *std::move(value);
}

struct StreamFixture {
  explicit StreamFixture(const StreamOptions& stream_options = {},
                         size_t intake_bytes = 256 << 10, uint64_t seed = 1)
      : device(seed) {
    options.directory = kStore;
    options.store.intake_bytes = intake_bytes;
    options.store.platform = device.platform();
    Open();
    Create("telemetry", stream_options);
  }
  explicit StreamFixture(uint32_t shard_count)
      : StreamFixture(StreamOptions{shard_count, Durability::kProcess}) {}
  ~StreamFixture() {
    // Streams outlive the engine's last commit, and die before it.
    if (engine != nullptr) (void)engine->Close();
    streams.clear();
  }

  void Open() { Ok(TryOpen()); }
  absl::Status TryOpen() {
    EDDY_ASSIGN_OR_RETURN(engine, log::Engine::Open(options));
    EDDY_ASSIGN_OR_RETURN(streams, StreamImpl::LoadAll(*engine));
    return engine->FinishOpen();
  }
  Stream& Create(std::string_view name, const StreamOptions& stream_options) {
    streams.push_back(Ok(StreamImpl::Create(*engine, name, stream_options)));
    return *streams.back();
  }

  void CloseAndReopen() {
    Ok(engine->Close());
    streams.clear();
    engine.reset();
    Open();
  }
  // The streams of the dead process die after its engine: they do nothing then,
  // and the engine, which does, must still find them.
  void KillAndReopen() {
    auto dead = std::move(streams);
    streams.clear();
    device.Kill(std::move(engine), kIntake);
    dead.clear();
    Open();
  }
  void CutAndReopen(uint64_t cut_seed = 7) {
    CutAndReopenInto([] {}, cut_seed);
  }
  // `wake` makes the world that the next boot finds.
  template <typename Wake>
  void CutAndReopenInto(Wake wake, uint64_t cut_seed = 7) {
    auto dead = std::move(streams);
    streams.clear();
    device.PowerCut(std::move(engine), cut_seed);
    dead.clear();
    wake();
    Open();
  }

  // What was trimmed goes with the next commit that is due.
  void CommitDue() {
    device.clock.Advance(options.store.flush_interval);
    (void)engine->RunOnce();
  }

  Stream& stream(size_t i = 0) { return *streams[i]; }
  PutResult Put(std::string_view key, std::string_view data,
                const PutOptions& put = {}) {
    return Ok(stream().Put(key, data, put));
  }
  std::string Iterator(ShardId shard, ShardIteratorType type,
                       SequenceNumber number = 0, absl::Time timestamp = {}) {
    return Ok(stream().GetShardIterator(shard, {type, number, timestamp}));
  }
  // Everything from the iterator on, `get` at a time.
  std::vector<std::string> ReadAll(std::string iterator,
                                   const GetRecordsOptions& get = {}) {
    std::vector<std::string> data;
    for (;;) {
      const RecordBatch batch = Ok(stream().GetRecords(iterator, get));
      for (const Record& record : batch.records) data.emplace_back(record.data);
      if (batch.records.empty()) return data;
      iterator = batch.next_shard_iterator;
    }
  }
  std::vector<std::string> ReadShard(ShardId shard = 0) {
    return ReadAll(Iterator(shard, ShardIteratorType::kTrimHorizon));
  }

  testing::Device device;
  log::EngineOptions options;
  std::unique_ptr<log::Engine> engine;
  std::vector<std::unique_ptr<StreamImpl>> streams;
};

}  // namespace eddy::stream

#endif  // EDDY_TESTS_UNIT_STREAM_STREAM_FIXTURE_H_
