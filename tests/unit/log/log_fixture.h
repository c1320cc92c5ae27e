// An engine with one log on a device in memory.
#ifndef EDDY_TESTS_UNIT_LOG_LOG_FIXTURE_H_
#define EDDY_TESTS_UNIT_LOG_LOG_FIXTURE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include "absl/strings/str_cat.h"
#include "src/log/engine.h"
#include "tests/fakes/device.h"

namespace eddy::log {

inline constexpr char kStore[] = "/store";
inline constexpr char kIntake[] = "/store/eddy.intake";

// That no packing makes smaller.
inline std::string RawBody(int number, size_t bytes) {
  std::string body = absl::StrCat("record ", number, " ");
  uint32_t state = static_cast<uint32_t>(number) * 2654435761u + 1;
  size_t at = body.size();
  if (at < bytes) body.resize(bytes);
  for (char* to = body.data(); at < bytes; ++at) {  // tests are not optimised, and this is hot
    state = state * 1664525 + 1013904223;
    to[at] = static_cast<char>(state >> 24);
  }
  return body;
}

struct LogFixture {
  explicit LogFixture(size_t intake_bytes = 256 << 10, uint64_t seed = 1) : device(seed) {
    options.directory = kStore;
    options.store.intake_bytes = intake_bytes;
    options.store.platform = device.platform();
    Open();
    const absl::Status added = engine->WithDatabase([&](sql::Database& db) {
      absl::StatusOr<Log*> made = engine->AddLog(db);
      if (made.ok()) log = *made;
      return made.status();
    });
    REQUIRE(added.ok());
    id = log->id();
  }

  void Open() {
    absl::StatusOr<std::unique_ptr<Engine>> opened = Engine::Open(options);
    INFO(opened.status().ToString());
    REQUIRE(opened.ok());
    engine = *std::move(opened);
    const absl::Status finished = engine->FinishOpen();
    INFO(finished.ToString());
    REQUIRE(finished.ok());
    if (id != 0) log = *engine->OpenLog(id);
  }
  void CloseAndReopen() {
    REQUIRE(engine->Close().ok());
    engine.reset();
    Open();
  }
  void KillAndReopen() {
    device.Kill(std::move(engine), kIntake);
    Open();
  }
  void CutAndReopen(uint64_t cut_seed = 7) {
    device.PowerCut(std::move(engine), cut_seed);
    Open();
  }

  Appended Append(std::string_view body, std::string_view key = "k", int64_t time_ms = 1000) {
    FrameParts parts;
    parts.kind = 5;
    parts.time_ms = time_ms;
    parts.key = key;
    parts.body = body;
    absl::StatusOr<Appended> appended = log->Append(parts, absl::Seconds(5));
    INFO(appended.status().ToString());
    REQUIRE(appended.ok());
    return *appended;
  }
  std::vector<std::string> Bodies(uint64_t from = 0, ReadOptions read = {}) {
    std::vector<std::string> bodies;
    for (;;) {
      absl::StatusOr<ReadResult> result = log->Read(from, read);
      INFO(result.status().ToString());
      REQUIRE(result.ok());
      if (result->frames.empty()) return bodies;
      for (const FrameView& frame : result->frames) bodies.emplace_back(frame.body);
      from = result->next;
    }
  }

  testing::Device device;
  EngineOptions options;
  std::unique_ptr<Engine> engine;
  Log* log = nullptr;
  LogId id = 0;
};

}  // namespace eddy::log

#endif  // EDDY_TESTS_UNIT_LOG_LOG_FIXTURE_H_
